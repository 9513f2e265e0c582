"""`imza sign`: sign documents through the REST API with a card or a phone.

A client like any other: it imports the card component and the HTTP client, nothing of the server.
"""

import contextlib
import dataclasses
import json
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import click

from imza import api_client, pdf_options, sign_card, sign_results
from imza.sign_card import say
from pki import credentials as client_credentials

FORMATS = {
    "pades": "PAdES",
    "xades": "XAdES",
    "asice": "ASiC-E",
    "asics": "ASiC-S",
    "cades": "CAdES",
}
PACKAGING = {"pades": "enveloped", "xades": "enveloped"}
ADDED = {
    ("ASiC-E", "detached"): ".asice",
    ("ASiC-S", "detached"): ".asics",
    ("CAdES", "detached"): ".p7s",
    ("CAdES", "enveloping"): ".p7m",
    ("XAdES", "detached"): ".xades.xml",
    ("XAdES", "enveloping"): ".xades.xml",
}
"""What a signed document's name in a folder ends with, where it is not the document itself."""

LEVELS = ("B-B", "B-T", "B-LT", "B-LTA")

BATCH = 20
"""As many documents as the service takes under one confirmation."""


@dataclasses.dataclass(frozen=True)
class Wish:
    """What the person asked for on the command line."""

    format: str
    level: str
    reason: str | None
    place: str | None
    packaging: str
    commitment: str | None = None
    role: str | None = None
    pdf: dict[str, Any] = dataclasses.field(default_factory=dict)
    counter_signature_of: str | None = None
    container_signature: str | None = None


@dataclasses.dataclass(frozen=True)
class Device:
    """Whose key signs: a card in a reader, a person's phone, or a seal of the service.

    Attributes:
        hand: The card, where it is one.
        signer: As the API names who signs.
        picture: What the signer's appearance in a PDF shows.
    """

    hand: sign_card.Hand | None
    signer: dict[str, str]
    picture: pathlib.Path | None = None


