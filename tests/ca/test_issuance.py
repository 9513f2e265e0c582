import concurrent.futures
import datetime
import multiprocessing
import pathlib
import signal

import pytest
import sqlalchemy
from cryptography import x509

from ca import authority, drafts, hierarchy, intents, issuance, lint, orders, subjects
from ca.applications import states
from ca.crls import tables as crl_tables
from pki import (
    algorithms,
    audit,
    certificates,
    clock,
    database,
    errors,
    failpoints,
    profiles,
    registration,
    registry,
    status,
)
from tests.support import ca_world, crls
from tests.support.hierarchy import make_key


def test_the_same_request_again_gives_the_same_certificate(world: ca_world.World) -> None:
    application, csr_der = world.application(), ca_world.make_csr()
    first = world.certify(application, csr_der=csr_der)
    signatures = world.keys.signatures

    second = world.certify(application, csr_der=csr_der)

    assert second.certificate_der == first.certificate_der
    assert world.keys.signatures == signatures


def test_another_key_needs_another_application(world: ca_world.World) -> None:
    application = world.application()
    world.certify(application)
    with pytest.raises(orders.RequestAnsweredError):
        world.certify(application)


def test_a_key_serves_one_subject_and_one_use(world: ca_world.World) -> None:
    csr_der = ca_world.make_csr()
    application = world.application()
    world.certify(application, "sign", csr_der)
    with pytest.raises(orders.KeyCertifiedError):
        world.certify(application, "authenticate", csr_der)
    with pytest.raises(orders.KeyCertifiedError):
        world.certify(world.application(ca_world.GEORGIAN), "sign", csr_der)


@pytest.mark.parametrize(
    ("person", "category"),
    [
        (ca_world.CITIZEN, registration.Category.CITIZEN),
        (ca_world.GEORGIAN, registration.Category.BUSINESS),
        (ca_world.ESTONIAN, registration.Category.OFFICIAL),
    ],
)
@pytest.mark.clause("EN 319 412-2", "4.2.4")
def test_the_certificate_names_the_vetted_person_as_the_document_does(
    world: ca_world.World, person: registration.Person, category: registration.Category
) -> None:
    issued = world.certify(world.application(person, category))

    facts = certificates.read(certificates.parse(issued.certificate_der))
    assert facts.given_name == person.given_name
    assert (facts.surname or "").removeprefix("TEST ") == person.surname
    assert facts.identifier == f"PNO{person.country}-{person.person_code}"
    assert facts.common_name == f"{facts.surname},{facts.given_name},{facts.person_code}"
    assert "TEST" in facts.subject
    assert "TEST" in facts.issuer
    assert facts.is_for_signing
    assert facts.qualified.secure_device
    assert (facts.organisation is None) == (category is registration.Category.CITIZEN)


def test_the_chain_leads_from_the_certificate_to_the_root(world: ca_world.World) -> None:
    issued = world.certify(world.application())
    chain = [certificates.parse(one) for one in (issued.certificate_der, *issued.chain_der)]
    for certificate, issuer in zip(chain, [*chain[1:], chain[-1]], strict=True):
        certificates.check_issued_by(certificate, issuer)
    assert len(chain) == 3


@pytest.mark.parametrize("kind", list(algorithms.KeyKind))
def test_every_kind_of_key_can_be_certified(
    world: ca_world.World, kind: algorithms.KeyKind
) -> None:
    issued = world.certify(world.application(), csr_der=ca_world.make_csr(kind))
    assert certificates.read(certificates.parse(issued.certificate_der)).key_kind is kind


def test_the_bytes_were_recorded_before_they_were_signed(world: ca_world.World) -> None:
    issued = world.certify(world.application())
    with world.sessions() as session:
        row = registry.find_row(session, issued.record.serial_number)
        assert row.to_be_signed_der == authority.to_be_signed(issued.certificate_der)
        events = session.scalars(
            sqlalchemy.select(audit.EntryRow.event)
            .where(audit.EntryRow.details.contains(row.serial_number))
            .order_by(audit.EntryRow.number)
        ).all()
        assert events == ["certificate.intended", "certificate.issued"]
        audit.verify(session)


def test_a_key_that_fails_after_signing_leaves_a_revoked_serial(world: ca_world.World) -> None:
    application, csr_der = world.application(), ca_world.make_csr()
    key = world.keys.counted["ca-citizen"]
    key.fails_with = errors.DeviceError("the session was lost", retriable=True)
    with pytest.raises(errors.DeviceError):
        world.certify(application, csr_der=csr_der)
    key.fails_with = None

    with world.sessions() as session:
        row = session.scalars(
            sqlalchemy.select(registry.CertificateRow).where(
                registry.CertificateRow.state == registry.CertificateState.ABANDONED.value
            )
        ).one()
        found = registry.status_of(session, "citizen", int(row.serial_number, 16))
        assert found is not None
        assert not found.is_good
        assert int(row.serial_number, 16) in registry.revoked(session, "citizen")
    again = world.certify(application, csr_der=csr_der)
    assert again.record.serial_number != int(row.serial_number, 16)


