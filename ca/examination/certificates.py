"""Every stored certificate, examined anew against its row, its issuer and its profile."""

import dataclasses
import datetime
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy
from cryptography import x509
from sqlalchemy import orm

from ca import authority, lint
from ca import settings as ca_settings
from ca.continuity import reconciliation
from ca.examination.findings import Finding, Report, Severity, Tell
from pki import algorithms, certificates, errors, oids, profiles, registry, signature, status

PAGE = 500
"""Rows in memory at a time."""

INTENT_LIMIT = datetime.timedelta(minutes=10)
"""An issuance takes less than a second; what is open for longer was left by a crash."""

_PROFILES = {one.name: one for one in profiles.ALL}
_REASONS = {one.name for one in status.RevocationReason}


@dataclasses.dataclass(frozen=True)
class Depth:
    """How thorough an examination is.

    Attributes:
        peer_lint_every: pkilint judges each certificate whose row number this divides; 1 judges
            all, and takes some milliseconds for each.
    """

    peer_lint_every: int = 100


@dataclasses.dataclass(frozen=True)
class _PublicHalf:
    """An issuer's key where the private one is not needed."""

    label: str
    public_key: algorithms.PublicKey

    def sign(
        self, representation: signature.DataToBeSignedRepresentation
    ) -> signature.SignatureValue:
        raise errors.StateError("an examination signs nothing")


@dataclasses.dataclass(frozen=True)
class _Judge:
    """What certificates are judged by."""

    issuers: Mapping[str, tuple[authority.Issuer, x509.Certificate]]
    settings: ca_settings.Settings
    depth: Depth
    at: datetime.datetime


def examine(
    sessions: orm.sessionmaker[orm.Session],
    settings: ca_settings.Settings,
    at: datetime.datetime,
    report: Report,
    depth: Depth,
    tell: Tell,
) -> None:
    """Examine every row, a page at a time, in short transactions."""
    judge = _Judge(_issuers(sessions), settings, depth, at)
    after = 0
    while rows := _page(sessions, after):
        for row in rows:
            for finding in _examine_row(row, judge):
                report.add(finding)
        after = rows[-1]["id"]
        report.examined["certificates"] += len(rows)
        tell("certificates", report.examined["certificates"])
    for finding in _doubles(sessions):
        report.add(finding)


def _issuers(
    sessions: orm.sessionmaker[orm.Session],
) -> dict[str, tuple[authority.Issuer, x509.Certificate]]:
    with sessions() as session:
        records = registry.issuers(session)
    return {
        one.name: (
            authority.Issuer(
                one.name,
                one.certificate.subject,
                _PublicHalf(one.key_label, certificates.public_key(one.certificate)),
                one.certificate.not_valid_after_utc,
            ),
            one.certificate,
        )
        for one in records
    }


def _page(sessions: orm.sessionmaker[orm.Session], after: int) -> Sequence[Mapping[str, Any]]:
    table = registry.CertificateRow.__table__
    query = sqlalchemy.select(table).where(table.c.id > after).order_by(table.c.id).limit(PAGE)
    with sessions() as session:
        return [dict(row) for row in session.execute(query).mappings()]


def _examine_row(row: Mapping[str, Any], judge: _Judge) -> Iterator[Finding]:
    about = f"{row['issuer_name']}/{row['serial_number']}"
    yield from (Finding(check, about, text) for check, text in _state(row, judge.at))
    if row["issuer_name"] not in judge.issuers:
        if row["profile"] != reconciliation.UNRECORDED:
            yield Finding("certificate-issuer", about, "its issuer is not in the registry")
        return
    if row["state"] != registry.CertificateState.ISSUED.value or row["certificate_der"] is None:
        return
    try:
        certificate, facts = certificates.parse_with_facts(row["certificate_der"])
    except errors.ImzaError:
        yield Finding("certificate-readable", about, "its bytes are no certificate")
        return
    issuer, above = judge.issuers[row["issuer_name"]]
    yield from (Finding(check, about, text) for check, text in _facts(row, certificate, facts))
    try:
        certificates.check_issued_by(certificate, above)
    except errors.ImzaError:
        yield Finding("certificate-signature", about, "its issuer's key did not sign it")
    if facts.not_after > issuer.not_after:
        yield Finding("certificate-validity", about, "it outlives its issuer")
    claims_device = judge.settings.secure_device and facts.qualified.secure_device
    profile = _profile(row["profile"], secure_device=claims_device)
    if profile is None:
        yield Finding("certificate-profile", about, f"no profile is called {row['profile']!r}")
        return
    # Whether certificates name deltas may be changed: those of before stay as they were made.
    named = any(one.oid.dotted_string == oids.FRESHEST_CRL for one in certificate.extensions)
    twin = lint.Twin(
        certificate, facts, profile, issuer, judge.settings, row["recorded_at"], named_deltas=named
    )
    for rule in lint.RULES:
        for message in rule(twin):
            name = rule.__name__.replace("_", "-")
            yield Finding("certificate-lint", about, f"{name}: {message}", Severity.WARNING)
    if row["id"] % judge.depth.peer_lint_every == 0:
        for one in lint.judge_by_peer(row["certificate_der"], profile, judge.settings):
            yield Finding("certificate-peer-lint", about, one.message, Severity.WARNING)


