"""Customer tools that come ready: their schema for the model, and what to do when it calls them.

    end_call = EndCall()
    # agent config: tools=[end_call.tool], system_prompt=f"... {end_call.instructions}"
    if end_call.match(event):
        end_call.handle(session, event)

``handle`` speaks to any :class:`~plivo_core.commands.SessionCommands`. It makes all of its
commands before it sends the first, so that what is invalid sends nothing; what ``session.send``
raises passes through.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from plivo_core.commands import (
    DialMode,
    Hangup,
    SessionCommands,
    Speak,
    ToolError,
    ToolResult,
    Transfer,
)
from plivo_core.commands import SendDtmf as SendDtmfCommand
from plivo_core.commands._checks import require_text
from plivo_core.errors import InvalidCommandError
from plivo_core.events import ToolCall

__all__ = ["EndCall", "SendDtmf", "WarmTransfer"]


class _Tool:
    """A tool with one text parameter: all that the three of them need."""

    __slots__ = ("_description", "_name", "_parameter", "_parameter_description", "_required")

    def __init__(
        self, name: str, description: str, parameter: str, about: str, *, required: bool
    ) -> None:
        self._name = name
        self._description = description
        self._parameter = parameter
        self._parameter_description = about
        self._required = required

    @property
    def tool(self) -> dict[str, object]:
        """The definition for the agent's ``tools``; a new object each time."""
        return {
            "name": self._name,
            "description": self._description,
            "parameters": {
                "type": "object",
                "properties": {
                    self._parameter: {
                        "type": "string",
                        "description": self._parameter_description,
                    }
                },
                "required": [self._parameter] if self._required else [],
            },
        }

    def match(self, event: ToolCall) -> bool:
        """Whether ``event`` calls this tool."""
        return event.name == self._name

    def _argument(self, event: ToolCall, default: str = "") -> str:
        """What the model gave; ``default`` when it is missing, blank or no text."""
        value: object = event.arguments.get(self._parameter)
        return value if isinstance(value, str) and value.strip() else default


class EndCall(_Tool):
    """Says goodbye and hangs up when the model calls ``end_call`` (PROTOCOL.md 12.1)."""

    __slots__ = ("_goodbye",)

    def __init__(self, goodbye_message: str = "Thank you for calling. Goodbye!") -> None:
        require_text(goodbye_message, "goodbye_message")
        super().__init__(
            "end_call",
            "End the phone call once the conversation is over or the caller wants to hang up.",
            "reason",
            "Why the call ends, in a few words.",
            required=False,
        )
        self._goodbye = Speak(goodbye_message)

    @property
    def instructions(self) -> str:
        """A sentence for the system prompt."""
        return (
            f"When the conversation is over or the caller says goodbye, call {self._name}; "
            "it says goodbye for you."
        )

    def handle(self, session: SessionCommands, event: ToolCall) -> str:
        """Speak the farewell, also an empty one, answer, hang up. Returns the reason."""
        reason = self._argument(event, "conversation ended")
        answer = ToolResult(event.id, {"status": "ending", "reason": reason})
        session.send(self._goodbye)
        session.send(answer)
        session.send(Hangup())
        return reason


class SendDtmf(_Tool):
    """Presses keys when the model calls ``send_dtmf`` (PROTOCOL.md 12.2)."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(
            "send_dtmf",
            "Press keys on the phone's keypad, for example in a phone menu.",
            "digits",
            "The keys to press in order: 0-9, *, #, A-D; w waits between keys.",
            required=True,
        )

    @property
    def instructions(self) -> str:
        """A sentence for the system prompt."""
        return f"To press keys in a phone menu, call {self._name} with the keys as digits."

    def handle(self, session: SessionCommands, event: ToolCall) -> str:
        """Send the tones, answer, return them.

        Digits that are missing or no tones are the model's mistake: it gets a tool error that
        says so, nothing is raised, and the empty text is returned.
        """
        digits = self._argument(event)
        try:
            tones = SendDtmfCommand(digits)
        except InvalidCommandError as error:
            session.send(ToolError(event.id, str(error)))
            return ""
        answer = ToolResult(event.id, {"status": "sent", "digits": digits})
        session.send(tones)
        session.send(answer)
        return digits


class WarmTransfer(_Tool):
    """Hands the caller to a human when the model asks for it (PROTOCOL.md 12.3).

    ``destination``: a number, a SIP address or several. Empty is allowed, and makes each use
    answer with a tool error. ``dial_mode`` and ``timeout`` (seconds) as in
    :meth:`SessionCommands.transfer`. Raises InvalidCommandError for what could not be dialled.
    """

    __slots__ = ("_hold", "_transfer")

    def __init__(
        self,
        destination: str | Iterable[str] = "",
        *,
        hold_message: str = "Please hold while I transfer you.",
        dial_mode: DialMode = "parallel",
        timeout: float = 30,
        tool_name: str = "transfer_to_human",
    ) -> None:
        require_text(hold_message, "hold_message")
        require_text(tool_name, "tool_name")
        super().__init__(
            tool_name,
            "Transfer the caller to a human.",
            "reason",
            "Why the caller is transferred, in a few words.",
            required=True,
        )
        self._hold = Speak(hold_message) if hold_message else None
        self._transfer = _transfer_to(destination, dial_mode, timeout)

    @property
    def instructions(self) -> str:
        """A sentence for the system prompt."""
        return (
            f"When the caller asks for a human or you cannot help, call {self._name}; "
            "it asks the caller to hold for you."
        )

    def handle(self, session: SessionCommands, event: ToolCall) -> str:
        """Speak the hold message unless empty, transfer, answer. Returns the reason.

        Without a destination the hold message is followed by a tool error, and the empty text is
        returned.
        """
        reason = self._argument(event, "caller asked for a human")
        answer = ToolResult(event.id, {"status": "transferring", "reason": reason})
        if self._hold is not None:
            session.send(self._hold)
        if self._transfer is None:
            session.send(ToolError(event.id, "no destination is configured for the transfer"))
            return ""
        session.send(self._transfer)
        session.send(answer)
        return reason


def _transfer_to(destination: object, dial_mode: DialMode, timeout: float) -> Transfer | None:
    # An iterator is neither empty nor full before it ran. What is not iterable, Transfer refuses.
    if isinstance(destination, Iterable) and not isinstance(destination, (str, Mapping)):
        destination = tuple(cast("Iterable[str]", destination))
    if destination in ("", ()):
        return None
    return Transfer(cast("Iterable[str]", destination), dial_mode=dial_mode, timeout=timeout)