def test_a_key_that_signs_something_else_is_noticed(world: ca_world.World) -> None:
    twin_der = drafts.build_twin(_draft(world))
    key = world.keys.counted["ca-citizen"]

    class OtherKey:
        label = "other"
        public_key = key.public_key

        def sign(self, representation: object) -> object:
            return world.keys.counted["ca-business"].sign(representation)  # type: ignore[arg-type]

    with pytest.raises(errors.InputError):
        authority.sign_like(twin_der, OtherKey())  # type: ignore[arg-type]


def test_an_intent_is_neither_good_nor_handed_out(world: ca_world.World) -> None:
    draft = _draft(world)
    request = orders.IssuanceRequest("application/x/sign", "test")
    judged = _judged(world, draft, request)
    assert intents.record(world.sessions, {0: judged}, world.at) == {}

    with world.sessions() as session:
        assert registry.status_of(session, "citizen", draft.serial_number) is None
    with pytest.raises(orders.RequestInProgressError):
        issuance.issue_certificate(world.sessions, draft, request, world.settings, world.at)

    assert intents.reconcile(world.sessions, world.at) == (draft.serial_number,)
    with world.sessions() as session:
        found = registry.status_of(session, "citizen", draft.serial_number)
    assert found == status.CertificateStatus(world.at, status.RevocationReason.unspecified, None)
    assert intents.reconcile(world.sessions, world.at) == ()


def test_a_process_whose_intent_was_abandoned_stores_nothing(world: ca_world.World) -> None:
    draft = _draft(world)
    request = orders.IssuanceRequest("application/x/sign", "test")
    judged = _judged(world, draft, request)
    intents.record(world.sessions, {0: judged}, world.at)
    certificate_der = authority.sign_like(judged.twin_der, draft.issuer.key)
    intents.reconcile(world.sessions, world.at)

    stored = intents.fulfil(world.sessions, {0: judged}, {0: certificate_der}, world.at)
    assert isinstance(stored[0], orders.IssuanceAbandonedError)
    with world.sessions() as session:
        assert registry.find_issued(session, certificate_der) is None


def test_no_certificate_outlives_its_issuer(world: ca_world.World) -> None:
    issuer = world.hierarchy.authorities["citizen"].issuer
    late = issuer.not_after - (profiles.SIGN.validity / 2)
    issued = world.certify(world.application(), at=late)
    assert issued.record.not_after == issuer.not_after
    with pytest.raises(drafts.ProfileRefusedError):
        world.certify(world.application(ca_world.GEORGIAN), at=issuer.not_after)


def test_a_changed_application_is_not_certified(world: ca_world.World) -> None:
    application = world.application()
    with world.sessions() as session:
        from ca import tables

        row = session.get(tables.ApplicationRow, application)
        assert row is not None
        row.surname = "Başqa"
        session.commit()
    with pytest.raises(states.ApplicationAlteredError):
        world.certify(application)


@pytest.mark.parametrize("failpoint", ["intent", "sign"])
def test_a_killed_process_leaves_no_certificate_unknown(
    tmp_path: pathlib.Path, failpoint: str
) -> None:
    url = f"sqlite:///{tmp_path}/ca.sqlite"
    engine = database.connect(url)
    database.Base.metadata.create_all(engine)
    sessions = database.session_factory(engine)
    at = clock.whole_seconds(clock.SystemClock().now())
    signed = tmp_path / "signed"
    process = multiprocessing.get_context("spawn").Process(
        target=_issue_and_die, args=(url, failpoint, str(signed))
    )
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL

    with sessions() as session:
        open_intents = session.scalars(
            sqlalchemy.select(registry.CertificateRow).where(
                registry.CertificateRow.state == registry.CertificateState.INTENDED.value
            )
        ).all()
    assert len(open_intents) == 1
    serial = int(open_intents[0].serial_number, 16)
    # What the key signed before the kill, if it got that far, is exactly what was recorded.
    assert signed.exists() == (failpoint == "sign")
    if signed.exists():
        recorded = algorithms.HashAlgorithm.SHA384.digest(open_intents[0].to_be_signed_der)
        assert signed.read_bytes() == recorded

    assert intents.reconcile(sessions, at) == (serial,)
    with sessions() as session:
        found = registry.status_of(session, "citizen", serial)
        assert found is not None
        assert not found.is_good
        audit.verify(session)
    engine.dispose()


def _issue_and_die(url: str, failpoint: str, signed: str) -> None:
    engine = database.connect(url)
    at = clock.whole_seconds(clock.SystemClock().now())
    world = ca_world.make_world(database.session_factory(engine), at)
    key = world.keys.counted["ca-citizen"]
    sign = key.sign

    def sign_and_note(representation: object) -> object:
        value = sign(representation)  # type: ignore[arg-type]
        pathlib.Path(signed).write_bytes(representation.hash)  # type: ignore[attr-defined]
        return value

    key.sign = sign_and_note  # type: ignore[method-assign,assignment]
    failpoints.arm(failpoint)
    world.certify(world.application())


