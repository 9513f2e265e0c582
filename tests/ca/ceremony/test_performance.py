"""A ceremony is played, with keys in memory, and its transcript checked."""

import dataclasses
import datetime
import hashlib
import pathlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from sqlalchemy import orm

from ca import authority, foundation, hierarchy
from ca.ceremony import examination, foreign_authority, performance, script, transcript
from ca.continuity import closures
from ca.crls import frame, published
from ca.enrolment import signer
from pki import audit, certificates, profiles, registry
from pki.algorithms import KeyKind
from pki.keystore import store
from tests.support import ca_world, ceremonies, crls, trusted_lists
from tests.support.hierarchy import make_hierarchy, make_key

FOUNDING = pathlib.Path("docs/examples/ceremony.yaml").read_bytes()


@pytest.fixture
def room(sessions: orm.sessionmaker[orm.Session], at: datetime.datetime) -> ceremonies.CeremonyRoom:
    return ceremonies.make_room(sessions, at)


@pytest.fixture
def founded(room: ceremonies.CeremonyRoom) -> ceremonies.CeremonyRoom:
    performance.play(room.stage, script.read(FOUNDING))
    return room


def _play(room: ceremonies.CeremonyRoom, *steps: str) -> examination.Examination:
    signed = performance.play(room.stage, script.read(ceremonies.script_of(*steps)))
    if signed.stopped_by is not None:
        raise signed.stopped_by
    return examination.examine(signed.content, signed.signature_der, room.root())


def test_the_example_founds_a_hierarchy_whose_transcript_checks(
    room: ceremonies.CeremonyRoom,
) -> None:
    signed = performance.play(room.stage, script.read(FOUNDING))
    assert signed.stopped_by is None
    found = examination.examine(signed.content, signed.signature_der, room.root())
    assert found.transcript.outcome == transcript.COMPLETED
    assert len(found.transcript.steps) == 27
    assert len(room.asked) == 15 * 3 + 12 * 2 + 3
    assert all("could be copied" in one for one in found.warnings)
    made = hierarchy.load(room.sessions, room.keys, ca_world.SETTINGS)
    assert set(made.authorities) == set(hierarchy.TITLES)
    with room.sessions() as session:
        audit.verify(session)
        newest = audit.entries(session, after=audit.head(session).number - 1, limit=1)[0]
    assert newest.event == audit.AuditEvent.CEREMONY_CLOSED.value
    assert hashlib.sha256(signed.content).hexdigest() in newest.details


def test_init_after_a_ceremony_changes_nothing(founded: ceremonies.CeremonyRoom) -> None:
    with founded.sessions() as session:
        before = audit.head(session)
    at = founded.present.now()
    made = foundation.initialise(founded.sessions, founded.keys, trusted_lists.SETTINGS, at)
    signer.CurrentSigner(founded.sessions, founded.keys, made, at)
    with founded.sessions() as session:
        assert audit.head(session) == before


def test_every_witness_is_asked_before_each_step_and_told_after(
    room: ceremonies.CeremonyRoom,
) -> None:
    room.refuses_at = "step 3 of 27"
    signed = performance.play(room.stage, script.read(FOUNDING))
    assert isinstance(signed.stopped_by, performance.NotConfirmedError)
    assert room.keys.labels() == ("root",)
    found = examination.examine(signed.content, signed.signature_der, room.root())
    assert found.transcript.outcome == transcript.STOPPED
    assert len(found.transcript.steps) == 2
    assert any("stopped" in one for one in found.warnings)


def test_a_ceremony_that_stops_before_there_is_a_root_signs_nothing(
    room: ceremonies.CeremonyRoom,
) -> None:
    room.refuses_at = "step 2"
    with pytest.raises(performance.NotConfirmedError):
        performance.play(room.stage, script.read(FOUNDING))


