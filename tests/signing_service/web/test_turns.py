import anyio
import pytest

from signing_service.web import turns


def test_client_with_many_documents_leaves_others_their_turn():
    """One client's documents never end; another one's is judged all the same."""

    async def scene() -> None:
        line = turns.Turns(at_once=2, on_disk=3, most=5)
        received: list[str] = []
        inside: list[str] = []

        async def judge(client: str) -> None:
            async with line.place(client) as turn:
                received.append(client)
                async with turn:
                    inside.append(client)
                    await anyio.sleep_forever()

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(judge, "hostile")
            await anyio.wait_all_tasks_blocked()
            assert inside == ["hostile"] * 2
            assert received == ["hostile"] * 3
            group.start_soon(judge, "honest")
            await anyio.wait_all_tasks_blocked()
            assert inside == ["hostile", "hostile", "honest"]
            with pytest.raises(turns.TooManyAtOnceError):
                async with line.place("hostile"):
                    pass
            group.cancel_scope.cancel()
        # Nobody is remembered who has nothing there.
        assert not line._lines

    anyio.run(scene)


def test_turn_passes_on_when_one_ends():
    async def scene() -> list[int]:
        line = turns.Turns(at_once=1)
        order: list[int] = []

        async def judge(number: int) -> None:
            async with line.place("client") as turn, turn:
                order.append(number)

        async with anyio.create_task_group() as group:
            for number in range(4):
                group.start_soon(judge, number)
        return order

    assert sorted(anyio.run(scene)) == [0, 1, 2, 3]
