"""A card spoken to through its PKCS#11 module: OpenSC's, or a vendor's.

The module is loaded once in a process and used by one thread at a time, since python-pkcs11
initialises it without locks. Handles do not survive a card that is taken out, so each call opens
a session of its own and ends by a reset of the card: after C_Login any other program could use
the authentication key of a PIV card without a PIN.
"""

import contextlib
import pathlib
import threading
from collections.abc import Collection, Iterator
from typing import Any

import pkcs11
from cryptography import x509
from pkcs11 import exceptions as pkcs11_errors

from card_reader import pin as card_pin
from card_reader import piv_session, readers, signing_card
from pki import certificates, errors, signature

KNOWN_PATHS = (
    pathlib.Path("/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so"),
    pathlib.Path("/usr/lib/aarch64-linux-gnu/opensc-pkcs11.so"),
    pathlib.Path("/usr/lib64/opensc-pkcs11.so"),
    pathlib.Path("/usr/lib/opensc-pkcs11.so"),
    pathlib.Path("/usr/local/lib/opensc-pkcs11.so"),
    pathlib.Path("/Library/OpenSC/lib/opensc-pkcs11.so"),
)
"""Where the distributions put OpenSC's module."""

_MODULE_LOCK = threading.Lock()


class ModuleMissingError(errors.DeviceError):
    """The card's PKCS#11 module is not on this computer, or cannot be loaded."""

    code = "card-module-missing"


class ModuleFailedError(errors.DeviceError):
    """The card's PKCS#11 module failed for a reason that nothing else explains."""

    code = "card-module-failed"
    retriable = True


def find_module() -> pathlib.Path:
    """Return OpenSC's module where the distribution put it.

    Raises:
        ModuleMissingError: It is not installed.
    """
    for path in KNOWN_PATHS:
        if path.exists():
            return path
    raise ModuleMissingError(
        "OpenSC's PKCS#11 module is not installed: apt install opensc-pkcs11, or name a module"
    )


_ALSO_OF_A_PULLED_CARD = (
    signing_card.UnknownCardError,
    signing_card.CertificateMissingError,
    ModuleFailedError,
)


