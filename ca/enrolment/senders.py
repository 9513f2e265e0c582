"""Who sent a message: the owner of a reference and its secret, or of one of our certificates."""

import dataclasses
import datetime

from cryptography import x509
from sqlalchemy import orm

from ca.enrolment import messages, protection, references
from ca.renewal import lineage
from pki import certificates, der, der_types, profiles, registry


@dataclasses.dataclass(frozen=True)
class ReferenceSender:
    """An applicant who showed that they know the secret of a reference."""

    reference: references.Reference
    parameters: protection.PasswordBasedMac
    secret: bytes = dataclasses.field(repr=False)

    @property
    def name(self) -> str:
        """How conversations and the audit log name this sender."""
        return f"cmp:reference:{self.reference.reference}"

    @property
    def application_id(self) -> str:
        """The application that the reference was given for."""
        return self.reference.application_id

    @property
    def profile(self) -> str:
        """The profile of the certificates that this sender gets."""
        return self.reference.profile


@dataclasses.dataclass(frozen=True)
class CertificateSender:
    """A subscriber who signed with the key of a good certificate of ours."""

    record: registry.CertificateRecord
    certificate: x509.Certificate
    application_id: str

    @property
    def profile(self) -> str:
        """The profile of the certificates that this sender gets: that of the one they have."""
        return self.record.profile

    @property
    def name(self) -> str:
        """How conversations and the audit log name this sender."""
        serial = certificates.serial_text(self.record.serial_number)
        return f"cmp:certificate:{self.record.issuer_name}:{serial}"


Sender = ReferenceSender | CertificateSender


def identify(
    session: orm.Session,
    message: messages.PKIMessage,
    secrets: references.Secrets,
    at: datetime.datetime,
) -> Sender:
    """Check a message's protection and return whose it is.

    Raises:
        DERError: The protection's algorithm is malformed.
        RefusedError: Unprotected, by somebody unknown, or the protection does not verify.
    """
    algorithm = message.header.protection_algorithm
    if algorithm is None or message.protection is None:
        raise messages.RefusedError(
            messages.FailureInfo.badMessageCheck, "expected a message with protection"
        )
    if protection.is_password_based(algorithm):
        return _by_reference(session, message, algorithm, secrets)
    return _by_certificate(session, message, algorithm, at)


def _by_reference(
    session: orm.Session,
    message: messages.PKIMessage,
    algorithm: bytes,
    secrets: references.Secrets,
) -> ReferenceSender:
    parameters = protection.parse_password_based(algorithm)
    reference = references.find(session, message.header.sender_key_id)
    if reference is None:
        # The same words as for a wrong secret: which references exist is nobody's business.
        raise messages.RefusedError(
            messages.FailureInfo.badMessageCheck, "the message's protection does not verify"
        )
    secret = secrets.of(reference.reference)
    protection.check_mac(parameters, secret, message)
    return ReferenceSender(reference, parameters, secret)


def _by_certificate(
    session: orm.Session,
    message: messages.PKIMessage,
    algorithm: bytes,
    at: datetime.datetime,
) -> CertificateSender:
    # RFC 9483 3.3: the signer's certificate is the first one.
    if not message.extra_certificates:
        raise messages.RefusedError(
            messages.FailureInfo.signerNotTrusted, "expected the signer's certificate"
        )
    certificate_der = message.extra_certificates[0]
    _check_serial_number(certificate_der)
    certificate = certificates.parse(certificate_der)
    facts = certificates.read(certificate)
    # The registry holds the very bytes of everything that was issued: no path is to be built.
    record = registry.find_issued(session, certificate_der)
    if record is None or record.profile not in profiles.SUBSCRIBER_NAMES:
        raise messages.RefusedError(
            messages.FailureInfo.signerNotTrusted, "expected a subscriber's certificate of this CA"
        )
    if certificates.KeyUsage.digitalSignature not in facts.key_usage:
        # RFC 9483 3.2. A key that binds its owner signs documents and nothing else.
        raise messages.RefusedError(
            messages.FailureInfo.signerNotTrusted,
            "expected a certificate whose key usage allows digitalSignature",
        )
    protection.check_signature(algorithm, certificates.public_key(certificate), message)
    _check_header(message.header, certificate, facts)
    if not record.not_before <= at <= record.not_after:
        raise messages.RefusedError(
            messages.FailureInfo.signerNotTrusted, "the signer's certificate is not valid now"
        )
    if not record.status.is_good:
        raise messages.RefusedError(
            messages.FailureInfo.certRevoked, "the signer's certificate is revoked"
        )
    behind = lineage.find(session, record.serial_number)
    if behind is None:
        raise messages.RefusedError(
            messages.FailureInfo.notAuthorized, "no application stands behind this certificate"
        )
    return CertificateSender(record, certificate, behind.application_id)


def _check_serial_number(certificate_der: bytes) -> None:
    # The library warns of a serial number that is not positive, once for each that a stranger
    # sends; nothing of ours has one (RFC 5280 4.1.2.2).
    fields = der_types.Fields(der_types.Fields(der.read(certificate_der)).take())
    fields.take_optional(0xA0)
    if der_types.decode_integer(fields.take()) <= 0:
        raise messages.RefusedError(
            messages.FailureInfo.signerNotTrusted, "expected a subscriber's certificate of this CA"
        )


def _check_header(
    header: messages.PKIHeader,
    certificate: x509.Certificate,
    facts: certificates.CertificateFacts,
) -> None:
    # RFC 9483 3.1: sender and senderKID are those of the certificate that protects.
    if header.sender != messages.directory_name(certificate.subject.public_bytes()):
        raise messages.RefusedError(
            messages.FailureInfo.badMessageCheck, "expected the signer's subject as sender"
        )
    if header.sender_key_id not in (None, facts.subject_key_identifier):
        raise messages.RefusedError(
            messages.FailureInfo.badMessageCheck, "expected the signer's key identifier"
        )
