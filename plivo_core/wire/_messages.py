"""The values that travel between the wire layer and its driver: plain data, no behaviour."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from plivo_core.errors import PlivoError

__all__ = [
    "Headers",
    "Initiator",
    "Rejected",
    "Request",
    "RequestReceived",
    "Response",
    "Upgraded",
    "WireClosed",
    "get_header",
]

Headers: TypeAlias = "tuple[tuple[str, str], ...]"
Initiator: TypeAlias = Literal["local", "remote"]


def get_header(headers: Iterable[tuple[str, str]], name: str) -> str | None:
    """The first value of the header ``name`` (any case), or None."""
    name = name.lower()
    return next((value for key, value in headers if key.lower() == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An HTTP request whose head and body have arrived whole.

    ``target`` is the path and query exactly as sent, ASCII, never decoded or normalised: that text
    is what Plivo signs. Header names are lower case, values Latin-1 text, in the order sent.
    """

    method: str
    target: str
    headers: Headers = ()
    body: bytes = field(default=b"", repr=False)

    @property
    def path(self) -> str:
        """The target up to the first question mark, still percent-encoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The target behind the first question mark, still percent-encoded; may be empty."""
        return self.target.partition("?")[2]

    def header(self, name: str) -> str | None:
        """The first value of the header ``name`` (any case), or None."""
        return get_header(self.headers, name)

    def __repr__(self) -> str:
        # Queries and headers carry stream tokens and signatures.
        query = "?***" if "?" in self.target else ""
        return f"Request({self.method} {self.path}{query}, {len(self.headers)} headers)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An HTTP answer. Content-Length and ``Connection: close`` are added when it is sent."""

    status: int = 200
    headers: Headers = ()
    body: bytes = field(default=b"", repr=False)

    def header(self, name: str) -> str | None:
        """The first value of the header ``name`` (any case), or None."""
        return get_header(self.headers, name)


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """Server role: answer with ``respond()``, or ``accept()``/``reject()`` if ``upgrade``.

    ``upgrade`` is True for a WebSocket upgrade that keeps every MUST of RFC 6455 4.2.1; a broken
    one is answered by the core and never shown.
    """

    request: Request
    upgrade: bool


@dataclass(frozen=True, slots=True)
class Upgraded:
    """Client role: the server said 101; events may be sent and commands will arrive."""

    response: Response


@dataclass(frozen=True, slots=True)
class Rejected:
    """Client role: the server gave another answer (its body cut to 64 KiB); the end follows."""

    response: Response


@dataclass(frozen=True, slots=True)
class WireClosed:
    """The wire layer's terminal event.

    ``code`` is that of the first Close frame; 1006 when the transport was lost before there was
    one. In HTTP, where there is none, an answer counts as 1000, or as 1002 when the request broke
    a rule.
    """

    initiator: Initiator
    code: int
    reason: str = ""
    error: PlivoError | None = None
