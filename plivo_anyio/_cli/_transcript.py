"""What passes on a call, printed: a line per message, personal data masked as in the logs.

Sound comes fifty times a second. People get the first frame of a run and the number of the rest,
programs get all of them.
"""

from __future__ import annotations

import json

import anyio

from plivo_anyio._cli._output import Output
from plivo_core import Command, InvalidMessage, serialize_command, serialize_event
from plivo_core._redact import redact
from plivo_core.commands import PlayAudio
from plivo_core.events import StreamMedia
from plivo_core.platform import PlatformEvent

__all__ = ["Transcript"]


class Transcript:
    """Prints events and commands with their time since it was made, and counts them."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._began = anyio.current_time()
        self._silenced = {"->": 0, "<-": 0}
        self._sounding = {"->": False, "<-": False}
        self.events = 0
        self.commands = 0

    def sent(self, event: PlatformEvent) -> None:
        self.events += 1
        if not self._is_more_sound("->", isinstance(event, StreamMedia)):
            self._line("->", serialize_event(event))

    def received(self, command: Command | InvalidMessage) -> None:
        self.commands += 1
        if isinstance(command, InvalidMessage):
            self._line("<-", {"type": "not a JSON object"})
        elif not self._is_more_sound("<-", isinstance(command, PlayAudio)):
            self._line("<-", serialize_command(command))

    def end(self) -> None:
        """Nothing more passes."""
        self._tell_silenced()

    def _is_more_sound(self, direction: str, sound: bool) -> bool:
        if self._output.as_json:
            return False
        if not sound:
            self._tell_silenced()
        elif self._sounding[direction]:
            self._silenced[direction] += 1
            return True
        else:
            self._sounding[direction] = True
        return False

    def _tell_silenced(self) -> None:
        for direction, count in self._silenced.items():
            if count:
                self._output.text(f"{'':7}  plivo {direction} agent  ... and {count} frames more")
            self._silenced[direction] = 0
            self._sounding[direction] = False

    def _line(self, direction: str, message: dict[str, object]) -> None:
        at = anyio.current_time() - self._began
        name = message.pop("type", None) or message.pop("event", None) or "?"
        shown = str(name).replace("\n", "\\n")  # it may be any text
        details = redact(message)
        sides = ("platform", "agent") if direction == "->" else ("agent", "platform")
        self._output.json(
            {"at": round(at, 4), "from": sides[0], "to": sides[1], "name": name, "message": details}
        )
        text = "" if not details else json.dumps(details, ensure_ascii=False)
        self._output.message(f"{at:7.3f}  plivo {direction} agent  {shown:24} {text}")
