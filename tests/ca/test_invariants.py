"""What a certification authority must keep true, each under its number.

docs/invariants.md lists them with the code that keeps them; those about disks and databases that
fail are in `test_invariants_storage.py`, kills in `tests/journeys/test_kill_harness.py`.
"""

import datetime
import itertools
import math
import pathlib
import threading
from collections import Counter

import pytest
import sqlalchemy
from sqlalchemy import exc, orm

from ca import (
    authority,
    drafts,
    intents,
    issuance,
    lint,
    orders,
    revocation,
    serials,
    subjects,
    tables,
)
from ca.applications import approval, states
from ca.audit_log import export, proof
from pki import (
    algorithms,
    audit,
    certificates,
    clock,
    errors,
    profiles,
    registration,
    registry,
    signature,
    status,
)
from pki.keystore import logged_store, signature_log, store, time_limit
from tests.support import ca_world, crls
from tests.support.hierarchy import make_key

SAMPLES = 100_000

SIGMA = 7.0
"""A sound generator strays so far in one test of 4e11."""


class AskingKey(ca_world.CountingKey):
    """Looks into the database, from outside of the caller's transaction, before it signs."""

    def __init__(self, handle: store.KeyHandle, keys: "AskingKeyStore") -> None:
        super().__init__(handle)
        self._keys = keys

    def sign(
        self, representation: signature.DataToBeSignedRepresentation
    ) -> signature.SignatureValue:
        if self.label.startswith(("root", "ca-")):
            self._keys.asked.append(self._keys.is_recorded(representation))
        return super().sign(representation)


class AskingKeyStore(ca_world.CountingKeyStore):
    def __init__(self, sessions: orm.sessionmaker[orm.Session]) -> None:
        super().__init__()
        self._sessions = sessions
        self.asked: list[bool] = []

    def open_key(self, label: str) -> ca_world.CountingKey:  # type: ignore[override]
        if label not in self.counted:
            self.counted[label] = AskingKey(super().open_key(label), self)
        return self.counted[label]

    def generate(self, label: str, kind: algorithms.KeyKind) -> ca_world.CountingKey:  # type: ignore[override]
        super().generate(label, kind)
        return self.open_key(label)

    def is_recorded(self, asked: signature.DataToBeSignedRepresentation) -> bool:
        """Whether exactly these bytes are there: an intended certificate's, or a CRL's."""
        with self._sessions() as session:
            recorded = [
                *session.scalars(
                    sqlalchemy.select(registry.CertificateRow.to_be_signed_der).where(
                        registry.CertificateRow.state == registry.CertificateState.INTENDED.value
                    )
                ),
                *crls.to_be_signed(session, unsigned=True),
            ]
        return asked.hash in {asked.hash_algorithm.digest(one) for one in recorded}


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


def _rows(world: ca_world.World, *wanted: registry.CertificateState) -> list[str]:
    with world.sessions() as session:
        return list(
            session.scalars(
                sqlalchemy.select(registry.CertificateRow.serial_number).where(
                    registry.CertificateRow.state.in_([one.value for one in wanted])
                )
            )
        )


def test_invariant_1_the_database_has_the_bytes_before_any_key_of_an_authority_signs_them(
    sessions: orm.sessionmaker[orm.Session], at: datetime.datetime
) -> None:
    keys = AskingKeyStore(sessions)
    world = ca_world.make_world(sessions, at, keys=keys)
    issued = world.certify(world.application())
    with sessions() as session:
        revocation.revoke(
            session,
            issued.record.serial_number,
            status.RevocationReason.keyCompromise,
            at,
            actor="test",
        )
        session.commit()
    crls.publish(world, at)

    # Root, issuing and infrastructure CAs, responders, units, list signer, their CRLs, and ours.
    assert len(keys.asked) > 12
    assert all(keys.asked)


def test_invariant_2_what_a_linter_refuses_is_never_signed(world: ca_world.World) -> None:
    signatures = world.keys.signatures
    draft = _draft(world, serial_number=1)
    request = orders.IssuanceRequest("x", "test")
    with pytest.raises(lint.LintError):
        issuance.issue_certificate(world.sessions, draft, request, world.settings, world.at)
    assert world.keys.signatures == signatures
    assert _rows(world, registry.CertificateState.INTENDED) == []


