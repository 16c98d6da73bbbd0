"""Waiting for events, gathering digits, background tasks: through calls, on both backends."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import anyio
import pytest

from plivo_anyio import CallSession, VoiceApp
from plivo_anyio._background import Background
from plivo_anyio._waits import Waiters
from plivo_core import (
    ConfigError,
    Ended,
    LocalProtocolError,
    SessionClosedError,
    Timings,
    UnknownEvent,
)
from plivo_core.commands import Speak, ToolResult
from plivo_core.events import (
    AgentEvent,
    AgentSessionEnded,
    AgentSessionStarted,
    Dtmf,
    PlayCompleted,
    StreamDtmf,
    StreamMedia,
    ToolCall,
    UserIdle,
)
from plivo_core.session import Digits
from tests.adapter._caller import PATIENCE, Caller, a_call, calling

pytestmark = pytest.mark.anyio

START = AgentSessionStarted(agent_session_id="s")


class AnApp(VoiceApp):
    """On session.started it says "ready" just before it runs what a test gave it.

    What that returns or raises is spoken, or kept in ``errors``. ``over`` is set by on_disconnect.
    """

    def __init__(self, act: Any, **timings: float) -> None:
        super().__init__(timings=Timings(**timings))
        self.errors: list[tuple[object, Exception]] = []
        self.over = anyio.Event()
        self.outcome: object = None
        self.session: CallSession | None = None

        @self.on(AgentSessionStarted)
        async def started(session: CallSession, event: AgentSessionStarted) -> None:
            self.session = session
            session.speak("ready")
            try:
                self.outcome = await act(session)
            except Exception as error:  # noqa: BLE001 - what the test is about
                self.outcome = error
            session.speak(str(self.outcome))

        @self.on_handler_error
        async def failed(session: CallSession, event: object, error: Exception) -> None:
            self.errors.append((event, error))

        @self.on_disconnect
        async def gone(session: CallSession) -> None:
            self.over.set()


async def begins(caller: Caller) -> None:
    await caller.says(START)
    assert await caller.receives() == Speak("ready")


async def is_over(app: AnApp) -> None:
    with anyio.fail_after(PATIENCE):
        await app.over.wait()


# --- wait_for -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        (Dtmf, Dtmf(digit="5")),
        ("user.dtmf", Dtmf(digit="5")),
        ("x.y", UnknownEvent(type="x.y")),
        (UnknownEvent, UnknownEvent(type="x.y")),
        (StreamMedia, StreamMedia(payload="////")),
    ],
    ids=["class", "name", "new-name", "unknown", "media"],
)
async def test_a_control_handler_waits_for_what_its_own_lane_delivers_later(
    kind: Any, event: Any
) -> None:
    seen: list[object] = []

    async def act(session: CallSession) -> str:
        return type(await session.wait_for(kind, timeout=PATIENCE)).__name__

    app = AnApp(act)

    @app.on_event
    async def anything(session: CallSession, event: object) -> None:
        seen.append(event)

    async with a_call(app) as caller:
        await begins(caller)
        await caller.says(UserIdle(), event)
        assert await caller.receives() == Speak(type(event).__name__)
        await caller.closes()
    if kind is not StreamMedia:
        assert seen == [START, UserIdle(), event]  # its handlers ran all the same


async def test_match_chooses_and_the_first_that_fits_wins() -> None:
    async def act(session: CallSession) -> str:
        found = await session.wait_for(Dtmf, match=lambda event: event.digit in "789")
        return found.digit

    async with a_call(AnApp(act)) as caller:
        await begins(caller)
        await caller.says(Dtmf(digit="1"), Dtmf(digit="8"), Dtmf(digit="9"))
        assert await caller.receives() == Speak("8")


async def test_many_wait_at_once_and_each_is_served() -> None:
    got: list[str] = []

    async def act(session: CallSession) -> str:
        async def one(digit: str) -> None:
            event = await session.wait_for(Dtmf, match=lambda event: event.digit == digit)
            got.append(event.digit)

        async with anyio.create_task_group() as tasks:
            for digit in "1233":
                tasks.start_soon(one, digit)
        return "all"

    async with a_call(AnApp(act)) as caller:
        await begins(caller)
        await caller.says(Dtmf(digit="3"), Dtmf(digit="2"), Dtmf(digit="1"))
        assert await caller.receives() == Speak("all")
    assert sorted(got) == ["1", "2", "3", "3"]


async def test_a_wait_that_takes_too_long_times_out_and_leaves_nothing_behind() -> None:
    left: list[int] = []

    async def act(session: CallSession) -> str:
        with pytest.raises(TimeoutError, match=r"no Dtmf came within 0\.01 s"):
            await session.wait_for(Dtmf, timeout=0.01)
        with anyio.move_on_after(0.01):
            await session.wait_for(Dtmf)
        left.append(len(session._driver.waiters))
        return "on"

    async with a_call(AnApp(act)) as caller:
        await begins(caller)
        assert await caller.receives() == Speak("on")
    assert left == [0]


async def test_a_match_that_raises_is_raised_where_the_wait_is_and_the_call_goes_on() -> None:
    async def act(session: CallSession) -> None:
        await session.wait_for(Dtmf, match=lambda event: 1 / 0)

    async with a_call(AnApp(act)) as caller:
        await begins(caller)
        await caller.says(Dtmf(digit="1"))
        assert await caller.receives() == Speak("division by zero")


@pytest.mark.parametrize("how", ["session.ended", "close"])
async def test_the_end_of_the_call_ends_a_wait_at_once(how: str) -> None:
    """Not after end_grace, which here is longer than the caller's patience."""

    async def act(session: CallSession) -> None:
        await session.wait_for(Dtmf)

    app = AnApp(act, end_grace=100.0)
    async with a_call(app) as caller:
        await begins(caller)
        if how == "close":
            await caller.closes()
        else:
            await caller.says(AgentSessionEnded())
            commands, ended = await caller.ends()
            assert (commands, ended.code) == ([Speak(str(app.outcome))], 1000)
        await is_over(app)
    assert isinstance(app.outcome, SessionClosedError)


