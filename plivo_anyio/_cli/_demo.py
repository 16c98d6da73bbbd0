"""The demo: a voice agent and a simulated Plivo hold one scripted call over loopback TCP.

Nothing is faked between the two: real sockets, real frames, the real core on both ends. Exit status
0 means that every step of the script was observed, on the platform's side and on the agent's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio
import click

from plivo_anyio._app import VoiceApp
from plivo_anyio._cli._options import backend_option, json_option
from plivo_anyio._cli._output import Output
from plivo_anyio._cli._run import run_async
from plivo_anyio._cli._transcript import Transcript
from plivo_anyio._platform import place_call
from plivo_anyio._session import CallSession
from plivo_core import Ended
from plivo_core.agent import EndCall
from plivo_core.commands import Hangup, Speak, ToolResult, Update
from plivo_core.events import (
    AgentSessionEnded,
    AgentSessionStarted,
    AgentSpeechCompleted,
    AgentToolCompleted,
    Dtmf,
    Interruption,
    Prompt,
    ToolCall,
    TurnCompleted,
    TurnMetrics,
)
from plivo_core.platform import (
    AgentSpeaks,
    Emit,
    Expect,
    Interrupt,
    Pause,
    PlatformCall,
    Step,
    agent_tool,
    caller_presses,
    caller_says,
)

__all__ = ["demo", "run_demo"]

ORDERS = {"A-1001": "it left the warehouse this morning"}
_END_CALL = EndCall("Thanks for calling, goodbye!")


@dataclass
class Seen:
    """What the agent's handlers observed, in order."""

    events: list[type[object]] = field(default_factory=list[type[object]])
    disconnects: int = 0
    gone: anyio.Event = field(default_factory=anyio.Event)


def make_app(seen: Seen) -> VoiceApp:
    """The agent: an order lookup tool, a key press, an ending."""
    app = VoiceApp()

    @app.on_event
    async def note(session: CallSession, event: object) -> None:
        seen.events.append(type(event))

    @app.on(AgentSessionStarted)
    async def opened(session: CallSession, event: AgentSessionStarted) -> None:
        session.update(events={"metrics_events": True})

    @app.tool("lookup_order")
    async def lookup_order(session: CallSession, call: ToolCall) -> dict[str, object]:
        order_id = str(call.arguments.get("order_id", ""))
        return {"order_id": order_id, "status": ORDERS.get(order_id, "not found")}

    @app.on(Dtmf)
    async def pressed(session: CallSession, event: Dtmf) -> None:
        session.speak("Our opening hours are nine to five, Monday to Friday, except on holidays.")

    @app.tool("end_call")
    async def end_call(session: CallSession, call: ToolCall) -> None:
        _END_CALL.handle(session, call)

    @app.on_disconnect
    async def gone(session: CallSession) -> None:
        seen.disconnects += 1
        seen.gone.set()

    return app


def script() -> list[Step]:
    """What the caller and the platform's model do, and what must come back."""
    answer = {"order_id": "A-1001", "status": ORDERS["A-1001"]}
    return [
        Expect(Update, "the agent asks for metrics"),
        AgentSpeaks("Hello, this is the shop. How can I help?"),
        *caller_says("Where is my order A dash one thousand and one?"),
        Emit(ToolCall(id="call-1", name="lookup_order", arguments={"order_id": "A-1001"})),
        Expect(
            ToolResult, "the order's status as the tool result", {"id": "call-1", "result": answer}
        ),
        AgentSpeaks(f"Good news: {ORDERS['A-1001']}."),
        Emit(TurnCompleted(user_text="Where is my order?", agent_text="Good news.", turn_id="t-1")),
        Emit(TurnMetrics(turn_number=1, user_perceived_ms=640, llm_ttft_ms=210, tts_ttfb_ms=90)),
        *caller_presses("1"),
        Expect(Speak, "the opening hours, spoken after key 1"),
        Pause(0.05),
        Interrupt(),
        *caller_says("Thanks, that is enough."),
        *agent_tool("collect_email", "collect-1", {"email_address": "pat@example.com"}),
        Emit(ToolCall(id="call-2", name="end_call", arguments={"reason": "the caller is happy"})),
        Expect(Speak, "a farewell", {"text": "Thanks for calling, goodbye!"}),
        Expect(ToolResult, "the end_call tool's result", {"id": "call-2"}),
        Expect(Hangup, "the hang-up"),
    ]


def _agent_checks(seen: Seen, ended: Ended | None) -> list[tuple[str, bool]]:
    """What the agent must have observed, in terms of its own handlers."""
    wanted = {
        "greeting spoken": AgentSpeechCompleted,
        "the caller's question": Prompt,
        "the tool call": ToolCall,
        "the turn": TurnCompleted,
        "metrics": TurnMetrics,
        "the key press": Dtmf,
        "the barge-in": Interruption,
        "the email collector's completion": AgentToolCompleted,
        "the end of the session": AgentSessionEnded,
    }
    checks = [(f"agent saw {label}", kind in seen.events) for label, kind in wanted.items()]
    checks.append(("on_disconnect ran once", seen.disconnects == 1))
    closed = ended is not None and (ended.initiator, ended.code) == ("remote", 1000)
    checks.append(("the agent closed the connection cleanly", closed))
    return checks


async def run_demo(backend: str, output: Output) -> bool:
    """Run the demo in this event loop; True when every expected step was observed."""
    seen = Seen()
    call = PlatformCall(script(), seconds_per_character=0.003)
    transcript = Transcript(output)
    began = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        host, port = await tasks.start(make_app(seen).serve, "127.0.0.1", 0)
        output.text(f"agent listens on ws://{host}:{port}, simulated Plivo calls it ({backend})\n")
        ended = await place_call(
            call,
            host,
            port,
            target="/demo",
            on_sent=transcript.sent,
            on_received=transcript.received,
        )
        with anyio.move_on_after(1):
            await seen.gone.wait()
        tasks.cancel_scope.cancel()
    checks = [(step.label, step.met) for step in call.observations]
    checks += [(label, False) for label in call.missed if (label, False) not in checks]
    checks += _agent_checks(seen, ended)
    _tell(output, transcript, checks, backend, anyio.current_time() - began)
    return all(met for _, met in checks)


def _tell(
    output: Output,
    transcript: Transcript,
    checks: list[tuple[str, bool]],
    backend: str,
    seconds: float,
) -> None:
    output.json(
        {
            "summary": {
                "backend": backend,
                "events": transcript.events,
                "commands": transcript.commands,
                "seconds": round(seconds, 3),
                "ok": all(met for _, met in checks),
                "steps": [{"step": label, "observed": met} for label, met in checks],
            }
        }
    )
    output.text()
    for label, met in checks:
        output.text(f"  {'ok    ' if met else 'MISSED'}  {label}", colour=None if met else "red")
    observed = sum(met for _, met in checks)
    output.text(
        f"\n{observed} of {len(checks)} steps observed on {backend}: {transcript.events} events,"
        f" {transcript.commands} commands, {seconds:.2f} s",
        colour="green" if observed == len(checks) else "red",
    )


@click.command()
@backend_option
@json_option
@click.pass_context
def demo(context: click.Context, backend: str, as_json: bool) -> None:
    """Hold one scripted call on loopback and print its transcript; no account needed."""
    output = Output(as_json)
    observed = False

    async def run() -> None:
        nonlocal observed
        observed = await run_demo(backend, output)

    caught = run_async(backend, run)
    context.exit(128 + caught if caught is not None else 0 if observed else 1)
