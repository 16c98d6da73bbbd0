"""The barrier round what is not ours: which exceptions stop here, and which must pass."""

from __future__ import annotations

import anyio

__all__ = ["holds", "stopped"]


def stopped(error: BaseException) -> Exception | None:
    """What to report for an exception that code of the application let out; None: let it pass.

    Our own cancellation must pass, and what ends the process. Everything else stops, also what no
    ``except Exception`` catches: on asyncio a handler that awaits a cancelled task raises
    CancelledError, and a panic in an extension module is a BaseException, too.
    """
    if isinstance(error, Exception):
        return error
    if holds(error, (KeyboardInterrupt, SystemExit, GeneratorExit)):
        return None
    cancelled = anyio.get_cancelled_exc_class()
    if holds(error, (cancelled,)):
        if anyio.current_effective_deadline() == float("-inf"):
            return None
        stray = RuntimeError("a cancellation escaped that was meant for something else")
    else:
        stray = RuntimeError(f"{type(error).__name__} escaped: {error}")
    stray.__cause__ = error
    return stray


def holds(error: BaseException, kinds: tuple[type[BaseException], ...]) -> bool:
    """Whether ``error``, or an exception of the group that it is, is of one of ``kinds``."""
    members: tuple[BaseException, ...] = getattr(error, "exceptions", ())
    return isinstance(error, kinds) or any(holds(member, kinds) for member in members)
