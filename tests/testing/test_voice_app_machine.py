"""The machine that fuzzes a VoiceApp: a good one passes, on both backends; bugs are found."""

from __future__ import annotations

import time
from typing import Any

import anyio
import pytest

from plivo_anyio import CallSession, VoiceApp
from plivo_anyio.testing.fuzz import VoiceAppMachine
from plivo_core import InvalidCommandError
from plivo_core import events as ev
from tests.testing.test_agent_machine import fuzz


def an_app() -> VoiceApp:
    app = VoiceApp()

    @app.tool("check_order")
    async def check_order(session: CallSession, call: ev.ToolCall) -> dict[str, object]:
        return {"order": call.arguments.get("order_id")}

    @app.tool("slow_report")
    async def slow_report(session: CallSession, call: ev.ToolCall) -> str:
        await anyio.sleep(25)
        return "all is well"

    @app.on(ev.Prompt)
    def heard(session: CallSession, event: ev.Prompt) -> None:
        if event.is_final and session.data.get("reads"):
            session.send_text(event.text, last=True)

    @app.on(ev.StreamMedia)
    async def echo(session: CallSession, event: ev.StreamMedia) -> None:
        if session.stream_id is not None and event.payload:
            session.send_media(event.payload)

    @app.on(ev.Interruption)
    async def barge_in(session: CallSession, event: ev.Interruption) -> None:
        if session.stream_id is not None:
            session.clear_audio()

    return app


class GoodApp(VoiceAppMachine):
    tools = ("check_order", "slow_report")

    def make_app(self) -> VoiceApp:
        return an_app()


@pytest.mark.parametrize("name", ["asyncio", "trio"])
def test_a_good_app_passes(name: str) -> None:
    class Machine(GoodApp):
        backend = name

    fuzz(Machine, examples=10)


class RaisesAtKeys(GoodApp):
    def make_app(self) -> VoiceApp:
        app = an_app()
        app.on(ev.Dtmf)(lambda session, event: session.send_dtmf(event.digit))
        return app


class AnswersLate(GoodApp):
    modes = ("agent",)
    tools = ("slow_report",)
    tool_seconds = 10.0


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (RaisesAtKeys, r"the agent raised InvalidCommandError .* at Dtmf"),
        (AnswersLate, r"the agent did not answer within 10 s ToolCall"),
    ],
)
def test_a_bug_of_an_app_is_found(machine: Any, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        fuzz(machine, examples=300)


def test_an_hour_takes_no_time_and_the_line_may_break() -> None:
    app = an_app()

    class Machine(GoodApp):
        def make_app(self) -> VoiceApp:
            return app

    call = Machine()
    call.the_phone_rings("raw", 7)
    began = time.perf_counter()
    call.the_model_calls(("slow_report", {}))
    call.time_passes(3600.0)
    assert time.perf_counter() - began < 10
    call.the_caller_makes_a_sound(2)
    call.the_caller("loses the line")
    assert not call.goes_on
    assert app.stats.calls == 0
    call.teardown()
    assert [type(command).__name__ for command in call.commands] == [
        *("ToolResult", "PlayAudio", "PlayAudio"),
    ]


def test_an_error_is_told_once() -> None:
    class Lenient(RaisesAtKeys):
        def check_error(self, event: object, error: Exception) -> None:
            told.append(type(error))

    told: list[type[Exception]] = []
    call = Lenient()
    call.the_phone_rings("agent", 0)
    call.the_caller_presses(["", "1"])
    call.teardown()
    assert told == [InvalidCommandError]


def test_an_app_is_to_be_given() -> None:
    with pytest.raises(NotImplementedError, match="make_app"):
        VoiceAppMachine().the_phone_rings("agent", 0)
