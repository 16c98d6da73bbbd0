"""A call is answered with a WebSocket URL that opens one session, once, within two minutes.

    PLIVO_AUTH_TOKEN=... PLIVO_PUBLIC_URL=https://agent.example.com \\
        python examples/stream_with_token.py

Whoever learns the bare URL gets 403.
"""

from __future__ import annotations

import argparse
import secrets

from plivo_anyio import CallSession, VoiceApp
from plivo_core.events import StreamDtmf
from plivo_core.webhooks import AnswerCallback, AnswerXml, Stream, StreamTokens

STREAM_URL = "wss://agent.example.com/call"  # where Plivo reaches this program

app = VoiceApp(path="/call")
# The key of one process and one run. Workers that share a port share a key and a store.
app.require_stream_token(StreamTokens([secrets.token_bytes(32)], secrets.token_bytes))


@app.webhook("/answer", AnswerCallback)
async def answered(call: AnswerCallback) -> AnswerXml:
    return AnswerXml(Stream(app.stream_url(STREAM_URL), bidirectional=True))


@app.on(StreamDtmf)
async def key_pressed(session: CallSession, event: StreamDtmf) -> None:
    session.send_checkpoint(f"pressed {event.digit}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    options = parser.parse_args()
    app.run(options.host, options.port, backend=options.backend)