async def test_the_last_event_can_be_waited_for() -> None:
    async def act(session: CallSession) -> str:
        return (await session.wait_for(AgentSessionEnded)).type

    app = AnApp(act)
    async with a_call(app) as caller:
        await begins(caller)
        await caller.says(AgentSessionEnded())
        commands, _ = await caller.ends()
    assert commands == [Speak("session.ended")]


@pytest.mark.parametrize(
    ("kind", "told"),
    [(Ended, "cannot be waited for"), (AgentEvent, "is not an event"), (str, "is not an event")],
    ids=["Ended", "base", "str"],
)
async def test_what_is_no_event_cannot_be_waited_for(kind: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        await Waiters().wait_for(kind)


@pytest.mark.parametrize("value", [-1, float("nan"), "1", True], ids=str)
async def test_what_is_no_time_to_wait_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"^timeout "):
        await Waiters().wait_for(Dtmf, timeout=value)


async def test_an_event_that_comes_with_the_timeout_wins() -> None:
    waiters = Waiters()

    async def wait() -> None:
        assert (await waiters.wait_for(Dtmf, timeout=0.01)).digit == "1"

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        due = anyio.current_time() + 0.02
        while anyio.current_time() < due:
            pass  # the loop stands still until after the time-out
        waiters.observe(Dtmf(digit="1"))
    assert not waiters


async def test_no_one_waits_once_the_call_is_over() -> None:
    waiters = Waiters()
    waiters.end()
    for begin in (lambda: waiters.wait_for(Dtmf), lambda: waiters.gather_digits(1)):
        with pytest.raises(SessionClosedError):
            await begin()
    assert not waiters


# --- gather_digits --------------------------------------------------------------------------------


