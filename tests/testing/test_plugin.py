"""The fixtures for users' tests: what a step does and takes, and what it says when it fails."""

from __future__ import annotations

import asyncio
import base64
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest

from plivo_anyio import CallSession, VoiceApp
from plivo_anyio.testing import ACall, Platform, Server
from plivo_core import ConfigError, InvalidMessage, Timings
from plivo_core import events as ev
from plivo_core.commands import Hangup, PlayAudio, Speak, Update
from plivo_core.platform import AgentSettings, Fault

pytest_plugins = ["plivo_anyio.pytest_plugin"]
LOUD = bytes([0x7F]) * 160  # 20 ms


@pytest.fixture(params=["asyncio", "trio"])
def plivo_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[Platform, Server])
def either(request: pytest.FixtureRequest, plivo_backend: str) -> Iterator[ACall]:
    with request.param(plivo_backend) as stage:
        yield stage.a_call


def an_agent(**options: Any) -> VoiceApp:
    """One that answers in every mode."""
    app = VoiceApp(**options)
    app.on(ev.Dtmf)(lambda session, event: session.speak(f"You pressed {event.digit}."))

    @app.on(ev.Prompt)
    async def model(session: CallSession, event: ev.Prompt) -> None:
        for word in ("You", "said", event.text):
            session.send_text(f"{word} ")
        session.send_text("", last=True)

    @app.tool("add")
    async def add(session: CallSession, call: ev.ToolCall) -> dict[str, object]:
        return {"sum": sum(call.arguments["numbers"]), "exact": True}

    @app.on(ev.StreamMedia)
    async def echo(session: CallSession, event: ev.StreamMedia) -> None:
        session.send_media(event.payload)

    @app.on(ev.Interruption)
    async def barge_in(session: CallSession, event: ev.Interruption) -> None:
        session.update(interrupted=True)

    @app.on(ev.UserIdle)
    async def silence(session: CallSession, event: ev.UserIdle) -> None:
        session.hangup()

    return app


def failure(step: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        step()
    return str(caught.value)


# --- steps that are met, on both backends, in process and over TCP --------------------------------


def test_a_call_of_a_managed_agent(either: ACall) -> None:
    call = either(an_agent())
    call.presses("5")
    assert call.hears("you  PRESSED") == "You pressed 5."
    assert call.calls_tool("add", {"numbers": [1, 2]}) == "tool-1"
    assert call.expects_tool("add", {"sum": 3}) == {"sum": 3, "exact": True}
    call.presses("67")
    assert call.expects(Speak, text="You pressed 7.") == Speak("You pressed 7.")
    assert call.hears(re.compile(r"\b6\b")) == "You pressed 6."
    assert call.commands[0] == Speak("You pressed 5.")
    call.hangs_up()
    assert "ended (1000, close)" in repr(call)


def test_a_call_of_a_model_of_ones_own(either: ACall) -> None:
    call = either(an_agent(), mode="text")
    call.says("hello there")
    assert call.hears("said hello") == "You said hello there "
    call.says("again")
    call.hears("You said again")
    call.hangs_up()


def test_a_call_with_audio(either: ACall) -> None:
    call = either(an_agent(), mode="stream")
    call.plays(LOUD * 5)
    assert call.expects(PlayAudio).payload == base64.b64encode(LOUD).decode()
    assert call.hears_audio(ms=100) >= 99.99
    call.presses("1")
    call.receives(ev.StreamDtmf(digit="2"))
    call.hangs_up()


def test_the_agent_hangs_up(either: ACall) -> None:
    app = VoiceApp()

    @app.on("user.dtmf")
    async def leave(session: CallSession, event: ev.Dtmf) -> None:
        session.hangup()

    with either(app) as call:
        call.presses("0")
        call.expects(Hangup)
        call.ends()


def test_the_upgrade_is_the_tests_to_choose(either: ACall) -> None:
    async def authorize(request: Any) -> bool:
        return (request.path, request.header("x-key")) == ("/calls", "k")

    app = VoiceApp(authorize=authorize)
    either(app, target="/calls?a=1", headers=[("x-key", "k")]).hangs_up()
    message = failure(lambda: either(app))
    assert message.startswith("the upgrade: refused\n  expected: the agent accepts the call")


def test_faults_are_steps_as_well(either: ACall) -> None:
    call = either(an_agent())
    call.plays_steps(Fault("drop", "the line breaks"))
    call.ends(code=1006)


# --- time -----------------------------------------------------------------------------------------


def test_ten_minutes_take_no_time(a_call: ACall) -> None:
    call = a_call(an_agent(), settings=AgentSettings(no_response_timeout_s=300))
    began = time.perf_counter()
    call.expects_no(Hangup, during=299)
    call.expects(Hangup, within=2)
    call.ends()
    assert 300 <= call.seconds < 303
    assert time.perf_counter() - began < 10


def test_time_stands_still_between_steps(a_call: ACall) -> None:
    call = a_call(an_agent())
    seconds = call.seconds
    time.sleep(0.05)
    assert call.seconds == seconds
    call.waits(0.25)
    assert call.seconds == pytest.approx(seconds + 0.25, abs=1e-4)


def test_words_and_barge_in_take_their_time(a_call: ACall) -> None:
    call = a_call(an_agent())
    call.model_says("a" * 50)
    assert call.seconds == pytest.approx(3, abs=1e-4)
    call.model_says("b" * 100, wait=False)
    call.waits(1)
    call.interrupts()
    call.expects(Update, interrupted=True)
    assert call.seconds == pytest.approx(4, abs=1e-4)


@pytest.mark.parametrize("work", ["sync handler", "anyio thread", "asyncio thread", "socket"])
def test_a_handler_that_works_in_real_time_is_waited_for(
    a_call: ACall, plivo_backend: str, work: str
) -> None:
    app = VoiceApp(timings=Timings(tool_call=60))
    if work == "sync handler":

        @app.tool("work")
        def in_thread(session: CallSession, call: ev.ToolCall) -> str:
            time.sleep(0.05)
            return "done"

    else:

        @app.tool("work")
        async def handler(session: CallSession, call: ev.ToolCall) -> str:
            if work == "anyio thread":
                await anyio.to_thread.run_sync(time.sleep, 0.05)
            elif work == "asyncio thread" and plivo_backend == "asyncio":  # trio has no such thing
                await asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.05)
            else:
                await a_round_trip()
            return "done"

    call = a_call(app)
    call.calls_tool("work")
    assert call.expects_tool("work", within=5) == "done"
    assert call.seconds < 2


