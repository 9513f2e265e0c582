"""A card that signs: the certificate in it, and `sign(representation, pin)`.

`pcsc_card` talks to a PIV card by APDUs; `module_card` to any card by its PKCS#11 module.
"""

import enum
import pathlib
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from card_reader import pin as card_pin
from pki import algorithms, errors, signature


class UnknownCardError(errors.DeviceError):
    """A card is there, but not one that this computer can use."""

    code = "unknown-card"

    def __init__(self, reader: str) -> None:
        """Name the reader."""
        super().__init__(
            f"the card in {reader!r} is not one that can sign here: is it an identity card?"
        )


class CertificateMissingError(errors.StateError):
    """The card holds no certificate for this purpose: it was never personalised."""

    code = "card-not-personalised"

    def __init__(self, purpose: "Purpose") -> None:
        """Name the purpose."""
        super().__init__(
            f"the card holds no certificate to {purpose.value}: it must be personalised first"
        )


class WrongSignatureError(errors.DeviceError):
    """The card answered with a value that its own certificate does not verify."""

    code = "card-signature-wrong"


class Purpose(enum.Enum):
    """What a key on the card is for; the value is the CA's name for the certificate's profile."""

    SIGN = "sign"
    AUTHENTICATE = "authenticate"


class SigningCard(Protocol):
    """A card in a reader. Every call finds the card anew, so it may be taken out in between."""

    @property
    def reader(self) -> str:
        """The name of the reader that the card is in."""

    def certificate(self, purpose: Purpose = Purpose.SIGN) -> x509.Certificate:
        """Read a certificate; this needs no PIN.

        Raises:
            CertificateMissingError: The card was not personalised.
            UnknownCardError: Not a card that can sign here.
            DeviceError: No service, reader or card.
        """

    def sign(
        self,
        representation: signature.DataToBeSignedRepresentation,
        pin: card_pin.Pin,
        purpose: Purpose = Purpose.SIGN,
    ) -> signature.SignatureValue:
        """Sign a hash; one PIN, one signature, and the card is locked again afterwards.

        The value was checked with the certificate in the card. The PIN is not wiped: who made it
        wipes it.

        Raises:
            WrongPinError: Tells the tries that are left.
            PinBlockedError: None is left.
            CardRemovedError: The card was taken out.
            WrongSignatureError: The card gave a value by another key.
            DeviceError: As for `certificate`.
        """

    def tries_left(self) -> int | None:
        """How many PIN tries are left; None when the card does not tell. Uses none up."""


def open_card(reader: str | None = None, *, module: pathlib.Path | None = None) -> SigningCard:
    """Return the card in the named reader, or in the first reader that has one.

    A PKCS#11 module knows more kinds of card than our own APDUs do, so it is preferred: the one
    named, else OpenSC's; without either, the card must be a PIV card.

    Raises:
        ReaderServiceDownError: The PC/SC service does not answer.
        NoReaderError: No reader, or none of this name.
        NoCardError: No card is in it.
    """
    # Imported here: both load native libraries, and both build on this module.
    from card_reader import module_card, pcsc_card, readers

    name = readers.find_card(reader).name
    try:
        return module_card.ModuleCard(name, module)
    except module_card.ModuleMissingError:
        return pcsc_card.PcscCard(name)


def ecdsa_input(
    representation: signature.DataToBeSignedRepresentation, certificate: x509.Certificate
) -> bytes:
    """Return what an ECDSA key signs: the leftmost bits of the hash, as long as its curve's order.

    FIPS 186-5 6.4.1. Cards expect the caller to cut a longer hash.

    Raises:
        UnsupportedAlgorithmError: The certificate's key is not on P-256 or P-384.
    """
    public_key = certificate.public_key()
    if not isinstance(public_key, ec.EllipticCurvePublicKey):
        raise algorithms.UnsupportedAlgorithmError("expected a card with an EC key, got another")
    algorithms.key_kind(public_key)
    return representation.hash[: algorithms.ecdsa_size(public_key)]


def checked_value(
    raw: bytes,
    representation: signature.DataToBeSignedRepresentation,
    certificate: x509.Certificate,
) -> signature.SignatureValue:
    """Wrap r||s from a card after it was verified with the certificate.

    Raises:
        WrongSignatureError: It does not verify.
    """
    value = signature.SignatureValue(
        algorithms.SignatureAlgorithm.ECDSA, representation.hash_algorithm, raw
    )
    try:
        signature.check_value(certificate.public_key(), representation, value)
    except errors.InputError as error:
        raise WrongSignatureError(
            "the card's signature does not verify with the certificate in the card:"
            " the card must be replaced"
        ) from error
    return value
