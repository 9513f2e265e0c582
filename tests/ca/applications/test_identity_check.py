"""Documents, consulates, registers and qualified signatures: what establishes an identity."""

import dataclasses
import datetime
import pathlib
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st

from ca import revocation, subjects
from ca.applications import approval, cms_signature, identity_check, signed_text, states
from ca.registers import local_register, tables
from pki import algorithms, certificates, errors, registration, status
from pki import vetting as vettings
from tests.support import ca_world
from tests.support.hierarchy import make_key

CITIZEN = subjects.Applicant(registration.Category.CITIZEN, ca_world.CITIZEN)
GEORGIAN = subjects.Applicant(registration.Category.CITIZEN, ca_world.GEORGIAN)


def _document(text: str) -> vettings.Document:
    return vettings.Document.parse(text)


def _examine(
    world: ca_world.World,
    applicant: subjects.Applicant,
    handed_in: vettings.Vetting,
    *,
    register: bool = False,
) -> str:
    desk = identity_check.Desk(
        world.sessions,
        world.hierarchy,
        local_register.LocalRegister(world.sessions) if register else None,
    )
    return identity_check.examine(
        desk, applicant, handed_in, world.at, officer="officer-1"
    ).to_json()


@pytest.mark.parametrize(
    "document",
    ["passport:AZ:C0123456:2035-01-31", "identity_card:AZ:AA 123/4:2099-01-31"],
)
def test_a_resident_shows_a_passport_or_an_identity_card(
    world: ca_world.World, document: str
) -> None:
    assert '"in_person"' in _examine(world, CITIZEN, vettings.Vetting((_document(document),)))


@pytest.mark.parametrize(
    "documents",
    [
        [],
        ["passport:GE:C0123456:2035-01-31"],
        ["residence_permit:AZ:C0123456:2035-01-31"],
        ["passport:AZ:C0123456:2026-01-30"],
        ["passport:AZ:C0123456:2035-01-31", "identity_card:AZ:AA12345:2020-01-01"],
        ["passport:AZ:C0123456:2035-01-31"] * 6,
    ],
    ids=str,
)
def test_documents_that_do_not_identify_are_refused(
    world: ca_world.World, documents: list[str]
) -> None:
    with pytest.raises(identity_check.VettingRefusedError):
        _examine(world, CITIZEN, vettings.Vetting(tuple(map(_document, documents))))


@pytest.mark.parametrize("number", ["", "c0123456", "A" * 30, "A\nB1", "Ə123"])
def test_a_number_that_no_document_has_is_refused_and_not_repeated(
    world: ca_world.World, number: str
) -> None:
    document = vettings.Document(
        vettings.DocumentKind.PASSPORT, "AZ", number, datetime.date(2035, 1, 31)
    )
    with pytest.raises(vettings.VettingInputError) as refused:
        _examine(world, CITIZEN, vettings.Vetting((document,)))
    assert not number or number not in refused.value.message


def test_a_non_resident_shows_a_passport_of_their_own_country(world: ca_world.World) -> None:
    _examine(world, GEORGIAN, ca_world.vetting_of(ca_world.GEORGIAN))
    card = vettings.Vetting((_document("identity_card:GE:C0123456:2035-01-31"),))
    with pytest.raises(identity_check.VettingRefusedError, match="passport"):
        _examine(world, GEORGIAN, card)


def test_a_consulate_vets_non_residents_alone_and_is_named(world: ca_world.World) -> None:
    seen = ca_world.vetting_of(ca_world.GEORGIAN).documents
    there = vettings.Vetting(seen, vettings.Method.CONSULATE, "TEST Tbilisi")
    assert "TEST Tbilisi" in _examine(world, GEORGIAN, there)
    for wrong in (
        vettings.Vetting(seen, vettings.Method.CONSULATE),
        vettings.Vetting(seen, vettings.Method.IN_PERSON, "TEST Tbilisi"),
        vettings.Vetting((), vettings.Method.CONSULATE, "TEST Tbilisi"),
    ):
        with pytest.raises(identity_check.VettingRefusedError):
            _examine(world, GEORGIAN, wrong)
    resident = vettings.Vetting(
        ca_world.VETTING.documents, vettings.Method.CONSULATE, "TEST Tbilisi"
    )
    with pytest.raises(identity_check.VettingRefusedError, match="non-resident"):
        _examine(world, CITIZEN, resident)


