"""The pure protocol core for Plivo voice agents: bytes and values in, values and bytes out.

No I/O, no clock, no randomness, no environment, no logging, no callbacks. Importing this package
loads what a call needs; :mod:`plivo_core.agent`, :mod:`plivo_core.audio`,
:mod:`plivo_core.messaging`, :mod:`plivo_core.rest`, :mod:`plivo_core.webhooks`,
:mod:`plivo_core.platform` and :mod:`plivo_core.testing` load on first use. Start at
:class:`ServerConnection` for calls, at :class:`plivo_core.rest.Account` for the REST API, at
:class:`plivo_core.webhooks.WebhookVerifier` for callbacks.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from plivo_core import commands, events
from plivo_core.codec import DEFAULT_CODEC, Codec
from plivo_core.commands import Command, SessionCommands, parse_command, serialize_command
from plivo_core.connection import ClientConnection, ServerConnection
from plivo_core.errors import (
    AmbiguousOutcomeError,
    ApiError,
    AudioError,
    AudioQueueFull,
    AuthenticationError,
    ConfigError,
    ConnectionFailedError,
    ForbiddenError,
    InvalidCommandError,
    LocalProtocolError,
    MalformedSignature,
    MissingSignature,
    NotFoundError,
    PlivoError,
    RateLimitError,
    RemoteProtocolError,
    RepeatedParameterError,
    ReplayedNonce,
    RequestTimeoutError,
    ScenarioError,
    SendQueueFull,
    ServerError,
    SessionClosedError,
    SignatureError,
    SignatureMismatch,
    StreamTokenError,
    TransportError,
    UnacceptableRequest,
    ValidationError,
    WebSocketError,
)
from plivo_core.events import (
    Ended,
    Event,
    InvalidMessage,
    ToolCallExpired,
    UnknownEvent,
    parse_event,
    serialize_event,
)
from plivo_core.limits import Limits, Timings
from plivo_core.playback import Fate, Interrupted, PlaybackLedger
from plivo_core.session import MediaFormat, Pending, Session, State
from plivo_core.wire import Rejected, Request, RequestReceived, Response, Upgraded

__all__ = [
    "DEFAULT_CODEC",
    "AmbiguousOutcomeError",
    "ApiError",
    "AudioError",
    "AudioQueueFull",
    "AuthenticationError",
    "ClientConnection",
    "Codec",
    "Command",
    "ConfigError",
    "ConnectionFailedError",
    "Ended",
    "Event",
    "Fate",
    "ForbiddenError",
    "Interrupted",
    "InvalidCommandError",
    "InvalidMessage",
    "Limits",
    "LocalProtocolError",
    "MalformedSignature",
    "MediaFormat",
    "MissingSignature",
    "NotFoundError",
    "Pending",
    "PlaybackLedger",
    "PlivoError",
    "RateLimitError",
    "Rejected",
    "RemoteProtocolError",
    "RepeatedParameterError",
    "ReplayedNonce",
    "Request",
    "RequestReceived",
    "RequestTimeoutError",
    "Response",
    "ScenarioError",
    "SendQueueFull",
    "ServerConnection",
    "ServerError",
    "Session",
    "SessionClosedError",
    "SessionCommands",
    "SignatureError",
    "SignatureMismatch",
    "State",
    "StreamTokenError",
    "Timings",
    "ToolCallExpired",
    "TransportError",
    "UnacceptableRequest",
    "UnknownEvent",
    "Upgraded",
    "ValidationError",
    "WebSocketError",
    "commands",
    "events",
    "parse_command",
    "parse_event",
    "serialize_command",
    "serialize_event",
]

_ON_FIRST_USE = frozenset(
    {"agent", "audio", "messaging", "platform", "rest", "testing", "webhooks"}
)


def __getattr__(name: str) -> ModuleType:
    if name in _ON_FIRST_USE:
        return import_module(f"plivo_core.{name}")
    raise AttributeError(f"module 'plivo_core' has no attribute {name!r}")
