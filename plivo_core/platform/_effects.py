"""What the simulated account asks its driver to do: plain data, drained with ``next_effect()``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from plivo_core.errors import mask_path
from plivo_core.wire import Headers

__all__ = ["CallDropped", "CallPlaced", "CallbackDue", "Effect", "TargetsDialed"]

ConnectionKind: TypeAlias = Literal["agent", "raw", "stream"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPlaced:
    """Open a WebSocket to ``url`` and lead the call; report with ``call_began``, ``call_ended``.

    ``mode`` is the one of :class:`PlatformCall`: a managed pipeline, an agent with raw audio, or a
    plain stream. One call may have several connections, each with its ``connection_id``.
    ``headers`` sign the upgrade (GET over ``url``, PROTOCOL.md D-20). ``agent`` is the stored
    configuration, None for a plain stream; ``request`` what the client asked for.
    ``content_type`` and ``sample_rate`` (Hz) are the format that the two ask for. ``callbacks``
    names those that are wanted: hangup, recording, ring, stream_status.
    """

    connection_id: str
    call_uuid: str
    session_id: str | None
    stream_id: str
    mode: ConnectionKind
    url: str
    headers: Headers = field(default=(), repr=False)
    direction: Literal["inbound", "outbound"] = "outbound"
    from_: str = field(repr=False)
    to: Sequence[str] = field(repr=False)
    agent_uuid: str | None = None
    agent: Mapping[str, object] | None = field(default=None, repr=False)
    request: Mapping[str, object] = field(default_factory=dict[str, object], repr=False)
    content_type: str = "audio/x-mulaw"
    sample_rate: int = 8000
    callbacks: Sequence[str] = ()
    attempt: int = 1
    """Up to 3: what cannot be reached is tried twice more (PROTOCOL.md 8.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDropped:
    """End this connection: the client hung up the call or stopped the stream."""

    connection_id: str
    call_uuid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetsDialed:
    """More people are called into the call; ``request`` is the body, as in PROTOCOL.md 3.3."""

    call_uuid: str
    targets: Sequence[str] = field(repr=False)
    request: Mapping[str, object] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackDue:
    """Send this request; report with ``callback_answered`` or ``callback_lost``.

    ``url`` has no fragment; its fetch options are in the seconds to connect and to read, and
    repeats come as effects of their own, with the next ``attempt`` and a new nonce. ``params`` are
    what ``body``, or the query of a GET, spells.
    """

    id: str
    kind: str
    method: str
    url: str
    headers: Headers = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    params: Mapping[str, object] = field(default_factory=dict[str, object], repr=False)
    connect_timeout: float = 2.0
    read_timeout: float = 40.0
    attempt: int = 1

    def __repr__(self) -> str:
        address = mask_path(self.url.partition("?")[0])
        return f"<CallbackDue {self.kind} {self.method} {address}, attempt {self.attempt}>"


Effect: TypeAlias = "CallPlaced | CallDropped | TargetsDialed | CallbackDue"
