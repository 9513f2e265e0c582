"""Our own key for messages: certified by the infrastructure CA, renewed before its end."""

import datetime

from cryptography.hazmat.primitives import serialization
from sqlalchemy import orm

from ca import hierarchy, orders, service_keys
from ca.enrolment import protection
from pki import algorithms, certificates, errors, profiles, registry
from pki.keystore import store

RENEWAL = datetime.timedelta(days=30)
"""How long before its end the certificate is renewed: time for clients that pinned it."""


class NoSignerError(errors.StateError):
    """No certificate for messages is valid."""

    code = "cmp-signer-missing"


class CurrentSigner:
    """The signer with its current certificate; `renew` replaces it while requests are served."""

    def __init__(
        self,
        sessions: orm.sessionmaker[orm.Session],
        keys: store.KeyStore,
        authorities: hierarchy.Hierarchy,
        at: datetime.datetime,
    ) -> None:
        """Open the signer, which is certified first where that is due.

        Raises:
            LintError: The settings lead to a certificate that breaks its profile.
            DeviceError: The key store failed.
        """
        self._sessions = sessions
        self._keys = keys
        self._authorities = authorities
        self._present = self._load(at)

    @property
    def present(self) -> protection.Signer:
        """The signer as it is now."""
        return self._present

    def renew(self, at: datetime.datetime) -> None:
        """Certify the signer anew where its certificate nears its end; raises as the constructor.

        The key stays: the old certificate remains valid beside the new one.
        """
        self._present = self._load(at)

    def _load(self, at: datetime.datetime) -> protection.Signer:
        key = service_keys.open_or_generate(
            self._sessions,
            self._keys,
            hierarchy.CMP_SIGNER,
            algorithms.KeyKind.P256,
            at,
            actor=orders.SYSTEM,
        )
        with self._sessions() as session:
            record = registry.current_certificate(
                session, profiles.CMP_SIGNER.name, at, key_label=hierarchy.CMP_SIGNER
            )
        if record is None or record.not_after - at <= RENEWAL:
            record = service_keys.certify_cmp_signer(
                self._sessions, self._keys, self._authorities, at
            )
        if record.certificate_der is None:
            raise NoSignerError("the certificate for messages was not stored: start again")
        certificate = certificates.parse(record.certificate_der)
        facts = certificates.read(certificate)
        above = self._authorities.named(record.issuer_name)
        return protection.Signer(
            key,
            certificate.subject.public_bytes(),
            facts.subject_key_identifier or b"",
            (
                certificate.public_bytes(serialization.Encoding.DER),
                certificates.to_der(above.certificate),
            ),
        )
