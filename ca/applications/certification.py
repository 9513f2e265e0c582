"""The certificates that follow from an approved application."""

import dataclasses
import datetime

from cryptography import x509
from sqlalchemy import orm

from ca import csr, drafts, hierarchy, issuance, subjects
from ca.applications import states
from pki import algorithms, errors, profiles, registry


class SubjectChangedError(errors.PolicyError):
    """A renewed certificate would name somebody else, or the same person in another role."""

    code = "subject-changed"


@dataclasses.dataclass(frozen=True)
class Issued:
    """A certificate and the certificates above it, issuing CA first, root last."""

    record: registry.CertificateRecord
    certificate_der: bytes
    chain_der: tuple[bytes, ...]


def certify_application(
    sessions: orm.sessionmaker[orm.Session],
    authorities: hierarchy.Hierarchy,
    application_id: str,
    profile_name: str,
    csr_der: bytes,
    at: datetime.datetime,
    *,
    actor: str,
) -> Issued:
    """Issue one of an application's certificates, or return it where it is issued already.

    Args:
        sessions: The database.
        authorities: Who signs.
        application_id: An approved application.
        profile_name: `sign` or `authenticate`; one certificate of each for one application.
        csr_der: Its key and its proof of possession count, nothing else in it.
        at: The present.
        actor: The registration client.

    Raises:
        InputError: The request or the profile's name is wrong.
        ApplicationNotFoundError: No such application.
        NotApprovedError: It awaits approval.
        ApplicationAlteredError: It was changed since it was approved.
        ImzaError: As `issuance.issue_certificate`.
    """
    # An unknown profile is told before the request is judged.
    profile = profiles.subscriber_profile(
        profile_name, secure_device=authorities.settings.secure_device
    )
    return certify_key(
        sessions,
        authorities,
        application_id,
        profile_name,
        csr.parse(csr_der).public_key,
        issuance.IssuanceRequest(f"application/{application_id}/{profile.name}", actor),
        at,
    )


def certify_key(
    sessions: orm.sessionmaker[orm.Session],
    authorities: hierarchy.Hierarchy,
    application_id: str,
    profile_name: str,
    public_key: algorithms.PublicKey,
    request: issuance.IssuanceRequest,
    at: datetime.datetime,
    *,
    renews: x509.Name | None = None,
) -> Issued:
    """Issue a certificate for a key whose proof of possession the caller has checked.

    Args:
        sessions: The database.
        authorities: Who signs.
        application_id: An approved application.
        profile_name: `sign` or `authenticate`.
        public_key: What is certified.
        request: Names what is asked for; the same name never yields a second certificate.
        at: The present.
        renews: The subject of the certificate that this one follows: it must be the same.

    Raises:
        SubjectChangedError: The vetted subject is not that of the certificate before.
        ImzaError: As `certify_application`.
    """
    profile = profiles.subscriber_profile(
        profile_name, secure_device=authorities.settings.secure_device
    )
    with sessions() as session:
        applicant = states.approved_applicant(session, application_id)
    issuing = authorities.issuing(applicant.category)
    subject = subjects.subject_name(applicant, authorities.settings)
    if renews is not None and renews != subject:
        raise SubjectChangedError(
            "the certificate names its owner otherwise than its application: apply for a new one"
        )
    draft = drafts.draft_certificate(
        profile,
        issuing.issuer,
        subject,
        public_key,
        authorities.settings,
        at,
    )
    record = issuance.issue_certificate(sessions, draft, request, authorities.settings, at)
    if record.certificate_der is None:
        raise issuance.IssuanceAbandonedError("the certificate was abandoned: ask again")
    return Issued(record, record.certificate_der, issuing.chain_der)
