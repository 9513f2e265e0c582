"""`imza verify-certificate`: what a certificate is worth, here or by a service."""

import json
import pathlib
from typing import Any

import click

from pki import errors
from pki.terminal_text import printable, printable_json
from signing_service.command_line.command_options import (
    FILE,
    check_place,
    judging,
    read_time,
    warn_of_no_trust,
)

EXIT_CODES = {"PASSED": 0, "FAILED": 1, "INDETERMINATE": 3}
MAX_ANSWER_BYTES = 2**20


class CertificateRefusedError(errors.InputError):
    """The service refused to validate the certificate."""

    code = "validation-refused"


@click.command(
    epilog="Example: imza verify-certificate signer.pem --intermediate issuing.pem"
    " --trust world/trust-anchors.pem",
)
@click.argument("file", type=FILE)
@click.option(
    "--intermediate", "intermediates", multiple=True, type=FILE, help="An issuer in the path."
)
@judging
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def verify_certificate(
    file: pathlib.Path,
    intermediates: tuple[pathlib.Path, ...],
    trusted: tuple[str, ...],
    list_signers: tuple[pathlib.Path, ...],
    at_text: str | None,
    policy: str | None,
    offline: bool,
    server: str | None,
    credentials: pathlib.Path | None,
    as_json: bool,
) -> int:
    """Say what a certificate is worth: its path, status, use, and whether it is qualified.

    FILE is PEM or DER. Leaves with 0 when it passed, 1 when it failed, 3 when a verdict is not
    possible with what is at hand, or the certificate is revoked or has ended.
    """
    check_place(server, credentials, is_for_here=bool(trusted or list_signers or offline))
    chosen = {} if at_text is None else {"at": read_time(at_text)}
    warn_of_no_trust(server, trusted, "certificate")
    if server is None or credentials is None:
        answer = _judge(
            file, intermediates, trusted, list_signers, policy, offline=offline, **chosen
        )
    else:
        answer = _ask(file, intermediates, server, credentials, policy, **chosen)
    told = printable_json(json.dumps(answer, ensure_ascii=False)) if as_json else _text(answer)
    click.echo(told)
    return EXIT_CODES[answer["indication"]]


def _judge(
    file: pathlib.Path,
    intermediates: tuple[pathlib.Path, ...],
    trusted: tuple[str, ...],
    list_signers: tuple[pathlib.Path, ...],
    policy_file: str | None,
    *,
    offline: bool,
    at: Any = None,
) -> dict[str, Any]:
    from pki import clock, outbound
    from signing_service.lists import trust_sources
    from signing_service.validation import fetching, isolation, policy

    rules = policy.DEFAULT if policy_file is None else policy.load(pathlib.Path(policy_file))
    present = clock.SystemClock()
    client = outbound.Client(max_bytes=64 * 2**20)
    workers = isolation.ValidationWorkers(1)
    try:
        anchors = trust_sources.TrustSources(present, None if offline else client, list_signers)
        return workers.validate_certificate(
            file.read_bytes(),
            trust=anchors.load(trusted),
            at=at or present.now(),
            fetch=None if offline else fetching.fetcher(client, present),
            intermediates=[one.read_bytes() for one in intermediates],
            rules=rules,
        ).to_json()
    finally:
        workers.close()
        client.close()


def _ask(
    file: pathlib.Path,
    intermediates: tuple[pathlib.Path, ...],
    server: str,
    credentials: pathlib.Path,
    policy: str | None,
    *,
    at: Any = None,
) -> dict[str, Any]:
    from pki import clock, multipart, outbound
    from pki import credentials as client_credentials

    known = client_credentials.read_credentials(credentials, "api_client", server=server)
    client = outbound.Client(
        timeout_s=120.0, max_bytes=MAX_ANSWER_BYTES, trust_pem=known.tls_ca_pem
    )
    chosen = {} if policy is None else {"policy": policy}
    if at is not None:
        chosen["at"] = clock.time_text(at)
    form = multipart.build(
        [
            multipart.file_part("certificate", file),
            *(multipart.file_part("intermediate", one) for one in intermediates),
            multipart.Part("parameters", json.dumps(chosen).encode(), "application/json"),
        ]
    )
    try:
        answer = (
            client_credentials.TokenSource(client, known, scope="validate")
            .send(
                "POST",
                f"{known.base_url}/api/v1/certificates/validations",
                body=form.body,
                content_type=form.content_type,
            )
            .json()
        )
    except outbound.PeerAnswerError as error:
        if (problem := error.problem()) is not None:
            raise CertificateRefusedError(
                f"the service refused: {problem.detail} ({problem.code})"
            ) from error
        raise
    finally:
        client.close()
    if not isinstance(answer, dict) or answer.get("indication") not in EXIT_CODES:
        raise errors.PeerError("expected a certificate's validation, got something else")
    return answer


def _text(answer: dict[str, Any]) -> str:
    """The verdict for a person; a stranger's control characters do not get through."""
    certificate, status = answer["certificate"], answer["status"]
    reason = answer["sub_indication"]
    qualified = answer["qualification"]
    lines = [
        f"{certificate['subject']}: {answer['indication']}" + (f" / {reason}" if reason else ""),
        *(f"  Why         {one['message']}" for one in answer["errors"]),
        f"  Serial no.  {certificate['serial_number']}",
        f"  Valid       {certificate['not_before']} to {certificate['not_after']}",
        f"  Status      {_status(status)}",
        f"  For         {', '.join(answer['usage']['allowed_for']) or 'nothing that is known'}",
        f"  Qualified   {_qualified(qualified)}",
        *(
            f"  {'Anchor' if one['trust_anchor'] else 'Issuer':<11} {one['subject']}"
            for one in answer["path"][1:]
        ),
    ]
    return "\n".join(printable(one) for one in lines)


def _status(status: dict[str, Any] | None) -> str:
    if status is None:
        return "a trust anchor has none"
    source = status["source"]
    said = "" if source is None else f", by {source['kind']} of {source['this_update']}"
    when = "" if status["revoked_at"] is None else f" at {status['revoked_at']}"
    why = "" if status["reason"] is None else f" ({status['reason']})"
    return f"{status['state']}{when}{why}{said}"


def _qualified(found: dict[str, Any]) -> str:
    if not found["qualified"]:
        word = "not known" if found["qualified"] is None else "no"
        return f"{word}: {found['note']['message']}"
    device = "with" if found["qualified_device"] else "without"
    return f"yes, for {found['for']}, {device} a qualified device"
