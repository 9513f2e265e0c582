"""Many certificates with the commits of one: each ends as it would alone."""

import concurrent.futures
import dataclasses
import datetime
from collections.abc import Callable

import pytest
import sqlalchemy

from ca import authority, drafts, issuance, lint, orders, subjects
from pki import algorithms, audit, certificates, errors, profiles, registration, registry, signature
from tests.support import ca_world
from tests.support.hierarchy import make_key


def _orders(
    world: ca_world.World,
    count: int,
    change: Callable[[int, drafts.CertificateDraft], drafts.CertificateDraft] | None = None,
) -> list[orders.Order]:
    applicant = subjects.Applicant(registration.Category.CITIZEN, ca_world.CITIZEN)
    made = []
    for number in range(count):
        draft = drafts.draft_certificate(
            profiles.SIGN,
            world.hierarchy.authorities["citizen"].issuer,
            subjects.subject_name(applicant, world.settings),
            make_key(algorithms.KeyKind.P256).public_key(),
            world.settings,
            world.at,
        )
        if change is not None:
            draft = change(number, draft)
        request = orders.IssuanceRequest(f"application/{number}/sign", "test")
        made.append(orders.Order(draft, request))
    return made


def _issue(world: ca_world.World, batch: list[orders.Order]) -> tuple[orders.Outcome, ...]:
    settings = dataclasses.replace(world.settings, lint_by_form=True)
    return issuance.issue_certificates(world.sessions, batch, settings, world.at)


def _states(world: ca_world.World) -> list[str]:
    with world.sessions() as session:
        audit.verify(session)
        return list(
            session.scalars(
                sqlalchemy.select(registry.CertificateRow.state).where(
                    registry.CertificateRow.request_key.startswith("application/")
                    | registry.CertificateRow.request_key.is_(None)
                )
            )
        )


class _WatchedKey:
    """The issuing CA's key, with something that happens before it signs."""

    def __init__(self, world: ca_world.World, before: Callable[[bytes], None]) -> None:
        self._handle = world.keys.counted["ca-citizen"]
        self._before = before
        self.label = "ca-citizen"
        self.public_key = self._handle.public_key

    def sign(
        self, representation: signature.DataToBeSignedRepresentation
    ) -> signature.SignatureValue:
        self._before(representation.hash)
        return self._handle.sign(representation)


def _with_key(batch: list[orders.Order], key: _WatchedKey) -> list[orders.Order]:
    changed = []
    for one in batch:
        issuer = dataclasses.replace(one.draft.issuer, key=key)
        draft = dataclasses.replace(one.draft, issuer=issuer)
        changed.append(dataclasses.replace(one, draft=draft))
    return changed


def test_each_of_many_is_issued_recorded_and_told_in_its_place(world: ca_world.World) -> None:
    batch = _orders(world, 12)
    outcomes = _issue(world, batch)

    issuer = world.hierarchy.authorities["citizen"].certificate
    for order, outcome in zip(batch, outcomes, strict=True):
        assert isinstance(outcome, registry.CertificateRecord)
        assert outcome.serial_number == order.draft.serial_number
        certificates.check_issued_by(outcome.certificate, issuer)
        with world.sessions() as session:
            # What was told is what is stored.
            assert registry.find(session, outcome.serial_number) == outcome
    assert _states(world) == ["issued"] * 12
    with world.sessions() as session:
        events = session.scalars(
            sqlalchemy.select(audit.EntryRow.event)
            .where(audit.EntryRow.details.contains('"request":"application/'))
            .order_by(audit.EntryRow.number)
        ).all()
    assert events == ["certificate.intended"] * 12 + ["certificate.issued"] * 12


def test_before_any_is_signed_the_database_has_the_bytes_of_all(world: ca_world.World) -> None:
    unknown: list[bytes] = []

    def look(digest: bytes) -> None:
        with world.sessions() as session:
            recorded = session.scalars(sqlalchemy.select(registry.CertificateRow.to_be_signed_der))
            if digest not in {algorithms.HashAlgorithm.SHA384.digest(one) for one in recorded}:
                unknown.append(digest)

    outcomes = _issue(world, _with_key(_orders(world, 10), _WatchedKey(world, look)))
    assert all(isinstance(one, registry.CertificateRecord) for one in outcomes)
    assert unknown == []


