"""An agent as :class:`~plivo_core.testing.AgentMachine` sees it: bytes and time, no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from plivo_core.commands import SessionCommands
from plivo_core.connection import ServerConnection
from plivo_core.errors import SessionClosedError
from plivo_core.events import Ended, Event
from plivo_core.wire import RequestReceived

__all__ = ["AgentEnd", "AgentError", "ReactingAgent"]


class AgentError(NamedTuple):
    """What an agent raised, and at which event (None: at none)."""

    event: Event | None
    error: Exception


class AgentEnd(Protocol):
    """The agent's end of one connection, under a clock that its caller moves.

    After each input everything happens that happens at once.
    """

    @property
    def errors(self) -> list[AgentError]:
        """What the agent has raised; may be emptied."""
        ...

    @property
    def closed(self) -> bool:
        """Whether the agent has closed the connection, or is to be hung up on."""
        ...

    def receive_data(self, data: bytes, *, now: float) -> None: ...

    def receive_eof(self, *, now: float) -> None: ...

    def wait(self, until: float) -> float:
        """Let time pass, at most ``until`` then, until something is to be sent: the time it is."""
        ...

    def data_to_send(self) -> bytes: ...

    def stop(self) -> None:
        """The example is over."""
        ...


class ReactingAgent:
    """A :class:`~plivo_core.ServerConnection` with ``react(session, event)`` behind it.

    ``deadline()`` and ``wake(session)`` are the agent's own timer, if it has one.
    """

    def __init__(
        self,
        react: Callable[[SessionCommands, Event], object],
        *,
        now: float,
        deadline: Callable[[], float | None] = lambda: None,
        wake: Callable[[SessionCommands], object] = lambda session: None,
    ) -> None:
        self.conn = ServerConnection(now=now)
        self._errors: list[AgentError] = []
        self._react = react
        self._deadline = deadline
        self._wake = wake

    @property
    def errors(self) -> list[AgentError]:
        return self._errors

    @property
    def closed(self) -> bool:
        return self.conn.should_close_transport

    def receive_data(self, data: bytes, *, now: float) -> None:
        self.conn.receive_data(data, now=now)
        self._drain(now)

    def receive_eof(self, *, now: float) -> None:
        self.conn.receive_eof(now=now)
        self._drain(now)

    def wait(self, until: float) -> float:
        dues = [until, self.conn.deadline(), self._deadline()]
        now = min(due for due in dues if due is not None)
        self.conn.handle_timeout(now=now)
        self._drain(now)
        due = self._deadline()
        if due is not None and due <= now:
            self._guard(None, lambda: self._wake(self.conn.session))
            self._drain(now)
        return now

    def data_to_send(self) -> bytes:
        return self.conn.data_to_send()

    def stop(self) -> None:
        pass

    def _drain(self, now: float) -> None:
        while (event := self.conn.next_event()) is not None:
            if isinstance(event, RequestReceived):
                self.conn.accept(now=now)
            else:
                self._hand_out(event)

    def _hand_out(self, event: Event) -> None:
        self._guard(event, lambda: self._react(self.conn.session, event))

    def _guard(self, event: Event | None, function: Callable[[], object]) -> None:
        try:
            function()
        except SessionClosedError as error:
            # Elsewhere it is a lost race; who has been told of the end has lost none.
            if isinstance(event, Ended):
                self._errors.append(AgentError(event, error))
        except Exception as error:  # noqa: BLE001 - it is what a machine looks for
            self._errors.append(AgentError(event, error))
