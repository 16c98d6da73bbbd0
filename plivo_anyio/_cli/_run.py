"""Runs a command's coroutine on the backend of choice, until it is done or a signal comes."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Sequence

import anyio
import click

from plivo_anyio._cli._output import Output

__all__ = ["run_async"]


def run_async(backend: str, output: Output, function: Callable[[], Awaitable[None]]) -> int | None:
    """Run ``function``; the signal (SIGINT or SIGTERM) that cut it short, None if none did.

    A signal cancels it, so what it has to say at the end it must say in ``finally``, or leave to
    its caller. Raises what it raises, click.UsageError where trio is wanted and not there, and
    OSError when ``output`` could not be written to the end.
    """
    if backend == "trio":
        try:
            import trio  # noqa: F401  # pyright: ignore[reportUnusedImport]
        except ImportError:
            raise click.UsageError(
                "trio is not installed: pip install 'plivo-sansio[trio]'"
            ) from None
    caught = anyio.run(_until_signal, output, function, backend=backend)
    if output.failed is not None:
        raise output.failed
    return caught


def _only(error: Exception) -> Exception:
    """The one error that a task group wrapped, or the group."""
    parts: Sequence[Exception] = getattr(error, "exceptions", ())
    return _only(parts[0]) if len(parts) == 1 else error


async def _until_signal(output: Output, function: Callable[[], Awaitable[None]]) -> int | None:
    caught: int | None = None
    failed: Exception | None = None
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with anyio.create_task_group() as tasks:

            async def watch() -> None:
                nonlocal caught
                async for number in signals:
                    caught = caught or number
                    tasks.cancel_scope.cancel()

            output.stop = tasks.cancel_scope.cancel
            tasks.start_soon(watch)
            try:
                await function()
            except Exception as error:  # noqa: BLE001 - raised below, outside the group
                failed = _only(error)
            tasks.cancel_scope.cancel()
    output.stop = None
    if failed is not None and output.failed is None:  # else it broke off for want of an output
        raise failed
    return caught
