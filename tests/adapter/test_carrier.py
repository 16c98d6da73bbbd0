"""What drives Plivo's side of a call reads on, however much falls due meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import ByteStream

from plivo_anyio._carrier import Carrier
from plivo_anyio._platform import _Caller, drive_scenario
from plivo_core import Command, InvalidMessage, ServerConnection
from plivo_core.commands import Speak
from plivo_core.events import AgentSessionEnded
from plivo_core.platform import Expect, HangUp, PlatformCall, Scenario, ScenarioRun
from tests.adapter._virtual import virtual_backend

pytestmark = pytest.mark.anyio
anyio_backend = virtual_backend

_TURNS = 5  # of the event loop, until what is there to be read is read
_STARVED = 1000  # deadlines without a word from the other side


class AnAgent:
    """A stream to an agent that says one sentence, and closes when the session is over.

    As a socket of a machine that is behind, it takes a few turns of the loop to give what is there.
    """

    def __init__(self) -> None:
        self._conn = ServerConnection(now=anyio.current_time())
        self._came = anyio.Event()

    async def send(self, data: bytes) -> None:
        conn, now = self._conn, anyio.current_time()
        conn.receive_data(data, now=now)
        while (event := conn.next_event()) is not None:
            if type(event).__name__ == "RequestReceived":
                conn.accept(now=now)
                conn.send(Speak("Hello"), now=now)
            elif isinstance(event, AgentSessionEnded):
                conn.close(now=now)
        self._came.set()
        await anyio.lowlevel.checkpoint()

    async def receive(self, max_bytes: int) -> bytes:
        while True:
            for _ in range(_TURNS):
                await anyio.lowlevel.checkpoint()
            if data := self._conn.data_to_send():
                return data
            await self._came.wait()
            self._came = anyio.Event()

    async def aclose(self) -> None: ...


def always_due(side: Any) -> Any:
    """``side`` of a machine that is behind: whenever it is asked, something has fallen due."""
    turns = 0

    def deadline() -> float:
        nonlocal turns
        turns += 1
        assert turns < _STARVED, "nothing was read all this time"
        return anyio.current_time() - 1.0

    side.deadline = deadline
    return side


async def by_place_call(received: list[Any]) -> None:
    call = always_due(PlatformCall([Expect(Speak, "a word", within=5.0), HangUp()]))
    stream = cast("ByteStream", AnAgent())
    await _Caller(call, stream, "test", "/", lambda event: None, received.append).run()
    assert [step.met for step in call.observations] == [True]


async def by_a_scenario(received: list[Any]) -> None:
    scenario = Scenario.parse(
        '[[steps]]\nexpect = "agent_session.speak"\nlabel = "a word"\nwithin = 5\n'
        '[[steps]]\nhang_up = "caller_hangup"\n'
    )
    run = always_due(
        ScenarioRun(
            scenario, random_bytes=bytes, now=anyio.current_time(), on_received=received.append
        )
    )
    result = await drive_scenario(run, cast("ByteStream", AnAgent()))
    assert result.sequence == (("a word", True),)


@pytest.mark.parametrize("drive", [by_place_call, by_a_scenario])
async def test_what_comes_is_read_though_a_deadline_is_always_due(
    drive: Callable[[list[Command | InvalidMessage]], Awaitable[None]],
) -> None:
    received: list[Command | InvalidMessage] = []
    await drive(received)
    assert [type(command) for command in received] == [Speak]


class Talkative:
    """A side that has something to say whenever it is asked, as one that answers pings."""

    reading = True
    finished = False

    def __init__(self) -> None:
        self.taken = self.told = 0

    def data_to_send(self) -> bytes:
        self.taken += 1
        return b"pong"

    def receive_data(self, data: bytes, *, now: float) -> None:
        self.told += 1

    def handle_timeout(self, *, now: float) -> None: ...


class Stalled:
    """A stream that says a lot and takes nothing."""

    def __init__(self) -> None:
        self._left = 100
        self.said_all = anyio.Event()

    async def receive(self, max_bytes: int) -> bytes:
        await anyio.lowlevel.checkpoint()
        if not self._left:
            self.said_all.set()
            await anyio.sleep_forever()
        self._left -= 1
        return b"ping"

    async def send(self, data: bytes) -> None:
        await anyio.sleep_forever()


async def test_what_a_stalled_writer_cannot_send_stays_with_the_side_and_reading_goes_on() -> None:
    side, stream = cast("Any", Talkative()), cast("Any", Stalled())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Carrier(side, stream).run)
        await stream.said_all.wait()
        tasks.cancel_scope.cancel()
    assert (side.told, side.taken) == (100, 1)
