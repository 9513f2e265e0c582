"""Changing over to a responder's next key: only once it has shown that its answers are taken."""

import datetime
import logging
import secrets
from collections.abc import Callable, Sequence

from cryptography import x509

from ocsp import cert_id, messages, responder, responder_key
from pki import certificates, errors, registry_reader, status
from pki.keystore import store

log = logging.getLogger(__name__)

TRY_AGAIN = datetime.timedelta(minutes=1)
"""After so long a key that did not pass is tried once more: its store may have been away."""


class SelfTestError(errors.StateError):
    """A careful relying party would not take what a responder's key signs."""

    code = "ocsp-responder-self-test"


def check_key(
    key: responder_key.ResponderKey, issuer: x509.Certificate, at: datetime.datetime
) -> None:
    """Let a key answer, and check the answer as a careful relying party does (RFC 6960 3.2).

    Raises:
        SelfTestError: It is not authorised, not valid now, or not the certificate's key.
        DeviceError: The key did not sign.
    """
    # Not needed to answer: only who changes keys loads it.
    from ocsp import client

    nonce = secrets.token_bytes(messages.MAX_NONCE_OCTETS)
    asked = cert_id.name_certificate(issuer, key.certificate.serial_number)
    request = messages.build_request(messages.OCSPRequest((asked,), nonce))
    try:
        alone = responder_key.StatusIssuer("self-test", issuer, (key,))
        testing = responder.Responder((alone,), lambda _name, _serial: status.CertificateStatus())
        response_der = testing.answer(request, at).response_der
        client.check_response(response_der, key.certificate, issuer, at, nonce=nonce)
    except errors.DeviceError:
        raise
    except errors.ImzaError as error:
        raise SelfTestError(
            f"the responder's certificate {certificates.serial_text(key.certificate.serial_number)}"
            f" is not used: {error}"
        ) from error


class ResponderKeys:
    """The responders' keys that passed, by their certificates."""

    def __init__(self, open_key: Callable[[str], store.KeyHandle]) -> None:
        """Take what opens a key by its label."""
        self._open = open_key
        self._passed: dict[bytes, responder_key.ResponderKey] = {}
        self._try_again: dict[bytes, datetime.datetime] = {}
        self._found: dict[str, tuple[bytes, tuple[responder_key.ResponderKey, ...]]] = {}
        self._issuers: tuple[responder_key.StatusIssuer, ...] = ()

    def issuers(
        self,
        authorities: Sequence[registry_reader.Issuer],
        responders: Sequence[registry_reader.ResponderCertificate],
        at: datetime.datetime,
    ) -> tuple[responder_key.StatusIssuer, ...]:
        """Return the authorities that have a responder, each with all its keys that pass.

        A key is tested once, before it signs anything for others. One that does not pass is left
        out, and the one before it goes on answering until its certificate ends; it is logged, and
        tried again.

        The same tuple is returned while nothing changes.

        Args:
            authorities: Those of the registry.
            responders: The certificates that are good; what is not among them signs no more.
            at: The present time.
        """
        named = {one.name: one.certificate_der for one in authorities}
        keys: dict[str, tuple[responder_key.ResponderKey, ...]] = {}
        for one in responders:
            key = self._find(one, named.get(one.issuer_name), at)
            if key is not None:
                keys[one.issuer_name] = (*keys.get(one.issuer_name, ()), key)
        good = {one.certificate_der for one in responders}
        self._passed = {der: key for der, key in self._passed.items() if der in good}
        found = {name: (der, keys[name]) for name, der in named.items() if name in keys}
        if found != self._found:
            self._found = found
            self._issuers = tuple(
                responder_key.StatusIssuer(name, certificates.parse(der), own)
                for name, (der, own) in found.items()
            )
        return self._issuers

    def _find(
        self,
        one: registry_reader.ResponderCertificate,
        issuer_der: bytes | None,
        at: datetime.datetime,
    ) -> responder_key.ResponderKey | None:
        found = self._passed.get(one.certificate_der)
        if found is not None:
            return found if at <= found.period[1] else None
        if issuer_der is None or at < self._try_again.get(one.certificate_der, at):
            return None
        try:
            key = responder_key.ResponderKey(
                certificates.parse(one.certificate_der), self._open(one.key_label)
            )
            check_key(key, certificates.parse(issuer_der), at)
        except errors.ImzaError as error:
            self._try_again[one.certificate_der] = at + TRY_AGAIN
            log.error("responder_key_refused label=%s code=%s", one.key_label, error.code)
            return None
        self._try_again.pop(one.certificate_der, None)
        self._passed[one.certificate_der] = key
        log.info(
            "responder_key_taken issuer=%s label=%s until=%s",
            one.issuer_name,
            one.key_label,
            key.period[1].isoformat(),
        )
        return key