async def a_round_trip() -> None:
    """Over a socket, with somebody slow whom no event loop knows."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            peer, _ = listener.accept()
            with peer:
                time.sleep(0.05)
                peer.sendall(b"x")

        thread = threading.Thread(target=answer)
        thread.start()
        async with await anyio.connect_tcp(*listener.getsockname()) as stream:
            assert await stream.receive() == b"x"
        thread.join()


# --- steps that are not met -----------------------------------------------------------------------


def test_a_failure_names_the_step_and_what_came_instead(either: ACall) -> None:
    call = either(an_agent())
    call.presses("1")
    call.hears("1")
    call.waits(1)
    call.presses("2")
    message = failure(lambda: call.hears("3", within=0.3))
    first, *rest = message.splitlines()
    assert first == "step 5, call.hears('3'): not within 0.3 s"
    assert rest[0] == "  expected: the agent's words hold '3'"
    assert rest[1] == "  since step 4, call.presses('2'): "
    assert re.fullmatch(r" +\d\.\d{3} s  Speak\(text='You pressed 2.'\)", rest[2])
    assert re.fullmatch(r"  the call: goes on, for \d\.\d{3} s so far", rest[3])


def test_a_failure_says_that_nothing_came(a_call: ACall) -> None:
    call = a_call(an_agent())
    message = failure(lambda: call.expects(Update, system_prompt="x"))
    assert message.startswith(
        "step 1, call.expects(Update, {'system_prompt': 'x'}): not within 2 s"
    )
    assert "  since the call began: the agent sent nothing" in message
    assert "2.0" in message


def test_what_must_not_come_fails_when_it_does(a_call: ACall) -> None:
    call = a_call(an_agent())
    call.presses("1")
    message = failure(lambda: call.expects_no(Speak))
    assert message.startswith("step 2, call.expects_no(Speak): one came")


def test_too_little_sound_is_told_in_milliseconds(a_call: ACall) -> None:
    call = a_call(an_agent(), mode="stream")
    call.plays(LOUD)
    message = failure(lambda: call.hears_audio(ms=100))
    assert "step 2, call.hears_audio(100): 20 ms within 2.1 s" in message


def test_tools_fail_in_every_way(either: ACall) -> None:
    app = an_agent()

    @app.tool("never")
    async def never(session: CallSession, call: ev.ToolCall) -> None:
        pass

    call = either(app)
    with pytest.raises(ValueError, match="no call of 'add' waits"):
        call.expects_tool("add")
    call.calls_tool("never")
    assert "no answer within 0.1 s" in failure(lambda: call.expects_tool("never", within=0.1))
    call.calls_tool("add", {"numbers": [1]})
    assert "answered something else" in failure(lambda: call.expects_tool("add", {"sum": 2}))
    assert "answered with a result" in failure(lambda: call.expects_tool_error("add"))
    call.expects_tool("add", {"sum": 1})


def test_the_exception_of_a_tool_is_the_cause(either: ACall) -> None:
    call = either(an_agent())
    call.calls_tool("add", {})
    with pytest.raises(AssertionError) as caught:
        call.expects_tool("add", {"sum": 0})
    assert "step 2, call.expects_tool('add', {'sum': 0}): the agent answered with an error" in str(
        caught.value
    )
    assert isinstance(caught.value.__cause__, KeyError)
    assert call.expects_tool_error("add") == "the tool failed"
    call.hangs_up()


@pytest.mark.parametrize("own", ["none", "async", "sync"])
def test_a_handler_that_raises_fails_the_next_step(a_call: ACall, own: str) -> None:
    app = an_agent()
    told: list[Exception] = []

    @app.on(ev.Error)
    async def oops(session: CallSession, event: ev.Error) -> None:
        raise RuntimeError("oops")

    if own == "async":

        @app.on_handler_error
        async def tell(session: CallSession, event: object, error: Exception) -> None:
            told.append(error)

    elif own == "sync":
        app.on_handler_error(lambda session, event, error: told.append(error))

    call = a_call(app)
    call.receives(ev.Error(code="x"))
    assert str(call.expects_error(RuntimeError)) == "oops"
    call.receives(ev.Error(code="y"))
    message = failure(lambda: call.presses("1"))
    assert message.startswith(
        "step 4, call.presses('1'): the handler of Error(code='y') raised RuntimeError: oops"
    )
    assert len(told) == (0 if own == "none" else 2)


def test_an_error_that_does_not_come_is_missed(a_call: ACall) -> None:
    message = failure(lambda: a_call(an_agent()).expects_error(KeyError))
    assert message.startswith("step 1, call.expects_error(KeyError): not within 2 s")


def test_an_on_disconnect_that_raises_fails_the_test(a_call: ACall) -> None:
    app = VoiceApp()

    @app.on_disconnect
    async def oops(session: CallSession) -> None:
        raise RuntimeError("oops")

    call = a_call(app)
    assert "the handler of on_connect, on_disconnect or a task raised" in failure(call.hangs_up)
    call = a_call(app)
    message = failure(lambda: call.__exit__(None, None, None))
    assert message.startswith("the end of the test: the handler of on_connect")


def test_a_call_that_is_over_takes_no_more_steps(a_call: ACall) -> None:
    call = a_call(an_agent())
    call.hangs_up()
    assert failure(lambda: call.presses("1")).startswith("step 2, call.presses('1'): the call is")


def test_a_call_that_does_not_end_is_told(a_call: ACall) -> None:
    call = a_call(an_agent())
    assert "it goes on after 1 s" in failure(lambda: call.ends(within=1))
    call.hangs_up()
    assert "it ended with 1000" in failure(lambda: call.ends(code=1008))


def test_what_the_mode_cannot_play_is_refused_and_changes_nothing(a_call: ACall) -> None:
    call = a_call(an_agent())
    with pytest.raises(ConfigError, match="no"):
        call.plays(LOUD)
    call.presses("1")
    call.hears("1")


def test_two_calls_keep_their_errors_apart(a_call: ACall) -> None:
    app = an_agent()
    app.on(ev.Error)(lambda session, event: 1 / 0)
    one, other = a_call(app), a_call(app)
    one.receives(ev.Error())
    other.presses("1")
    other.hears("1")
    one.expects_error(ZeroDivisionError)


def test_what_one_step_has_taken_is_gone_for_the_next(a_call: ACall) -> None:
    call = a_call(an_agent())
    call.presses("1")
    call.hears("1")
    failure(lambda: call.hears("1"))
    call.presses("2")
    call.expects(Speak, text="You pressed 2.")
    failure(lambda: call.expects(Speak))


def test_what_is_no_command_fails_the_next_step(a_call: ACall) -> None:
    call = a_call(an_agent())  # whose session would not send such a thing
    call._line.run.call.invalid.append(InvalidMessage("{", "invalid_json"))
    assert "the agent sent invalid_json: '{'" in failure(lambda: call.presses("2"))


def test_a_step_waits_for_what_a_sync_handler_does_at_once(a_call: ACall) -> None:
    app = VoiceApp()

    @app.on(ev.Dtmf)
    def slow(session: CallSession, event: ev.Dtmf) -> None:
        time.sleep(0.02)
        session.speak("done")

    call = a_call(app)
    call.presses("1")
    assert call.commands == [Speak("done")]


def test_an_app_is_left_as_it_was() -> None:
    app = an_agent()
    before = app._registry.on_handler_error
    with Platform() as platform:
        platform.a_call(app)
        assert app._registry.on_handler_error != before
    assert app._registry.on_handler_error is before


# --- over TCP -------------------------------------------------------------------------------------


def test_a_server_has_an_address_for_other_clients(plivo_server: Server) -> None:
    app = an_agent()

    @app.http("/hello")
    async def hello(request: object) -> str:
        return "hi"

    call = plivo_server.a_call(app)
    assert httpx.get(f"{plivo_server.url(app)}/hello").text == "hi"
    call.presses("1")
    call.hears("1")


def test_the_plugin_loads_nothing_before_it_is_used() -> None:
    code = "import sys, plivo_anyio.pytest_plugin; print('plivo_anyio.testing' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"
