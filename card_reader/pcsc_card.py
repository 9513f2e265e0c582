"""A PIV card spoken to by APDUs through PC/SC, with no vendor module in between."""

from cryptography import x509

from card_reader import pin as card_pin
from card_reader import piv, piv_session, readers, signing_card
from pki import algorithms, certificates, errors, signature

_SLOTS = {
    signing_card.Purpose.SIGN: piv.KeySlot.SIGNATURE,
    signing_card.Purpose.AUTHENTICATE: piv.KeySlot.AUTHENTICATION,
}


class PcscCard:
    """The PIV card in a reader; each call is one connection, which resets the card at its end."""

    def __init__(self, reader: str) -> None:
        """Name the reader; nothing is asked of it yet."""
        self._reader = reader

    @property
    def reader(self) -> str:
        """The name of the reader that the card is in."""
        return self._reader

    def certificate(
        self, purpose: signing_card.Purpose = signing_card.Purpose.SIGN
    ) -> x509.Certificate:
        """Read a certificate."""
        with readers.Connection(self._reader) as connection:
            return self._certificate(self._select(connection), purpose)

    def sign(
        self,
        representation: signature.DataToBeSignedRepresentation,
        pin: card_pin.Pin,
        purpose: signing_card.Purpose = signing_card.Purpose.SIGN,
    ) -> signature.SignatureValue:
        """Sign a hash."""
        with readers.Connection(self._reader) as connection:
            session = self._select(connection)
            certificate = self._certificate(session, purpose)
            digest = signing_card.ecdsa_input(representation, certificate)
            session.verify(pin)
            value_der = session.sign(_SLOTS[purpose], digest)
        try:
            raw = algorithms.ecdsa_der_to_raw(value_der, len(digest))
        except errors.InputError as error:
            raise piv_session.CardAnswerError("give an ECDSA value") from error
        return signing_card.checked_value(raw, representation, certificate)

    def tries_left(self) -> int | None:
        """Ask the card how many PIN tries are left."""
        with readers.Connection(self._reader) as connection:
            return self._select(connection).tries_left()

    def _select(self, connection: readers.Connection) -> piv_session.PivSession:
        try:
            return piv_session.PivSession(connection.transmit)
        except piv_session.NotPivError as error:
            raise signing_card.UnknownCardError(self._reader) from error

    @staticmethod
    def _certificate(
        session: piv_session.PivSession, purpose: signing_card.Purpose
    ) -> x509.Certificate:
        certificate_der = session.read_certificate(_SLOTS[purpose])
        if certificate_der is None:
            raise signing_card.CertificateMissingError(purpose)
        try:
            return certificates.parse(certificate_der)
        except certificates.CertificateError as error:
            raise piv_session.CardAnswerError("hold a certificate") from error
