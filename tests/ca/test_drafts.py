"""The certificate that is put together field by field is the one a library would build."""

import dataclasses
import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from ca import authority, drafts, subjects, throwaway
from pki import algorithms, profiles, registration
from tests.support import ca_world
from tests.support.hierarchy import MemoryKey, make_key


def _draft(
    profile: profiles.CertificateProfile,
    kind: algorithms.KeyKind,
    at: datetime.datetime,
    subject_kind: algorithms.KeyKind,
) -> drafts.CertificateDraft:
    issuer = authority.Issuer(
        "citizen",
        subjects.service_name("Citizen CA", ca_world.SETTINGS),
        MemoryKey("ca-citizen", make_key(kind)),
        at + datetime.timedelta(days=40 * 365),
    )
    person = ca_world.CITIZEN
    if profile.subject is profiles.SubjectKind.SERVER:
        # Its common name is a DNS name.
        person = dataclasses.replace(person, surname="TEST", given_name="SERVER")
    applicant = subjects.Applicant(registration.Category.CITIZEN, person)
    return drafts.draft_certificate(
        profile,
        issuer,
        subjects.subject_name(applicant, ca_world.SETTINGS),
        make_key(subject_kind).public_key(),
        ca_world.SETTINGS,
        at,
    )


def _built_by_library(draft: drafts.CertificateDraft) -> bytes:
    builder = (
        x509.CertificateBuilder()
        .subject_name(draft.subject)
        .issuer_name(draft.issuer.subject)
        .public_key(draft.public_key)
        .serial_number(draft.serial_number)
        .not_valid_before(draft.not_before)
        .not_valid_after(draft.not_after)
    )
    for extension, critical in drafts.extensions_of(draft):
        builder = builder.add_extension(extension, critical)
    kind = draft.issuer.key_kind
    made = builder.sign(throwaway.key_like(kind), kind.hash_algorithm.hasher)
    return made.public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize("profile", profiles.ALL, ids=lambda one: f"{one.name}-{one.peer_lint}")
@pytest.mark.clause("RFC 5280", "4.1.2")
def test_the_bytes_to_be_signed_are_those_a_library_builds(
    profile: profiles.CertificateProfile, at: datetime.datetime
) -> None:
    kind = next(iter(sorted(profile.key_kinds, key=lambda one: one.value)))
    draft = _draft(profile, algorithms.KeyKind.P384, at, kind)
    assert authority.to_be_signed(drafts.build_twin(draft)) == authority.to_be_signed(
        _built_by_library(draft)
    )


@pytest.mark.parametrize("issuer_kind", list(algorithms.KeyKind))
@pytest.mark.parametrize("kind", list(algorithms.KeyKind))
def test_every_kind_of_key_is_put_in_as_a_library_does(
    issuer_kind: algorithms.KeyKind, kind: algorithms.KeyKind, at: datetime.datetime
) -> None:
    draft = _draft(profiles.SIGN, issuer_kind, at, kind)
    twin_der, expected = drafts.build_twin(draft), _built_by_library(draft)
    assert authority.to_be_signed(twin_der) == authority.to_be_signed(expected)
    twin, built = x509.load_der_x509_certificate(twin_der), x509.load_der_x509_certificate(expected)
    assert twin.signature_algorithm_oid == built.signature_algorithm_oid


@pytest.mark.parametrize(
    "end",
    [
        datetime.datetime(2049, 12, 31, 23, 59, 59, tzinfo=datetime.UTC),
        datetime.datetime(2050, 1, 1, tzinfo=datetime.UTC),
        datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC),
    ],
)
@pytest.mark.parametrize("serial_number", [1, 127, 128, 255, 256, (1 << 159) - 1])
@pytest.mark.clause("RFC 5280", "4.1.2.5")
def test_numbers_and_times_have_the_form_a_library_gives_them(
    end: datetime.datetime, serial_number: int, at: datetime.datetime
) -> None:
    draft = dataclasses.replace(
        _draft(profiles.SIGN, algorithms.KeyKind.P256, at, algorithms.KeyKind.P256),
        serial_number=serial_number,
        not_after=end,
    )
    assert authority.to_be_signed(drafts.build_twin(draft)) == authority.to_be_signed(
        _built_by_library(draft)
    )
