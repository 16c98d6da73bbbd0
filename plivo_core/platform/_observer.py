"""What the application did, and which of it the script waited for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from plivo_core.commands import Command
from plivo_core.platform._steps import Closes, Expect, Never, Step, Until

__all__ = ["Observation", "Observer"]

_BACKLOG = 1000  # commands kept for a later Expect; an application may send any number


@dataclass(frozen=True, slots=True)
class Observation:
    """What came of a step that waits or watches: ``at`` is when it was met or given up.

    ``latency`` is how long before the command Plivo's side had said something, in seconds; None
    where there is no command, or nothing was said before it.
    """

    label: str
    met: bool
    at: float
    latency: float | None = field(default=None, compare=False)


class _Received(NamedTuple):
    command: Command
    latency: float | None


class Observer:
    """Commands in, observations out."""

    def __init__(self) -> None:
        self.observations: list[Observation] = []
        self._received: deque[_Received] = deque(maxlen=_BACKLOG)
        self._watching: list[Never] = []

    @property
    def unexpected(self) -> list[Command]:
        """Commands that no Expect has taken, the newest 1,000."""
        return [received.command for received in self._received]

    def receive(self, command: Command, *, latency: float | None, now: float) -> None:
        """A command came."""
        self._received.append(_Received(command, latency))
        for step in [step for step in self._watching if step.matches(command)]:
            self._watching = [watched for watched in self._watching if watched is not step]
            self.note(step.label, met=False, now=now)

    def note(self, label: str, *, met: bool, now: float, latency: float | None = None) -> None:
        """A step is over."""
        self.observations.append(Observation(label, met, now, latency))

    def find(self, step: Expect, *, now: float) -> bool:
        """Whether the command that ``step`` waits for is there; it is taken, and noted."""
        for received in self._received:
            if step.matches(received.command):
                self._received.remove(received)
                self.note(step.label, met=True, now=now, latency=received.latency)
                return True
        return False

    def watch(self, step: Never) -> None:
        """From now on such a command is a fault."""
        self._watching.append(step)

    def unwatch(self, step: Never, *, now: float) -> None:
        """Its time is over; nothing to say where such a command came, for that was said then."""
        if any(step is watched for watched in self._watching):
            self._watching = [watched for watched in self._watching if watched is not step]
            self.note(step.label, met=True, now=now)

    def settle(self, now: float) -> None:
        """The call is over: what may not have come has not."""
        for step in list(self._watching):
            self.unwatch(step, now=now)

    def missed(self, rest: Iterable[Step | None]) -> list[str]:
        """Labels of what was not met, those in the ``rest`` of the script included."""
        return [seen.label for seen in self.observations if not seen.met] + [
            step.label for step in rest if isinstance(step, (Expect, Until, Closes))
        ]