def test_one_that_breaks_its_profile_does_not_spoil_the_others(world: ca_world.World) -> None:
    def spoil(number: int, draft: drafts.CertificateDraft) -> drafts.CertificateDraft:
        early = world.at - datetime.timedelta(days=30 * 365)
        return dataclasses.replace(draft, not_before=early) if number == 2 else draft

    batch = _orders(world, 5, spoil)
    signatures = world.keys.signatures
    outcomes = _issue(world, batch)

    assert isinstance(outcomes[2], lint.LintError)
    assert sum(isinstance(one, registry.CertificateRecord) for one in outcomes) == 4
    assert world.keys.signatures == signatures + 4
    with world.sessions() as session, pytest.raises(registry.CertificateNotFoundError):
        registry.find_row(session, batch[2].draft.serial_number)


@pytest.mark.parametrize("unforeseen", [False, True])
def test_one_whose_signature_fails_is_abandoned_and_the_others_are_stored(
    world: ca_world.World, unforeseen: bool
) -> None:
    batch = _orders(world, 6)
    digest = algorithms.HashAlgorithm.SHA384.digest(
        authority.to_be_signed(drafts.build_twin(batch[3].draft))
    )

    def fail(hashed: bytes) -> None:
        if hashed == digest:
            raise ZeroDivisionError if unforeseen else errors.DeviceError("away", retriable=True)

    failing = _with_key(batch, _WatchedKey(world, fail))
    if unforeseen:
        with pytest.raises(ZeroDivisionError):
            _issue(world, failing)
    else:
        outcomes = _issue(world, failing)
        assert isinstance(outcomes[3], errors.DeviceError)
        assert sum(isinstance(one, registry.CertificateRecord) for one in outcomes) == 5
    assert sorted(_states(world)) == ["abandoned"] + ["issued"] * 5
    with world.sessions() as session:
        found = registry.status_of(session, "citizen", batch[3].draft.serial_number)
    assert found is not None
    assert not found.is_good


def test_the_same_batch_again_gives_the_same_certificates(world: ca_world.World) -> None:
    batch = _orders(world, 4)
    first = _issue(world, batch)
    signatures = world.keys.signatures
    assert _issue(world, [*batch, *_orders(world, 5)[4:]])[:4] == first
    assert world.keys.signatures == signatures + 1


def test_a_request_or_a_key_that_stands_in_a_batch_twice_is_issued_once(
    world: ca_world.World,
) -> None:
    one, other, third = _orders(world, 3)
    applicant = subjects.Applicant(registration.Category.CITIZEN, ca_world.GEORGIAN)
    stolen = dataclasses.replace(
        other.draft,
        public_key=one.draft.public_key,
        subject=subjects.subject_name(applicant, world.settings),
    )
    outcomes = _issue(
        world, [one, dataclasses.replace(third, request=one.request),
                dataclasses.replace(other, draft=stolen)]
    )  # fmt: skip
    assert isinstance(outcomes[0], registry.CertificateRecord)
    assert isinstance(outcomes[1], orders.RequestInProgressError)
    assert isinstance(outcomes[2], orders.KeyCertifiedError)
    assert _states(world) == ["issued"]


def test_a_batch_has_its_limit(world: ca_world.World) -> None:
    order = _orders(world, 1)[0]
    with pytest.raises(errors.LimitError):
        _issue(world, [order] * (issuance.MAX_ORDERS + 1))
    assert _issue(world, []) == ()


def test_batches_at_once_give_each_request_one_certificate(world: ca_world.World) -> None:
    batches = [_orders(world, 8) for _ in range(4)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda batch: _issue(world, batch), batches))
    for place in range(8):
        told = [outcomes[place] for outcomes in found]
        issued = [one for one in told if isinstance(one, registry.CertificateRecord)]
        assert len(issued) == 1
        assert all(
            isinstance(one, orders.RequestInProgressError | orders.RequestAnsweredError)
            for one in told
            if one not in issued
        )
    assert _states(world) == ["issued"] * 8


def test_a_batch_on_a_clock_with_fractions_is_told_as_it_is_stored(world: ca_world.World) -> None:
    late = world.at + datetime.timedelta(microseconds=123456)
    (outcome,) = issuance.issue_certificates(
        world.sessions, _orders(world, 1), world.settings, late
    )
    assert isinstance(outcome, registry.CertificateRecord)
    with world.sessions() as session:
        assert registry.find(session, outcome.serial_number) == outcome
