"""Two voice agents behind routes of FastAPI, which decides who gets which call.

    python examples/fastapi_app.py --port 8000

Plivo connects to wss://your.host/agents/orders/call. Needs fastapi, uvicorn and websockets.
"""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import uvicorn
from fastapi import FastAPI, WebSocket

from plivo_anyio import CallSession, VoiceApp
from plivo_core.events import Dtmf, ToolCall

orders = VoiceApp()
echo = VoiceApp()
AGENTS = {"orders": orders, "echo": echo}


@orders.tool("check_order")
def check_order(session: CallSession, call: ToolCall) -> dict[str, str]:  # sync: has a thread
    return {"order": str(call.arguments.get("order_id")), "status": "shipped"}


@echo.on(Dtmf)
async def key_pressed(session: CallSession, event: Dtmf) -> None:
    session.speak(f"You pressed {event.digit}.")


@asynccontextmanager
async def lifespan(api: FastAPI) -> AsyncIterator[None]:
    """Let what is left of each agent's calls end before the program does."""
    async with AsyncExitStack() as stack:
        for agent in AGENTS.values():
            await stack.enter_async_context(agent.asgi.lifespan())
        yield


api = FastAPI(lifespan=lifespan)


@api.get("/agents")
async def agents() -> dict[str, int]:
    return {name: agent.stats.calls for name, agent in AGENTS.items()}


@api.websocket("/agents/{name}/call")
async def call(websocket: WebSocket, name: str) -> None:
    if name in AGENTS:
        await AGENTS[name].handle_fastapi(websocket)  # until the call is over
    else:
        await websocket.close()  # which the caller sees as 403


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    # The limits of the WebSocket are uvicorn's: see docs/asgi.md.
    uvicorn.run(
        api,
        host=options.host,
        port=options.port,
        ws_max_size=1024 * 1024,
        ws_per_message_deflate=False,
        access_log=False,
    )