@pytest.mark.parametrize("person", [ca_world.TURK, ca_world.UKRAINIAN], ids=lambda one: one.country)
@pytest.mark.parametrize("method", [vettings.Method.CONSULATE, vettings.Method.IN_PERSON])
@pytest.mark.clause("EN 319 412-1", "5.1.3")
def test_who_is_named_by_a_document_shows_that_document(
    world: ca_world.World, person: registration.Person, method: vettings.Method
) -> None:
    applicant = subjects.Applicant(registration.Category.CITIZEN, person)
    consulate = "TEST Ankara" if method is vettings.Method.CONSULATE else None
    (seen,) = ca_world.vetting_of(person).documents
    spaced = dataclasses.replace(seen, number=f"{seen.number[:3]} {seen.number[3:]}")
    for shown in (seen, spaced):
        _examine(world, applicant, vettings.Vetting((shown,), method, consulate))
    (other_kind,) = {vettings.DocumentKind.PASSPORT, vettings.DocumentKind.IDENTITY_CARD} - {
        seen.kind
    }
    for wrong in (
        dataclasses.replace(seen, number="U00000000"),
        dataclasses.replace(seen, country="GE"),
        dataclasses.replace(seen, kind=other_kind),
        dataclasses.replace(seen, kind=vettings.DocumentKind.RESIDENCE_PERMIT),
        dataclasses.replace(seen, expires=datetime.date(2020, 1, 1)),
    ):
        with pytest.raises(identity_check.VettingRefusedError):
            _examine(world, applicant, vettings.Vetting((wrong,), method, consulate))


def test_a_consulates_word_is_judged_by_a_second_operator(world: ca_world.World) -> None:
    seen = ca_world.vetting_of(ca_world.GEORGIAN).documents
    there = vettings.Vetting(seen, vettings.Method.CONSULATE, "TEST Tbilisi")
    made = world.vetted(GEORGIAN, there)
    assert made.state is registration.ApplicationState.AWAITING_APPROVAL
    with world.sessions() as session, pytest.raises(approval.FourEyesError):
        states.approve_application(session, made.id, world.at, operator=ca_world.OFFICER)


def test_the_record_names_the_register_and_its_answers_digest(world: ca_world.World) -> None:
    with world.sessions() as session:
        session.add(
            tables.RegisteredPersonRow(
                country="AZ",
                person_code="5AB12CD",
                surname=ca_world.CITIZEN.surname,
                given_name=ca_world.CITIZEN.given_name,
                state="alive",
            )
        )
        session.commit()
    record = _examine(world, CITIZEN, ca_world.VETTING, register=True)
    assert '"asked":true' in record
    assert '"register":"local"' in record
    assert '"asked":false' in _examine(world, CITIZEN, ca_world.VETTING)
    nobody = subjects.Applicant(
        registration.Category.CITIZEN,
        registration.Person("AZ", "7XY34ZK", "TEST Məmmədov", "Elçin"),
    )
    with pytest.raises(errors.PolicyError, match="person_code"):
        _examine(world, nobody, ca_world.VETTING, register=True)


class Signer:
    """A person with a qualified certificate of the world's CA, who signs with openssl."""

    def __init__(
        self,
        world: ca_world.World,
        folder: pathlib.Path,
        person: registration.Person = ca_world.CITIZEN,
        profile: str = "sign",
    ) -> None:
        self._folder = folder
        key = make_key(algorithms.KeyKind.P256)
        csr = ca_world.make_csr(key=key)
        issued = world.certify(world.application(person), profile, csr)
        self.serial_number = issued.record.serial_number
        self.certificate = folder / f"{self.serial_number:x}.pem"
        self.certificate.write_text(certificates.to_pem(certificates.parse(issued.certificate_der)))
        self.key = folder / f"{self.serial_number:x}.key"
        self.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

    def sign(self, content: bytes, *options: str) -> bytes:
        text = self._folder / "text"
        text.write_bytes(content)
        return subprocess.run(
            [
                *("openssl", "cms", "-sign", "-binary", "-md", "sha256", "-in", str(text)),
                *("-signer", str(self.certificate), "-inkey", str(self.key)),
                *("-outform", "DER", *(options or ("-cades",))),
            ],
            check=True,
            capture_output=True,
            timeout=60,
        ).stdout


@pytest.fixture
def case(world: ca_world.World) -> states.Case:
    """An application that is recorded and not vetted."""
    with world.sessions() as session:
        made = states.record_application(session, CITIZEN, world.at, operator=ca_world.OFFICER)
        session.commit()
        return states.find(session, made.id)


