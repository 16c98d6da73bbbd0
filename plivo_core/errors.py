"""Every exception the project raises, in one tree.

Three families answer "whose bug was it": :class:`LocalProtocolError` (yours; the state is as it
was before the call), :class:`RemoteProtocolError` (the peer's; never raised, it arrives in
``Ended.error``) and :class:`SessionClosedError` (nobody's: a race that was lost).
"""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "InvalidCommandError",
    "LocalProtocolError",
    "PlivoError",
    "RemoteProtocolError",
    "SendQueueFull",
    "SessionClosedError",
    "WebSocketError",
]


class PlivoError(Exception):
    """Root of the tree.

    ``message`` says what happened and what was expected; ``hint`` what to do about it (may be
    empty). Neither ever holds a secret.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class ConfigError(PlivoError, ValueError):
    """A setting is missing or contradicts another; raised before anything is sent or served."""


class WebSocketError(PlivoError):
    """A call's connection failed: a time-out, a lost transport. Also the base of the four below."""


class LocalProtocolError(WebSocketError):
    """The call made no sense in this state. Nothing was sent and nothing changed."""


class InvalidCommandError(LocalProtocolError, ValueError):
    """The platform would reject this command (PROTOCOL.md D-26).

    ``argument`` names the offending argument of the session method or command class.
    """

    def __init__(self, message: str, *, argument: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.argument = argument


class RemoteProtocolError(WebSocketError):
    """The peer broke HTTP, RFC 6455 or one of our limits; our Close frame is already queued."""


class SessionClosedError(WebSocketError):
    """The call ended before the command was given. A lost race, not a bug."""


class SendQueueFull(WebSocketError):  # noqa: N818 - the name is the design's
    """The peer does not read: control messages passed their budget. The call ends."""
