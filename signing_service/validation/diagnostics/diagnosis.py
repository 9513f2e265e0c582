"""Collects diagnostic data from what one judgement read and used; nothing is parsed again."""

import base64
import datetime
import hashlib
from collections.abc import Iterable, Sequence

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pki import certificates, errors
from signing_service.lists import listed_services
from signing_service.validation import evidence, findings, policy, report
from signing_service.validation.certificates import (
    foreign_certificates,
    judged_certificate,
    revocation_facts,
)
from signing_service.validation.cms import foreign_keys, time_stamp_tokens
from signing_service.validation.diagnostics import diagnostic_data, diagnostic_values

TRUST_ANCHOR, TRUSTED_LIST = "trust-anchor", "trusted-list"


def collect(
    found: findings.FoundDocument,
    circumstances: policy.Circumstances,
    shown: report.ValidationReport,
    extent: diagnostic_data.Extent,
) -> diagnostic_data.DiagnosticData:
    """Tell what was found.

    Args:
        found: What the reader of the format found.
        circumstances: What it was judged with.
        shown: The report that was made of it.
        extent: Whether certificates and revocation data are told with their DER.
    """
    values = diagnostic_values.Values(extent)
    known = circumstances.evidence
    anchors = {certificates.to_der(one): one for one in circumstances.anchors.certificates}
    used = {certificates.sha256(one) for one in _in_paths(known.certificates.values(), anchors)}
    told = dict(known.certificates)
    told |= {der: one for der, one in anchors.items() if certificates.sha256(one) in used}
    told |= {
        certificates.to_der(one.certificate): one.certificate
        for one in found.signatures
        if one.certificate is not None
    }
    listed = _listed(circumstances.anchors.services)
    records = {
        id(one): one
        for one in (
            *found.evidence_records,
            *(record for one in found.signatures for record in one.evidence_records),
        )
    }
    return diagnostic_data.DiagnosticData(
        version=diagnostic_data.VERSION,
        document=diagnostic_data.Document(
            shown.document_name,
            shown.document_sha256,
            shown.document_format,
            tuple(diagnostic_data.ContainerFile(name, size) for name, size in found.files),
        ),
        validated_at=shown.validated_at,
        policy=shown.policy,
        signatures=tuple(_signature(one) for one in found.signatures),
        time_stamps=(
            *(_time_stamp(stamp, one) for one in found.signatures for stamp in one.time_stamps),
            *(_time_stamp(stamp, None) for stamp in found.document_time_stamps),
            *(
                _time_stamp(stamp, None, "evidence-record")
                for record in records.values()
                for stamp in record.stamps
            ),
        ),
        evidence_records=tuple(_record(one) for one in records.values()),
        certificates=_sorted(
            _certificate(der, one, known, anchors, listed, values) for der, one in told.items()
        ),
        revocation_data=revocation_facts.collect(known, told.values(), values),
        trusted_services=_services(circumstances.anchors.services, set(told), shown.validated_at),
        existence=_existence(shown),
    )


def _existence(shown: report.ValidationReport) -> tuple[diagnostic_data.KnownExistence, ...]:
    """Of every signature and every time stamp that something proves to be older, each once."""
    stamps = (
        *(stamp for one in shown.signatures for stamp in one.time_stamps),
        *shown.time_stamps,
        *(stamp for one in shown.evidence_records for stamp in one.time_stamps),
    )
    by_sha256 = {one.sha256: one for one in stamps if one.sha256 is not None}
    return (
        *(
            _known("signature", one.identifier, one)
            for one in shown.signatures
            if one.proofs_of_existence
        ),
        *(
            _known("time-stamp", sha256, one)
            for sha256, one in by_sha256.items()
            if one.proofs_of_existence
        ),
    )


def _known(
    kind: str, identifier: str, judged: report.SignatureReport | report.TimeStampReport
) -> diagnostic_data.KnownExistence:
    return diagnostic_data.KnownExistence(
        kind,
        identifier,
        judged.proofs_of_existence[0].time,
        tuple(
            diagnostic_data.ExistenceProof(
                one.time, one.source.value, None if one.kind is None else one.kind.value, one.sha256
            )
            for one in judged.proofs_of_existence
        ),
        judged.past_validation is not None,
    )


def _in_paths(
    found: Iterable[x509.Certificate], anchors: dict[bytes, x509.Certificate]
) -> list[x509.Certificate]:
    """The anchors that something found names as its issuer, or is: of the others nothing is told.

    Trusted lists bring thousands of anchors.
    """
    by_name: dict[x509.Name, list[x509.Certificate]] = {}
    for one in anchors.values():
        by_name.setdefault(one.subject, []).append(one)
    return [anchor for one in found for anchor in by_name.get(one.issuer, ())]


def _sorted(
    found: Iterable[diagnostic_data.Certificate],
) -> tuple[diagnostic_data.Certificate, ...]:
    return tuple(sorted(found, key=lambda one: one.sha256))