@click.command(
    "sign",
    epilog="""Examples:

    \b
    imza sign contract.pdf --format pades --level B-LTA --card \\
        --server http://127.0.0.1:8080 --credentials w/sandbox.json -o signed.pdf
    imza sign form.xml --format xades --level B-T --phone +994500000004 --person 3KL78RS \\
        --server http://127.0.0.1:8080 --credentials w/sandbox.json -o signed.xml
    imza sign plan.pdf prices.xlsx --format asice --level B-LT --card \\
        --server http://127.0.0.1:8080 --credentials w/sandbox.json -o plan.asice
    imza sign offer.pdf --certify form-filling --image logo.png --box 300,60,540,130 --seal stamp \\
        --server http://127.0.0.1:8080 --credentials w/sandbox.json -o certified.pdf
    imza sign form.pdf --field Buyer --lock include --lock-field Price --lock-field Date --card \\
        --server http://127.0.0.1:8080 --credentials w/sandbox.json -o signed.pdf
    imza sign plan.asice --format asice --countersign signature001.p7s-signer-1 --card \\
        --server http://127.0.0.1:8080 --credentials w/sandbox.json -o countersigned.asice
    imza sign letters/*.pdf --level B-LTA --card \\
        --server http://127.0.0.1:8080 --credentials w/sandbox.json -o signed/
    imza sign notice.pdf --seal ministry \\
        --server http://127.0.0.1:8080 --credentials w/sandbox.json -o sealed.pdf
    imza sign --session 5b0f… --card \\
        --server http://127.0.0.1:8080 --credentials w/sandbox.json -o signed.pdf
    """,
)
@click.argument(
    "files",
    nargs=-1,
    metavar="FILE...",
    type=click.Path(path_type=pathlib.Path, exists=True, dir_okay=False),
)
@click.option("--format", "name", type=click.Choice(list(FORMATS)), default="pades")
@click.option("--level", type=click.Choice(LEVELS), default="B-LTA", show_default=True)
@click.option("--card", is_flag=True, help="Sign with the card in the reader.")
@click.option("--reader", metavar="NAME", help="Which reader, when there are several.")
@click.option(
    "--pin-fd",
    type=int,
    metavar="N",
    help="Read the PIN from this file descriptor: one line for each 20 files.",
)
@click.option("--phone", metavar="NUMBER", help="Sign with the phone of this number, with its +.")
@click.option("--person", metavar="CODE", help="The phone owner's person code.")
@click.option("--seal", metavar="NAME", help="Seal with an organisation's key.")
@click.option(
    "--session",
    "session_id",
    metavar="ID",
    help="Go on with a session that is open, instead of naming a FILE.",
)
@click.option(
    "--batch",
    "batch_id",
    metavar="ID",
    help="Go on with a batch that is open, instead of naming FILEs; -o names a folder.",
)
@click.option("--reason", help="Why the document is signed; stands in the signature.")
@click.option("--place", help="Where it is signed.")
@click.option("--commitment", help="What signing means, such as proof-of-approval.")
@click.option("--role", help="As what the signer signs.")
@click.option(
    "--countersign",
    metavar="ID",
    help="Sign the signature with this id (`imza verify --json` shows it) and not the FILE.",
)
@click.option(
    "--packaging",
    type=click.Choice(["enveloped", "enveloping", "detached"]),
    help="How signature and document lie together, where the format leaves a choice.",
)
@click.option(
    "--container-signature",
    type=click.Choice(["XAdES", "CAdES"], case_sensitive=False),
    help="What the signatures of an asice or asics container are; XAdES, unless it has others.",
)
@pdf_options.add
@click.option("--server", required=True, metavar="URL", help="Base address of the service.")
@click.option(
    "--credentials",
    required=True,
    type=click.Path(path_type=pathlib.Path, dir_okay=False),
    help="A file with client_id and client_secret, or a sandbox.json.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=pathlib.Path),
    help="The signed document; a folder when there are several. Several files with --format asice,"
    " or xades beside or around them, get one signature, unless this is a folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    files: tuple[pathlib.Path, ...],
    name: str,
    level: str,
    card: bool,
    reader: str | None,
    pin_fd: int | None,
    phone: str | None,
    person: str | None,
    seal: str | None,
    session_id: str | None,
    batch_id: str | None,
    reason: str | None,
    place: str | None,
    commitment: str | None,
    role: str | None,
    countersign: str | None,
    packaging: str | None,
    container_signature: str | None,
    server: str,
    credentials: pathlib.Path,
    output: pathlib.Path,
    as_json: bool,
    **pdf: Any,
) -> int:
    """Sign one or more documents with a card, a phone or a seal.

    Several files get a signature each under one PIN, or one confirmation on the phone: up to 20 at
    a time, all of them or none.
    """
    going_on = session_id or batch_id
    if (going_on is None) is not bool(files) or (session_id and batch_id):
        raise click.UsageError("name a FILE, or what to go on with (--session, --batch)")
    if going_on is not None and (phone is not None or seal is not None):
        raise click.UsageError("it knows its phone or seal: --session and --batch go with --card")
    if going_on is None and sum((card, phone is not None, seal is not None)) != 1:
        raise click.UsageError("choose one of --card, --phone and --seal")
    if (phone is None) != (person is None):
        raise click.UsageError("--phone and --person belong together")
    one_signature = name == "asice" or (name == "xades" and packaging in ("enveloping", "detached"))
    together = one_signature and not output.is_dir()
    if (batch_id or (len(files) > 1 and not together)) and not output.is_dir():
        raise click.UsageError("with several files -o names an existing folder")
    wish = Wish(
        FORMATS[name],
        level,
        reason,
        place,
        packaging or PACKAGING.get(name, "detached"),
        commitment,
        role,
        pdf_options.parameters(is_pdf=name == "pades", **pdf),
        countersign,
        container_signature,
    )
    if countersign is not None and (name == "pades" or len(files) != 1):
        raise click.UsageError("--countersign goes with one FILE that is xades, cades or asice")
    targets = [output / _signed_name(one, wish) if output.is_dir() else output for one in files]
    if not together and len(set(targets)) != len(files):
        raise click.UsageError("two of the files have one name: -o would hold one of them alone")
    known = client_credentials.read_credentials(credentials, "api_client", server=server)
    with contextlib.closing(api_client.SigningApi(known)) as api:
        if session_id is not None:
            results = [_resumed(api, session_id, output, card, reader, pin_fd)]
        elif batch_id is not None:
            results = _resumed_batch(api, batch_id, output, card, reader, pin_fd)
        else:
            device = _device(card, reader, pin_fd, phone, person, seal, pdf["image"])
            results = []
            parameters = {**_parameters(wish), "signer": device.signer}
            for wanted, places in _groups(files, targets, together=together):
                if together or len(wanted) == 1:
                    results.append(_sign(api, wanted, places[0], parameters, device))
                else:
                    results += _sign_batch(api, wanted, places, parameters, device)
    if as_json:
        click.echo(json.dumps({"sessions": results}, ensure_ascii=False))
    return 0


