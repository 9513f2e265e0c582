"""The card's part of `imza sign`: what waits is listed, the PIN is asked for, the card signs.

One PIN is for what was listed and for nothing after it. It is presented to the card before each
signature, since such a key wants it each time, and wiped when the last one is made or one fails.
"""

import base64
import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import click
from cryptography.hazmat.primitives import serialization

from card_reader import pin as pins
from card_reader import readers, signing_card
from imza import api_client
from pki import algorithms, errors, signature


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
class Hand:
    """A card, and where its owner's PIN comes from.

    Attributes:
        pin_fd: Read there; None asks at the terminal, where a person may correct what went wrong.
    """

    card: signing_card.SigningCard
    pin_fd: int | None

    @property
    def signer(self) -> dict[str, str]:
        """The signing certificate, as the API wants it."""
        return {"certificate": base64.b64encode(_certificate_der(self.card)).decode()}

    def sign_session(
        self, api: api_client.SigningApi, session: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Sign what a session waits for and hand the value in.

        Raises:
            TamperedError: The service's hash is not that of its data.
            WrongPinError: With a descriptor; a person is asked again.
            DeviceError: The card or its reader failed.
        """
        asked = _asked(session)
        say(f"session {session['id']} waits for the card in {self.card.reader}")
        made: list[signature.SignatureValue] = []
        try:
            self._sign([asked], made)
        except errors.ImzaError:
            say(f"The session stays open: go on with `imza sign --session {session['id']} --card`.")
            raise
        return api.deliver_value(session["id"], _value(made[0]))

    def sign_batch(
        self,
        api: api_client.SigningApi,
        batch: Mapping[str, Any],
        names: Sequence[str] | None = None,
    ) -> dict[str, Any]:
        """List what a batch holds, sign all of it under one PIN, and hand the values in together.

        Raises as `sign_session`. Then nothing was handed in, whatever the card had signed: the
        service takes all values of a batch or none.

        Args:
            api: The service.
            batch: As the service shows it.
            names: Of the documents as the person knows them; the service's own without.
        """
        waiting = batch["sessions"]
        asked = [_asked(one) for one in waiting]
        named = list(names or [one["document"] for one in waiting])
        confirmation = hashlib.sha256(b"".join(one.representation.hash for one in asked)).digest()
        if confirmation != base64.b64decode(batch["confirmation"]):
            raise errors.TamperedError("the service's confirmation is not that of its hashes")
        say(f"batch {batch['id']} waits for the card in {self.card.reader}: {len(asked)} documents")
        for place, (name, one) in enumerate(zip(named, asked, strict=True), start=1):
            hash_algorithm = one.representation.hash_algorithm.value
            say(f"  {place}. {name}  {hash_algorithm} {one.representation.hash.hex()}")
        say("One PIN signs all of them, and nothing else.")
        made: list[signature.SignatureValue] = []
        try:
            self._sign(asked, made)
        except errors.ImzaError:
            _tell_what_was_signed(batch["id"], named, len(made))
            raise
        return api.deliver_values(
            batch["id"],
            [
                {"session": one["id"], **_value(value)}
                for one, value in zip(waiting, made, strict=True)
            ],
        )

    def _sign(self, asked: Sequence["Asked"], made: list[signature.SignatureValue]) -> None:
        """Make the values that are missing; a person may correct a PIN or put the card back."""
        while len(made) < len(asked):
            try:
                _require_card_of(self.card, asked[0])
                with pins.read_pin("PIN for signing", self.pin_fd) as pin:
                    while len(made) < len(asked):
                        # The card may have been changed since: a stranger's PIN tries are not ours.
                        _require_card_of(self.card, asked[0])
                        made.append(
                            self.card.sign(
                                asked[len(made)].representation, pin, signing_card.Purpose.SIGN
                            )
                        )
            except (pins.WrongPinError, pins.PinFormatError) as error:
                if self.pin_fd is not None:
                    raise
                say(f"{error.message}. Try again, or end the attempt with Ctrl-C.")
            except CORRECTABLE as error:
                if self.pin_fd is not None:
                    raise
                say(f"{error.message}.")
                if made:
                    say(f"{len(made)} of {len(asked)} are signed and kept; the rest goes on.")
                click.prompt(
                    "Then press Enter; Ctrl-C ends the attempt",
                    default="",
                    show_default=False,
                    prompt_suffix=". ",
                    err=True,
                )


@dataclasses.dataclass(frozen=True)
class Asked:
    """What a session wants signed, and with which certificate."""

    representation: signature.DataToBeSignedRepresentation
    certificate_der: bytes


def open_hand(reader: str | None, pin_fd: int | None) -> Hand:
    """Find the card; raises as `signing_card.open_card`."""
    return Hand(signing_card.open_card(reader), pin_fd)


def say(sentence: str) -> None:
    """Tell a person, on the standard error stream."""
    click.echo(sentence, err=True)


def _asked(session: Mapping[str, Any]) -> Asked:
    """Read what a session shows, and check that the hash is that of the data it shows."""
    representation = signature.DataToBeSignedRepresentation(
        algorithms.HashAlgorithm(session["representation"]["hash_algorithm"]),
        base64.b64decode(session["representation"]["hash"]),
    )
    data = base64.b64decode(session["data_to_be_signed"])
    if signature.represent(data, representation.hash_algorithm) != representation:
        raise errors.TamperedError("the service's hash is not that of its data to be signed")
    return Asked(representation, base64.b64decode(session["signing_certificate"]))


def _require_card_of(card: signing_card.SigningCard, asked: Asked) -> None:
    """Check that it is the card that the session was opened for."""
    if _certificate_der(card) != asked.certificate_der:
        raise OtherCardError(
            f"expected the card that the session was opened with, got another one in {card.reader}"
        )


def _certificate_der(card: signing_card.SigningCard) -> bytes:
    found = card.certificate(signing_card.Purpose.SIGN)
    return found.public_bytes(serialization.Encoding.DER)


def _value(value: signature.SignatureValue) -> dict[str, str]:
    return {
        "signature_value": base64.b64encode(value.value).decode(),
        "signature_algorithm": value.algorithm.value,
        "hash_algorithm": value.hash_algorithm.value,
    }


def _tell_what_was_signed(batch_id: str, names: Sequence[str], count: int) -> None:
    if count:
        say(f"Signed by the card, but not handed in: {', '.join(names[:count])}.")
        say(f"Not signed: {', '.join(names[count:])}.")
    say(
        "Of a batch all is signed or nothing: no document was signed. The batch stays open: go on"
        f" with `imza sign --batch {batch_id} --card`."
    )
