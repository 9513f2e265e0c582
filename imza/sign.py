"""`imza sign`: sign documents through the REST API with a card or a phone.

A client like any other: it imports the card component and the HTTP client, nothing of the server.
"""

import base64
import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import click
from cryptography.hazmat.primitives import serialization

from card_reader import pin as pins
from card_reader import readers, signing_card
from imza import api_client, pdf_options
from pki import algorithms, durable_files, errors, signature
from pki import credentials as client_credentials

FORMATS = {"pades": "PAdES", "xades": "XAdES", "asice": "ASiC-E", "cades": "CAdES"}
PACKAGING = {"pades": "enveloped", "xades": "enveloped", "asice": "detached", "cades": "detached"}
ADDED = {
    ("ASiC-E", "detached"): ".asice",
    ("CAdES", "detached"): ".p7s",
    ("CAdES", "enveloping"): ".p7m",
    ("XAdES", "detached"): ".xades.xml",
    ("XAdES", "enveloping"): ".xades.xml",
}
"""What a signed document's name in a folder ends with, where it is not the document itself."""

LEVELS = ("B-B", "B-T", "B-LT", "B-LTA")

FINISHED = frozenset({"completed", "refused", "expired", "failed"})


class SessionEndedError(errors.StateError):
    """The session ended without a signature; the code is the service's own."""

    def __init__(self, code: str, message: str) -> None:
        """Take the code that the session ended with."""
        super().__init__(message)
        self.code = code  # type: ignore[misc]


class OtherCardError(errors.StateError):
    """Another card is in the reader than the session was opened with."""

    code = "other-card"


CORRECTABLE = (
    readers.CardRemovedError,
    readers.NoCardError,
    readers.NoReaderError,
    readers.CardBusyError,
    readers.ReaderServiceDownError,
    OtherCardError,
)
"""What a person at the terminal can put right, and go on."""


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
@click.option("--pin-fd", type=int, metavar="N", help="Read the PIN from this file descriptor.")
@click.option("--phone", metavar="NUMBER", help="Sign with the phone of this number, with its +.")
@click.option("--person", metavar="CODE", help="The phone owner's person code.")
@click.option("--seal", metavar="NAME", help="Seal with an organisation's key.")
@click.option(
    "--session",
    "session_id",
    metavar="ID",
    help="Go on with a session that is open, instead of naming a FILE.",
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
    help="The signed document; a folder when there are several. Several files with --format asice"
    " go into one container, unless this is a folder.",
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
    reason: str | None,
    place: str | None,
    commitment: str | None,
    role: str | None,
    countersign: str | None,
    packaging: str | None,
    server: str,
    credentials: pathlib.Path,
    output: pathlib.Path,
    as_json: bool,
    **pdf: Any,
) -> int:
    """Sign one or more documents with a card, a phone or a seal."""
    if (session_id is None) is not bool(files):
        raise click.UsageError("name a FILE, or a session to go on with (--session)")
    if session_id is not None and (phone is not None or seal is not None):
        raise click.UsageError("a session knows its phone or seal: --session goes with --card")
    if session_id is None and sum((card, phone is not None, seal is not None)) != 1:
        raise click.UsageError("choose one of --card, --phone and --seal")
    if (phone is None) != (person is None):
        raise click.UsageError("--phone and --person belong together")
    together = name == "asice" and not output.is_dir()
    if len(files) > 1 and not (together or output.is_dir()):
        raise click.UsageError("with several files -o names an existing folder")
    wish = Wish(
        FORMATS[name],
        level,
        reason,
        place,
        packaging or PACKAGING[name],
        commitment,
        role,
        pdf_options.parameters(is_pdf=name == "pades", **pdf),
        countersign,
    )
    if countersign is not None and (name == "pades" or len(files) != 1):
        raise click.UsageError("--countersign goes with one FILE that is xades, cades or asice")
    image = pdf["image"]
    known = client_credentials.read_credentials(credentials, "api_client", server=server)
    api = api_client.SigningApi(known)
    results = []
    try:
        if session_id is not None:
            result = _finished(api, _resumed(api, session_id, card, reader, pin_fd))
            _write(output, api.document(session_id))
            results.append({**result, "output": str(output)})
            _say(f"signed at level {result['level_reached']}, written to {output}")
        for signed in [files] if together and files else [(one,) for one in files]:
            file = signed[0]
            target = output / _signed_name(file, wish) if output.is_dir() else output
            parameters = _parameters(wish)
            if card:
                result = _by_card(api, signed, parameters, image, reader, pin_fd)
            elif phone is not None:
                signer = {"phone_number": phone, "person_code": person}
                result = _by_phone(api, signed, {**parameters, "signer": signer}, image)
            else:
                result = api.open_session(signed, {**parameters, "signer": {"seal": seal}}, image)
            result = _finished(api, result)
            _write(target, api.document(result["id"]))
            results.append({**result, "file": str(file), "output": str(target)})
            _say(f"{file.name}: signed at level {result['level_reached']}, written to {target}")
    finally:
        api.close()
    if as_json:
        click.echo(json.dumps({"sessions": results}, ensure_ascii=False))
    return 0


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
    if wish.counter_signature_of:
        parameters["counter_signature_of"] = wish.counter_signature_of
    if wish.reason:
        parameters["reason"] = wish.reason
    if wish.place:
        parameters["place"] = wish.place
    return parameters | wish.pdf


