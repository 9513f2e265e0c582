"""What a host asks of a PIV card, command by command (NIST SP 800-73-4 part 2).

A session lasts as long as its connection; it works over anything that carries APDUs.
"""

import secrets

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers import algorithms as ciphers

from card_reader import apdu, piv, tlv
from card_reader import pin as card_pin
from pki import errors

_BLOCK_SIZE = 16


class NotPivError(errors.DeviceError):
    """The card has no PIV application."""

    code = "unknown-card"


class CardAnswerError(errors.DeviceError):
    """The card refused a command that it should take, or answered with something else."""

    code = "card-answer"

    def __init__(self, what: str, status: int | None = None) -> None:
        """Name what was asked and the status word that came."""
        came = "something else" if status is None else f"status {status:04X}"
        super().__init__(f"expected the card to {what}, got {came}")


class ManagementKeyError(errors.PolicyError):
    """The card does not accept the management key: it was personalised already, or elsewhere."""

    code = "management-key-refused"


class PivSession:
    """The PIV application of one card, selected."""

    def __init__(self, transmit: apdu.Transmit) -> None:
        """Select the application.

        Raises:
            NotPivError: The card has none.
        """
        self._transmit = transmit
        select = apdu.Command(
            apdu.Instruction.SELECT, 0x04, 0x00, piv.APPLICATION_ID_PREFIX, expected=256
        )
        if self._exchange(select).status != apdu.Status.OK:
            raise NotPivError("expected a card with the PIV application, got another card")

    def read_object(self, tag: int) -> bytes | None:
        """Read the content of a data object; None when the card has none."""
        command = apdu.Command(apdu.Instruction.GET_DATA, 0x3F, 0xFF, _tag_list(tag), expected=256)
        response = self._exchange(command)
        if response.status == apdu.Status.NOT_FOUND:
            return None
        self._require_ok(response, "give a data object")
        try:
            return tlv.require(tlv.parse(response.data), 0x53)
        except tlv.TlvError as error:
            raise CardAnswerError("give a data object") from error

    def read_certificate(self, slot: piv.KeySlot) -> bytes | None:
        """Read the DER of a key's certificate (SP 800-73-4 part 1, table 10)."""
        content = self.read_object(slot.certificate_object)
        if not content:
            return None
        try:
            fields = tlv.parse(content)
            if tlv.find(fields, 0x71) not in (None, b"\x00"):
                raise CardAnswerError("hold an uncompressed certificate")
            return tlv.require(fields, 0x70)
        except tlv.TlvError as error:
            raise CardAnswerError("hold a certificate") from error

    def tries_left(self) -> int | None:
        """Ask how many PIN tries are left; None while a PIN is verified, and this uses none up."""
        command = apdu.Command(apdu.Instruction.VERIFY, 0x00, piv.PIN_REFERENCE)
        response = self._exchange(command)
        if response.status == apdu.Status.OK:
            return None
        if response.tries_left is None:
            raise CardAnswerError("tell the PIN tries left", response.status)
        return response.tries_left

    def verify(self, pin: card_pin.Pin) -> None:
        """Verify the PIN.

        Raises:
            WrongPinError: With the tries left.
            PinBlockedError: None is left.
        """
        command = apdu.Command(apdu.Instruction.VERIFY, 0x00, piv.PIN_REFERENCE, _padded(pin))
        self._check_reference(self._exchange(command), "PIN")

    def change(self, reference: int, old: card_pin.Pin, new: card_pin.Pin) -> None:
        """Replace the PIN (0x80) or the PUK (0x81) by a new one.

        Raises:
            WrongPinError: The old one is wrong.
            PinBlockedError: The PIN was blocked.
            PukBlockedError: The PUK was.
        """
        command = apdu.Command(
            apdu.Instruction.CHANGE_REFERENCE_DATA, 0x00, reference, _padded(old) + _padded(new)
        )
        what = "PIN" if reference == piv.PIN_REFERENCE else "PUK"
        self._check_reference(self._exchange(command), what)

    def unblock(self, puk: card_pin.Pin, new: card_pin.Pin) -> None:
        """Set a new PIN with the PUK; all PIN tries are back.

        Raises:
            WrongPinError: The PUK is wrong.
            PukBlockedError: No PUK try is left.
        """
        command = apdu.Command(
            apdu.Instruction.RESET_RETRY_COUNTER,
            0x00,
            piv.PIN_REFERENCE,
            _padded(puk) + _padded(new),
        )
        self._check_reference(self._exchange(command), "PUK")

    def sign(self, slot: piv.KeySlot, digest: bytes) -> bytes:
        """Sign a hash of 32 bytes and return the DER ECDSA value; the PIN was verified before."""
        template = tlv.build(0x7C, tlv.build(0x82, b"") + tlv.build(0x81, digest))
        return self._authenticate(piv.ALGORITHM_P256, slot, template, 0x82, "sign")

    def authenticate_manager(self, management_key: bytes) -> None:
        """Prove knowledge of the management key, and have the card prove it too (A.1).

        Raises:
            ManagementKeyError: One of the two does not know it.
        """
        what = "authenticate its manager"
        reference = piv.MANAGEMENT_KEY_REFERENCE
        ask = tlv.build(0x7C, tlv.build(0x80, b""))
        sealed = self._authenticate(piv.ALGORITHM_AES256, reference, ask, 0x80, what)
        if len(sealed) != _BLOCK_SIZE:
            raise CardAnswerError(what)
        challenge = secrets.token_bytes(_BLOCK_SIZE)
        witness = _decrypt_block(management_key, sealed)
        proof = tlv.build(
            0x7C, tlv.build(0x80, witness) + tlv.build(0x81, challenge) + tlv.build(0x82, b"")
        )
        try:
            answer = self._authenticate(piv.ALGORITHM_AES256, reference, proof, 0x82, what)
        except CardAnswerError as error:
            raise ManagementKeyError(
                "the card refuses this management key: it is not blank, or another issuer's"
            ) from error
        if len(answer) != _BLOCK_SIZE or not secrets.compare_digest(
            _decrypt_block(management_key, answer), challenge
        ):
            raise ManagementKeyError("the card does not know its management key: set it aside")

    def generate_key(self, slot: piv.KeySlot) -> ec.EllipticCurvePublicKey:
        """Make a new P-256 key in the card; what was there is gone. The manager is authenticated.

        Raises:
            CardAnswerError: The card refuses, or gives no point on the curve.
        """
        template = tlv.build(0xAC, tlv.build(0x80, bytes([piv.ALGORITHM_P256])))
        command = apdu.Command(
            apdu.Instruction.GENERATE_KEY_PAIR, 0x00, slot, template, expected=256
        )
        response = self._exchange(command)
        self._require_ok(response, "make a key")
        try:
            point = tlv.require(tlv.parse(tlv.require(tlv.parse(response.data), 0x7F49)), 0x86)
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        except (tlv.TlvError, ValueError) as error:
            raise CardAnswerError("give the point of a new key") from error

    def write_object(self, tag: int, content: bytes) -> None:
        """Write a data object and read it back. The manager is authenticated.

        Raises:
            CardAnswerError: The card refuses, or gives back other bytes.
        """
        data = _tag_list(tag) + tlv.build(0x53, content)
        command = apdu.Command(apdu.Instruction.PUT_DATA, 0x3F, 0xFF, data)
        self._require_ok(self._exchange(command), "keep a data object")
        if self.read_object(tag) != content:
            raise CardAnswerError("give back what was written")

    def write_certificate(self, slot: piv.KeySlot, certificate_der: bytes) -> None:
        """Write a key's certificate and read it back. The manager is authenticated."""
        content = tlv.build(0x70, certificate_der) + tlv.build(0x71, b"\x00") + tlv.build(0xFE, b"")
        self.write_object(slot.certificate_object, content)

    def set_management_key(self, management_key: bytes) -> None:
        """Replace the management key (a vendor command). The manager is authenticated."""
        head = bytes([piv.ALGORITHM_AES256, piv.MANAGEMENT_KEY_REFERENCE, len(management_key)])
        command = apdu.Command(
            apdu.Instruction.SET_MANAGEMENT_KEY, 0xFF, 0xFF, head + management_key
        )
        self._require_ok(self._exchange(command), "take a new management key")

    def _authenticate(
        self, algorithm: int, reference: int, template: bytes, wanted: int, what: str
    ) -> bytes:
        command = apdu.Command(
            apdu.Instruction.GENERAL_AUTHENTICATE, algorithm, reference, template, expected=256
        )
        response = self._exchange(command)
        self._require_ok(response, what)
        try:
            return tlv.require(tlv.parse(tlv.require(tlv.parse(response.data), 0x7C)), wanted)
        except tlv.TlvError as error:
            raise CardAnswerError(what) from error

    def _exchange(self, command: apdu.Command) -> apdu.Response:
        try:
            return apdu.exchange(self._transmit, command)
        except apdu.ApduError as error:
            raise CardAnswerError("answer as ISO/IEC 7816-4 says") from error

    @staticmethod
    def _require_ok(response: apdu.Response, what: str) -> None:
        if response.status != apdu.Status.OK:
            raise CardAnswerError(what, response.status)

    @staticmethod
    def _check_reference(response: apdu.Response, what: str) -> None:
        left = response.tries_left
        if left == 0:
            raise card_pin.PukBlockedError if what == "PUK" else card_pin.PinBlockedError
        if left is not None:
            raise card_pin.WrongPinError(left, what)
        PivSession._require_ok(response, f"take the {what}")


def _tag_list(tag: int) -> bytes:
    return tlv.build(0x5C, tag.to_bytes((tag.bit_length() + 7) // 8, "big"))


def _padded(pin: card_pin.Pin) -> bytes:
    return pin.reveal().ljust(piv.PIN_SIZE, b"\xff")


def _decrypt_block(key: bytes, block: bytes) -> bytes:
    # One block of random bytes has no pattern that ECB could show; the protocol fixes it so.
    decryptor = Cipher(ciphers.AES(key), modes.ECB()).decryptor()  # noqa: S305
    return decryptor.update(block) + decryptor.finalize()