def test_invariant_2_other_bytes_than_the_linted_ones_halt_the_issuance(
    world: ca_world.World,
) -> None:
    draft = _draft(world)
    key = world.keys.counted["ca-citizen"]
    sign = key.sign

    def change_then_sign(asked: signature.DataToBeSignedRepresentation) -> signature.SignatureValue:
        with world.sessions() as session:
            row = registry.find_row(session, draft.serial_number)
            row.to_be_signed_der = row.to_be_signed_der[:-1] + b"\0"
            session.commit()
        return sign(asked)

    key.sign = change_then_sign  # type: ignore[method-assign]
    request = orders.IssuanceRequest("x", "test")
    with pytest.raises(authority.SignedBytesError):
        issuance.issue_certificate(world.sessions, draft, request, world.settings, world.at)
    key.sign = sign  # type: ignore[method-assign]

    intents.reconcile(world.sessions, world.at)
    with world.sessions() as session:
        found = registry.status_of(session, "citizen", draft.serial_number)
        assert found is not None
        assert not found.is_good


def test_invariant_4_one_request_never_yields_a_second_certificate(world: ca_world.World) -> None:
    application, csr_der = world.application(), ca_world.make_csr()
    key = world.keys.counted["ca-citizen"]
    key.fails_with = errors.DeviceError("the session was lost", retriable=True)
    for _ in range(3):
        with pytest.raises(errors.DeviceError):
            world.certify(application, csr_der=csr_der)
    key.fails_with = None
    found = {world.certify(application, csr_der=csr_der).certificate_der for _ in range(3)}
    assert len(found) == 1
    with pytest.raises(orders.RequestAnsweredError):
        world.certify(application)
    facts = certificates.parse(found.pop())
    issued = _rows(world, registry.CertificateState.ISSUED)
    assert registry.serial_key(facts.serial_number) in issued
    assert len(_rows(world, registry.CertificateState.ABANDONED)) == 3


def test_invariant_5_what_is_delivered_is_stored_and_has_a_status(world: ca_world.World) -> None:
    issued = world.certify(world.application())
    with world.sessions() as session:
        stored = registry.find_issued(session, issued.certificate_der)
        assert stored is not None
        assert stored.certificate_der == issued.certificate_der
        found = registry.status_of(session, "citizen", issued.record.serial_number)
    assert found is not None
    assert found.is_good


def test_invariant_6_a_serial_keeps_its_answer_whatever_fails_afterwards(
    world: ca_world.World,
) -> None:
    application = world.application()
    key = world.keys.counted["ca-citizen"]
    key.fails_with = errors.DeviceError("the module is gone")
    with pytest.raises(errors.DeviceError):
        world.certify(application)
    key.fails_with = None
    issued = world.certify(application)
    serial = issued.record.serial_number
    with world.sessions() as session:
        revocation.revoke(
            session, serial, status.RevocationReason.superseded, world.at, actor="test"
        )
        session.commit()
    key.fails_with = errors.DeviceError("the module is gone")
    with pytest.raises(errors.DeviceError):
        crls.publish(world)
    key.fails_with = None

    with world.sessions() as session:
        every = session.scalars(sqlalchemy.select(registry.CertificateRow)).all()
        for row in every:
            found = registry.status_of(session, row.issuer_name, int(row.serial_number, 16))
            assert found is not None, row.state
            assert found.is_good == (row.revoked_at is None)
    assert {(row.state, row.revoked_at is None) for row in every} == {
        ("issued", True),
        ("issued", False),
        ("abandoned", False),
    }


def _stray(ones: int, bits: int) -> float:
    """How many standard deviations a count of ones is away from half of the bits."""
    return abs(2 * ones - bits) / math.sqrt(bits)