def _by_card(
    api: api_client.SigningApi,
    files: Sequence[pathlib.Path],
    parameters: dict[str, Any],
    image: pathlib.Path | None,
    reader: str | None,
    pin_fd: int | None,
) -> dict[str, Any]:
    card = signing_card.open_card(reader)
    certificate = card.certificate(signing_card.Purpose.SIGN)
    der = certificate.public_bytes(serialization.Encoding.DER)
    session = api.open_session(
        files, {**parameters, "signer": {"certificate": base64.b64encode(der).decode()}}, image
    )
    return _sign_session(api, session, card, pin_fd)


def _resumed(
    api: api_client.SigningApi, session_id: str, card: bool, reader: str | None, pin_fd: int | None
) -> dict[str, Any]:
    """Go on with a session where it stands: with the card, or by waiting for its end."""
    session = api.state(session_id, wait_s=0)
    if session["state"] != "awaiting_value":
        return session
    if not card:
        raise click.UsageError("the session waits for a card: name --card")
    return _sign_session(api, session, signing_card.open_card(reader), pin_fd)


def _sign_session(
    api: api_client.SigningApi,
    session: dict[str, Any],
    card: signing_card.SigningCard,
    pin_fd: int | None,
) -> dict[str, Any]:
    representation = signature.DataToBeSignedRepresentation(
        algorithms.HashAlgorithm(session["representation"]["hash_algorithm"]),
        base64.b64decode(session["representation"]["hash"]),
    )
    _require_same_hash(session, representation)
    _say(f"session {session['id']} waits for the card in {card.reader}")
    try:
        value = _sign_with_tries(
            card, base64.b64decode(session["signing_certificate"]), representation, pin_fd
        )
    except errors.ImzaError:
        _say(f"The session stays open: go on with `imza sign --session {session['id']} --card …`.")
        raise
    return api.deliver_value(
        session["id"],
        {
            "signature_value": base64.b64encode(value.value).decode(),
            "signature_algorithm": value.algorithm.value,
            "hash_algorithm": value.hash_algorithm.value,
        },
    )


def _require_same_hash(
    session: dict[str, Any], representation: signature.DataToBeSignedRepresentation
) -> None:
    """Check that the hash is that of the data to be signed which the service shows."""
    data = base64.b64decode(session["data_to_be_signed"])
    if signature.represent(data, representation.hash_algorithm) != representation:
        raise errors.TamperedError("the service's hash is not that of its data to be signed")


def _require_card_of_session(card: signing_card.SigningCard, certificate_der: bytes) -> None:
    """Check, before a PIN is asked for, that it is the card that the session was opened for."""
    found = card.certificate(signing_card.Purpose.SIGN)
    if found.public_bytes(serialization.Encoding.DER) != certificate_der:
        raise OtherCardError(
            f"expected the card that the session was opened with, got another one in {card.reader}"
        )


def _sign_with_tries(
    card: signing_card.SigningCard,
    certificate_der: bytes,
    representation: signature.DataToBeSignedRepresentation,
    pin_fd: int | None,
) -> signature.SignatureValue:
    """Ask for the PIN and sign; a person may correct a wrong PIN or put the card back."""
    while True:
        try:
            _require_card_of_session(card, certificate_der)
            with pins.read_pin("PIN for signing", pin_fd) as pin:
                return card.sign(representation, pin, signing_card.Purpose.SIGN)
        except (pins.WrongPinError, pins.PinFormatError) as error:
            if pin_fd is not None:
                raise
            _say(f"{error.message}. Try again, or end the attempt with Ctrl-C.")
        except CORRECTABLE as error:
            if pin_fd is not None:
                raise
            _say(f"{error.message}.")
            click.prompt(
                "Then press Enter; Ctrl-C ends the attempt",
                default="",
                show_default=False,
                prompt_suffix=". ",
                err=True,
            )


def _by_phone(
    api: api_client.SigningApi,
    files: Sequence[pathlib.Path],
    parameters: dict[str, Any],
    image: pathlib.Path | None,
) -> dict[str, Any]:
    session = api.open_session(files, parameters, image)
    _say(f"{files[0].name}: control code {session['control_code']}")
    _say("Confirm on the phone only if it shows the same code.")
    return session


def _finished(api: api_client.SigningApi, session: dict[str, Any]) -> dict[str, Any]:
    """Wait for the end of a session; one that stays at a lower level says so."""
    told = None
    while session["state"] not in FINISHED:
        if session["state"] != told:
            told = session["state"]
            _say(f"  {told.replace('_', ' ')} …")
        session = api.state(session["id"])
        if session["state"] == "augmenting" and session.get("error"):
            # A peer is down: what there is is a good signature of a lower level.
            _say(
                f"  the level reached is {session['level_reached']};"
                f" the service raises it later: {session['error']['message']}"
            )
            return session
    if session["state"] != "completed":
        error = session.get("error") or {}
        raise SessionEndedError(
            str(error.get("code") or session["state"]),
            str(error.get("message") or f"the session ended as {session['state']}"),
        )
    return session


def _write(target: pathlib.Path, content: bytes) -> None:
    durable_files.replace(target, content)


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)