def _vet(world: ca_world.World, case: states.Case, signature: bytes) -> str:
    handed_in = vettings.Vetting((), vettings.Method.QUALIFIED_SIGNATURE, None, signature)
    return identity_check.examine(
        world.desk, case.applicant, handed_in, world.at, officer="officer-1", case=case
    ).to_json()


@pytest.mark.peer
def test_the_applicants_qualified_signature_establishes_who_they_are(
    world: ca_world.World, case: states.Case, tmp_path: pathlib.Path
) -> None:
    signer = Signer(world, tmp_path)
    text = signed_text.text_of(case)
    assert case.id in text.decode()
    record = _vet(world, case, signer.sign(text))
    assert f"{signer.serial_number:x}" in record
    assert "qualified_signature" in record


@pytest.mark.peer
def test_a_signature_that_proves_nothing_is_refused(
    world: ca_world.World, case: states.Case, tmp_path: pathlib.Path
) -> None:
    signer = Signer(world, tmp_path)
    text = signed_text.text_of(case)
    good = signer.sign(text)
    refused = (signed_text.SignatureRefusedError, cms_signature.CMSSignatureError)

    other_text = text.replace(case.id.encode(), b"0" * 32)
    for wrong in (
        signer.sign(other_text),
        signer.sign(text, "-nodetach", "-cades"),
        signer.sign(text, "-noattr"),
        signer.sign(text, "-md", "sha256"),  # without signing-certificate-v2
        Signer(world, tmp_path, ca_world.GEORGIAN).sign(text),
        Signer(world, tmp_path, profile="authenticate").sign(text),
        good[:-1],
        good + b"\0",
        b"",
        b"x" * (cms_signature.MAX_SIGNATURE_BYTES + 1),
    ):
        with pytest.raises(refused):
            _vet(world, case, wrong)

    with world.sessions() as session:
        revocation.hold(session, signer.serial_number, world.at, actor="test")
        session.commit()
    with pytest.raises(signed_text.SignatureRefusedError, match="on hold"):
        _vet(world, case, good)
    with world.sessions() as session:
        revocation.release(session, signer.serial_number, world.at, actor="test")
        session.commit()
    _vet(world, case, good)
    with world.sessions() as session:
        revocation.revoke(
            session,
            signer.serial_number,
            status.RevocationReason.keyCompromise,
            world.at,
            actor="test",
        )
        session.commit()
    with pytest.raises(signed_text.SignatureRefusedError, match="revoked"):
        _vet(world, case, good)


@pytest.mark.peer
def test_an_expired_certificates_signature_is_refused(
    world: ca_world.World, case: states.Case, tmp_path: pathlib.Path
) -> None:
    good = Signer(world, tmp_path).sign(signed_text.text_of(case))
    later = world.at + datetime.timedelta(days=4 * 365)
    handed_in = vettings.Vetting((), vettings.Method.QUALIFIED_SIGNATURE, None, good)
    with pytest.raises(signed_text.SignatureRefusedError, match="not valid now"):
        identity_check.examine(
            world.desk, case.applicant, handed_in, later, officer="officer-1", case=case
        )


def test_a_signature_needs_a_recorded_application(world: ca_world.World) -> None:
    handed_in = vettings.Vetting((), vettings.Method.QUALIFIED_SIGNATURE, None, b"x")
    with pytest.raises(identity_check.VettingRefusedError, match="recorded"):
        _examine(world, CITIZEN, handed_in)
    with pytest.raises(identity_check.VettingRefusedError, match="expected a signature"):
        _examine(world, CITIZEN, vettings.Vetting((), vettings.Method.QUALIFIED_SIGNATURE))


@pytest.mark.peer
def test_a_mutated_signature_is_refused_and_raises_nothing_else(
    world: ca_world.World, case: states.Case, tmp_path: pathlib.Path
) -> None:
    signer = Signer(world, tmp_path)
    text = signed_text.text_of(case)
    good = signer.sign(text)
    certificate = x509.load_pem_x509_certificate(signer.certificate.read_bytes())

    @settings(max_examples=400, deadline=None)
    @given(st.integers(0, len(good) - 1), st.integers(1, 255))
    def mutate(place: int, change: int) -> None:
        mutated = bytearray(good)
        mutated[place] ^= change
        try:
            parsed = cms_signature.parse(bytes(mutated))
            cms_signature.check(parsed, text, certificate)
        except errors.InputError:
            return
        # What may change unseen is what nobody reads: certificates sent along, versions.
        assert parsed.value == cms_signature.parse(good).value
        assert parsed.signed_attributes == cms_signature.parse(good).signed_attributes

    mutate()
