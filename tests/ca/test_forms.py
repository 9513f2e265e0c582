"""A certificate's form: all but what names a subscriber, its key, a number or a time."""

import dataclasses
import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from ca import authority, drafts, forms, lint, subjects
from pki import algorithms, certificates, der, errors, profiles, registration
from tests.support import ca_world
from tests.support.hierarchy import MemoryKey, make_key

BY_FORM = dataclasses.replace(ca_world.SETTINGS, lint_by_form=True)
OTHER = registration.Person("AZ", "7XY99ZZ", "Məmmədov", "Əli")


@pytest.fixture(scope="module")
def key() -> MemoryKey:
    return MemoryKey("ca-citizen", make_key(algorithms.KeyKind.P384))


@pytest.fixture
def issuer(key: MemoryKey, at: datetime.datetime) -> authority.Issuer:
    return authority.Issuer(
        "citizen",
        subjects.service_name("Citizen CA", BY_FORM),
        key,
        at + datetime.timedelta(days=9 * 365),
    )


def _draft(
    issuer: authority.Issuer,
    at: datetime.datetime,
    person: registration.Person = ca_world.CITIZEN,
    kind: algorithms.KeyKind = algorithms.KeyKind.P256,
) -> drafts.CertificateDraft:
    applicant = subjects.Applicant(registration.Category.CITIZEN, person)
    return drafts.draft_certificate(
        profiles.SIGN,
        issuer,
        subjects.subject_name(applicant, BY_FORM),
        make_key(kind).public_key(),
        BY_FORM,
        at,
    )


def _form(twin_der: bytes) -> bytes:
    return forms.form_of(twin_der)


def test_two_subscribers_of_one_kind_share_a_form(
    issuer: authority.Issuer, at: datetime.datetime
) -> None:
    later = at + datetime.timedelta(days=1)
    one, other = _draft(issuer, at), _draft(issuer, later, OTHER)
    assert _form(drafts.build_twin(one)) == _form(drafts.build_twin(other))


def test_a_form_holds_the_kinds_of_what_differs(
    issuer: authority.Issuer, at: datetime.datetime
) -> None:
    draft = _draft(issuer, at)
    name = list(draft.subject)
    printable = [
        x509.NameAttribute(one.oid, "TEST A", _ASN1Type.PrintableString)
        if one.oid == NameOID.SURNAME
        else one
        for one in name
    ]
    others = [
        dataclasses.replace(draft, public_key=make_key(algorithms.KeyKind.P384).public_key()),
        dataclasses.replace(draft, public_key=make_key(algorithms.KeyKind.RSA3072).public_key()),
        dataclasses.replace(draft, not_after=draft.not_after.replace(year=2050, day=1)),
        dataclasses.replace(draft, subject=x509.Name(printable)),
        dataclasses.replace(draft, subject=x509.Name(name[::-1])),
        dataclasses.replace(draft, subject=x509.Name(name[1:])),
        _draft(issuer, at, ca_world.GEORGIAN),
        dataclasses.replace(draft, crl_url="http://pki.example.com/crl/citizen-2.crl"),
        dataclasses.replace(draft, qualified=None),
    ]
    found = {_form(drafts.build_twin(one)) for one in [draft, *others]}
    assert len(found) == 1 + len(others)


def test_what_a_form_was_judged_by_belongs_to_the_judgement(
    issuer: authority.Issuer, at: datetime.datetime
) -> None:
    twin_der = drafts.build_twin(_draft(issuer, at))
    lint.check_twin(twin_der, profiles.SIGN, issuer, BY_FORM, at)
    elsewhere = dataclasses.replace(BY_FORM, base_url="http://pki.example.net")
    renamed = dataclasses.replace(issuer, subject=subjects.service_name("Other CA", BY_FORM))
    another = dataclasses.replace(
        issuer, key=MemoryKey("ca-citizen", make_key(algorithms.KeyKind.P384))
    )
    for profile, signs, settings, rule in (
        (profiles.AUTHENTICATE, issuer, BY_FORM, "key-usage"),
        (profiles.SIGN, issuer, elsewhere, "status-addresses"),
        (profiles.SIGN, renamed, BY_FORM, "issuer-name"),
        (profiles.SIGN, another, BY_FORM, "key-identifiers"),
    ):
        with pytest.raises(lint.LintError, match=rule):
            lint.check_twin(twin_der, profile, signs, settings, at)


def test_what_a_certificate_of_a_known_form_says_is_read_as_from_any_other(
    issuer: authority.Issuer, at: datetime.datetime
) -> None:
    first, second = _draft(issuer, at), _draft(issuer, at + datetime.timedelta(seconds=5), OTHER)
    lint.check_twin(drafts.build_twin(first), profiles.SIGN, issuer, BY_FORM, at)
    twin_der = drafts.build_twin(second)
    found = lint.check_twin(twin_der, profiles.SIGN, issuer, BY_FORM, at)
    assert found == certificates.parse_with_facts(twin_der)[1]


