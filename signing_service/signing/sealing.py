"""Seals: an organisation's key in the service's own key store signs for clients that may use it.

No person is asked. So who may use which seal is set by the operator, client by client, and each
use stands in the audit log in the transaction that takes its value.

A seal is opened when it is used: a key store that is away keeps nobody from signing with a card
or a phone, and the seal works again as soon as its key is there.
"""

import dataclasses
import datetime
import logging
import threading
from collections.abc import Callable, Iterable

from cryptography import x509

from pki import access, algorithms, errors, settings, signature
from pki.keystore import store
from signing_service import settings as signing_settings
from signing_service.service import SigningService
from signing_service.signing import flow, sessions

log = logging.getLogger(__name__)

SCOPE = "seal"


class SealNotAllowedError(errors.AccessError):
    """No such seal, or not for this client: the two are not told apart."""

    code = "seal-not-allowed"


class SealUnavailableError(errors.UnavailableError):
    """The seal's key or certificate cannot be used now; the log says why."""

    code = "seal-unavailable"


class SealMismatchError(errors.StateError):
    """The key in the store is not the one that the seal's certificate names."""

    code = "seal-key-mismatch"


@dataclasses.dataclass(frozen=True)
class Seal:
    """An organisation's certificate, and the key that belongs to it."""

    name: str
    certificate: x509.Certificate
    key: store.KeyHandle

    def sign(
        self, representation: signature.DataToBeSignedRepresentation
    ) -> signature.SignatureValue:
        """Sign a hash with the organisation's key.

        Raises:
            SealUnavailableError: The key store failed, or has the key no more.
        """
        try:
            return self.key.sign(representation)
        except errors.ImzaError as error:
            raise _unavailable(self.name, error) from error


class Seals:
    """The seals of a settings file. Safe to use from several threads."""

    def __init__(
        self,
        configured: Iterable[signing_settings.SealSettings],
        open_keys: Callable[[], store.KeyStore],
    ) -> None:
        """Keep who may use which seal; no key is opened yet.

        Args:
            configured: The entries `[[signing.seals]]`.
            open_keys: Opens the zone's key store, at the first use of a seal; called again where
                it raised.

        Raises:
            SettingsError: Two seals of one name.
        """
        self._configured: dict[str, signing_settings.SealSettings] = {}
        for one in configured:
            if one.name in self._configured:
                raise settings.SettingsError(
                    f"[[signing.seals]]: expected each name once, got {one.name!r} twice"
                )
            self._configured[one.name] = one
        self._open_keys = open_keys
        self._keys: store.KeyStore | None = None
        self._lock = threading.Lock()

    def choose(self, name: str, caller: access.Caller) -> Seal:
        """Open the seal that a client may use.

        The certificate is read anew each time, so that a renewed one is used from then on.

        Raises:
            InsufficientScopeError: Its token lacks the scope `seal`.
            SealNotAllowedError: No such seal, or not for this client.
            SealUnavailableError: Its key or its certificate cannot be used now.
        """
        if SCOPE not in caller.scopes:
            raise access.InsufficientScopeError(
                f"expected a token with the scope {SCOPE!r}, got one with {sorted(caller.scopes)}"
            )
        found = self._configured.get(name)
        if found is None or caller.client_id not in found.clients:
            raise SealNotAllowedError("expected a seal that this client may use, got another name")
        return self._opened(found)

    def own(self, name: str) -> Seal:
        """Open a seal for what the service itself says; `check_own` was called at the start.

        Raises:
            SealUnavailableError: Its key or its certificate cannot be used now.
        """
        return self._opened(self._configured[name])

    def check_own(self, name: str) -> None:
        """Check that a seal of the name is configured.

        Raises:
            SettingsError: None is.
        """
        if name not in self._configured:
            raise settings.SettingsError(
                f"report_seal: expected the name of one of [[signing.seals]], got {name!r}"
            )

    def _opened(self, found: signing_settings.SealSettings) -> Seal:
        try:
            return self._open(found)
        except errors.ImzaError as error:
            raise _unavailable(found.name, error) from error

    def _open(self, found: signing_settings.SealSettings) -> Seal:
        certificate = read_certificate(found)
        with self._lock:
            if self._keys is None:
                self._keys = self._open_keys()
            key = self._keys.open_key(found.key_label)
        check_key(found, certificate, key.public_key)
        return Seal(found.name, certificate, key)


def read_certificate(found: signing_settings.SealSettings) -> x509.Certificate:
    """Read a seal's certificate, the first one in its file.

    Raises:
        InputError: The file cannot be read, or holds none.
    """
    try:
        return x509.load_pem_x509_certificate(found.certificate.read_bytes())
    except (OSError, ValueError) as error:
        raise errors.InputError(
            f"expected a certificate in PEM in {found.certificate}, it cannot be read"
        ) from error


def check_key(
    found: signing_settings.SealSettings,
    certificate: x509.Certificate,
    public_key: algorithms.PublicKey,
) -> None:
    """Check that a key is the one that the seal's certificate names.

    Raises:
        SealMismatchError: It is another one.
    """
    if public_key != certificate.public_key():
        raise SealMismatchError(
            f"expected the key of the certificate in {found.certificate.name}, got another one"
            f" under the label {found.key_label!r}"
        )


def seal_document(
    service: SigningService, seal: Seal, opening: flow.Opening, at: datetime.datetime
) -> sessions.SigningSession:
    """Open a session and sign it with a seal, in one call.

    A session that the same request opened before, and that a crash left without its value, is
    signed now.

    Raises:
        SealUnavailableError: The key store failed; the session stays open for the same request.
        Others as `flow.open_session`.
    """
    row = flow.open_session(
        service, dataclasses.replace(opening, seal=seal.name), seal.certificate, at
    )
    if row.state is not sessions.SessionState.AWAITING_VALUE:
        return row
    value = seal.sign(row.representation)
    return flow.complete_session(service, row.id, row.client_id, value, at)


def _unavailable(name: str, error: errors.ImzaError) -> SealUnavailableError:
    # The reason is the operator's to know: it names files, labels and modules.
    log.warning("seal_unavailable seal=%s code=%s reason=%s", name, error.code, error.message)
    return SealUnavailableError("the seal's key cannot be used now: try again later")