def _signature(found: findings.FoundSignature) -> diagnostic_data.Signature:
    return diagnostic_data.Signature(
        id=found.identifier,
        format=found.format,
        level=found.level,
        file=found.file or None,
        intact=found.intact,
        signing_certificate=None
        if found.certificate is None
        else certificates.sha256(found.certificate),
        certificate_is_named=found.is_bound,
        digest_algorithms=tuple(sorted(found.digest_algorithms)),
        claimed_signing_time=found.claimed_signing_time,
        is_counter_signature=found.is_counter,
        counter_signature_of=found.counter_signature_of,
        scope=found.scope_kind.value,
        scope_names=found.scope_names,
        signed_files=found.signed_files,
        changes_after_signing=found.changes.value,
        time_stamps=tuple(_sha256(one.token) for one in found.time_stamps),
        details=found.details(),
    )


def _time_stamp(
    found: findings.FoundTimeStamp,
    signature: findings.FoundSignature | None,
    kind: str | None = None,
) -> diagnostic_data.TimeStamp:
    try:
        token = time_stamp_tokens.read_token(found.token)
    except errors.InputError:
        token = None
    unit = None if token is None else token.certificate
    return diagnostic_data.TimeStamp(
        sha256=_sha256(found.token),
        kind=kind or found.kind.value,
        signature=None if signature is None else signature.identifier,
        file=found.file or None,
        generated_at=None if token is None else token.time,
        imprint_algorithm=None if token is None else token.hash_name,
        imprint=None if token is None else _base64(token.imprint),
        covers=_covers(found, signature),
        covers_bytes=found.covers_to or None,
        unit_certificate=None if unit is None else certificates.sha256(unit),
    )


def _covers(
    found: findings.FoundTimeStamp, signature: findings.FoundSignature | None
) -> tuple[str, ...]:
    if signature is None:
        return tuple(sorted(found.covers))
    if found.kind is report.TimeStampKind.CONTENT:
        return signature.scope_names
    return (signature.identifier,)


def _record(found: findings.FoundEvidenceRecord) -> diagnostic_data.EvidenceRecord:
    return diagnostic_data.EvidenceRecord(
        file=found.file or None,
        intact=found.report.intact,
        time=found.report.time,
        covers=found.report.scope,
        time_stamps=tuple(_sha256(one.token) for one in found.stamps),
    )


def _certificate(
    der: bytes,
    certificate: x509.Certificate,
    known: evidence.Evidence,
    anchors: dict[bytes, x509.Certificate],
    listed: frozenset[bytes],
    values: diagnostic_values.Values,
) -> diagnostic_data.Certificate:
    facts = judged_certificate.facts(certificate)
    origins = set(known.origins_of(der))
    if der in listed:
        origins.add(TRUSTED_LIST)
    elif der in anchors:
        origins.add(TRUST_ANCHOR)
    return diagnostic_data.Certificate(
        sha256=_sha256(der),
        subject=certificates.name_text(certificate.subject),
        issuer=certificates.name_text(certificate.issuer),
        serial_number=certificates.serial_text(certificate.serial_number),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        key=_key(certificate),
        signature_hash=_signature_hash(certificate),
        readable=facts is not None,
        key_usage=() if facts is None else tuple(sorted(one.name for one in facts.key_usage)),
        extended_key_usage=() if facts is None else facts.extended_key_usage,
        policies=() if facts is None else facts.policies,
        is_authority=facts is not None and facts.is_authority,
        statements=None
        if facts is None
        else diagnostic_data.QualifiedStatements(
            facts.qualified.compliance,
            facts.qualified.secure_device,
            facts.qualified.types,
            facts.qualified.legislation,
            facts.qualified.others,
        ),
        origins=tuple(sorted(origins or {evidence.DOCUMENT})),
        der=values.told(der),
    )


def _key(certificate: x509.Certificate) -> str:
    key = foreign_keys.of_certificate(certificate)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    return certificate.public_key_algorithm_oid.dotted_string


def _signature_hash(certificate: x509.Certificate) -> str | None:
    try:
        hasher = certificate.signature_hash_algorithm
    except foreign_certificates.FAULTS:
        return None
    return None if hasher is None else hasher.name


def _listed(services: Sequence[listed_services.ListedService]) -> frozenset[bytes]:
    return frozenset(der for one in services for der in one.certificates_der)


def _services(
    services: Sequence[listed_services.ListedService], told: set[bytes], at: datetime.datetime
) -> tuple[diagnostic_data.TrustedService, ...]:
    found = []
    for one in services:
        matched = told.intersection(one.certificates_der)
        if not matched:
            continue
        period = one.at(at)
        found.append(
            diagnostic_data.TrustedService(
                type=one.kind,
                status=None if period is None else period.status,
                since=None if period is None else period.since,
                additional=() if period is None else tuple(sorted(period.additional)),
                certificates=tuple(sorted(map(_sha256, matched))),
            )
        )
    return tuple(found)


def _sha256(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")
