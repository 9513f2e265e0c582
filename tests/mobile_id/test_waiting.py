import asyncio
import threading
import time

from mobile_id import waiting


def test_a_change_ends_the_wait_at_once_from_any_thread() -> None:
    async def scenario() -> tuple[waiting.Woken, float]:
        notices = waiting.Notices()
        with notices.wait_for("a") as wait:
            threading.Timer(0.05, notices.announce, ["a"]).start()
            begun = time.monotonic()
            woken = await wait.woken(10)
        assert len(notices) == 0
        return woken, time.monotonic() - begun

    woken, took = asyncio.run(scenario())
    assert woken is waiting.Woken.CHANGED
    assert took < 1


def test_a_change_between_registering_and_waiting_is_not_lost() -> None:
    async def scenario() -> waiting.Woken:
        notices = waiting.Notices()
        with notices.wait_for("a") as wait:
            notices.announce("a")
            return await wait.woken(5)

    assert asyncio.run(scenario()) is waiting.Woken.CHANGED


def test_a_second_wait_displaces_the_first() -> None:
    async def scenario() -> list[waiting.Woken]:
        notices = waiting.Notices()

        async def one(seconds: float) -> waiting.Woken:
            with notices.wait_for("a") as wait:
                return await wait.woken(seconds)

        first = asyncio.create_task(one(10))
        await asyncio.sleep(0.01)
        second = asyncio.create_task(one(0.05))
        return list(await asyncio.gather(first, second))

    assert asyncio.run(scenario()) == [waiting.Woken.DISPLACED, waiting.Woken.TIMED_OUT]


def test_a_displaced_wait_stays_displaced() -> None:
    async def scenario() -> waiting.Woken:
        notices = waiting.Notices()
        with notices.wait_for("a") as first, notices.wait_for("a"):
            first.again()
            return await first.woken(5)

    assert asyncio.run(scenario()) is waiting.Woken.DISPLACED


def test_what_another_process_changed_is_noticed_soon() -> None:
    async def scenario() -> waiting.Woken:
        notices = waiting.Notices()
        notices.follow(lambda: ["a", "somebody else's"], every_s=0.02)
        with notices.wait_for("a") as wait:
            return await wait.woken(5)

    assert asyncio.run(scenario()) is waiting.Woken.CHANGED


def test_following_ends_when_nobody_waits_and_starts_again() -> None:
    async def scenario() -> list[int]:
        asked: list[int] = []
        notices = waiting.Notices()
        notices.follow(lambda: asked.append(1) or [], every_s=0.01)
        for _ in range(2):
            with notices.wait_for("a") as wait:
                await wait.woken(0.05)
            asked.append(0)
            await asyncio.sleep(0.05)
        return asked

    asked = asyncio.run(scenario())
    assert asked[-1] == 0 or asked[-2:] == [0, 1]
    assert asked.count(1) >= 4


def test_ten_thousand_waits_take_no_threads_and_wake_together() -> None:
    async def scenario() -> tuple[int, float]:
        notices = waiting.Notices()

        async def one(topic: str) -> waiting.Woken:
            with notices.wait_for(topic) as wait:
                return await wait.woken(60)

        before = threading.active_count()
        waits = [asyncio.create_task(one(str(number))) for number in range(10_000)]
        await asyncio.sleep(0)
        assert len(notices) == 10_000
        threads = threading.active_count() - before
        begun = time.monotonic()
        for number in range(10_000):
            notices.announce(str(number))
        woken = await asyncio.gather(*waits)
        assert set(woken) == {waiting.Woken.CHANGED}
        return threads, time.monotonic() - begun

    threads, took = asyncio.run(scenario())
    assert threads <= 0
    assert took < 5
