"""How a driver tells what became of a request that got no answer."""

from __future__ import annotations

from enum import Enum

__all__ = ["Cause", "Sent"]


class Cause(Enum):
    """Why no answer will come."""

    CONNECT = "connect"
    """No connection: the name, the route, TLS, a proxy."""
    TIMEOUT = "timeout"
    """A time-out of the driver passed, at whatever stage."""
    BROKEN = "broken"
    """The connection ended, or the peer broke HTTP."""
    REFUSED = "refused"
    """The request itself cannot be sent: a bad address, an unknown scheme. Never repeated."""


class Sent(Enum):
    """Whether the request may have reached the service."""

    NO = "no"
    """Provably not: repeating it is safe whatever the method."""
    MAYBE = "maybe"