def test_a_broken_twin_is_neither_recorded_nor_signed(world: ca_world.World) -> None:
    draft = _draft(world, not_before=world.at - datetime.timedelta(days=30 * 365))
    signatures = world.keys.signatures
    with pytest.raises(lint.LintError):
        issuance.issue_certificate(
            world.sessions, draft, orders.IssuanceRequest("x", "test"), world.settings, world.at
        )
    assert world.keys.signatures == signatures
    with world.sessions() as session, pytest.raises(registry.CertificateNotFoundError):
        registry.find_row(session, draft.serial_number)


def _judged(
    world: ca_world.World, draft: drafts.CertificateDraft, request: orders.IssuanceRequest
) -> orders.JudgedOrder:
    order = orders.Order(draft, request)
    return issuance.judge(drafts.build_twin(draft), order, world.settings, world.at)


def _draft(world: ca_world.World, **changes: object) -> drafts.CertificateDraft:
    import dataclasses

    applicant = subjects.Applicant(registration.Category.CITIZEN, ca_world.CITIZEN)
    draft = drafts.draft_certificate(
        profiles.SIGN,
        world.hierarchy.authorities["citizen"].issuer,
        subjects.subject_name(applicant, world.settings),
        make_key(algorithms.KeyKind.P256).public_key(),
        world.settings,
        world.at,
    )
    return dataclasses.replace(draft, **changes)  # type: ignore[arg-type]


def test_the_root_certifies_itself_and_nobody_else_does(world: ca_world.World) -> None:
    root = world.hierarchy.authorities[hierarchy.ROOT].certificate
    assert root.subject == root.issuer
    assert isinstance(root, x509.Certificate)


def test_many_at_once_get_one_certificate_and_the_log_stays_whole(world: ca_world.World) -> None:
    application, csr_der = world.application(), ca_world.make_csr()
    others = [world.application() for _ in range(6)]

    def ask(application_id: str, csr_der: bytes) -> bytes | None:
        try:
            return world.certify(application_id, csr_der=csr_der).certificate_der
        except orders.RequestInProgressError:
            return None

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        same = [pool.submit(ask, application, csr_der) for _ in range(6)]
        different = [pool.submit(ask, one, ca_world.make_csr()) for one in others]
        answers = {one.result() for one in same} - {None}
        assert len({one.result() for one in different} - {None}) == len(others)

    assert answers == {world.certify(application, csr_der=csr_der).certificate_der}
    with world.sessions() as session:
        audit.verify(session)
        states = session.scalars(sqlalchemy.select(registry.CertificateRow.state)).all()
    assert set(states) == {registry.CertificateState.ISSUED.value}


def test_one_key_asked_for_twice_at_once_is_certified_once(world: ca_world.World) -> None:
    csr_der = ca_world.make_csr()
    people = [ca_world.CITIZEN, ca_world.GEORGIAN, ca_world.ESTONIAN]
    requests = [world.application(one) for one in people]

    def ask(application_id: str) -> bool:
        try:
            world.certify(application_id, csr_der=csr_der)
        except orders.KeyCertifiedError:
            return False
        return True

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        assert sum(pool.map(ask, requests)) == 1


def test_the_signature_log_tells_certificates_and_crls_by_their_numbers(
    world: ca_world.World,
) -> None:
    issued = world.certify(world.application())
    told = authority.signed_object(authority.to_be_signed(issued.certificate_der))
    assert (told.kind, told.number) == (
        "certificate",
        registry.serial_key(issued.record.serial_number),
    )
    assert "TEST AZ Citizen CA" in told.issuer

    with world.sessions() as session:
        newest = crls.newest(session, "citizen")
        newest_der = crls.newest_der(session, "citizen")
        row = session.scalars(
            sqlalchemy.select(crl_tables.CRLRow).where(crl_tables.CRLRow.issuer_name == "citizen")
        ).one()
    told = authority.signed_object(authority.to_be_signed(newest_der))
    assert (told.kind, told.number) == ("crl", str(newest.number))
    assert told.to_be_signed_sha256 == row.to_be_signed_sha256


def test_an_intent_that_lost_its_process_is_ended_while_the_authority_runs(
    world: ca_world.World,
) -> None:
    draft = _draft(world)
    request = orders.IssuanceRequest("application/x/sign", "test")
    judged = _judged(world, draft, request)
    intents.record(world.sessions, {0: judged}, world.at)
    limit = intents.OPEN_LIMIT
    assert intents.reconcile(world.sessions, world.at, recorded_before=world.at - limit) == ()
    later = world.at + limit + limit
    ended = intents.reconcile(world.sessions, later, recorded_before=later - limit)
    assert ended == (draft.serial_number,)
