"""`imza ca ceremony`: play a key ceremony on the terminal, or check the transcript of one."""

import json
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ca.ceremony import examination, performance, script
    from imza.wiring import founding

SIGNATURE_SUFFIX = ".p7s"

_FILE = click.Path(path_type=pathlib.Path, exists=True, dir_okay=False)


@click.command(
    "ceremony",
    epilog="Example: imza ca ceremony --script docs/examples/ceremony.yaml --config ca.toml"
    " --out ceremony",
)
@click.option("--script", "script_path", type=_FILE, help="The script to play.")
@click.option(
    "--config",
    type=_FILE,
    help="The CA zone's settings file; [keystore_root] names the root's key store.",
)
@click.option(
    "--out",
    type=click.Path(path_type=pathlib.Path, file_okay=False),
    default=pathlib.Path(),
    help="Where the transcript, certificates and CRLs go; default: here.",
)
@click.option(
    "--yes", is_flag=True, help="Every witness agrees to everything; test installations only."
)
@click.option("--check", "transcript_path", type=_FILE, help="A transcript to check instead.")
@click.option(
    "--root",
    "root_path",
    type=_FILE,
    help="The root's certificate (PEM) to check against; default: trust-anchors.pem beside it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    script_path: pathlib.Path | None,
    config: pathlib.Path | None,
    out: pathlib.Path,
    yes: bool,
    transcript_path: pathlib.Path | None,
    root_path: pathlib.Path | None,
    as_json: bool,
) -> int:
    """Play a script before its witnesses and write a signed transcript; or check a transcript.

    Each witness confirms each of their steps by typing their id. The transcript is signed by a key
    that the root certifies for it alone; any CMS software verifies that signature too.
    """
    if (script_path is None) == (transcript_path is None):
        raise click.UsageError("expected either --script or --check")
    if transcript_path is not None:
        return _check(transcript_path, root_path, as_json)
    if script_path is None or config is None:
        raise click.UsageError("expected --config, the CA zone's settings file")
    return _play(script_path, config, out, yes, as_json)


def _play(
    script_path: pathlib.Path,
    config_path: pathlib.Path,
    out: pathlib.Path,
    yes: bool,
    as_json: bool,
) -> int:
    import contextlib

    from ca.ceremony import script
    from imza import config as configs
    from imza.wiring import founding, resources
    from pki import clock

    settings = configs.read(config_path)
    if yes and not configs.require(settings.ca, "ca").test:
        raise click.UsageError("--yes: witnesses of a real installation confirm for themselves")
    with script_path.open("rb") as file:
        played = script.read(file.read(script.MAX_SCRIPT_BYTES + 1))
    out.mkdir(parents=True, exist_ok=True)

    def tell(line: str) -> None:
        click.echo(line, err=True)

    tell(f"{played.title}, {played.place}\nscript SHA-256 {played.sha256}")
    for one in played.witnesses:
        tell(f"  {one.id:<18}{one.name}, {one.role}")
    with contextlib.closing(resources.Resources(clock.SystemClock())) as opened:
        signed, made = founding.play_ceremony(
            opened,
            settings,
            played,
            script_path.parent,
            _confirmation(yes, tell),
            tell,
            unattended=yes,
        )
    path = _write(out, signed, made)
    if signed.stopped_by is not None:
        tell(f"the ceremony was stopped; what was done is in {path}")
        raise signed.stopped_by
    result = _check_result(path, _examine(path, out / "trust-anchors.pem"))
    _print(result, as_json)
    return 0


def _confirmation(yes: bool, tell: Callable[[str], None]) -> "performance.Confirm":
    from ca.ceremony import performance

    def confirm(witness: "script.Witness", sentence: str) -> None:
        asked = f"{witness.name} ({witness.role}), {sentence}"
        if yes:
            tell(f"  {asked}: confirmed (--yes)")
            return
        answer = click.prompt(f"  {asked}\n  type {witness.id} to confirm", err=True)
        if answer.strip() != witness.id:
            raise performance.NotConfirmedError(f"the witness {witness.id} did not confirm")

    return confirm


def _write(
    out: pathlib.Path, signed: "performance.SignedTranscript", made: "founding.Initialised | None"
) -> pathlib.Path:
    from ca.ceremony import transcript
    from imza import installation
    from pki import certificates, durable_files

    record = transcript.read(signed.content)
    stamp = record.closed_at.replace("-", "").replace(":", "")
    path = out / f"ceremony-{stamp}.json"
    durable_files.create(path, signed.content)
    durable_files.create(path.with_name(path.name + SIGNATURE_SUFFIX), signed.signature_der)
    for step in record.steps:
        for one in step.certificates:
            durable_files.replace(out / f"{one.name}.cer", transcript.decode(one.certificate))
        for crl in step.crls:
            durable_files.replace(out / f"{crl.issuer}.crl", transcript.decode(crl.crl))
    if made is not None:
        installation.write_certificates(made, out)
    else:
        pem = certificates.to_pem(signed.root)
        durable_files.replace(out / installation.TRUST_ANCHORS, pem.encode("ascii"))
    return path


def _check(path: pathlib.Path, root_path: pathlib.Path | None, as_json: bool) -> int:
    from imza import installation

    beside = path.with_name(installation.TRUST_ANCHORS)
    _print(_check_result(path, _examine(path, root_path or beside)), as_json)
    return 0


def _examine(path: pathlib.Path, root_path: pathlib.Path) -> "examination.Examination":
    from cryptography import x509

    from ca.ceremony import detached_signature, examination, transcript

    beside = path.with_name(path.name + SIGNATURE_SUFFIX)
    try:
        with path.open("rb") as file:
            content = file.read(transcript.MAX_TRANSCRIPT_BYTES + 1)
        with beside.open("rb") as file:
            signature_der = file.read(detached_signature.MAX_SIGNATURE_BYTES + 1)
        roots = x509.load_pem_x509_certificates(root_path.read_bytes())
    except OSError as error:
        raise click.UsageError(f"{error.filename}: {error.strerror}") from error
    except ValueError as error:
        raise click.UsageError(f"{root_path}: expected a certificate in PEM") from error
    if len(roots) != 1:
        raise click.UsageError(f"{root_path}: expected one root, got {len(roots)}: use --root")
    return examination.examine(content, signature_der, roots[0])


def _check_result(path: pathlib.Path, found: "examination.Examination") -> dict[str, Any]:
    record = found.transcript
    return {
        "transcript": str(path),
        "title": found.script.title,
        "outcome": record.outcome,
        "opened_at": record.opened_at,
        "closed_at": record.closed_at,
        "steps": len(record.steps),
        "keys": len({key.label for step in record.steps for key in step.keys}),
        "certificates": sum(len(step.certificates) for step in record.steps),
        "witnesses": [f"{one.name}, {one.role}" for one in found.script.witnesses],
        "root_sha256": found.root_sha256,
        "warnings": list(found.warnings),
    }


def _print(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False))
        return
    click.echo(
        f"{result['transcript']}: in order\n"
        f"{result['title']}: {result['outcome']}, {result['steps']} steps, {result['keys']} keys,"
        f" {result['certificates']} certificates, {result['opened_at']} to {result['closed_at']}\n"
        f"root SHA-256 {result['root_sha256']}: compare it with the one noted on paper"
    )
    for one in result["warnings"]:
        click.echo(f"warning: {one}")
