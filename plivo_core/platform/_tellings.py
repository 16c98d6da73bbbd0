"""What a call's callbacks say: JSON for an agent's (PROTOCOL.md 7.6), forms for the rest (7.7).

What a callback has no value for is left out of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from plivo_core.platform._answering import iso
from plivo_core.platform._state import State
from plivo_core.platform._store import Call, Connection, Hook

__all__ = ["tell", "tell_stream"]


def tell(
    state: State,
    call: Call,
    kind: str,
    *,
    event: str,
    status: str,
    more: Mapping[str, str] | None = None,
    hooks: Mapping[str, Hook] | None = None,
    done: Callable[[int | None, bytes], None] | None = None,
) -> None:
    """The callback of that kind, if somebody wants it: PROTOCOL.md 7.6 or 7.7."""
    hook = (call.hooks if hooks is None else hooks).get(kind)
    if hook is None:
        return
    more = more or {}
    params: dict[str, object] = {
        "CallUUID": call.uuid,
        "From": call.from_,
        "To": call.to[0],
        "Direction": call.direction,
        "CallStatus": status,
        "Event": event,
        "RequestUUID": call.request_uuid,
        **more,
    }
    if hook.as_json:
        params = {"call_uuid": call.uuid}
        if kind == "ring":
            params |= {"direction": call.direction, "from": call.from_, "to": call.to[0]}
        elif kind == "recording":
            params["recording_url"] = more["RecordUrl"]
        else:
            params |= {"duration": int(more["Duration"]), "hangup_cause": more["HangupCause"]}
    state.call_back(kind, hook, call.account, params, done)


def tell_stream(
    state: State, call: Call, connection: Connection, event: str, *, duration: int | None = None
) -> None:
    """7.7's names, form-encoded even for agents: 7.6 leaves their spelling unverified."""
    hook = connection.hooks.get("stream_status")
    if hook is None or connection.mode == "agent":
        return
    params: dict[str, object] = {
        "Event": event,
        "CallUUID": call.uuid,
        "StreamID": connection.stream_id,
        "Timestamp": iso(state.wall),
        "From": call.from_,
        "To": call.to[0],
        "Direction": call.direction,
    }
    if duration is not None:
        params["Duration"] = str(duration)
    state.call_back("stream_status", hook, call.account, params)
