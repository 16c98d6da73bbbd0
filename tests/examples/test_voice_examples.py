"""The voice agents of examples/ hold a call: in this process on both backends, and as programs."""

from __future__ import annotations

import base64
import importlib.util
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import anyio.to_thread
import pytest
from websockets.sync.client import ClientConnection as WebSocket
from websockets.sync.client import connect

from plivo_anyio import CallSession
from plivo_core import ClientConnection, Command, Ended, InvalidMessage, Rejected, Upgraded
from plivo_core.commands import (
    Hangup,
    Inject,
    PlayAudio,
    SendDtmf,
    Speak,
    Text,
    ToolError,
    ToolResult,
    Transfer,
    Update,
)
from plivo_core.events import (
    Interruption,
    Prompt,
    StreamMedia,
    TurnMetrics,
    UserIdle,
)
from plivo_core.platform import (
    Emit,
    Expect,
    HangUp,
    PlatformCall,
    caller_presses,
    model_calls_tool,
)

ROOT = Path(__file__).parents[2]
PACKET = base64.b64encode(bytes(range(160))).decode()  # 20 ms of mu-law
HANG = 20.0  # seconds: far beyond what any of these calls takes


def load(name: str) -> ModuleType:
    """A fresh copy of an example as a module; ``__main__`` does not run."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look annotations up
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[name]
    return module


@asynccontextmanager
async def served(serve: Callable[..., Coroutine[Any, Any, None]]) -> AsyncIterator[tuple[str, int]]:
    with anyio.fail_after(HANG):
        async with anyio.create_task_group() as tasks:
            yield await tasks.start(serve, "127.0.0.1", 0)
            tasks.cancel_scope.cancel()


@dataclass
class Heard:
    """What reached the platform, in order, and how the call ended."""

    commands: list[Command | InvalidMessage]
    ended: Ended

    def all(self, kind: type[Any]) -> list[Any]:
        return [command for command in self.commands if isinstance(command, kind)]


async def hold(call: PlatformCall, address: tuple[str, int]) -> Heard:
    """Play ``call`` over TCP to the end; its script must be fulfilled."""
    conn = ClientConnection(host="localhost", random_bytes=os.urandom, now=anyio.current_time())
    commands: list[Command | InvalidMessage] = []
    connected = False
    async with await anyio.connect_tcp(*address) as stream:
        while True:
            now = anyio.current_time()
            while (item := conn.next_event()) is not None:
                if isinstance(item, Ended):
                    assert call.missed == []
                    assert call.invalid == []
                    return Heard(commands, item)
                assert not isinstance(item, Rejected)
                if isinstance(item, Upgraded):
                    connected = True
                    call.start(now=now)
                else:
                    commands.append(item)
                    call.receive_command(item, now=now)
            while (event := call.next_event()) is not None:
                conn.send(event, now=now)
            while data := conn.data_to_send():
                await stream.send(data)
            due = [conn.deadline(), call.deadline() if connected else None]
            with anyio.CancelScope(deadline=min(at for at in due if at is not None)) as wait:
                try:
                    conn.receive_data(await stream.receive(), now=anyio.current_time())
                except anyio.EndOfStream:
                    conn.receive_eof(now=anyio.current_time())
            if wait.cancelled_caught:
                conn.handle_timeout(now=anyio.current_time())
                if connected:
                    call.handle_timeout(now=anyio.current_time())


# --- media_echo -----------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_media_echo_gives_every_packet_back_in_order() -> None:
    packets = [base64.b64encode(bytes([n]) * 160).decode() for n in range(20)]
    call = PlatformCall(
        [
            *(Emit(StreamMedia(payload=packet, track="inbound")) for packet in packets),
            Expect(PlayAudio, "the last packet", {"payload": packets[-1]}),
            HangUp(),
        ],
        mode="stream",
    )
    async with served(load("media_echo").app.serve) as address:
        heard = await hold(call, address)
    assert [command.payload for command in heard.all(PlayAudio)] == packets
    assert len(heard.commands) == len(packets)
    assert heard.ended == Ended("remote", 1000, "", "close")


# --- order_agent ----------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_order_agent_holds_a_whole_call(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="order_agent")
    agent = load("order_agent")
    call = PlatformCall(
        [
            Expect(Update, "the agent is configured", {"fields": _configured(agent)}),
            *model_calls_tool("t-1", "check_order", {"order_id": "A-1001"}, answer=ToolResult),
            *model_calls_tool("t-2", "check_order", {"order_id": ["?"]}, answer=ToolResult),
            *caller_presses("1"),  # nobody asked for a key yet
            *model_calls_tool("t-3", "refund_order", {"order_id": "A-1002"}, answer=ToolResult),
            *caller_presses("1"),
            Expect(Speak, "the refund is announced", {"text": "Your refund is on its way."}),
            *model_calls_tool("t-4", "check_order", {"order_id": "A-1002"}, answer=ToolResult),
            *model_calls_tool("t-5", "send_dtmf", {"digits": "12#"}, answer=ToolResult),
            Emit(Interruption(interrupted_text="Your order le", playback_position_s=0.8)),
            Emit(TurnMetrics(turn_number=3, user_perceived_ms=640)),
            *model_calls_tool("t-6", "end_call", {"reason": "done"}, answer=ToolResult),
            Expect(Hangup, "the hang-up"),
        ],
        seconds_per_character=0,
    )
    async with served(agent.app.serve) as address:
        heard = await hold(call, address)

    answers = {answer.id: answer.result for answer in heard.all(ToolResult)}
    assert answers["t-1"] == {"status": "left the warehouse this morning", "total": "42.00 USD"}
    assert answers["t-2"] == {"status": "there is no such order"}
    assert answers["t-3"]["status"] == "not confirmed"
    assert answers["t-4"] == {"status": "refunded", "total": "19.90 USD"}
    assert answers["t-5"] == {"status": "sent", "digits": "12#"}
    assert answers["t-6"] == {"status": "ending", "reason": "done"}
    assert heard.all(ToolError) == []
    assert len(heard.all(Inject)) == 1
    assert [command.digits for command in heard.all(SendDtmf)] == ["12#"]
    assert [type(command) for command in heard.commands[-3:]] == [Speak, ToolResult, Hangup]
    assert heard.ended is not None
    assert heard.ended.code == 1000

    assert "call-1: barge-in after 0.8 s" in caplog.messages
    assert "call-1: turn 3 took 640 ms" in caplog.messages
    assert caplog.messages[-1] == ("call-1: over (session.ended), {'refunds': 1, 'barge-ins': 1}")


def _configured(agent: ModuleType) -> dict[str, object]:
    return {
        "system_prompt": agent.PROMPT,
        "tools": agent.TOOLS,
        "events": {"metrics_events": True},
    }


@pytest.mark.anyio
async def test_a_refund_is_not_granted_by_another_key() -> None:
    agent = load("order_agent")
    call = PlatformCall(
        [
            *model_calls_tool("t-1", "refund_order", {"order_id": "A-1002"}, answer=ToolResult),
            *caller_presses("21"),
            Expect(Inject, "the caller declined"),
            *model_calls_tool("t-2", "check_order", {"order_id": "A-1002"}, answer=ToolResult),
            HangUp(),
        ]
    )
    async with served(agent.app.serve) as address:
        heard = await hold(call, address)
    assert heard.all(ToolResult)[1].result["status"] == "delivered on Monday"
    assert heard.all(Speak) == []


@pytest.mark.anyio
async def test_order_agent_transfers_to_a_human() -> None:
    call = PlatformCall(
        [
            Expect(Update, "the agent is configured"),  # a tool call would not wait for that
            *model_calls_tool("t-1", "transfer_to_human", {"reason": "angry"}, answer=ToolResult),
            HangUp(),
        ]
    )
    async with served(load("order_agent").app.serve) as address:
        heard = await hold(call, address)
    assert [type(c) for c in heard.commands] == [Update, Speak, Transfer, ToolResult]
    assert heard.all(Transfer) == [Transfer("+14155550123", timeout=20)]


@pytest.mark.anyio
async def test_a_failing_lookup_is_logged_and_answered_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken:
        def get(self, order_id: str) -> None:
            raise RuntimeError("no route to db-7.internal")

    agent = load("order_agent")
    vars(agent)["ORDERS"] = Broken()
    call = PlatformCall(
        [
            *model_calls_tool("t-1", "check_order", {"order_id": "A-1001"}, answer=ToolError),
            *model_calls_tool("t-2", "send_dtmf", {"digits": "1"}, answer=ToolResult),
            HangUp(),
        ]
    )
    async with served(agent.app.serve) as address:
        heard = await hold(call, address)
    assert "db-7" not in heard.all(ToolError)[0].error
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.getMessage() == "call-1: the handler of ToolCall failed"
    assert "db-7" in str(record.exc_info)


# --- sync_handlers --------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_sync_handlers_hold_a_call_while_another_one_waits_for_the_database() -> None:
    agent = load("sync_handlers")
    orders, status = agent.orders, agent.orders.status
    blocked, release = threading.Event(), threading.Event()
    threads = set[threading.Thread]()

    def slow_status(order_id: str) -> str | None:
        threads.add(threading.current_thread())
        if order_id == "slow":
            blocked.set()
            assert release.wait(HANG)
        found: str | None = status(order_id)
        return found

    orders.status = slow_status
    slow = PlatformCall(
        [*model_calls_tool("t-0", "check_order", {"order_id": "slow"}, answer=ToolResult), HangUp()]
    )
    quick = PlatformCall(
        [
            Expect(Speak, "the greeting", {"text": "Which order is it?"}),
            *model_calls_tool("t-1", "check_order", {"order_id": "A-1001"}, answer=ToolResult),
            *model_calls_tool("t-2", "check_order", {"order_id": ["?"]}, answer=ToolResult),
            *caller_presses("0"),
            Expect(Hangup, "the hang-up"),
        ],
        seconds_per_character=0,
    )
    waited = list[Heard]()

    async def wait(address: tuple[str, int]) -> None:
        waited.append(await hold(slow, address))

    try:
        async with served(agent.app.serve) as address, anyio.create_task_group() as tasks:
            tasks.start_soon(wait, address)
            assert await anyio.to_thread.run_sync(blocked.wait, HANG)
            heard = await hold(quick, address)
            release.set()
    finally:
        release.set()
        orders.close()
    answers = {answer.id: answer.result for answer in heard.all(ToolResult)}
    assert answers == {"t-1": {"status": "shipped"}, "t-2": {"status": "no such order"}}
    assert heard.all(Speak)[-1].text == "You asked 2 times. Goodbye!"
    assert [type(c) for c in heard.commands[1:3]] == [Speak, ToolResult]
    assert waited[0].all(ToolResult)[0].result == {"status": "no such order"}
    assert len(threads) == 2
    assert threading.current_thread() not in threads


# --- byollm_echo ----------------------------------------------------------------------------------


@asynccontextmanager
async def byollm(module: ModuleType, mark: Any = None) -> AsyncIterator[tuple[str, int]]:
    """The text-mode agent, with ``mark`` called for ``user.idle``."""
    async with anyio.create_task_group() as tasks:
        app = module.make_app(tasks)
        if mark is not None:
            app.on(UserIdle)(mark)
        async with served(app.serve) as address:
            yield address


@pytest.mark.anyio
async def test_byollm_echo_streams_a_reply_to_final_transcriptions_only() -> None:
    call = PlatformCall(
        [
            Emit(Prompt(text="where is", is_final=False)),
            Emit(Prompt(text="where is my order", is_final=True)),
            Expect(Text, "the end of the reply", {"last": True}),
            HangUp(),
        ],
        seconds_per_character=0,
    )
    module = load("byollm_echo")
    model = module.language_model
    asked: list[str] = []

    def recorded_model(text: str) -> AsyncGenerator[str, None]:
        asked.append(text)
        tokens: AsyncGenerator[str, None] = model(text)
        return tokens

    vars(module)["language_model"] = recorded_model
    async with byollm(module) as address:
        heard = await hold(call, address)
    assert asked == ["where is my order"]
    tokens = [(command.token, command.last) for command in heard.all(Text)]
    assert tokens == [
        *((token, False) for token in ("You ", "said: ", "where ", "is ", "my ", "order ")),
        ("", True),
    ]
    assert heard.commands == heard.all(Text)


@pytest.mark.anyio
async def test_byollm_echo_stops_at_a_barge_in() -> None:
    module = load("byollm_echo")
    stopped = anyio.Event()

    async def endless_model(text: str) -> AsyncGenerator[str, None]:
        try:
            yield "Well, "
            await anyio.sleep_forever()
        finally:
            stopped.set()

    async def mark(session: CallSession, event: UserIdle) -> None:
        await stopped.wait()
        session.speak("the model was stopped")

    vars(module)["language_model"] = endless_model
    call = PlatformCall(
        [
            Emit(Prompt(text="hello", is_final=True)),
            Expect(Text, "the first token"),
            Emit(Interruption(interrupted_text="We")),
            Emit(UserIdle(retry_count=1, reason="no_response")),
            Expect(Speak, "the model was stopped while the call went on"),
            HangUp(),
        ]
    )
    async with byollm(module, mark) as address:
        heard = await hold(call, address)
    assert heard.all(Text) == [Text("Well, ")]


@pytest.mark.anyio
async def test_byollm_echo_survives_a_failing_model(caplog: pytest.LogCaptureFixture) -> None:
    module = load("byollm_echo")

    async def model(text: str) -> AsyncGenerator[str, None]:
        if text == "fail":
            raise RuntimeError("out of tokens")
        yield text

    vars(module)["language_model"] = model
    call = PlatformCall(
        [
            Emit(Prompt(text="fail", is_final=True)),
            Emit(Prompt(text="work", is_final=True)),
            Expect(Text, "the end of the second reply", {"last": True}),
            HangUp(),
        ]
    )
    async with byollm(module) as address:
        heard = await hold(call, address)
    assert heard.all(Text) == [Text("work"), Text("", last=True)]
    assert [record.getMessage() for record in caplog.records] == ["call-1: no reply"]


# --- as programs, with the websockets library as Plivo --------------------------------------------


@contextmanager
def program(name: str, backend: str, *more: str) -> Iterator[tuple[str, list[str]]]:
    """Run an example with warnings as errors; its URL, and its log, whole after the block."""
    path = os.environ.get("PYTHONPATH")
    child = subprocess.Popen(
        [
            *(sys.executable, "-W", "error", str(ROOT / "examples" / f"{name}.py")),
            *("--port", "0", "--backend", backend, *more),
        ],
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PLIVO_LOG": "info",
            "PYTHONPATH": f"{ROOT}{os.pathsep}{path}" if path else str(ROOT),
        },
    )
    guard = threading.Timer(HANG, child.kill)  # then every read below ends
    guard.start()
    log: list[str] = []
    try:
        assert child.stderr is not None
        for line in child.stderr:
            log.append(line)
            if found := re.search(r"listening on 127\.0\.0\.1 port (\d+)", line):
                yield f"ws://127.0.0.1:{found[1]}/call", log
                break
        else:
            raise AssertionError(f"{name} never listened: {log}")
        child.send_signal(signal.SIGTERM)
        log += child.stderr  # to its end, which the guard bounds
        assert child.wait(HANG) == 0, log
        assert not re.search("Traceback|Warning|ERROR", "".join(log)), log
    finally:
        guard.cancel()
        child.kill()
        child.communicate()


@contextmanager
def a_call(url: str) -> Iterator[WebSocket]:
    with connect(url, compression=None, open_timeout=HANG, close_timeout=HANG) as peer:
        yield peer


def tell(peer: WebSocket, *messages: dict[str, object]) -> None:
    for message in messages:
        peer.send(json.dumps(message))


def answer(peer: WebSocket) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(peer.recv(timeout=HANG))
    return message


def answers_to_the_end(peer: WebSocket) -> list[dict[str, Any]]:
    """All that still comes; the server closes."""
    messages = [json.loads(message) for message in peer]  # ends at Close 1000 only
    assert peer.protocol.close_code == 1000
    return messages


BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@BACKENDS
def test_media_echo_runs_as_a_program(backend: str) -> None:
    with program("media_echo", backend) as (url, _), a_call(url) as peer:
        tell(
            peer,
            {"event": "start", "start": {"streamId": "s-1", "callId": "c-1"}},
            {"event": "media", "streamId": "s-1", "media": {"payload": PACKET}},
        )
        assert answer(peer)["media"]["payload"] == PACKET
        tell(peer, {"event": "stop"})
        assert answers_to_the_end(peer) == []


@BACKENDS
def test_order_agent_runs_as_a_program(backend: str) -> None:
    with program("order_agent", backend) as (url, log), a_call(url) as peer:
        tell(peer, {"type": "session.started", "agent_session_id": "as-1", "call_id": "c-1"})
        assert answer(peer)["type"] == "agent_session.update"
        order = {"order_id": "A-1001"}
        tell(peer, {"type": "tool.called", "id": "t-1", "name": "check_order", "arguments": order})
        assert answer(peer) == {
            "type": "tool.result",
            "id": "t-1",
            "result": {"status": "left the warehouse this morning", "total": "42.00 USD"},
        }
        tell(peer, {"type": "agent.speech_interrupted", "playback_position_s": 1.5})
        tell(peer, {"type": "tool.called", "id": "t-2", "name": "end_call", "arguments": {}})
        assert [answer(peer)["type"] for _ in range(3)] == [
            "agent_session.speak",
            "tool.result",
            "agent_session.hangup",
        ]
        tell(peer, {"type": "session.ended", "duration_seconds": 9})
        assert answers_to_the_end(peer) == []
    assert any("c-1: barge-in after 1.5 s" in line for line in log)
    assert any("c-1: over (session.ended), {'barge-ins': 1}" in line for line in log)


@BACKENDS
def test_byollm_echo_runs_as_a_program(backend: str) -> None:
    with program("byollm_echo", backend) as (url, _), a_call(url) as peer:
        tell(
            peer,
            {"type": "session.started", "agent_session_id": "as-1", "call_id": "c-1"},
            {"type": "user.transcription", "text": "good morning", "is_final": True},
        )
        tokens = [answer(peer)]
        while not tokens[-1]["last"]:
            tokens.append(answer(peer))
        assert "".join(token["token"] for token in tokens) == "You said: good morning "
        long = " ".join(["word"] * 2000)  # 40 s of reply, of which a barge-in leaves little
        tell(peer, {"type": "user.transcription", "text": long, "is_final": True})
        assert answer(peer)["token"] == "You "
        tell(peer, {"type": "agent.speech_interrupted"}, {"type": "session.ended"})
        assert not any(token["last"] for token in answers_to_the_end(peer))
