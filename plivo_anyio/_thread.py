"""The one thread of a call, for its sync handlers: begun by the first, ended with the call.

It takes jobs (a control handler, a tool: somebody in the loop waits for the outcome) before caller
audio, which goes from the driver straight to the thread and comes back as one wake-up per batch.

A thread cannot be cancelled. A handler that outlives its deadline is reported and left to itself,
with its thread; the next handler gets another one.
"""

from __future__ import annotations

import inspect
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from plivo_anyio._logging import logger
from plivo_core import LocalProtocolError, WebSocketError

if TYPE_CHECKING:
    from plivo_anyio._backend import Parker
    from plivo_anyio._driver import Driver
    from plivo_anyio._turnstile import Turnstile
    from plivo_core.events import StreamMedia

__all__ = ["CallThread"]


class _Job:
    __slots__ = ("arguments", "done", "error", "function", "result", "waiting")

    def __init__(
        self, function: Callable[..., object], arguments: tuple[Any, ...], waiting: Parker
    ) -> None:
        self.function = function
        self.arguments = arguments
        self.waiting = waiting
        self.done = False
        self.result: object = None
        self.error: Exception | None = None

    def end(self, result: object, error: Exception | None) -> None:
        self.result, self.error, self.done = result, error, True
        self.waiting.unpark()


class _Worker:
    """One thread; a call has one at a time, and perhaps some that it abandoned."""

    __slots__ = ("busy", "queues", "sleeps", "tokens")

    def __init__(self) -> None:
        self.busy: _Job | StreamMedia | None = None
        self.sleeps = False  # until there is a token
        self.queues = False  # at the turnstile
        self.tokens: queue.SimpleQueue[None] = queue.SimpleQueue()

    def wake(self) -> None:
        """A token too many only has it look for work once more."""
        self.tokens.put(None)


