"""For all serials and times OCSP and the newest CRL agree within 60 minutes; revocation is
monotonic except hold; delta applied to base equals the next full CRL."""

import dataclasses
import datetime
import pathlib
import tempfile

import hypothesis
import pytest
import sqlalchemy
from hypothesis import stateful
from hypothesis import strategies as st

from ca import revocation
from ca.crls import addresses, partitions, publication, published, schedule
from ocsp.statuses import contents
from pki import audit, database, registry, status
from tests.support import ca_world, crls, histories

NAME = "citizen"
START = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
ISSUING = crls.make_authority(NAME, START - datetime.timedelta(days=30))
FINAL = [one for one in status.RevocationReason if one.name != "certificateHold"]
SETTINGS = dataclasses.replace(ca_world.SETTINGS, crl_delta_from=2, crl_partition_size=50)

LONG_REVOKED = 30
"""So many entries there are from the beginning that deltas are shorter than the list."""


class Histories(stateful.RuleBasedStateMachine):
    """Any order of issuance, hold, release, revocation, publication and moves of the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        path = pathlib.Path(self.folder.name) / "ca.sqlite"
        self.engine: sqlalchemy.Engine = database.connect(f"sqlite:///{path}")
        database.Base.metadata.create_all(self.engine)
        self.sessions = database.session_factory(self.engine)
        # What a responder's worker has in its memory, from the first change to the last.
        self.source = histories.source_of(self.sessions)
        self.view: contents.Contents | None = None
        self.at = START
        self.serials: list[int] = []
        self.final: dict[int, crls.Said] = {}
        self.fulls: dict[addresses.Scope, list[published.PublishedCRL]] = {}
        self.last: dict[addresses.Scope, published.PublishedCRL] = {}

    def teardown(self) -> None:
        self.source.close()
        self.engine.dispose()
        self.folder.cleanup()

    @stateful.initialize()
    def begin(self) -> None:
        self.issue(LONG_REVOKED + 8)
        with self.sessions() as session:
            for serial in self.serials[:LONG_REVOKED]:
                revocation.revoke(session, serial, FINAL[0], self.at, actor="test")
            session.commit()
        self.work()

    @stateful.rule(count=st.integers(1, 6))
    def issue(self, count: int) -> None:
        with self.sessions() as session:
            partition = partitions.newest(session, NAME)
            for _ in range(count):
                self.serials.append(len(self.serials) + 1)
                crls.add_certificate(session, NAME, self.serials[-1], self.at, partition)
            session.commit()

    @stateful.rule(index=st.integers(1, 8), reason=st.sampled_from(FINAL), known=st.booleans())
    def revoke(self, index: int, reason: status.RevocationReason, known: bool) -> None:
        since = self.at - datetime.timedelta(hours=1) if known else None
        with self.sessions() as session:
            try:
                revocation.revoke(
                    session,
                    self.serials[-index],
                    reason,
                    self.at,
                    actor="test",
                    invalidity_date=since,
                )
            except revocation.RevocationStateError:
                return
            session.commit()

    @stateful.rule(indexes=st.sets(st.integers(1, 4), min_size=1))
    def suspend_or_release(self, indexes: set[int]) -> None:
        with self.sessions() as session:
            for index in indexes:
                serial = self.serials[-index]
                reason = registry.find(session, serial).status.reason
                if reason is None:
                    revocation.hold(session, serial, self.at, actor="test")
                elif reason is status.RevocationReason.certificateHold:
                    revocation.release(session, serial, self.at, actor="test")
            session.commit()

    @stateful.rule(minutes=st.integers(-600, 900))
    def move_clock(self, minutes: int) -> None:
        self.at += datetime.timedelta(minutes=minutes)

    @stateful.rule(kind=st.sampled_from(["delta", "delta", "full", "changes", "due"]))
    def publish(self, kind: str) -> None:
        if kind == "delta":
            self.publish_delta()
        elif kind == "full":
            self._take(
                schedule.publish_all(self.sessions, ISSUING, SETTINGS, self.at, actor="test")
            )
        elif kind == "changes":
            arguments = (self.sessions, ISSUING, SETTINGS, self.at)
            self._take(schedule.publish_changes(*arguments, actor="test"))
            self._agree()
        else:
            self.work()

    def publish_delta(self) -> None:
        """Whether or not the schedule would."""
        with self.sessions() as session:
            scopes = partitions.scopes(session, NAME)
        for scope in scopes:
            try:
                made = publication.publish(
                    self.sessions, ISSUING, SETTINGS, self.at,
                    actor="test", partition=scope.partition, delta=True,
                )  # fmt: skip
            except publication.NoBaseError:
                continue
            self._take((made,))

    def work(self) -> None:
        """What the worker does every minute."""
        made = schedule.publish_due(self.sessions, [ISSUING], SETTINGS, self.at, actor="test")
        self._take(made)
        self._agree()

    def _take(self, made: tuple[published.PublishedCRL, ...]) -> None:
        """Judge each list that was published, in its order."""
        for one in made:
            before = self.last.get(one.scope)
            if before is not None:
                assert one.number > before.number
                assert one.this_update >= before.this_update
            assert one.next_update > max(one.this_update, self.at)
            self.last[one.scope] = one
            with self.sessions() as session:
                said = crls.said_by(published.content(session, one))
                expected = crls.said_by_registry(session, one.scope)
            if one.is_delta:
                for full in self.fulls[one.scope]:
                    if (one.base_number or 0) <= full.number < one.number:
                        with self.sessions() as session:
                            base = crls.said_by(published.content(session, full))
                        assert crls.apply_delta(base, said) == expected
            else:
                assert said == expected
                self.fulls.setdefault(one.scope, []).append(one)
            for serial, kept in self.final.items():
                if serial in expected:
                    assert expected[serial] == kept

    def _agree(self) -> None:
        """What a relying party finds, by either way, is what the registry answers OCSP with."""
        with self.sessions() as session:
            found: dict[int, crls.Said] = {}
            for scope in partitions.scopes(session, NAME):
                full = published.newest(session, scope)
                said = crls.said_by(published.content(session, full))
                delta = published.find_newest(session, scope, delta=True)
                if delta is not None and delta.number > full.number:
                    assert delta.base_number == full.number
                    change = crls.said_by(published.content(session, delta))
                    said = crls.apply_delta(said, change)
                found |= said
            answers = registry.statuses_of(session, NAME, self.serials)
        self.view = self.source.update(self.view, self.at)
        for serial in self.serials:
            assert self.view.find(NAME, serial.to_bytes(20, "big")) == answers.get(serial)
        for serial, answer in answers.items():
            assert (serial in found) is (not answer.is_good)
            if answer.revoked_at is not None and answer.reason is not None:
                named = None if answer.reason.value == 0 else answer.reason.name
                assert found[serial] == (answer.revoked_at, named, answer.invalidity_date)
                if named != "certificateHold":
                    # For good: it stays as it was said first.
                    assert self.final.setdefault(serial, found[serial]) == found[serial]
        assert self.final.keys() <= found.keys()

    @stateful.invariant()
    def entries_are_what_the_registry_says(self) -> None:
        from ca.crls import entries

        with self.sessions() as session:
            assert list(entries.differences(session, NAME)) == []
            audit.verify(session)


pytestmark = pytest.mark.slow

TestInvariant7 = Histories.TestCase
TestInvariant7.settings = hypothesis.settings(
    max_examples=20,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
