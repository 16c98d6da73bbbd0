"""A simulated account on loopback, served from an event loop of its own thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from anyio.from_thread import BlockingPortal

from plivo_anyio import serve_platform
from plivo_core.platform import PlatformApi

BACKENDS = ("asyncio", "trio")


@contextmanager
def served(portal: BlockingPortal, api: PlatformApi, **options: Any) -> Iterator[str]:
    """The base address, until the block is left."""

    async def serve(*, task_status: Any) -> None:
        await serve_platform(api, task_status=task_status, **options)

    future, (host, port) = portal.start_task(serve)
    try:
        yield f"http://{host}:{port}"
    finally:
        if future.done():
            future.result()  # what ended it
        future.cancel()
