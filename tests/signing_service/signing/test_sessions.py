import datetime

import pytest
from hypothesis import given, stateful
from hypothesis import strategies as st

from signing_service.signing import sessions

State = sessions.SessionState
NOW = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)


def make(state: State) -> sessions.SigningSession:
    return sessions.SigningSession(id=sessions.new_id(), state=state)


class SessionMachine(stateful.RuleBasedStateMachine):
    """Tries every sequence of moves: what has ended stays ended, and nothing is unsigned."""

    @stateful.initialize(phone=st.booleans())
    def begin(self, phone: bool) -> None:
        self.row = make(State.AWAITING_PERSON if phone else State.AWAITING_VALUE)
        self.past: list[State] = [self.row.state]

    @stateful.rule(state=st.sampled_from(State))
    def move(self, state: State) -> None:
        before = self.row.state
        try:
            self.row.move(state, NOW)
        except sessions.SessionStateError:
            assert self.row.state is before
            assert state not in sessions.TRANSITIONS[before]
        else:
            self.past.append(state)

    @stateful.invariant()
    def nothing_follows_an_end(self) -> None:
        assert all(not state.is_final for state in self.past[:-1])

    @stateful.invariant()
    def only_a_signed_session_completes(self) -> None:
        if State.COMPLETED in self.past:
            assert State.AUGMENTING in self.past
            assert State.REFUSED not in self.past
            assert State.EXPIRED not in self.past

    @stateful.invariant()
    def a_signed_session_never_waits_again(self) -> None:
        if State.AUGMENTING in self.past:
            after = self.past[self.past.index(State.AUGMENTING) :]
            assert not set(after) & set(sessions.OPEN_STATES)

    @stateful.invariant()
    def an_end_has_a_time(self) -> None:
        assert (self.row.ended_at is not None) == self.row.state.is_final


TestSessionMachine = SessionMachine.TestCase


def test_every_state_is_spelled_as_the_api_spells_it() -> None:
    assert {state.value for state in State} == {
        "awaiting_value",
        "awaiting_person",
        "augmenting",
        "completed",
        "refused",
        "expired",
        "failed",
    }


@given(state=st.sampled_from([state for state in State if state.is_final]))
def test_ended_session_forgets_the_phones_session(state: State) -> None:
    before = State.AUGMENTING if state is State.COMPLETED else State.AWAITING_PERSON
    row = make(before)
    row.phone_session = "phone-session"
    row.next_try_at = NOW

    row.move(state, NOW)

    assert row.phone_session is None
    assert row.next_try_at is None


def test_long_reason_is_cut_and_not_refused_by_the_database() -> None:
    row = make(State.AWAITING_VALUE)
    row.end(State.FAILED, "code", "x" * 2000, NOW)
    assert row.error_message is not None
    assert len(row.error_message) == 500


def test_table_has_no_column_for_a_person() -> None:
    names = set(sessions.SigningSession.__table__.columns.keys())
    assert not names & {"phone_number", "person_code", "pin"}


def test_ids_do_not_repeat() -> None:
    assert len({sessions.new_id() for _ in range(1000)}) == 1000


def test_completed_session_cannot_fail_afterwards() -> None:
    with pytest.raises(sessions.SessionStateError):
        make(State.COMPLETED).end(State.FAILED, "code", "message", NOW)