class ModuleCard:
    """The card in a reader, through a PKCS#11 module."""

    def __init__(self, reader: str, module: pathlib.Path | None = None) -> None:
        """Name the reader and the module (OpenSC's by default); nothing is asked of them yet.

        Raises:
            ModuleMissingError: The module is not installed.
        """
        self._reader = reader
        self._module = find_module() if module is None else module

    @property
    def reader(self) -> str:
        """The name of the reader that the card is in."""
        return self._reader

    def certificate(
        self, purpose: signing_card.Purpose = signing_card.Purpose.SIGN
    ) -> x509.Certificate:
        """Read a certificate."""
        with self._tokens() as tokens:
            return _find_certificate(tokens, purpose)[2]

    def sign(
        self,
        representation: signature.DataToBeSignedRepresentation,
        pin: card_pin.Pin,
        purpose: signing_card.Purpose = signing_card.Purpose.SIGN,
    ) -> signature.SignatureValue:
        """Sign a hash."""
        with self._tokens() as tokens:
            token, key_id, certificate = _find_certificate(tokens, purpose)
            to_sign = signing_card.ecdsa_input(representation, certificate)
            raw = self._sign(token, key_id, to_sign, pin)
        return signing_card.checked_value(raw, representation, certificate)

    def tries_left(self) -> int | None:
        """Tell the number where the card is a PIV card or the token's flags say it, else None.

        PKCS#11 knows only "last try" and "locked"; a PIV card is asked for the number itself.
        """
        with self._tokens() as tokens:
            return self._tries_of(tokens[0])

    def _sign(self, token: Any, key_id: bytes, to_sign: bytes, pin: card_pin.Pin) -> bytes:
        try:
            with _session(token, pin) as session:
                template = {
                    pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY,
                    pkcs11.Attribute.ID: key_id,
                }
                # A list first: a search left open refuses every other call.
                keys = list(session.get_objects(template))
                if len(keys) != 1:
                    raise ModuleFailedError(
                        f"expected one key beside the certificate, got {len(keys)}"
                    )
                # Keys with CKA_ALWAYS_AUTHENTICATE want the PIN again for each signature.
                always = bool(keys[0][pkcs11.Attribute.ALWAYS_AUTHENTICATE])
                more = {"pin": pin.reveal().decode()} if always else {}
                return bytes(keys[0].sign(to_sign, mechanism=pkcs11.Mechanism.ECDSA, **more))
        except pkcs11_errors.PinIncorrect as error:
            left = self._tries_of(token)
            if left == 0:
                raise card_pin.PinBlockedError from error
            raise card_pin.WrongPinError(left) from error
        except pkcs11_errors.PinLocked as error:
            raise card_pin.PinBlockedError from error
        except (pkcs11_errors.PinInvalid, pkcs11_errors.PinLenRange) as error:
            raise card_pin.PinFormatError("the card does not take a PIN of this length") from error

    def _tries_of(self, token: Any) -> int | None:
        try:
            with readers.Connection(self._reader) as connection:
                return piv_session.PivSession(connection.transmit).tries_left()
        except errors.DeviceError:
            flags: Collection[Any] = token.slot.get_token().flags
        if pkcs11.TokenFlag.USER_PIN_LOCKED in flags:
            return 0
        return 1 if pkcs11.TokenFlag.USER_PIN_FINAL_TRY in flags else None

    @contextlib.contextmanager
    def _tokens(self) -> Iterator[list[Any]]:
        """Give the tokens of the card in the reader; afterwards the card is reset.

        Some cards show one token for each PIN.
        """
        found = readers.find_card(self._reader)
        with _MODULE_LOCK:
            try:
                tokens = list(self._find_tokens())
                if not tokens:
                    raise signing_card.UnknownCardError(self._reader)
                yield tokens
            except pkcs11_errors.PKCS11Error as error:
                # The module's own words for a pulled card differ from call to call.
                failure = ModuleFailedError(
                    f"the card's PKCS#11 module failed: {type(error).__name__}"
                )
                raise readers.removal_or(failure, found) from error
            except _ALSO_OF_A_PULLED_CARD as failure:
                # A module that loses the card while it looks calls it unknown, or finds it empty.
                reason = readers.removal_or(failure, found)
                if reason is failure:
                    raise
                raise reason from failure
            finally:
                # A card that is gone has nothing verified any more.
                with contextlib.suppress(errors.DeviceError):
                    readers.reset_card(self._reader)

    def _find_tokens(self) -> Iterator[Any]:
        try:
            library = pkcs11.lib(str(self._module))
        except (pkcs11_errors.PKCS11Error, OSError, RuntimeError) as error:
            raise ModuleMissingError(
                f"the PKCS#11 module {self._module} cannot be loaded"
            ) from error
        for slot in library.get_slots(token_present=True):
            # PKCS#11 gives a slot's description 64 bytes; reader names may be longer.
            if slot.slot_description.strip() != self._reader[:64].strip():
                continue
            with contextlib.suppress(
                pkcs11_errors.TokenNotRecognised, pkcs11_errors.TokenNotPresent
            ):
                yield slot.get_token()


def _find_certificate(
    tokens: list[Any], purpose: signing_card.Purpose
) -> tuple[Any, bytes, x509.Certificate]:
    """Return token, key id and certificate for a purpose, told apart by the key usage.

    A signing certificate has nonRepudiation, an authentication certificate digitalSignature
    without it (EN 319 412-2 4.3.2).
    """
    for token in tokens:
        with _session(token, None) as session:
            template = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.CERTIFICATE}
            found = [
                (bytes(one[pkcs11.Attribute.ID]), bytes(one[pkcs11.Attribute.VALUE]))
                for one in list(session.get_objects(template))
            ]
        for key_id, certificate_der in found:
            # What this cannot read is not one of ours; cards carry other certificates too.
            with contextlib.suppress(certificates.CertificateError):
                certificate = certificates.parse(certificate_der)
                if _purpose_of(certificates.read(certificate)) is purpose:
                    return token, key_id, certificate
    raise signing_card.CertificateMissingError(purpose)


def _purpose_of(facts: certificates.CertificateFacts) -> signing_card.Purpose | None:
    if facts.is_authority:
        return None
    if facts.is_for_signing:
        return signing_card.Purpose.SIGN
    if certificates.KeyUsage.digitalSignature in facts.key_usage:
        return signing_card.Purpose.AUTHENTICATE
    return None


@contextlib.contextmanager
def _session(token: Any, pin: card_pin.Pin | None) -> Iterator[Any]:
    session = token.open(user_pin=None if pin is None else pin.reveal().decode())
    try:
        yield session
    finally:
        # After a wrong PIN or a pulled card the session is closed already and this complains.
        with contextlib.suppress(pkcs11_errors.PKCS11Error):
            session.close()
