"""Echo a caller's audio: every media packet comes back as playAudio.

    python examples/media_echo.py --port 9000 --backend asyncio

For a plain <Stream> or an agent with raw audio. ``event.payload`` is base64 text and goes back as
it came; use ``event.decode()`` for the samples. The WebSocket closes when the stream stops.
"""

from __future__ import annotations

import argparse

from plivo_anyio import CallSession, VoiceApp
from plivo_core.events import StreamMedia

app = VoiceApp()


@app.on(StreamMedia)
async def echo(session: CallSession, event: StreamMedia) -> None:
    session.send_media(event.payload)


def echo_in_thread(session: CallSession, event: StreamMedia) -> None:
    session.send_media(event.payload)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    parser.add_argument("--handler", choices=["async", "sync"], default="async")
    options = parser.parse_args()
    if options.handler == "sync":
        app.on(StreamMedia, replace=True)(echo_in_thread)
    app.run(options.host, options.port, backend=options.backend)
