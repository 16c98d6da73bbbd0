"""One agent for every scenario in examples/scenarios: all modes, and what must survive a bad line.

    python examples/scenario_agent.py --port 9000 --backend asyncio

Managed, text mode, speech to speech, raw audio or a plain <Stream>: one app tells them apart by
what arrives.
"""

from __future__ import annotations

import argparse

import anyio

from plivo_anyio import CallSession, VoiceApp
from plivo_core import events as ev
from plivo_core.agent import EndCall, SendDtmf, WarmTransfer

app = VoiceApp()
PREBUILT = EndCall("Goodbye!"), SendDtmf(), WarmTransfer("+14155550123", hold_message="One moment.")


@app.on(ev.AgentSessionStarted)
async def started(session: CallSession, event: ev.AgentSessionStarted) -> None:
    session.update(events={"metrics_events": True})


@app.on(ev.Prompt)  # text mode only: we are the model
async def heard(session: CallSession, event: ev.Prompt) -> None:
    if event.is_final:
        for word in ("You", "said:", *event.text.split()):
            session.send_text(f"{word} ")
        session.send_text("", last=True)


@app.tool("check_order")
async def check_order(session: CallSession, call: ev.ToolCall) -> dict[str, object]:
    return {"order": call.arguments["order_id"], "status": "shipped"}  # without an id: tool.error


@app.tool("slow_report")
async def slow_report(session: CallSession, call: ev.ToolCall) -> str:
    session.extend_wait()
    await anyio.sleep(0.6)
    return "all is well"


@app.tool("to_billing")
async def to_billing(session: CallSession, call: ev.ToolCall) -> str:
    session.handoff("You handle bills.", tools=[], summary="The caller asks about a bill.")
    return "handed over"


@app.on(ev.ToolCall)
async def prebuilt(session: CallSession, call: ev.ToolCall) -> None:
    for tool in PREBUILT:
        if tool.match(call):
            tool.handle(session, call)


@app.on(ev.Dtmf)
async def key_pressed(session: CallSession, event: ev.Dtmf) -> None:
    session.speak(f"You pressed {event.digit}.")


@app.on(ev.UserIdle)
async def silence(session: CallSession, event: ev.UserIdle) -> None:
    if event.reason == "no_response":
        session.speak("Are you there?")


@app.on(ev.VoicemailBeep)
async def beep(session: CallSession, event: ev.VoicemailBeep) -> None:
    session.speak("Please call us back.")
    session.hangup()


@app.on("agent_tool.failed")
@app.on("participant.added")
@app.on("call.transferred")
@app.on("agent.handoff")
async def note(session: CallSession, event: object) -> None:
    session.inject(f"{type(event).__name__}.")


@app.on(ev.StreamMedia)  # raw audio and plain streams: an echo, with a mark behind the first packet
async def echo(session: CallSession, event: ev.StreamMedia) -> None:
    format = session.media_format
    assert format is not None  # `start` came first
    session.send_media(event.payload, format.content_type, int(format.sample_rate))
    if "marked" not in session.data:
        session.data["marked"] = True
        session.send_checkpoint("first packet")


@app.on("playedStream")
@app.on("clearedAudio")
@app.on("dtmf")
async def answer_by_keys(session: CallSession, event: object) -> None:
    session.send_stream_dtmf("1" if isinstance(event, ev.PlayedStream) else "2")


@app.on(ev.Interruption)
async def barge_in(session: CallSession, event: ev.Interruption) -> None:
    if session.stream_id is not None:
        session.clear_audio()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    options = parser.parse_args()
    app.run("127.0.0.1", options.port, backend=options.backend)
