"""The gateway counts what people confirmed."""

from mobile_id import results
from mobile_id.results import Result
from pki import months, usage
from tests.mobile_id import test_gateway
from tests.mobile_id.conftest import PARTY_NAME, WHO, World


def _counted(world: World) -> list[tuple[str, str, str, int]]:
    month = months.Month.of(world.at)
    with world.sessions() as session:
        found = usage.read(session, "mobile", months.Range(month, month))
    return [(one.channel.value, one.operation.value, one.relying_party, one.count) for one in found]


def test_a_confirmed_transaction_is_counted_once_however_often_the_phone_says_so(
    world: World,
) -> None:
    enrolled = world.enrol()
    test_gateway.ask(world)
    delivered = world.gateway.open_transaction(enrolled.subscriber_id, world.at)
    assert delivered is not None
    assert _counted(world) == []
    value = test_gateway.sign(world, enrolled)
    for _ in range(3):
        world.gateway.confirm(enrolled.subscriber_id, delivered.id, value, world.at)
    assert _counted(world) == [("phone", "signature", PARTY_NAME, 1)]
    with world.sessions() as session:
        month = months.Month.of(world.at)
        (row,) = usage.read(session, "mobile", months.Range(month, month))
    assert WHO.person_code not in str(row)
    assert WHO.phone_number not in str(row)


def test_what_was_refused_expired_or_wrong_is_not_counted(world: World) -> None:
    enrolled = world.enrol()
    for ending in ("refused", "wrong", "expired"):
        test_gateway.ask(world, text=ending)
        delivered = world.gateway.open_transaction(enrolled.subscriber_id, world.at)
        assert delivered is not None
        if ending == "refused":
            world.gateway.refuse(
                enrolled.subscriber_id, delivered.id, Result.USER_CANCELLED, world.at
            )
        elif ending == "wrong":
            answer = world.gateway.confirm(
                enrolled.subscriber_id, delivered.id, bytes(64), world.at
            )
            assert answer is Result.SIGNATURE_HASH_MISMATCH
        else:
            later = world.at + world.gateway.config.answer_window
            value = test_gateway.sign(world, enrolled, ending)
            answer = world.gateway.confirm(enrolled.subscriber_id, delivered.id, value, later)
            assert answer is results.Result.TIMEOUT
    assert _counted(world) == []
