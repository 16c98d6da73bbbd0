"""What the application sends: commands as values, their wire form, and the session vocabulary.

:func:`serialize_command` and :func:`parse_command` are each other's inverse. Nothing here knows
about a connection: :class:`SessionCommands` needs only a ``send``.
"""

from plivo_core.commands._types import (
    Checkpoint,
    ClearAudio,
    Command,
    DialMode,
    ExtendWait,
    Hangup,
    Inject,
    Play,
    PlayAudio,
    PlayBackground,
    RawCommand,
    SendDtmf,
    SendStreamDtmf,
    Speak,
    StopBackground,
    Text,
    ToolError,
    ToolResult,
    Transfer,
    Update,
)
from plivo_core.commands._vocabulary import SessionCommands
from plivo_core.commands._wire import parse_command, serialize_command

__all__ = [
    "Checkpoint",
    "ClearAudio",
    "Command",
    "DialMode",
    "ExtendWait",
    "Hangup",
    "Inject",
    "Play",
    "PlayAudio",
    "PlayBackground",
    "RawCommand",
    "SendDtmf",
    "SendStreamDtmf",
    "SessionCommands",
    "Speak",
    "StopBackground",
    "Text",
    "ToolError",
    "ToolResult",
    "Transfer",
    "Update",
    "parse_command",
    "serialize_command",
]
