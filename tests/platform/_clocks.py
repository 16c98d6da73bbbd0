"""The two clocks that a scenario runs under, with the agent of the examples at the other end.

By hand: trio's MockClock, which jumps whenever everybody waits, over streams in memory. No real
time passes in a wait, and everything but the kernel is what serves real calls. Real: loopback TCP.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import anyio
import trio
import trio.testing
from anyio.abc import ByteStream
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.stapled import StapledByteStream

from plivo_anyio import VoiceApp, run_scenario
from plivo_anyio._backend import current_backend
from plivo_anyio._driver import Driver
from plivo_anyio._platform import drive_scenario
from plivo_anyio._transport import StreamIO, StreamTransport
from plivo_core import ServerConnection
from plivo_core.platform import Scenario, ScenarioResult, ScenarioRun

EXAMPLES = Path(__file__).parents[2] / "examples"
_ROOM = 8  # writes that a stream in memory takes before its reader is waited for


def load_agent() -> VoiceApp:
    """A new app of examples/scenario_agent.py."""
    path = EXAMPLES / "scenario_agent.py"
    module = ModuleType("scenario_agent")
    sys.modules[module.__name__] = module  # where annotations of handlers are looked up
    try:
        exec(compile(path.read_text("utf-8"), str(path), "exec"), vars(module))
    finally:
        del sys.modules[module.__name__]
    app: VoiceApp = module.app
    return app


def a_stream_pair() -> tuple[ByteStream, ByteStream]:
    """Two ends of one connection in memory."""
    a_send, b_receive = anyio.create_memory_object_stream[bytes](_ROOM)
    b_send, a_receive = anyio.create_memory_object_stream[bytes](_ROOM)
    return (
        StapledByteStream(a_send, BufferedByteReceiveStream(a_receive)),
        StapledByteStream(b_send, BufferedByteReceiveStream(b_receive)),
    )


def by_hand(scenario: Scenario, app: VoiceApp) -> ScenarioResult:
    """The scenario under a clock that never waits."""

    async def call() -> ScenarioResult:
        ours, theirs = a_stream_pair()
        backend = current_backend()
        site = app._site()
        async with anyio.create_task_group() as tasks, ours:
            driver = Driver(
                StreamTransport(StreamIO(theirs), backend, read_size=app._limits.read_size),
                ServerConnection(now=backend.clock(), limits=app._limits, timings=app._timings),
                backend=backend,
                site=site,
                on_request=lambda: None,
            )
            tasks.start_soon(driver.run)
            run = ScenarioRun(scenario, random_bytes=bytes, now=backend.clock())
            return await drive_scenario(run, ours)

    async def bounded() -> ScenarioResult:
        with anyio.fail_after(3600):
            return await call()
        raise AssertionError

    clock = trio.testing.MockClock(autojump_threshold=0)
    return trio.run(bounded, clock=clock)


async def in_real_time(scenario: Scenario, app: VoiceApp) -> ScenarioResult:
    """The scenario over TCP, in the event loop of the test."""
    results = await all_in_real_time([scenario], app)
    return results[0]


async def all_in_real_time(
    scenarios: list[Scenario], app: VoiceApp, *, at_once: int = 4
) -> list[ScenarioResult]:
    """All of them against one server, a few at a time."""
    results: dict[int, ScenarioResult] = {}
    room = anyio.Semaphore(at_once)

    async def place(number: int, host: str, port: int) -> None:
        async with room:
            results[number] = await run_scenario(scenarios[number], host, port)

    async with anyio.create_task_group() as server:
        host, port = await server.start(app.serve, "127.0.0.1", 0)
        async with anyio.create_task_group() as calls:
            for number in range(len(scenarios)):
                calls.start_soon(place, number, host, port)
        server.cancel_scope.cancel()
    return [results[number] for number in range(len(scenarios))]
