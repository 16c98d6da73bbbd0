"""``demo``: a voice agent and a simulated Plivo on loopback, the whole circle.

Nothing is faked between the two: real sockets, real frames, real signatures, the real core on both
ends. Exit status 0 means that every step was observed, on the platform's side and on the agent's.
"""

from __future__ import annotations

import functools
import importlib.util
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
import click

from plivo_anyio._app import VoiceApp
from plivo_anyio._cli._account import ShownCall, ToldAccount, random_credentials
from plivo_anyio._cli._options import backend_option, json_option
from plivo_anyio._cli._output import Output
from plivo_anyio._cli._run import run_async
from plivo_anyio._cli._transcript import Transcript
from plivo_anyio._platform_server import serve_platform
from plivo_anyio._session import CallSession
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
    CallPlaced,
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
from plivo_core.webhooks import HangupCallback, RingCallback, WebhookVerifier

if TYPE_CHECKING:
    import httpx

    from plivo_httpx_adapter import AsyncClient

__all__ = ["demo", "run_demo"]

ORDERS = {"A-1001": "it left the warehouse this morning"}
_PATIENCE = 10.0  # seconds for the end of the call to get about
_END_CALL = EndCall("Thanks for calling, goodbye!")


@dataclass
class Seen:
    """What the agent's handlers observed, in order."""

    events: list[type[object]] = field(default_factory=list[type[object]])
    callbacks: list[str] = field(default_factory=list[str])
    disconnects: int = 0
    gone: anyio.Event = field(default_factory=anyio.Event)
    """The agent is done with the call."""
    over: anyio.Event = field(default_factory=anyio.Event)
    """The hang-up callback came."""


def make_app(seen: Seen, verifier: WebhookVerifier) -> VoiceApp:
    """The agent: an order lookup tool, a key press, an ending, and two callbacks."""
    app = VoiceApp(path="/demo", webhooks=verifier)

    @app.webhook("/ring", RingCallback, json=True)
    async def ringing(call: RingCallback) -> None:
        seen.callbacks.append(type(call).__name__)

    @app.webhook("/hangup", HangupCallback, json=True)
    async def hung_up(call: HangupCallback) -> None:
        seen.callbacks.append(type(call).__name__)
        seen.over.set()

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


def _agent_checks(seen: Seen) -> list[tuple[str, bool]]:
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
    return checks


async def run_demo(backend: str, output: Output) -> bool:
    """Run the demo in this event loop; True when every expected step was observed."""
    from plivo_httpx_adapter import AsyncClient

    began = anyio.current_time()
    auth_id, token = random_credentials()
    account = ToldAccount(auth_id, token, output)
    seen, transcript = Seen(), Transcript(output)
    calls: list[PlatformCall] = []
    checks: list[tuple[str, bool]] = []

    def tell() -> bool:
        transcript.end()
        for call in calls:
            checks.extend((step.label, step.met) for step in call.observations)
            checks.extend((label, False) for label in call.missed if (label, False) not in checks)
        checks.extend(_agent_checks(seen))
        _tell(output, transcript, account, checks, backend, anyio.current_time() - began)
        return all(met for _, met in checks)

    try:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            address = f"127.0.0.1:{sock.getsockname()[1]}"
            public_url = f"http://{address}"
            app = make_app(seen, WebhookVerifier(token, public_url=public_url))
            async with anyio.create_task_group() as tasks:
                await tasks.start(functools.partial(app.serve, sock=sock.dup()))
                scenario = functools.partial(_scripted, transcript=transcript, calls=calls)
                host, port = await tasks.start(
                    functools.partial(
                        serve_platform, account, make_call=scenario, on_effect=account.told
                    )
                )
                api_url = f"http://{host}:{port}"
                output.text(f"agent on ws://{address}, simulated Plivo on {api_url} ({backend})\n")
                # Not through a proxy of the environment: it would look for 127.0.0.1 at home.
                async with (
                    httpx_client() as http_client,
                    AsyncClient(
                        auth_id, token, base_url=api_url, http_client=http_client
                    ) as client,
                ):
                    await _circle(client, seen, f"ws://{address}/demo", public_url, checks)
                tasks.cancel_scope.cancel()
    except anyio.get_cancelled_exc_class():
        tell()  # Ctrl-C: the summary so far
        raise
    return tell()


