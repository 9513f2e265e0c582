"""The certificates that follow from an approved application."""

import dataclasses
import datetime

import sqlalchemy
from cryptography import x509
from sqlalchemy import orm

from ca import csr, drafts, hierarchy, issuance, orders, subjects
from ca import settings as ca_settings
from ca.applications import states
from pki import algorithms, certificates, errors, oids, profiles, registry


class ProfileNotAppliedForError(errors.PolicyError):
    """The application is for other profiles."""

    code = "profile-not-applied-for"


class RoleCertifiedError(errors.PolicyError):
    """The person, or the organisation, has enough certificates in this role."""

    code = "role-certified"


class SoftwareKeyError(errors.PolicyError):
    """A key that was made in a file is certified in test installations alone."""

    code = "software-key-refused"


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
    software_key: bool = False,
) -> Issued:
    """Issue one of an application's certificates, or return it where it is issued already.

    Args:
        sessions: The database.
        authorities: Who signs.
        application_id: An approved application.
        profile_name: One of those applied for; one certificate of each for one application.
        csr_der: Its key and its proof of possession count, nothing else in it.
        at: The present.
        actor: Which operator or client asks.
        software_key: The key lies in a file, so that no certificate may claim a device for it.

    Raises:
        InputError: The request or the profile's name is wrong.
        SoftwareKeyError: A key in a file, and the installation is no test one.
        ApplicationNotFoundError: No such application.
        NotApprovedError: It awaits approval.
        ApplicationAlteredError: It was changed since it was approved.
        ProfileNotAppliedForError: It is for other profiles.
        RoleCertifiedError: There are enough certificates of this kind in this role.
        ImzaError: As `issuance.issue_certificate`.
    """
    # An unknown profile is told before the request is judged.
    profile = _profile(profile_name, authorities.settings, software_key=software_key)
    return certify_key(
        sessions,
        authorities,
        application_id,
        profile_name,
        csr.parse(csr_der).public_key,
        orders.IssuanceRequest(states.request_key(application_id, profile.name), actor),
        at,
        software_key=software_key,
    )


def certify_key(
    sessions: orm.sessionmaker[orm.Session],
    authorities: hierarchy.Hierarchy,
    application_id: str,
    profile_name: str,
    public_key: algorithms.PublicKey,
    request: orders.IssuanceRequest,
    at: datetime.datetime,
    *,
    renews: x509.Name | None = None,
    software_key: bool = False,
) -> Issued:
    """Issue a certificate for a key whose proof of possession the caller has checked.

    Args:
        sessions: The database.
        authorities: Who signs.
        application_id: An approved application.
        profile_name: One of those applied for.
        public_key: What is certified.
        request: Names what is asked for; the same name never yields a second certificate.
        at: The present.
        renews: The subject of the certificate that this one follows: it must be the same.
        software_key: As in `certify_application`.

    Raises:
        SubjectChangedError: The vetted subject is not that of the certificate before.
        ImzaError: As `certify_application`.
    """
    with sessions() as session:
        order = prepare_order(
            session,
            authorities,
            application_id,
            profile_name,
            public_key,
            request,
            at,
            renews=renews,
            software_key=software_key,
        )
    record = issuance.issue_certificate(sessions, order.draft, request, authorities.settings, at)
    if record.certificate_der is None:
        raise orders.IssuanceAbandonedError("the certificate was abandoned: ask again")
    # What was issued before may be by an earlier generation than the one that issues now.
    chain_der = authorities.named(record.issuer_name).chain_der
    return Issued(record, record.certificate_der, chain_der)


def prepare_order(
    session: orm.Session,
    authorities: hierarchy.Hierarchy,
    application_id: str,
    profile_name: str,
    public_key: algorithms.PublicKey,
    request: orders.IssuanceRequest,
    at: datetime.datetime,
    *,
    renews: x509.Name | None = None,
    software_key: bool = False,
) -> orders.Order:
    """Return what is to be issued for an application; arguments and errors as `certify_key`."""
    settings = authorities.settings
    profile = _profile(profile_name, settings, software_key=software_key)
    applicant = states.approved_applicant(session, application_id)
    if renews is not None and profile.secure_device:
        # What follows a certificate of a key in a file claims no more than that one.
        first = find_first(session, application_id, profile.name)
        if first is not None and not certificates.read(first).qualified.secure_device:
            profile = profiles.subscriber_profile(profile_name, secure_device=False)
    if profile.name not in applicant.profile_names:
        raise ProfileNotAppliedForError(
            f"expected a profile of {', '.join(applicant.profile_names)}, got {profile.name}"
        )
    subject = subjects.subject_of(applicant, profile.subject, settings)
    if renews is not None and renews != subject:
        raise SubjectChangedError(
            "the certificate names its owner otherwise than its application: apply for a new one"
        )
    issuer = authorities.issuing(applicant.category).issuer
    draft = drafts.draft_certificate(profile, issuer, subject, public_key, settings, at)
    if renews is None:
        _check_role(session, draft, request, settings, at)
    return orders.Order(draft, request)


def find_first(
    session: orm.Session, application_id: str, profile_name: str
) -> x509.Certificate | None:
    """Return an application's first certificate of a profile, before any renewal."""
    row = session.scalars(
        sqlalchemy.select(registry.CertificateRow).where(
            registry.CertificateRow.request_key == states.request_key(application_id, profile_name)
        )
    ).first()
    if row is None or row.certificate_der is None:
        return None
    return certificates.parse(row.certificate_der)


def _profile(
    name: str, settings: ca_settings.Settings, *, software_key: bool
) -> profiles.CertificateProfile:
    if software_key and not settings.test:
        raise SoftwareKeyError(
            "expected a key in a card, a SIM or a module: keys in files are for test installations"
        )
    return profiles.subscriber_profile(
        name, secure_device=settings.secure_device and not software_key
    )


def _check_role(
    session: orm.Session,
    draft: drafts.CertificateDraft,
    request: orders.IssuanceRequest,
    settings: ca_settings.Settings,
    at: datetime.datetime,
) -> None:
    """Check that the subject has fewer certificates of this kind than a role may have.

    The subject says the role: a citizen, a business person of this or that organisation and an
    official have different ones. Certificates in their last days are about to be followed by
    others and do not count.
    """
    if not settings.certificates_per_role:
        return
    table = registry.CertificateRow
    # Either number has an index; the whole subject is then compared.
    person = draft.subject.get_attributes_for_oid(x509.ObjectIdentifier(oids.SERIAL_NUMBER))
    organisation = draft.subject.get_attributes_for_oid(
        x509.ObjectIdentifier(oids.ORGANIZATION_IDENTIFIER)
    )
    column = table.person_identifier if person else table.organisation_identifier
    count = session.scalar(
        sqlalchemy.select(sqlalchemy.func.count())
        .select_from(table)
        .where(
            column == str((person or organisation)[0].value),
            table.subject == certificates.name_text(draft.subject),
            table.profile == draft.profile.name,
            table.state == registry.CertificateState.ISSUED.value,
            table.revoked_at.is_(None),
            table.not_after > at + settings.role_overlap,
            sqlalchemy.or_(table.request_key.is_(None), table.request_key != request.key),
        )
    )
    if (count or 0) >= settings.certificates_per_role:
        raise RoleCertifiedError(
            f"expected at most {settings.certificates_per_role} good certificates of the profile"
            f" {draft.profile.name} in one role: revoke one that is not used any more"
        )
