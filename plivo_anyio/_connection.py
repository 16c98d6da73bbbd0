"""What a driver drives: the core's contract (input, drain, wait), whatever carries the call.

:class:`~plivo_core.ServerConnection` keeps it over bytes, `_asgi_connection` over ASGI messages.
"""

from __future__ import annotations

from typing import Any, Protocol

from plivo_core import (
    Command,
    Event,
    Limits,
    RequestReceived,
    Response,
    Session,
    Timings,
)
from plivo_core.wire import Headers

__all__ = ["Connection"]


class Connection(Protocol):
    """See :class:`~plivo_core.ServerConnection`. What is Any here is what the transport carries."""

    limits: Limits
    timings: Timings
    session: Session
    message_size: int

    def receive_data(self, data: Any, *, now: float) -> None: ...

    def receive_eof(self, *, now: float) -> None: ...

    def send_failed(self, *, now: float) -> None: ...

    def handle_timeout(self, *, now: float) -> None: ...

    def accept(self, headers: Headers = (), *, now: float) -> None: ...

    def reject(
        self, status: int = 403, *, headers: Headers = (), body: bytes = b"", now: float
    ) -> None: ...

    def respond(self, response: Response, *, now: float) -> None: ...

    def send(self, command: Command, *, now: float) -> None: ...

    def close(self, code: int = 1000, reason: str = "", *, now: float) -> None: ...

    def next_event(self) -> RequestReceived | Event | None: ...

    def data_to_send(self) -> Any: ...

    def deadline(self) -> float | None: ...

    @property
    def wants_to_send(self) -> bool: ...

    @property
    def should_close_transport(self) -> bool: ...

    @property
    def linger(self) -> float: ...