def _profile(name: str, *, secure_device: bool) -> profiles.CertificateProfile | None:
    # One name stands for two profiles. Where certificates may claim a device, one of a key that
    # lies in a file does not; where they may not, a claim is found as one too many.
    if name in profiles.SUBSCRIBER_NAMES:
        return profiles.subscriber_profile(name, secure_device=secure_device)
    return _PROFILES.get(name)


def _state(row: Mapping[str, Any], at: datetime.datetime) -> Iterator[tuple[str, str]]:
    state = row["state"]
    if state not in {one.value for one in registry.CertificateState}:
        yield "certificate-state", f"no certificate is {state!r}"
    if state == registry.CertificateState.INTENDED.value:
        if at - row["recorded_at"] > INTENT_LIMIT:
            yield "certificate-intent", "its intent is open since long: restart the CA zone"
    elif state == registry.CertificateState.ISSUED.value:
        if row["certificate_der"] is None or row["issued_at"] is None:
            yield "certificate-state", "it is issued, and its bytes or its time are missing"
    elif row["revoked_at"] is None:
        yield "certificate-state", "it is abandoned and not revoked"
    if (row["revoked_at"] is None) != (row["reason"] is None):
        yield "certificate-revocation", "it has a reason without a time, or a time without a reason"
    if row["reason"] is not None and row["reason"] not in _REASONS:
        yield "certificate-revocation", "its reason is none of RFC 5280"


def _facts(
    row: Mapping[str, Any], certificate: x509.Certificate, facts: certificates.CertificateFacts
) -> Iterator[tuple[str, str]]:
    """Compare what the row says with what the certificate says."""
    signed = authority.to_be_signed(row["certificate_der"])
    if signed != row["to_be_signed_der"]:
        digest = hashlib.sha256(row["to_be_signed_der"]).hexdigest()
        yield "certificate-digest", f"the signed bytes are not the recorded ones ({digest})"
    if registry.serial_key(certificate.serial_number) != row["serial_number"]:
        yield "certificate-serial", "its serial number is another one than its row's"
    if (facts.not_before, facts.not_after) != (row["not_before"], row["not_after"]):
        yield "certificate-validity", "its validity is another one than its row's"
    if facts.subject != row["subject"]:
        yield "certificate-subject", "its subject is another one than its row's"
    if facts.identifier != row["person_identifier"]:
        yield "certificate-subject", "its identifier is another one than its row's"
    key = certificates.key_sha256(certificates.public_key(certificate))
    if key != row["key_sha256"]:
        yield "certificate-key", "its key is another one than its row's"


def _doubles(sessions: orm.sessionmaker[orm.Session]) -> Iterator[Finding]:
    row = registry.CertificateRow
    count = sqlalchemy.func.count
    serials = (
        sqlalchemy.select(row.issuer_name, row.serial_number)
        .group_by(row.issuer_name, row.serial_number)
        .having(count() > 1)
    )
    keys = (
        sqlalchemy.select(row.key_sha256)
        .where(row.key_sha256 != "")
        .group_by(row.key_sha256)
        .having(
            sqlalchemy.or_(
                count(sqlalchemy.distinct(row.subject)) > 1,
                count(sqlalchemy.distinct(row.profile)) > 1,
            )
        )
    )
    with sessions() as session:
        for name, serial in session.execute(serials):
            yield Finding("serial-unique", f"{name}/{serial}", "two certificates have this number")
        for (key,) in session.execute(keys):
            yield Finding(
                "key-unique", f"key {key}", "two subjects or two uses have certificates for it"
            )
