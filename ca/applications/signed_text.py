"""A qualified signature instead of a visit: over the application's own text, by its applicant.

The text is for people: who signs it sees what they apply for. It holds the application's random
id, so that no signature serves twice.
"""

import datetime
import hashlib

from sqlalchemy import orm

from ca.applications import cms_signature, states, vetting_record
from pki import certificates, clock, errors, oids, person_codes, profiles, registry


class SignatureRefusedError(errors.PolicyError):
    """The signature does not establish who the applicant is."""

    code = "vetting-signature-refused"


def text_of(case: states.Case) -> bytes:
    """Return what the applicant signs: lines of UTF-8, each ended by a line feed."""
    applicant = case.applicant
    organisation, server = applicant.organisation, applicant.server
    lines = [
        f"Application {case.id}",
        f"Recorded: {clock.time_text(case.recorded_at)}",
        f"Role: {applicant.category.value}",
        f"Surname: {applicant.person.surname}",
        f"Given name: {applicant.person.given_name}",
        f"Person code: {applicant.person.country} {applicant.person.person_code}",
    ]
    if organisation is not None:
        lines.append(f"Organisation: {organisation.name}")
        lines.append(f"Organisation code: {organisation.country} {organisation.code}")
    if applicant.title is not None:
        lines.append(f"Title: {applicant.title}")
    if server is not None:
        lines.append(f"X-Road member class: {server.member_class}")
        if server.dns_name is not None:
            lines.append(f"Server: {server.dns_name}")
    lines.append(f"Certificates: {', '.join(applicant.profile_names)}")
    return "".join(f"{line}\n" for line in lines).encode()


def check(
    session: orm.Session, case: states.Case, signature_der: bytes, at: datetime.datetime
) -> vetting_record.SignatureEvidence:
    """Check the applicant's signature over the application's text.

    The signing certificate is taken from the registry, never from the signature: it must be a
    qualified one of ours, good now, whose key is in a qualified device, and name the applicant.

    Args:
        session: The database.
        case: The application.
        signature_der: A detached CMS signature (RFC 5652) in DER, with signing-certificate-v2.
        at: The present.

    Raises:
        SignatureRefusedError: Another person's, or not a certificate that counts.
        CMSSignatureError: Malformed, or over another text.
    """
    parsed = cms_signature.parse(signature_der)
    try:
        record = registry.find(session, parsed.serial_number)
    except registry.CertificateNotFoundError as error:
        raise SignatureRefusedError("the signing certificate is none of ours") from error
    _check_certificate(session, record, parsed.issuer, at)
    text = text_of(case)
    cms_signature.check(parsed, text, record.certificate)
    person = case.applicant.person
    facts = certificates.read(record.certificate)
    if facts.identifier != person_codes.person_identifier(person.country, person.person_code):
        raise SignatureRefusedError("the signing certificate names somebody else")
    return vetting_record.SignatureEvidence(
        certificates.serial_text(record.serial_number),
        record.issuer_name,
        hashlib.sha256(text).hexdigest(),
        hashlib.sha256(signature_der).hexdigest(),
    )


def _check_certificate(
    session: orm.Session, record: registry.CertificateRecord, issuer: bytes, at: datetime.datetime
) -> None:
    certificate = record.certificate
    if certificate.issuer.public_bytes() != issuer:
        raise SignatureRefusedError("the signing certificate is none of ours")
    authority = {one.name: one for one in registry.issuers(session)}.get(record.issuer_name)
    if authority is None:
        raise SignatureRefusedError("the signing certificate is none of ours")
    certificates.check_issued_by(certificate, authority.certificate)
    status = registry.status_of(session, record.issuer_name, record.serial_number)
    if status is None or not status.is_good:
        raise SignatureRefusedError("the signing certificate is revoked or on hold")
    above = registry.find(session, authority.certificate.serial_number)
    if not above.status.is_good:
        raise SignatureRefusedError("the authority above the signing certificate is revoked")
    if not record.not_before <= at <= record.not_after:
        raise SignatureRefusedError("the signing certificate is not valid now")
    stated = certificates.read(certificate).qualified
    if (
        record.profile != profiles.SIGN.name
        or not stated.compliance
        or not stated.secure_device
        or stated.types != (oids.QC_TYPE_ESIGN,)
    ):
        raise SignatureRefusedError("expected a qualified certificate for signatures")
