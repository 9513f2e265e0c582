import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobile_id import results, transactions
from mobile_id.transactions import TransactionState

AT = datetime.datetime(2026, 11, 21, 12, 0, tzinfo=datetime.UTC)
STEPS = ("deliver", "confirm", "refuse", "expire", "expire_if_due")


def make_row() -> transactions.TransactionRow:
    return transactions.TransactionRow(
        id=transactions.new_id(),
        state=TransactionState.REQUESTED.value,
        created_at=AT,
        answer_by=AT + datetime.timedelta(minutes=2),
        changed_at=AT,
    )


@given(
    st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 300)), max_size=12),
    st.sampled_from(sorted(results.REFUSABLE, key=lambda one: one.value)),
)
def test_no_sequence_leads_out_of_an_end(
    steps: list[tuple[str, int]], reason: results.Result
) -> None:
    row = make_row()
    ended: tuple[str, str | None, bytes | None] | None = None
    for step, seconds in steps:
        at = AT + datetime.timedelta(seconds=seconds)
        try:
            if step == "confirm":
                row.confirm(b"value", at)
            elif step == "refuse":
                row.refuse(reason, at)
            else:
                getattr(row, step)(at)
        except transactions.TransactionStateError:
            pass
        if ended is not None:
            assert (row.state, row.result, row.signature_value) == ended
        elif TransactionState(row.state).is_final:
            ended = (row.state, row.result, row.signature_value)
        assert (row.state == TransactionState.CONFIRMED.value) == (row.result == "OK")
        assert (row.signature_value is not None) == (row.state == TransactionState.CONFIRMED.value)


def test_confirming_needs_a_delivery_first() -> None:
    with pytest.raises(transactions.TransactionStateError):
        make_row().confirm(b"value", AT)


@pytest.mark.parametrize("result", [results.Result.OK, results.Result.TIMEOUT])
def test_a_refusal_is_never_called_ok_or_timeout(result: results.Result) -> None:
    with pytest.raises(transactions.TransactionStateError):
        make_row().refuse(result, AT)


def test_every_state_has_its_transitions_listed() -> None:
    assert set(transactions.TRANSITIONS) == set(TransactionState)
    final = {state for state in TransactionState if state.is_final}
    assert final == {
        TransactionState.CONFIRMED,
        TransactionState.REFUSED,
        TransactionState.EXPIRED,
    }