def _scripted(
    placed: CallPlaced, *, transcript: Transcript, calls: list[PlatformCall]
) -> PlatformCall:
    call = ShownCall(
        script(),
        mode=placed.mode,
        call_uuid=placed.call_uuid,
        agent_session_id=placed.session_id or "",
        seconds_per_character=0.003,
    )
    call.transcript = transcript
    calls.append(call)
    return call


async def _circle(
    client: AsyncClient,
    seen: Seen,
    websocket_url: str,
    public_url: str,
    checks: list[tuple[str, bool]],
) -> None:
    """An agent and a number are made, the agent calls, and the session is looked up."""
    hooks = {name: {"url": f"{public_url}/{name}", "method": "POST"} for name in ("ring", "hangup")}
    agent = await client.agent.agents.create(
        agent_name="Shop", websocket_url=websocket_url, stt={}, llm={}, tts={}, callbacks=hooks
    )
    checks.append(("REST: an agent was created", bool(agent.agent_uuid)))
    offers = await client.numbers.search("US", type="local", limit=1)
    number = f"+{offers.objects[0].number.lstrip('+')}"
    bought = await client.numbers.buy(number)
    checks.append(("REST: a number was bought", bool(bought.status)))
    assigned = await client.agent.numbers.assign(agent.agent_uuid, number=number)
    assigned_here = assigned.agent_uuid == agent.agent_uuid
    checks.append(("REST: the number reaches the agent", assigned_here))
    call = await client.agent.calls.initiate(agent.agent_uuid, from_=number, to="+14155550101")
    checks.append(("REST: a call was placed", bool(call.call_uuid)))
    with anyio.move_on_after(_PATIENCE):
        await seen.over.wait()
        await seen.gone.wait()
    sessions = (await client.agent.sessions.list(call_uuid=call.call_uuid)).objects
    ended = [session for session in sessions if session.state == "ended"]
    checks += [
        ("a signed callback told of the ringing", "RingCallback" in seen.callbacks),
        ("a signed callback told of the hang-up", "HangupCallback" in seen.callbacks),
        ("REST: the session is listed, and over", len(ended) == 1),
    ]


def httpx_client() -> httpx.AsyncClient:
    import httpx

    return httpx.AsyncClient(trust_env=False)


def _tell(
    output: Output,
    transcript: Transcript,
    account: ToldAccount,
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
                "requests": account.requests,
                "callbacks": account.callbacks,
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
        f"\n{observed} of {len(checks)} steps observed on {backend}: {account.requests} REST"
        f" requests, {transcript.events} events, {transcript.commands} commands,"
        f" {account.callbacks} callbacks, {seconds:.2f} s",
        colour="green" if observed == len(checks) else "red",
    )


@click.command()
@backend_option
@json_option
@click.pass_context
def demo(context: click.Context, backend: str, as_json: bool) -> None:
    """Show the whole circle on loopback; no account needed.

    An agent and a number are made over REST on a simulated Plivo, a call is placed and held over
    TCP, signed callbacks come and are verified, the session is listed. Exit status 1 if any step
    was missed.
    """
    if importlib.util.find_spec("httpx") is None:
        raise click.UsageError(
            "the demo uses the REST client, which needs httpx: pip install 'plivo-sansio[httpx]'"
        )
    output = Output(as_json)
    observed = False

    async def run() -> None:
        nonlocal observed
        observed = await run_demo(backend, output)

    caught = run_async(backend, output, run)
    context.exit(128 + caught if caught is not None else 0 if observed else 1)