def test_a_stopped_ceremony_is_continued_by_the_steps_that_are_left(
    room: ceremonies.CeremonyRoom,
) -> None:
    room.refuses_at = "step 4 of 27"
    performance.play(room.stage, script.read(FOUNDING))
    room.refuses_at = "\0"
    found = _play(room, "do: certify-authority, name: citizen", "do: publish-crl, name: citizen")
    assert [one.name for one in found.transcript.present] == ["root"]


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("do: generate-key, label: root, kind: P-384", store.KeyExistsError),
        ("do: certify-authority, name: citizen", performance.NotPlayedError),
        ("do: certify-responder, name: citizen", performance.NotPlayedError),
        ("do: certify-time-stamping-unit", performance.NotPlayedError),
        ("do: certify-trusted-list-signer", performance.NotPlayedError),
        ("do: certify-cmp-signer", performance.NotPlayedError),
    ],
)
def test_a_step_that_was_done_before_is_refused(
    founded: ceremonies.CeremonyRoom, step: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        _play(founded, step)


def test_a_second_root_is_refused(founded: ceremonies.CeremonyRoom) -> None:
    with pytest.raises(performance.NotPlayedError, match="a root already"):
        performance.play(founded.stage, script.read(FOUNDING))


def test_a_certificate_needs_its_key_to_be_made_before(room: ceremonies.CeremonyRoom) -> None:
    with pytest.raises(store.KeyNotFoundError):
        _play(room, "do: certify-root")
    assert room.keys.labels() == ()


def test_a_script_plays_on_its_day_alone(room: ceremonies.CeremonyRoom) -> None:
    steps = ["do: generate-key, label: root, kind: P-384", "do: certify-root"]
    tomorrow = (room.present.now() + datetime.timedelta(days=1)).date()
    with pytest.raises(performance.NotPlayedError, match="the day of the script"):
        performance.play(room.stage, script.read(ceremonies.script_of(*steps, date=str(tomorrow))))
    today = str(room.present.now().date())
    signed = performance.play(room.stage, script.read(ceremonies.script_of(*steps, date=today)))
    assert signed.stopped_by is None


@pytest.mark.clause("EN 319 411-1", "6.5.2")
def test_a_real_installation_keeps_its_keys_inside_and_asks_its_witnesses(
    room: ceremonies.CeremonyRoom,
) -> None:
    room.settings = dataclasses.replace(ca_world.SETTINGS, test=False, policy_arc="1.3.6.1.4.1.1.1")
    with pytest.raises(performance.NotPlayedError, match="today"):
        performance.play(room.stage, script.read(FOUNDING))
    today = str(room.present.now().date())
    steps = ["do: generate-key, label: root, kind: P-384", "do: certify-root"]
    played = script.read(ceremonies.script_of(*steps, date=today))
    with pytest.raises(performance.NotPlayedError, match="could be copied"):
        performance.play(room.stage, played)
    with pytest.raises(performance.NotPlayedError, match="for themselves"):
        performance.play(dataclasses.replace(room.stage, unattended=True), played)


def test_the_certification_authority_works_without_the_roots_key(
    founded: ceremonies.CeremonyRoom, caplog: pytest.LogCaptureFixture
) -> None:
    at = founded.present.now()
    away = ceremonies.without(founded.keys, "root")
    served = hierarchy.start(founded.sessions, away, ca_world.SETTINGS, at)
    assert set(served.authorities) == {"citizen", "business", "official", "infrastructure"}
    with pytest.raises(hierarchy.RootOfflineError):
        served.named("root")
    with pytest.raises(published.CRLNotFoundError):
        served.named("nobody")
    later = at + datetime.timedelta(hours=1)
    made = hierarchy.publish_due_crls(founded.sessions, served, later)
    assert {one.issuer_name for one in made} == set(served.authorities)
    assert "root_crl_due" not in caplog.text
    hierarchy.publish_due_crls(founded.sessions, served, at + datetime.timedelta(days=151))
    assert "root_crl_due" in caplog.text
    foundation.initialise(founded.sessions, away, ca_world.SETTINGS, at)
    assert "root" not in away.labels()


def test_a_hierarchy_that_is_not_whole_is_not_finished_without_the_roots_key(
    room: ceremonies.CeremonyRoom,
) -> None:
    _play(room, "do: generate-key, label: root, kind: P-384", "do: certify-root")
    away = ceremonies.without(room.keys, "root")
    with pytest.raises(hierarchy.RootOfflineError):
        foundation.initialise(room.sessions, away, ca_world.SETTINGS, room.present.now())
    with pytest.raises(hierarchy.RootOfflineError):
        performance.play(
            dataclasses.replace(room.stage, keys=away),
            script.read(ceremonies.script_of("do: publish-crl, name: root")),
        )
    assert away.labels() == ()


def test_the_roots_crl_is_published_in_a_ceremony(founded: ceremonies.CeremonyRoom) -> None:
    found = _play(founded, "do: publish-crl, name: root")
    assert found.transcript.steps[0].crls[0].number == 2
    assert found.warnings == ()


def test_another_countrys_request_is_cross_certified(founded: ceremonies.CeremonyRoom) -> None:
    key = make_key(KeyKind.RSA3072)
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(ca_world.FOREIGN_AUTHORITY)
        .sign(key, KeyKind.RSA3072.hash_algorithm.hasher)
        .public_bytes(serialization.Encoding.PEM)
    )
    founded.files["ge.csr"] = request
    sha256 = hashlib.sha256(request).hexdigest()
    step = f"do: cross-certify, name: ge, file: ge.csr, sha256: {sha256}, days: 365"
    found = _play(founded, step)
    made = certificates.parse(
        transcript.decode(found.transcript.steps[0].certificates[0].certificate)
    )
    assert made.subject.public_bytes() == ca_world.FOREIGN_AUTHORITY.public_bytes()
    assert made.public_key() == key.public_key()
    assert made.not_valid_after_utc - made.not_valid_before_utc < datetime.timedelta(days=365)
    facts = certificates.read(made)
    assert facts.policies == (f"{ca_world.SETTINGS.policies_under}.21",)
    with founded.sessions() as session:
        assert registry.find(session, made.serial_number).profile == profiles.CROSS_AUTHORITY.name
    founded.files["ge.csr"] = request + b"\n"
    with pytest.raises(foreign_authority.ForeignAuthorityError, match="SHA-256"):
        _play(founded, step)