class CallThread:
    """``handle_media(event)`` and, when it is out of work, ``idle()`` run in the thread."""

    def __init__(
        self,
        driver: Driver,
        handle_media: Callable[[StreamMedia], None],
        idle: Callable[[], None],
    ) -> None:
        self._driver = driver
        self._handle_media = handle_media
        self._idle = idle
        self._patience = driver.conn.timings.handler
        # All below is touched under the driver's lock only.
        self._worker: _Worker | None = None
        self._jobs: deque[_Job] = deque()
        self._over = False
        self._threadless = False  # no thread could be started; told once
        self._due: float | None = None  # when the media handler that runs is late
        self.media: deque[tuple[StreamMedia, float]] = deque()
        self.media_ms = 0.0
        self.paused = False
        self.abandoned = 0

    # -- the loop's side -----------------------------------------------------------------------

    async def run(self, function: Callable[..., object], *arguments: Any) -> Any:
        """What ``function`` returns or raises in the thread; cancelled, it is abandoned there."""
        job = _Job(function, arguments, self._driver.backend.parker())
        try:
            with self._driver.lock:
                self._jobs.append(job)
                if not self._kick():
                    raise RuntimeError("there is no thread for a sync handler")
            while not job.done:
                await job.waiting.park()
        finally:
            if not job.done:
                self._give_up(job)
        if job.error is not None:
            raise job.error
        return job.result

    def put_media(self, event: StreamMedia, ms: float, most: float) -> int:
        """Queue caller audio, ``most`` milliseconds of it at most; how many packets that drops."""
        dropped = 0
        with self._driver.lock:
            self.media_ms += ms
            while self.media and self.media_ms > most:
                self.media_ms -= self.media.popleft()[1]
                dropped += 1
            self.media.append((event, ms))
            if not self.paused:
                self._kick(self._driver.turnstile)
        return dropped

    def pause_media(self, paused: bool) -> None:
        with self._driver.lock:
            self.paused = paused
            if self.media and not paused:
                self._kick()

    @property
    def is_awake(self) -> bool:
        """Whether the thread is at work, or about to look for some."""
        worker = self._worker  # the thread itself forgets it at its end
        return worker is not None and not worker.sleeps

    @property
    def media_is_running(self) -> bool:
        return self._due is not None

    def is_handling(self, event: StreamMedia) -> bool:
        """Whether ``event`` is what the thread is at; not if its handler was abandoned."""
        with self._driver.lock:
            return self._worker is not None and self._worker.busy is event

    def deadline(self) -> float | None:
        """When to call check(); audio that waits counts as beginning now."""
        with self._driver.lock:
            if self._due is None and self.media and not self.paused:
                return self._driver.clock() + self._patience
            return self._due

    def check(self, now: float) -> StreamMedia | None:
        """Abandon the media handler that runs if it is late; gives its event."""
        with self._driver.lock:
            worker = self._worker
            if self._due is None or now < self._due or worker is None:
                return None
            event = worker.busy
            assert event is not None
            assert not isinstance(event, _Job)
            self._abandon()
            return event

    def end_media(self) -> None:
        """Forget the audio that waits."""
        with self._driver.lock:
            self.media.clear()
            self.media_ms = 0.0

    def leave_media(self) -> None:
        """Abandon the media handler that still runs, so that other handlers can."""
        with self._driver.lock:
            self.end_media()
            if self._due is not None:
                self._abandon()

    def end(self) -> None:
        """The call is over; the thread ends as soon as what runs in it returns."""
        with self._driver.lock:
            self._over = True
            self._kick(start=False)

    def _give_up(self, job: _Job) -> None:
        with self._driver.lock:
            job.done = True
            if job in self._jobs:
                self._jobs.remove(job)
            elif self._worker is not None and self._worker.busy is job:
                self._abandon()

    def _abandon(self) -> None:
        self._worker = None
        self._due = None
        self.abandoned += 1
        if self.abandoned > self._driver.conn.limits.max_abandoned_handlers:
            stuck = WebSocketError(f"{self.abandoned} sync handlers of the call never returned")
            self._driver.fail(1011, "handlers stuck", stuck)
        if self._jobs or (self.media and not self.paused):
            self._kick()

    def _kick(self, turnstile: Turnstile | None = None, *, start: bool = True) -> bool:
        """See to it that somebody works: at once, or when it is our turn at the turnstile.

        False: there is no thread to be had; what is queued waits for the next kick.
        """
        worker = self._worker
        if worker is not None:
            if turnstile is None:
                if worker.sleeps:
                    worker.sleeps = worker.queues = False
                    worker.tokens.put(None)
            elif worker.sleeps and not worker.queues:
                worker.queues = True
                turnstile.enter(worker.wake)
        elif start and not self._over:
            worker = _Worker()
            thread = threading.Thread(
                target=self._work, args=(worker,), name="plivo-handlers", daemon=True
            )
            self._worker = worker
            try:
                thread.start()
            except RuntimeError as error:
                self._worker = None
                if not self._threadless:
                    self._threadless = True
                    logger.error("sync handlers wait: %s", error)
                return False
            self._threadless = False
        return True

    # -- the thread's side ---------------------------------------------------------------------

    def _work(self, worker: _Worker) -> None:
        lock, clock, turnstile = self._driver.lock, self._driver.clock, self._driver.turnstile
        while True:
            with lock:
                if self._worker is not worker:
                    return  # abandoned
                worker.sleeps = worker.queues = False
                worker.busy = self._due = None
                if self._jobs:
                    worker.busy = self._jobs.popleft()
                elif self.media and not self.paused:
                    event, ms = self.media.popleft()
                    self.media_ms = self.media_ms - ms if self.media else 0.0
                    worker.busy = event
                    self._due = clock() + self._patience
                elif self._over:
                    self._worker = None
                    return
                else:
                    worker.sleeps = True
            item = worker.busy
            if item is None:
                self._idle()
                if turnstile is not None:
                    turnstile.leave()
                worker.tokens.get()
            elif isinstance(item, _Job):
                self._do(item)
            else:
                self._handle_media(item)

    def _do(self, job: _Job) -> None:
        result: object = None
        error: Exception | None = None
        try:
            result = job.function(*job.arguments)
            if inspect.isawaitable(result):
                error = not_sync(job.function, result)
        except BaseException as raised:  # noqa: BLE001 - the barrier round a handler
            error = as_exception(raised)
        with self._driver.lock:
            if not job.done:
                self._driver.post(lambda: job.end(result, error))


def as_exception(raised: BaseException) -> Exception:
    """What to report for whatever a sync handler let out: nothing of it may pass."""
    if isinstance(raised, Exception):
        return raised
    told = RuntimeError(f"{type(raised).__name__} escaped: {raised}")
    told.__cause__ = raised
    return told


def not_sync(function: Callable[..., object], result: object) -> Exception:
    """The error for a handler that counted as sync and gave something to await."""
    close = getattr(result, "close", None)
    if close is not None:
        close()  # or Python warns that it was never awaited
    return LocalProtocolError(
        f"{getattr(function, '__qualname__', function)} gave {type(result).__name__} to await",
        hint="declare the handler with 'async def'",
    )
