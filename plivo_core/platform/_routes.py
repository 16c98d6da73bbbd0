"""Which request is which operation (PROTOCOL.md 3.1): method, path and its trailing slash.

Names of operations are those of tests/vectors/rest.json; ``calls.create``, ``calls.hangup`` and the
streams are those of the classic clients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import unquote

from plivo_core.platform import _resources_agents as agents
from plivo_core.platform import _resources_calls as calls
from plivo_core.platform import _resources_messages as messages
from plivo_core.platform import _resources_numbers as numbers
from plivo_core.platform._answering import Asked, Refused, Reply
from plivo_core.platform._state import State

__all__ = ["OPERATIONS", "Found", "find"]

_Handler: TypeAlias = Callable[[State, Asked], Reply]

_ACCOUNT: Mapping[str, Mapping[str, tuple[str, _Handler]]] = {
    "Agent": {
        "POST": ("agents.create", agents.create_agent),
        "GET": ("agents.list", agents.list_agents),
    },
    "Agent/*": {
        "GET": ("agents.get", agents.get_agent),
        "PATCH": ("agents.update", agents.update_agent),
        "DELETE": ("agents.delete", agents.delete_agent),
    },
    "Agent/*/Number": {
        "POST": ("agent_numbers.assign", agents.assign_number),
        "GET": ("agent_numbers.list", agents.list_numbers),
    },
    "Agent/*/Number/*": {"DELETE": ("agent_numbers.unassign", agents.unassign_number)},
    "Agent/*/Session": {"GET": ("sessions.list", agents.list_sessions)},
    "Agent/*/Session/*": {"GET": ("sessions.get", agents.get_session)},
    "AgentSession": {"GET": ("account_sessions.list", agents.list_sessions)},
    "AgentSession/*": {"GET": ("account_sessions.get", agents.get_session)},
    "AgentCall": {"POST": ("calls.initiate", calls.initiate_call)},
    "AgentCall/*/connect": {"POST": ("calls.connect", calls.connect_call)},
    "AgentCall/*/dial": {"POST": ("calls.dial", calls.dial)},
    "Call/": {"POST": ("calls.create", calls.create_call)},
    "Call/*/": {"DELETE": ("calls.hangup", calls.hang_up)},
    "Call/*/Stream/": {
        "POST": ("calls.start_stream", calls.start_stream),
        "GET": ("calls.list_streams", calls.list_streams),
        "DELETE": ("calls.stop_streams", calls.stop_streams),
    },
    "Call/*/Stream/*/": {
        "GET": ("calls.get_stream", calls.get_stream),
        "DELETE": ("calls.stop_stream", calls.stop_stream),
    },
    "Message/": {
        "POST": ("messages.create", messages.create_message),
        "GET": ("messages.list", messages.list_messages),
    },
    "Message/*/": {"GET": ("messages.get", messages.get_message)},
    "Message/*/Media/": {"GET": ("messages.list_media", messages.list_media)},
    "Number/": {"GET": ("numbers.list", numbers.list_numbers)},
    "Number/*/": {
        "GET": ("numbers.get", numbers.get_number),
        "POST": ("numbers.update", numbers.update_number),
        "DELETE": ("numbers.delete", numbers.release_number),
    },
    "PhoneNumber/": {"GET": ("numbers.search", numbers.search_numbers)},
    "PhoneNumber/*/": {"POST": ("numbers.buy", numbers.buy_number)},
}
_LOOKUP = {"GET": ("lookup.get", numbers.look_up)}
_PATTERNS = [(pattern.split("/"), methods) for pattern, methods in _ACCOUNT.items()]

OPERATIONS = frozenset(
    name for methods in [*_ACCOUNT.values(), _LOOKUP] for name, _ in methods.values()
)
"""Names that a :class:`Fault` may have."""


@dataclass(frozen=True, slots=True)
class Found:
    """An operation; ``account`` is the one in the path, None on the lookup service."""

    operation: str
    handler: _Handler
    account: str | None
    params: Sequence[str]


def find(method: str, path: str) -> Found:
    """Raises Refused: 400, 404 or 405. Both services answer, whichever host was asked."""
    parts = path.split("/")
    if len(parts) == 4 and parts[:3] == ["", "v1", "Number"] and parts[3]:
        return _chosen(_LOOKUP, method, None, [parts[3]])
    if len(parts) < 5 or parts[:3] != ["", "v1", "Account"]:
        raise Refused(404, "not found")
    account, rest = _decoded(parts[3]), parts[4:]
    for pattern, methods in _PATTERNS:
        if len(pattern) == len(rest) and all(
            part == wanted or (wanted == "*" and part)
            for part, wanted in zip(rest, pattern, strict=True)
        ):
            params = [part for part, wanted in zip(rest, pattern, strict=True) if wanted == "*"]
            return _chosen(methods, method, account, params)
    raise Refused(404, "not found; is there a slash too much or too little at the end?")


def _chosen(
    methods: Mapping[str, tuple[str, _Handler]],
    method: str,
    account: str | None,
    params: Sequence[str],
) -> Found:
    if method not in methods:
        allowed = (("allow", ", ".join(sorted(methods))),)
        raise Refused(405, f"{method[:20]} is not allowed here", headers=allowed)
    name, handler = methods[method]
    return Found(name, handler, account, [_decoded(part) for part in params])


def _decoded(part: str) -> str:
    try:
        return unquote(part, errors="strict")
    except UnicodeDecodeError:
        raise Refused(400, "path: not UTF-8") from None