async def test_digits_are_gathered_in_a_tool_and_in_a_control_handler() -> None:
    async def act(session: CallSession) -> str:
        first = await session.gather_digits(4)
        session.speak("next")
        second = await session.gather_digits(finish_on="*")
        return f"{first.digits} {first.reason} {second.digits} {second.reason}"

    app = AnApp(act)

    @app.tool(schema=True)
    async def ask_pin(session: CallSession, length: int) -> str:
        session.speak("your pin")
        return (await session.gather_digits(length, timeout=PATIENCE)).digits

    async with a_call(app) as caller:
        await begins(caller)
        await caller.says(*(Dtmf(digit=key) for key in "1234"))
        await caller.says(ToolCall(id="t", name="ask_pin", arguments={"length": 2}), UserIdle())
        both = [await caller.receives(), await caller.receives()]
        assert Speak("next") in both
        assert Speak("your pin") in both
        await caller.says(*(Dtmf(digit=key) for key in "77*"))
        answers = [await caller.receives(), await caller.receives()]
    assert ToolResult("t", "77") in answers
    assert Speak("1234 complete 77 finish_key") in answers


async def test_a_pause_ends_it_without_an_error() -> None:
    async def act(session: CallSession) -> Digits:
        return await session.gather_digits(4, timeout=PATIENCE, digit_timeout=0.01)

    app = AnApp(act)
    async with a_call(app) as caller:
        await begins(caller)
        await caller.says(Dtmf(digit="1"))
        await caller.receives()
    assert app.outcome == Digits("1", "timeout")


async def test_between_two_presses_the_task_sleeps() -> None:
    waiters = Waiters()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(waiters.gather_digits, 4)
        await anyio.wait_all_tasks_blocked()
        waiters.observe(Dtmf(digit="1"))
        with anyio.fail_after(1):
            await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert not waiters


async def test_the_end_of_the_call_ends_it_with_what_was_pressed() -> None:
    async def act(session: CallSession) -> Digits:
        return await session.gather_digits(4, digit_timeout=PATIENCE)

    app = AnApp(act, end_grace=100.0)
    async with a_call(app) as caller:
        await begins(caller)
        await caller.says(Dtmf(digit="1"), AgentSessionEnded())
        await caller.ends()
        await is_over(app)
    assert app.outcome == Digits("1", "ended")


async def test_the_copy_of_the_last_press_is_no_press_of_the_next_number() -> None:
    async def act(session: CallSession) -> str:
        account = await session.gather_digits(2)
        session.speak("and your pin")
        return account.digits + "/" + (await session.gather_digits(2)).digits

    async with a_call(AnApp(act)) as caller:
        await begins(caller)
        await caller.says(Dtmf(digit="1"), StreamDtmf(digit="1"), Dtmf(digit="2"))
        assert await caller.receives() == Speak("and your pin")
        await caller.says(StreamDtmf(digit="2"), Dtmf(digit="3"), StreamDtmf(digit="3"))
        await caller.says(Dtmf(digit="4"), StreamDtmf(digit="4"))
        assert await caller.receives() == Speak("12/34")


# --- start_soon -----------------------------------------------------------------------------------


async def test_a_task_runs_beside_the_handlers_and_is_cancelled_with_the_call() -> None:
    seen: list[str] = []

    async def ticker(session: CallSession, word: str) -> None:
        try:
            session.speak(word)
            await anyio.sleep_forever()
        finally:
            seen.append(f"cancelled, over: {app.over.is_set()}")

    async def act(session: CallSession) -> str:
        session.start_soon(ticker, session, "tick", name="ticker")
        return "started"

    app = AnApp(act, end_grace=0.05)
    async with a_call(app) as caller:
        await begins(caller)
        assert [await caller.receives(), await caller.receives()] == [
            Speak("started"),
            Speak("tick"),
        ]
        await caller.closes()
        await is_over(app)
    assert seen == ["cancelled, over: False"]
    assert app.errors == []


async def test_a_task_may_finish_its_work_after_the_end_and_then_nobody_waits() -> None:
    seen: list[str] = []

    async def save(session: CallSession) -> None:
        with pytest.raises(SessionClosedError):
            await session.wait_for(Dtmf)
        await anyio.sleep(0.01)
        seen.append("saved")

    async def act(session: CallSession) -> str:
        session.start_soon(save, session)
        return "started"

    app = AnApp(act, end_grace=100.0)
    async with a_call(app) as caller:
        await begins(caller)
        assert await caller.receives() == Speak("started")
        await caller.closes()
        await is_over(app)
    assert seen == ["saved"]