def test_an_identifier_that_is_not_the_keys_own_is_another_form(
    issuer: authority.Issuer, at: datetime.datetime
) -> None:
    draft = _draft(issuer, at)
    twin_der = drafts.build_twin(draft)
    lint.check_twin(twin_der, profiles.SIGN, issuer, BY_FORM, at)
    own = certificates.parse_with_facts(twin_der)[1].subject_key_identifier
    assert own is not None
    changed = twin_der.replace(own, bytes((own[0] ^ 1,)) + own[1:])
    assert _form(changed) != _form(twin_der)
    with pytest.raises(lint.LintError, match="key-identifiers"):
        lint.check_twin(changed, profiles.SIGN, issuer, BY_FORM, at)


@pytest.mark.clause("RFC 5280", "4.2.1.2")
@pytest.mark.parametrize("kind", list(algorithms.KeyKind))
def test_the_identifier_of_a_key_is_the_library_s(kind: algorithms.KeyKind) -> None:
    public_key = make_key(kind).public_key()
    spki = public_key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    bits = der.read(spki).children()[1].content
    library = x509.SubjectKeyIdentifier.from_public_key(public_key).digest
    assert certificates.key_identifier(bits) == library


def test_a_byte_outside_of_the_varying_fields_never_changes_without_the_form(
    issuer: authority.Issuer, at: datetime.datetime
) -> None:
    twin_der = drafts.build_twin(_draft(issuer, at))
    form = _form(twin_der)
    certificate, facts = certificates.parse_with_facts(twin_der)
    assert facts.subject_key_identifier is not None
    fields = der.read(twin_der).children()[0].children()
    varying = [
        fields[1].content,
        *(one.content for one in fields[4].children()),
        *(str(one.value).encode() for one in certificate.subject if one.oid.dotted_string[-2:]),
        fields[6].children()[1].content,
        facts.subject_key_identifier,
        der.read(twin_der).children()[2].content,
    ]
    free: set[int] = set()
    for value in varying:
        start = twin_der.find(value)
        while start >= 0:
            free.update(range(start, start + len(value)))
            start = twin_der.find(value, start + 1)
    checked = 0
    for position in set(range(len(twin_der))) - free:
        changed = bytearray(twin_der)
        changed[position] ^= 0x01
        try:
            assert _form(bytes(changed)) != form, position
        except errors.InputError:
            continue  # It is no certificate any more, and refused as such.
        checked += 1
    assert checked > 300


@pytest.mark.parametrize(
    "text", ["TEST " + "Ə" * 60, "TEST A\u202eB", "TEST A\x00", " TEST A", "TEST A\u0308"]
)
def test_a_name_that_no_form_covers_is_refused_by_our_own_rule(
    text: str, issuer: authority.Issuer, at: datetime.datetime
) -> None:
    draft = _draft(issuer, at)
    lint.check_twin(drafts.build_twin(draft), profiles.SIGN, issuer, BY_FORM, at)
    name = [
        x509.NameAttribute(one.oid, text, _validate=False) if one.oid == NameOID.SURNAME else one
        for one in draft.subject
    ]
    with pytest.raises(lint.LintError, match="subject-text"):
        lint.check_twin(
            drafts.build_twin(dataclasses.replace(draft, subject=x509.Name(name))),
            profiles.SIGN,
            issuer,
            BY_FORM,
            at,
        )


@pytest.mark.clause("RFC 8017", "3.1")
def test_a_small_exponent_is_refused_whatever_form_is_known(
    issuer: authority.Issuer, at: datetime.datetime
) -> None:
    draft = _draft(issuer, at, kind=algorithms.KeyKind.RSA3072)
    lint.check_twin(drafts.build_twin(draft), profiles.SIGN, issuer, BY_FORM, at)
    weak = rsa.generate_private_key(public_exponent=3, key_size=3072).public_key()
    twin_der = drafts.build_twin(dataclasses.replace(draft, public_key=weak))
    with pytest.raises(lint.LintError, match="exponent"):
        lint.check_twin(twin_der, profiles.SIGN, issuer, BY_FORM, at)


def test_so_many_forms_are_remembered_and_no_more(
    issuer: authority.Issuer, at: datetime.datetime
) -> None:
    known = forms.KnownForms()
    facts = certificates.parse_with_facts(drafts.build_twin(_draft(issuer, at)))[1]
    for number in range(forms.MAX_FORMS + 2):
        known.learn(number, facts)
    assert known.find(0) is None
    assert known.find(forms.MAX_FORMS + 1) == facts