def test_an_authority_of_our_own_is_not_cross_certified(
    founded: ceremonies.CeremonyRoom,
) -> None:

    with founded.sessions() as session:
        own = next(one for one in registry.issuers(session) if one.name == "citizen")
    content = certificates.to_der(own.certificate)
    founded.files["own.cer"] = content
    sha256 = hashlib.sha256(content).hexdigest()
    with pytest.raises(Exception, match=r"another country|another subject or another use"):
        _play(founded, f"do: cross-certify, name: own, file: own.cer, sha256: {sha256}, days: 9")


def test_a_foreign_certificate_must_be_an_authoritys(at: datetime.datetime) -> None:
    made = make_hierarchy(at)
    issuing = made.issuing.der
    read = foreign_authority.read(issuing, hashlib.sha256(issuing).hexdigest())
    assert read.subject == made.issuing.certificate.subject
    assert read.not_after == made.issuing.certificate.not_valid_after_utc
    person = made.signer().der
    with pytest.raises(foreign_authority.ForeignAuthorityError, match="an authority"):
        foreign_authority.read(person, hashlib.sha256(person).hexdigest())


def test_a_ceremony_makes_the_next_generation_and_revokes_the_last(
    founded: ceremonies.CeremonyRoom,
) -> None:
    found = _play(
        founded,
        "do: generate-key, label: ca-citizen-2, kind: P-384",
        "do: certify-authority, name: citizen-2",
        "do: generate-key, label: ocsp-citizen-2, kind: P-256",
        "do: certify-responder, name: citizen-2",
        "do: publish-crl, name: citizen-2",
        "do: generate-key, label: tsu-2, kind: P-384",
        "do: certify-time-stamping-unit, name: tsu-2",
        "do: revoke-authority, name: citizen, reason: cACompromise",
    )
    assert found.transcript.outcome == transcript.COMPLETED
    opened = hierarchy.load(founded.sessions, founded.keys, ca_world.SETTINGS)
    assert opened.current("citizen").name == "citizen-2"
    listed = x509.load_der_x509_crl(transcript.decode(found.transcript.steps[-1].crls[0].crl))
    serial = opened.authorities["citizen"].certificate.serial_number
    assert listed.get_revoked_certificate_by_serial_number(serial) is not None
    with founded.sessions() as session:
        assert closures.find(session, "citizen") is not None


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ("do: revoke-authority, name: root, reason: cACompromise", "expected a name of citizen"),
        ("do: revoke-authority, name: citizen, reason: keyCompromise", "expected a reason of"),
        ("do: certify-authority, name: citizen-1", "expected a name of citizen"),
        ("do: certify-responder, name: infrastructure-2", "expected a name of citizen"),
        ("do: certify-time-stamping-unit, name: unit", "expected a name of time-stamping"),
    ],
)
def test_a_step_about_an_impossible_authority_is_refused(step: str, says: str) -> None:
    with pytest.raises(script.ScriptError, match=says):
        script.read(ceremonies.script_of(step))


def test_a_transcript_whose_root_crl_revokes_nobody_is_refused(
    founded: ceremonies.CeremonyRoom,
) -> None:
    signed = performance.play(
        founded.stage,
        script.read(
            ceremonies.script_of("do: revoke-authority, name: citizen, reason: cACompromise")
        ),
    )
    record = transcript.read(signed.content)
    (step,) = record.steps
    with founded.sessions() as session:
        earlier = crls.newest(session, "root")
    full = hierarchy.load_present(founded.sessions, founded.keys, ca_world.SETTINGS)
    header = frame.Header(99, None, earlier.this_update, earlier.next_update, None, None)
    other = frame.build(full.named("root"), header)
    forged_der = authority.sign_like(other, full.named("root").issuer.key)
    forged = dataclasses.replace(
        step.crls[0],
        number=99,
        crl=transcript.encode(forged_der),
        sha256=hashlib.sha256(forged_der).hexdigest(),
    )
    content = transcript.write(
        dataclasses.replace(record, steps=(dataclasses.replace(step, crls=(forged,)),))
    )
    signature_der = ceremonies.sign_as_the_root_would(founded, content)
    with pytest.raises(transcript.TranscriptError, match="does not revoke"):
        examination.examine(content, signature_der, founded.root())
