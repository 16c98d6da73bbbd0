"""The script of a call that was given as options, and what counts as an answer in it.

A script's own :class:`Expect` is content with a command that came earlier. Who calls a server of
which nothing is known wants something in answer: after the word, the key or the sound.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast

from plivo_core import Command, InvalidMessage
from plivo_core.commands import PlayAudio, RawCommand
from plivo_core.events import Dtmf, Prompt, StreamDtmf, StreamMedia
from plivo_core.platform import (
    CallerPlays,
    Emit,
    Expect,
    HangUp,
    Pause,
    PlatformEvent,
    Step,
    caller_presses,
    caller_says,
)

__all__ = ["ECHO_LABEL", "CallMode", "Ears", "make_script", "name_of"]

CallMode: TypeAlias = Literal["agent", "stream", "raw"]

ECHO_LABEL = "the rest of the echo"  # waited for, but nothing that a server owes
_ECHO_WAIT = 2.0  # seconds
_PENDING = 3000  # frames whose echo is waited for: a minute of them
_SENT_FIRST = 0.001  # seconds in which the question leaves, before its answer is looked for
_QUESTIONS = (Prompt, Dtmf, StreamDtmf)


def name_of(command: Command | InvalidMessage) -> str:
    """The wire name of what the server sent."""
    if isinstance(command, InvalidMessage):
        return "not a JSON object"
    if isinstance(command, RawCommand):
        name = command.message.get("type") or command.message.get("event")
        return name if isinstance(name, str) else "?"
    return command.type


class Ears:
    """What was asked last and what came since, and which sound came back."""

    def __init__(self, wanted: str = "any") -> None:
        self._wanted = wanted
        self._asked_at: float | None = None
        self._last: Command | None = None
        self._pending = dict[str, deque[float]]()  # by payload: when it left
        self._waiting = 0
        self._listening = False
        self.answered = list[float]()
        """Seconds from each question to the first command after it."""
        self.echoes = list[float]()
        """Seconds from each frame to its return, as it was sent."""
        self.frames_sent = 0

    def said(self, event: PlatformEvent, *, now: float) -> None:
        if isinstance(event, StreamMedia):
            self.frames_sent += 1
            if not self._listening:
                self._listening = True
                self._last = None  # what came before the sound does not answer it
            if self._waiting < _PENDING:
                self._pending.setdefault(event.payload, deque()).append(now)
                self._waiting += 1
        elif isinstance(event, _QUESTIONS):
            self._last, self._asked_at = None, now

    def heard(self, command: Command | InvalidMessage, *, now: float) -> None:
        if isinstance(command, InvalidMessage):
            return
        if self._asked_at is not None:
            self.answered.append(now - self._asked_at)
            self._asked_at = None
        if self._wanted in ("any", name_of(command)):
            self._last = command
        if isinstance(command, PlayAudio) and (sent := self._pending.get(command.payload)):
            self.echoes.append(now - sent.popleft())
            self._waiting -= 1
            if not sent:
                del self._pending[command.payload]

    def is_answer(self, command: Command) -> bool:
        return command is self._last

    def hears_no_more(self) -> bool:
        """Whether all sound came back, or none of it ever did: it is no echo."""
        return not self._waiting or not self.echoes


@dataclass(frozen=True, slots=True)
class _Answer(Expect):
    ears: Ears = field(default_factory=Ears)

    def matches(self, command: Command) -> bool:
        return self.ears.is_answer(command)


@dataclass(frozen=True, slots=True)
class _EchoEnds(Expect):
    ears: Ears = field(default_factory=Ears)

    def matches(self, command: Command) -> bool:
        return self.ears.hears_no_more()


def make_script(
    ears: Ears,
    *,
    mode: CallMode,
    says: Sequence[str],
    presses: Sequence[str],
    audio: bytes,
    answer: str,
    within: float,
    pause: float,
) -> list[Step]:
    """First the words, then the keys, then the sound, each with an answer; then the hang-up.

    Without any of them something is awaited all the same: a server that is there says so.
    ``answer`` is the wire name that counts as one, "any" or "none". A ``pause`` (seconds) before
    each word and key lets the answer to what was before it come first.
    """
    any_command = cast("type[Command]", object)
    what = "a command" if answer == "any" else answer

    def expect(reason: str) -> list[Step]:
        if answer == "none":
            return []
        label = f"{what} in answer to {reason}"
        return [Pause(_SENT_FIRST), _Answer(any_command, label, within=within, ears=ears)]

    script: list[Step] = []
    for number, text in enumerate(says, start=1):
        script += [Pause(pause), *caller_says(text)]
        script += expect(f"what the caller said ({number} of {len(says)})")
    for digits in presses:
        for number, digit in enumerate(digits, start=1):
            press = [Emit(StreamDtmf(digit=digit))] if mode == "stream" else caller_presses(digit)
            script += [Pause(pause), *press]
            script += expect(f"the key press ({number} of {len(digits)})")
    if audio:
        script.append(CallerPlays(audio))
        script += expect("the caller's sound")
        script.append(_EchoEnds(any_command, ECHO_LABEL, within=min(within, _ECHO_WAIT), ears=ears))
    if not script:
        script += expect("the start of the call")
    return [*script, HangUp()]
