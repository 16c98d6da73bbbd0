"""A voice agent mounted in a Starlette application, beside its pages.

    python examples/starlette_mount.py --port 8000

Plivo connects to wss://your.host/voice/call; http://your.host/voice/status is a route of the agent.
Needs starlette, uvicorn and websockets.
"""

from __future__ import annotations

import argparse

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request as PageRequest
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from plivo_anyio import CallSession, VoiceApp
from plivo_core import Request
from plivo_core.events import Dtmf

voice = VoiceApp(path="/call")  # below the mount


@voice.on(Dtmf)
async def key_pressed(session: CallSession, event: Dtmf) -> None:
    session.speak(f"You pressed {event.digit}.")


@voice.http("/status")
async def status(request: Request) -> str:
    return f"{voice.stats.calls} calls at the moment\n"


async def page(request: PageRequest) -> PlainTextResponse:
    return PlainTextResponse("This is the shop.\n")


agent = voice.asgi_app(health="/healthz")
site = Starlette(
    routes=[Route("/", page), Mount("/voice", app=agent)],
    lifespan=agent.lifespan,  # Starlette does not tell what it mounts that it starts and stops
)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    # The limits of the WebSocket are uvicorn's: see docs/asgi.md.
    uvicorn.run(
        site,
        host=options.host,
        port=options.port,
        ws_max_size=1024 * 1024,
        ws_per_message_deflate=False,
        access_log=False,
    )
