"""Plivo's callbacks on one port: a call is answered, its end and a message's fate are told.

    PLIVO_AUTH_TOKEN=... PLIVO_PUBLIC_URL=https://agent.example.com \\
        python examples/callback_server.py

PLIVO_PUBLIC_URL is what the URLs configured at Plivo begin with. Only what Plivo signed reaches a
handler, and a request that Plivo repeats is handled once.
"""

from __future__ import annotations

import argparse
from collections import Counter

from plivo_anyio import VoiceApp
from plivo_core import Request
from plivo_core.webhooks import (
    AnswerCallback,
    AnswerXml,
    DigitsCallback,
    GetDigits,
    Hangup,
    HangupCallback,
    MessageStatus,
    Speak,
)

app = VoiceApp(path="/call")
ended: Counter[str] = Counter()
messages: dict[str, str] = {}


@app.webhook("/answer", AnswerCallback)
async def answered(call: AnswerCallback) -> AnswerXml:
    return AnswerXml(
        GetDigits(Speak("Press a key."), action="https://agent.example.com/key", num_digits=1),
        Speak("Goodbye."),
    )


@app.webhook("/key", DigitsCallback)
def key_pressed(call: DigitsCallback) -> AnswerXml:  # sync: runs in a thread
    return AnswerXml(Speak(f"You pressed {call.digits}."), Hangup())


@app.webhook("/hangup", HangupCallback, json=True)  # an agent's callbacks are JSON
async def over(call: HangupCallback) -> None:
    ended[call.hangup_cause] += 1


@app.webhook("/message-status", MessageStatus)
async def message_changed(message: MessageStatus) -> None:
    messages[message.message_uuid] = message.status


@app.http("/report")
async def report(request: Request) -> str:
    return f"{sum(ended.values())} calls ended, {len(messages)} messages\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    options = parser.parse_args()
    app.run(options.host, options.port, backend=options.backend)
