"""Seals: an organisation's key in the service's own key store signs for clients that may use it.

No person is asked. So who may use which seal is set by the operator, client by client, and each
use stands in the audit log in the transaction that takes its value.
"""

import dataclasses
import datetime
from collections.abc import Iterable, Mapping

from cryptography import x509

from pki import access, errors
from pki.keystore import store
from signing_service import flow, sessions
from signing_service import settings as signing_settings
from signing_service.service import SigningService

SCOPE = "seal"


class SealNotAllowedError(errors.AccessError):
    """No such seal, or not for this client: the two are not told apart."""

    code = "seal-not-allowed"


class SealMismatchError(errors.StateError):
    """The key in the store is not the one that the seal's certificate names."""

    code = "seal-key-mismatch"


@dataclasses.dataclass(frozen=True)
class Seal:
    """An organisation's certificate, the key that belongs to it, and who may use it."""

    name: str
    certificate: x509.Certificate
    key: store.KeyHandle
    clients: frozenset[str]


def open_seals(
    settings: Iterable[signing_settings.SealSettings], keys: store.KeyStore
) -> Mapping[str, Seal]:
    """Open the keys of all seals, by their names.

    Raises:
        KeyNotFoundError: No key has the label.
        SealMismatchError: The certificate is another key's.
    """
    found = {}
    for one in settings:
        certificate = x509.load_pem_x509_certificate(one.certificate.read_bytes())
        key = keys.open_key(one.key_label)
        if key.public_key != certificate.public_key():
            raise SealMismatchError(
                f"expected the key of the certificate in {one.certificate.name}, got another one"
                f" under the label {one.key_label!r}"
            )
        found[one.name] = Seal(one.name, certificate, key, frozenset(one.clients))
    return found


def choose(seals: Mapping[str, Seal], name: str, caller: access.Caller) -> Seal:
    """Return the seal that a client may use.

    Raises:
        InsufficientScopeError: Its token lacks the scope `seal`.
        SealNotAllowedError: No such seal, or not for this client.
    """
    if SCOPE not in caller.scopes:
        raise access.InsufficientScopeError(
            f"expected a token with the scope {SCOPE!r}, got one with {sorted(caller.scopes)}"
        )
    seal = seals.get(name)
    if seal is None or caller.client_id not in seal.clients:
        raise SealNotAllowedError("expected a seal that this client may use, got another name")
    return seal


def seal_document(
    service: SigningService, seal: Seal, opening: flow.Opening, at: datetime.datetime
) -> sessions.SigningSession:
    """Open a session and sign it with a seal, in one call.

    A session that the same request opened before, and that a crash left without its value, is
    signed now.

    Raises:
        DeviceError: The key store failed; the session stays open for the same request.
        Others as `flow.open_session`.
    """
    row = flow.open_session(
        service, dataclasses.replace(opening, seal=seal.name), seal.certificate, at
    )
    return complete(service, seal, row, at)


def complete(
    service: SigningService, seal: Seal, row: sessions.SigningSession, at: datetime.datetime
) -> sessions.SigningSession:
    """Sign a session that waits for its seal."""
    if row.state is not sessions.SessionState.AWAITING_VALUE:
        return row
    value = seal.key.sign(row.representation)
    return flow.complete_session(service, row.id, row.client_id, value, at)
