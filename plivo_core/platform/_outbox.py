"""What Plivo's side has to say, now and later, in the order in which it says it.

Filled by the parts of a :class:`~plivo_core.platform.PlatformCall`. The caller's sound leaves among
the rest, each frame in its time.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from plivo_core.events import (
    AgentEvent,
    ClearedAudio,
    PlayedStream,
    StreamDtmf,
    StreamEvent,
    StreamMedia,
    StreamStart,
    StreamStop,
    UnknownEvent,
)
from plivo_core.platform._microphone import Microphone
from plivo_core.platform._steps import Fault, Until

__all__ = ["NEVER", "Outbox", "PlatformEvent"]

PlatformEvent: TypeAlias = AgentEvent | StreamEvent | UnknownEvent

NEVER = float("inf")
_NUMBERED = (StreamStart, StreamMedia, StreamDtmf, PlayedStream, ClearedAudio, StreamStop)
_REMEMBERED = 1000  # events kept for a later Until


class Outbox:
    """Events said but not taken, and those that are due later."""

    def __init__(self, microphone: Microphone) -> None:
        self._microphone = microphone
        self._ready: deque[PlatformEvent | Fault] = deque()
        self._due: list[tuple[float, int, PlatformEvent]] = []  # a heap
        self._counter = 0
        self._stream_events = 0
        self._said: deque[PlatformEvent] = deque(maxlen=_REMEMBERED)
        self.said_at: float | None = None
        """When the last event was said that is not the caller's sound."""
        self.sounded_at: float | None = None
        """When the last frame of the caller's sound was."""

    # -- input ---------------------------------------------------------------------------------

    def say(self, event: PlatformEvent, *, now: float) -> None:
        """Say it now."""
        self._ready.append(event)
        if isinstance(event, StreamMedia):
            self.sounded_at = now
        else:
            self.said_at = now
            self._said.append(event)

    def do(self, fault: Fault) -> None:
        """Have this happen behind what was said so far."""
        self._ready.append(fault)

    def later(self, due: float, event: PlatformEvent) -> None:
        """Say it when ``due``; of two at the same time the one that was given first."""
        self._counter += 1
        heapq.heappush(self._due, (due, self._counter, event))

    def cancel(self, unwanted: Callable[[PlatformEvent], bool]) -> None:
        """Do not say what was to be said later and is ``unwanted``."""
        self._due = [item for item in self._due if not unwanted(item[2])]
        heapq.heapify(self._due)

    def silence(self) -> None:
        """The call is over: nothing that is due later is said, the caller's sound included."""
        self._due.clear()
        self._microphone.mute()

    def tick(self, now: float) -> None:
        """Say what is due, oldest first."""
        while True:
            due = self._due[0][0] if self._due else NEVER
            if self._microphone.due <= min(due, now):
                at = self._microphone.due
                self.say(self._microphone.next_frame(), now=at)
            elif due <= now:
                self.say(heapq.heappop(self._due)[2], now=due)
            else:
                return

    # -- output --------------------------------------------------------------------------------

    @property
    def due(self) -> float:
        """When :meth:`tick` has something to do; infinity: never."""
        return min(self._due[0][0] if self._due else NEVER, self._microphone.due)

    def next(self) -> PlatformEvent | Fault | None:
        """The next to send or to do. Stream events share one numbering, from 1 (9.3)."""
        if not self._ready:
            return None
        item = self._ready.popleft()
        if isinstance(item, _NUMBERED):
            self._stream_events += 1
            if item.sequence_number is None:
                item = replace(item, sequence_number=self._stream_events)
        return item

    def has_said(self, step: Until) -> bool:
        """Whether what ``step`` waits for was said; if so, it and all before it are forgotten."""
        for number, event in enumerate(self._said, 1):
            if step.matches(event):
                for _ in range(number):
                    self._said.popleft()
                return True
        return False