async def test_what_a_task_raises_is_reported_and_ends_nothing(
    anyio_backend_name: str,
) -> None:
    async def fails(how: str) -> object:
        await anyio.lowlevel.checkpoint()
        if how == "stray" and anyio_backend_name == "asyncio":
            raise asyncio.CancelledError
        raise ValueError(how)

    def is_sync(how: str) -> None: ...

    async def act(session: CallSession) -> str:
        for func, how in ((fails, "boom"), (fails, "stray"), (is_sync, "sync")):
            session.start_soon(func, how)  # type: ignore[arg-type]
        await session.wait_for(PlayCompleted)
        return "on"

    app = AnApp(act)
    async with a_call(app) as caller:
        await begins(caller)
        await caller.says(PlayCompleted())
        assert await caller.receives() == Speak("on")
        await caller.closes()
        await is_over(app)
    assert [event for event, _ in app.errors] == [None] * 3
    assert {"boom"} < {str(error) for _, error in app.errors}


async def test_without_a_handler_of_errors_they_go_to_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = VoiceApp()

    async def fails() -> None:
        raise ValueError("boom")

    @app.on_connect
    async def connected(session: CallSession) -> None:
        session.start_soon(fails)

    @app.on(Dtmf)
    async def pressed(session: CallSession, event: Dtmf) -> None:
        session.speak("on")

    async with a_call(app) as caller:
        await caller.says(Dtmf(digit="1"))
        assert await caller.receives() == Speak("on")
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert "boom" in str(record.exc_info[1])


async def test_after_the_end_neither_tasks_nor_waits_begin() -> None:
    seen: list[type[Exception]] = []

    app = AnApp(lambda session: anyio.lowlevel.checkpoint())
    async with a_call(app) as caller:
        await begins(caller)
        await caller.closes()
        await is_over(app)
    session = app.session
    assert session is not None
    for begin in (
        lambda: session.start_soon(anyio.sleep, 0),
        lambda: session.wait_for(Dtmf),
        lambda: session.gather_digits(1),
    ):
        try:
            pending = begin()
            if pending is not None:
                await pending
        except SessionClosedError as error:
            seen.append(type(error))
    assert seen == [SessionClosedError] * 3


async def test_a_shutdown_ends_waits_and_tasks_too() -> None:
    seen: list[str] = []
    app = VoiceApp()

    async def outside(session: CallSession) -> None:
        with pytest.raises(SessionClosedError):
            await session.wait_for(Dtmf)
        seen.append("outside")

    async def inside() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            seen.append("inside")

    async with anyio.create_task_group() as ours:

        @app.on(Dtmf)
        async def pressed(session: CallSession, event: Dtmf) -> None:
            ours.start_soon(outside, session)
            session.start_soon(inside)
            await anyio.lowlevel.checkpoint()
            session.speak("on")

        @app.on_disconnect
        async def gone(session: CallSession) -> None:
            with pytest.raises(SessionClosedError):
                session.start_soon(inside)
            with pytest.raises(SessionClosedError):
                await session.gather_digits(1)
            seen.append("disconnect")

        async with anyio.create_task_group() as server:
            _, port = await server.start(app.serve, "127.0.0.1", 0)
            async with calling(port) as caller:
                await caller.says(Dtmf(digit="1"))
                assert await caller.receives() == Speak("on")
                server.cancel_scope.cancel()
                await anyio.lowlevel.checkpoint()
    assert seen[0] == "inside"
    assert sorted(seen) == ["disconnect", "inside", "outside"]


async def test_a_thousand_tasks_run_at_once_and_no_more() -> None:
    async def report(error: Exception) -> None: ...

    async with anyio.create_task_group() as tasks:
        background = Background(tasks, report, grace=0)
        for _ in range(1000):
            background.start_soon(anyio.sleep_forever)
        with pytest.raises(LocalProtocolError, match="1000 tasks"):
            background.start_soon(anyio.sleep_forever)
        background.end()
        with anyio.fail_after(PATIENCE):
            await background.finish()
        tasks.cancel_scope.cancel()
