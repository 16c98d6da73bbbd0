"""Bring your own model: text in, text out, token by token. The "model" here repeats the caller.

    python examples/byollm_echo.py --port 9000 --backend asyncio

For an agent with stt and tts but no llm. A reply streams in a task of its own: handlers of one call
run one at a time, so a handler that streamed would not see the barge-in that ought to stop it.
"""

from __future__ import annotations

import argparse
import logging
import signal
from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio
from anyio.abc import TaskGroup

from plivo_anyio import CallSession, VoiceApp
from plivo_core import SessionClosedError
from plivo_core.events import Interruption, Prompt

logger = logging.getLogger("byollm_echo")


async def language_model(text: str) -> AsyncGenerator[str, None]:
    """Stands in for yours: tokens as they are made."""
    for token in ("You ", "said: ", *text.split(" ")):
        await anyio.sleep(0.02)
        yield token if token.endswith(" ") else f"{token} "


async def reply(session: CallSession, text: str, scope: anyio.CancelScope) -> None:
    """Stream one reply until it is whole, or ``scope`` is cancelled, or the call is over."""
    with scope:
        try:
            async with aclosing(language_model(text)) as tokens:
                async for token in tokens:
                    session.send_text(token)
            session.send_text("", last=True)
        except SessionClosedError:
            pass  # the caller was faster
        except Exception:  # this task is not a handler's: nothing else stands behind it
            logger.exception("%s: no reply", session.call_uuid)


def make_app(tasks: TaskGroup) -> VoiceApp:
    """The agent; its replies run in ``tasks``, which must outlive it."""
    app = VoiceApp()

    async def stop_reply(session: CallSession) -> None:
        if "reply" in session.data:
            session.data.pop("reply").cancel()

    @app.on(Prompt)
    async def heard(session: CallSession, event: Prompt) -> None:
        if event.is_final:
            await stop_reply(session)
            session.data["reply"] = scope = anyio.CancelScope()
            tasks.start_soon(reply, session, event.text, scope)

    @app.on(Interruption)
    async def barge_in(session: CallSession, event: Interruption) -> None:
        await stop_reply(session)

    app.on_disconnect(stop_reply)
    return app


async def main(host: str, port: int) -> None:
    async with anyio.create_task_group() as tasks:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            await tasks.start(make_app(tasks).serve, host, port)
            async for _ in signals:
                tasks.cancel_scope.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    anyio.run(main, options.host, options.port, backend=options.backend)