@pytest.mark.clause("RFC 5280", "4.1.2.2")
def test_invariant_9_serial_numbers_are_positive_short_different_and_look_random() -> None:
    drawn = [serials.new_serial_number() for _ in range(SAMPLES)]
    assert len(set(drawn)) == SAMPLES
    for number in drawn:
        encoded = number.to_bytes((number.bit_length() + 8) // 8, "big")
        assert 0 < len(encoded) <= serials.MAX_OCTETS
        assert number > 0

    random_bits = serials.RANDOM_BITS
    parts = [number & ((1 << random_bits) - 1) for number in drawn]
    # Monobit: all of them, each position, and from one number to the next.
    assert _stray(sum(one.bit_count() for one in parts), SAMPLES * random_bits) < SIGMA
    for position in range(random_bits):
        ones = sum(one >> position & 1 for one in parts)
        assert _stray(ones, SAMPLES) < SIGMA, f"bit {position}"
    flips = sum((one ^ other).bit_count() for one, other in itertools.pairwise(parts))
    assert _stray(flips, (SAMPLES - 1) * random_bits) < SIGMA
    # Chi-square over the values of octets: 255 degrees of freedom, so 255 give or take 22.6.
    counts = Counter(octet for one in parts for octet in one.to_bytes(random_bits // 8, "big"))
    expected = SAMPLES * random_bits // 8 / 256
    chi_square = sum((counts[value] - expected) ** 2 / expected for value in range(256))
    assert 120 < chi_square < 450


def test_invariant_9_an_issuer_uses_a_serial_number_once(world: ca_world.World) -> None:
    issued = world.certify(world.application())
    signatures = world.keys.signatures
    draft = _draft(world, serial_number=issued.record.serial_number)
    request = orders.IssuanceRequest("another", "test")
    with pytest.raises(errors.StateError):
        issuance.issue_certificate(world.sessions, draft, request, world.settings, world.at)
    assert world.keys.signatures == signatures
    with world.sessions() as session:
        row = registry.find_row(session, issued.record.serial_number)
        values = {
            column.name: getattr(row, column.name)
            for column in registry.CertificateRow.__table__.columns
            if column.name not in ("id", "request_key")
        }
        session.add(registry.CertificateRow(**values))
        with pytest.raises(exc.IntegrityError):
            session.flush()


def test_invariant_11_a_module_that_hangs_after_signing_costs_the_serial_and_nothing_else(
    sessions: orm.sessionmaker[orm.Session], at: datetime.datetime, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "signatures.log"
    log = signature_log.SignatureLog(path, clock.FixedClock(at))
    guarded: list[logged_store.LoggedKeyStore] = []

    def guard(keys: store.KeyStore) -> store.KeyStore:
        guarded.append(
            logged_store.LoggedKeyStore(
                keys, log, lambda label: label == "ca-citizen", answer_limit_s=5
            )
        )
        return guarded[0]

    world = ca_world.make_world(sessions, at, guard=guard)
    watch = guarded[0]._watch
    watch._limit_s = 0.2
    application, csr_der = world.application(), ca_world.make_csr()
    key, answers = world.keys.counted["ca-citizen"], threading.Event()
    sign = key.sign

    def sign_and_hang(asked: signature.DataToBeSignedRepresentation) -> signature.SignatureValue:
        value = sign(asked)
        assert answers.wait(30)
        return value

    key.sign = sign_and_hang  # type: ignore[method-assign]
    signatures = world.keys.signatures
    with pytest.raises(time_limit.KeyHungError, match="may have signed"):
        world.certify(application, csr_der=csr_der)
    assert world.keys.signatures == signatures + 1

    # The outcome is unknown: the serial is revoked, for OCSP and for the CRL.
    (lost,) = _rows(world, registry.CertificateState.ABANDONED)
    with sessions() as session:
        found = registry.status_of(session, "citizen", int(lost, 16))
        assert found is not None
        assert not found.is_good
        assert int(lost, 16) in registry.revoked(session, "citizen")
    *_, last = signature_log.read_signatures(path)
    assert last.outcome is signature_log.Event.UNKNOWN
    assert last.signed_object is not None
    assert last.signed_object.number == lost

    # While it hangs nothing is asked of it, and no serial number is spent.
    with pytest.raises(time_limit.KeyHungError, match="does not answer"):
        guarded[0].check_ready()
    for _ in range(3):
        with pytest.raises(time_limit.KeyHungError):
            world.certify(application, csr_der=csr_der)
    assert _rows(world, registry.CertificateState.ABANDONED) == [lost]
    assert world.keys.signatures == signatures + 1

    # It answers at last, too late to matter; the same request gets another serial number.
    key.sign = sign  # type: ignore[method-assign]
    answers.set()
    for _ in range(500):
        if not watch._hung:
            break
        threading.Event().wait(0.01)
    watch._limit_s = 5
    issued = world.certify(application, csr_der=csr_der)
    assert registry.serial_key(issued.record.serial_number) != lost
    assert _rows(world, registry.CertificateState.INTENDED) == []
    log.close()


def _no_token(_token: bytes, _statement: bytes) -> datetime.datetime:
    raise AssertionError("there are no anchors")


@pytest.mark.parametrize("attack", ["edit", "remove", "swap", "truncate"])
def test_invariant_12_an_independent_verifier_finds_a_changed_audit_log(
    world: ca_world.World, tmp_path: pathlib.Path, attack: str
) -> None:
    """From the export alone; cuts that rewrite the head are found by anchors (test_proof)."""
    world.certify(world.application())
    with world.sessions() as session:
        found = audit.entries(session, after=0, limit=10_000)
    target = tmp_path / "audit.jsonl"
    export.write(target, [export.entry_json(one) for one in found], (), world.at)
    lines = target.read_bytes().splitlines(keepends=True)
    assert proof.examine(lines, (), _no_token).entries == len(found)
    middle = len(lines) // 2
    if attack == "edit":
        lines[middle] = lines[middle].replace(b'"actor"', b'"Actor"', 1)
    elif attack == "remove":
        del lines[middle]
    elif attack == "swap":
        lines[middle], lines[middle + 1] = lines[middle + 1], lines[middle]
    else:
        del lines[-3:-1]
    with pytest.raises(proof.ProofError):
        proof.examine(lines, (), _no_token)


def _business(world: ca_world.World) -> str:
    applicant = subjects.Applicant(
        registration.Category.BUSINESS, ca_world.CITIZEN, ca_world.ORGANISATION, "Baş mühasib"
    )
    return world.vetted(applicant).id


def _altered(world: ca_world.World, application_id: str, **changes: object) -> None:
    with world.sessions() as session:
        row = session.get(tables.ApplicationRow, application_id)
        assert row is not None
        for name, value in changes.items():
            setattr(row, name, value)
        session.commit()


def test_invariant_13_nothing_is_signed_without_two_peoples_approval_of_just_this(
    world: ca_world.World,
) -> None:
    signatures = world.keys.signatures
    application = _business(world)
    with pytest.raises(states.NotApprovedError):
        world.certify(application)
    with world.sessions() as session, pytest.raises(approval.FourEyesError):
        states.approve_application(session, application, world.at, operator=ca_world.OFFICER)
    with world.sessions() as session:
        row = session.get(tables.ApplicationRow, application)
        assert row is not None
        request_hash = row.request_hash

    # Whoever can write the row still needs the audit log's entry of a second person's approval.
    approved = {"state": "approved", "approved_at": world.at, "approved_hash": request_hash}
    with world.sessions() as session:
        newest = audit.head(session).number
    for officer in (None, ca_world.OFFICER.name, "officer-2"):
        for entry in (None, newest):
            _altered(world, application, **approved, approved_by=officer, approval_entry=entry)
            with pytest.raises(states.ApplicationAlteredError):
                world.certify(application)
    _altered(world, application, **{**approved, "approved_hash": None}, approved_by="officer-2")
    with pytest.raises(states.ApplicationAlteredError):
        world.certify(application)
    assert world.keys.signatures == signatures

    # Approved by two, then changed: the approval is of what was applied for.
    other = world.application(ca_world.GEORGIAN, registration.Category.BUSINESS)
    for name in ("surname", "given_name", "person_code", "organisation_code", "title"):
        with world.sessions() as session:
            row = session.get(tables.ApplicationRow, other)
            assert row is not None
            before = getattr(row, name)
        _altered(world, other, **{name: "01234567891" if name == "person_code" else "Başqa"})
        with pytest.raises((states.ApplicationAlteredError, errors.InputError)):
            world.certify(other)
        _altered(world, other, **{name: before})
    assert world.keys.signatures == signatures
    world.certify(other)
    assert world.keys.signatures == signatures + 1
