"""Watches the event loop and says which handler holds it up, while it still does.

A task stamps the time now and then; a daemon thread looks whether the stamp is fresh. When it is
not, the thread reads the stack of the loop's thread and names the application's part of it. So no
handler pays for being watched, and one that never returns is named as well.
"""

from __future__ import annotations

import sys
import threading
import time
from types import FrameType

import anyio

from plivo_anyio._logging import logger
from plivo_anyio._stats import Counters

__all__ = ["StallWatch"]

_QUIET = 10.0  # seconds between two warnings: a loop that stalls often must not drown its log
# What runs handlers, by the first part of its module's name. The outermost frame that is none of
# these, behind the event loop's own, is a handler or a task of the application.
_LOOPS = {"asyncio", "trio", "uvloop"}
_MACHINERY = _LOOPS | {"anyio", "concurrent", "outcome", "plivo_anyio", "plivo_core"}


class StallWatch:
    """Warns when the event loop is blocked for longer than ``threshold`` seconds.

    A blockage of twice that is always seen; one that is shorter may fall between two looks.
    """

    def __init__(self, threshold: float, counters: Counters) -> None:
        self._threshold = threshold
        self._counters = counters
        self._stop = threading.Event()
        self._due = 0.0  # when the task means to stamp again
        self._loop_thread = 0
        self._silent_until = 0.0
        self._unsaid = 0

    async def run(self) -> None:
        """Watch until cancelled."""
        pause = self._threshold / 2
        self._loop_thread = threading.get_ident()
        self._due = time.monotonic() + pause
        watcher = threading.Thread(target=self._watch, name="plivo_anyio stall watch", daemon=True)
        watcher.start()
        try:
            while True:
                self._due = time.monotonic() + pause
                await anyio.sleep(pause)
        finally:
            self._stop.set()
            watcher.join(1)  # it ends at once, unless a log handler holds it

    def _watch(self) -> None:
        reported = 0.0
        while not self._stop.wait(self._threshold / 2):
            due = self._due
            late = time.monotonic() - due
            if late >= self._threshold and due != reported and self._due == due:
                reported = due  # once for each blockage, however long it takes
                self._report(late)

    def _report(self, late: float) -> None:
        frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage] - a documented one
        frame = frames.pop(self._loop_thread, None)
        del frames  # our own is in it: a cycle
        if frame is None:
            return  # the loop's thread has ended
        culprit, where = blame(frame)
        del frame
        self._counters.stalls += 1
        now = time.monotonic()
        if now < self._silent_until:
            self._unsaid += 1
            return
        more = f" ({self._unsaid} more since the last warning)" if self._unsaid else ""
        self._silent_until, self._unsaid = now + _QUIET, 0
        logger.warning(
            "the event loop has been blocked for over %.2f s by %s, now at %s%s: every call waits; "
            "await, or run blocking code by anyio.to_thread.run_sync",
            late,
            culprit,
            where,
            more,
        )


def blame(innermost: FrameType) -> tuple[str, str]:
    """The application's outermost function on a stack, and the line at which the stack stands."""
    stack: list[FrameType] = []
    frame: FrameType | None = innermost
    while frame is not None:
        stack.append(frame)
        frame = frame.f_back
    in_loop = False
    for frame in reversed(stack):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        in_loop = in_loop or package in _LOOPS
        if in_loop and package not in _MACHINERY:
            code = frame.f_code
            name = getattr(code, "co_qualname", code.co_name)  # from 3.11 on
            culprit = f"{name} ({code.co_filename}:{code.co_firstlineno})"
            break
    else:
        culprit = "code outside any handler"
    code = innermost.f_code
    return culprit, f"{code.co_filename}:{innermost.f_lineno} in {code.co_name}"