def _device(
    card: bool,
    reader: str | None,
    pin_fd: int | None,
    phone: str | None,
    person: str | None,
    seal: str | None,
    picture: pathlib.Path | None,
) -> Device:
    if card:
        hand = sign_card.open_hand(reader, pin_fd)
        return Device(hand, hand.signer, picture)
    if phone is not None and person is not None:
        return Device(None, {"phone_number": phone, "person_code": person}, picture)
    return Device(None, {"seal": str(seal)}, picture)


def _groups(
    files: Sequence[pathlib.Path], targets: Sequence[pathlib.Path], *, together: bool
) -> Iterator[tuple[Sequence[pathlib.Path], Sequence[pathlib.Path]]]:
    """What is confirmed at once, with where it goes."""
    size = len(files) if together else BATCH
    for start in range(0, len(files), size):
        yield files[start : start + size], targets[start : start + size]


def _sign(
    api: api_client.SigningApi,
    files: Sequence[pathlib.Path],
    target: pathlib.Path,
    parameters: dict[str, Any],
    device: Device,
) -> dict[str, Any]:
    """One signature, on one document or on several in one container."""
    session = api.open_session(files, parameters, device.picture)
    if device.hand is not None:
        session = device.hand.sign_session(api, session)
    elif "control_code" in session:
        say(f"{files[0].name}: control code {session['control_code']}")
        say("Confirm on the phone only if it shows the same code.")
    session = sign_results.finished(api, session)
    return {**sign_results.write(api, session, files[0].name, target), "file": str(files[0])}


def _sign_batch(
    api: api_client.SigningApi,
    files: Sequence[pathlib.Path],
    targets: Sequence[pathlib.Path],
    parameters: dict[str, Any],
    device: Device,
) -> list[dict[str, Any]]:
    """A signature on each document, under one confirmation."""
    names = [one.name for one in files]
    batch = api.open_batch(files, parameters, device.picture)
    if device.hand is not None:
        batch = device.hand.sign_batch(api, batch, names)
    elif "control_code" in batch:
        say(f"batch {batch['id']}: control code {batch['control_code']} for {len(files)} documents")
        for place, shown in enumerate(names, start=1):
            say(f"  {place}. {shown}")
        say("Confirm on the phone only if it shows the same code and the same documents.")
    written = sign_results.write_batch(
        api, sign_results.finished_batch(api, batch), list(zip(names, targets, strict=True))
    )
    return [{**one, "file": str(file)} for one, file in zip(written, files, strict=True)]


def _resumed(
    api: api_client.SigningApi,
    session_id: str,
    output: pathlib.Path,
    card: bool,
    reader: str | None,
    pin_fd: int | None,
) -> dict[str, Any]:
    """Go on with a session where it stands: with the card, or by waiting for its end."""
    session = api.state(session_id, wait_s=0)
    if session["state"] == "awaiting_value":
        if not card:
            raise click.UsageError("the session waits for a card: name --card")
        session = sign_card.open_hand(reader, pin_fd).sign_session(api, session)
    return sign_results.write(api, sign_results.finished(api, session), "the document", output)


def _resumed_batch(
    api: api_client.SigningApi,
    batch_id: str,
    output: pathlib.Path,
    card: bool,
    reader: str | None,
    pin_fd: int | None,
) -> list[dict[str, Any]]:
    """Go on with a batch likewise; its documents go where their names say."""
    batch = api.batch(batch_id, wait_s=0)
    if batch["state"] == "awaiting_value":
        if not card:
            raise click.UsageError("the batch waits for a card: name --card")
        batch = sign_card.open_hand(reader, pin_fd).sign_batch(api, batch)
    names = [pathlib.PurePosixPath(one["document"]).name for one in batch["sessions"]]
    if len(set(names)) != len(names):
        raise click.UsageError("two documents of the batch have one name: fetch them one by one")
    places = [(name, output / name) for name in names]
    return sign_results.write_batch(api, sign_results.finished_batch(api, batch), places)


def _signed_name(file: pathlib.Path, wish: Wish) -> str:
    """Return the name of a signed document in a folder."""
    if wish.counter_signature_of:
        return file.name
    added = ADDED.get((wish.format, wish.packaging), "")
    return file.name if file.name.lower().endswith(added) else file.name + added


def _parameters(wish: Wish) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "format": wish.format,
        "level": wish.level,
        "packaging": wish.packaging,
    }
    if wish.commitment:
        parameters["commitment"] = wish.commitment
    if wish.role:
        parameters["role"] = wish.role
    if wish.container_signature:
        parameters["container_signature"] = wish.container_signature
    if wish.counter_signature_of:
        parameters["counter_signature_of"] = wish.counter_signature_of
    if wish.reason:
        parameters["reason"] = wish.reason
    if wish.place:
        parameters["place"] = wish.place
    return parameters | wish.pdf
