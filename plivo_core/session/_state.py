"""The life of a session: every transition there is. The figure in docs/ is made from this table."""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType

__all__ = ["TRANSITIONS", "Input", "State"]


class State(Enum):
    """Where a session stands."""

    NEW = "new"
    """Connected; no message yet. Commands are accepted."""
    ACTIVE = "active"
    """Messages flow."""
    ENDING = "ending"
    """The stream stopped; ``session.ended`` with its transcript is awaited."""
    ENDED = "ended"
    """Over: commands raise SessionClosedError, what is queued is flushed, then Close."""


class Input(Enum):
    """What can move it."""

    MESSAGE = "any other message"
    SESSION_ENDED = "session.ended"
    STOP = "stop, no agent session"
    STOP_AWAITING_END = "stop, agent session seen"
    GRACE_OVER = "stop_grace passed"
    CLOSE = "close() or the peer's Close"
    FAILURE = "a broken rule or a dead transport"


_N, _A, _E, _X = State.NEW, State.ACTIVE, State.ENDING, State.ENDED

TRANSITIONS: MappingProxyType[State, MappingProxyType[Input, State]] = MappingProxyType(
    {
        state: MappingProxyType(dict(zip(Input, row, strict=True)))
        for state, row in {
            # MESSAGE, SESSION_ENDED, STOP, STOP_AWAITING_END, GRACE_OVER, CLOSE, FAILURE
            _N: (_A, _X, _X, _E, _N, _X, _X),
            _A: (_A, _X, _X, _E, _A, _X, _X),
            _E: (_E, _X, _E, _E, _X, _X, _X),
            _X: (_X, _X, _X, _X, _X, _X, _X),
        }.items()
    }
)
