"""Calls: an agent's (PROTOCOL.md 3.3), and the classic operations on any call (3.8).

``calls.create`` (POST Call/) is not in PROTOCOL.md; its fields, its 201 and its answer are those
of the PyPI client ``plivo``. PROTOCOL.md is silent on the statuses of the Stream resource too: 202
for a start, 204 for a stop.
"""

from __future__ import annotations

import functools
import re
from typing import cast

from plivo_core.platform._answering import (
    Asked,
    Body,
    Refused,
    Reply,
    choice,
    flag,
    invalid,
    page,
    required,
    socket_address,
    text,
    texts,
    web_address,
    whole,
)
from plivo_core.platform._calls import (
    NORMAL,
    answer_call,
    attach_agent,
    attach_stream,
    drop,
    finish,
    new_call,
)
from plivo_core.platform._effects import TargetsDialed
from plivo_core.platform._resources_agents import hooks_of
from plivo_core.platform._state import State
from plivo_core.platform._store import Call, Connection, Hook
from plivo_core.platform._tellings import tell

__all__ = [
    "connect_call",
    "create_call",
    "dial",
    "get_stream",
    "hang_up",
    "initiate_call",
    "list_streams",
    "start_stream",
    "stop_stream",
    "stop_streams",
]

_DAY = 86_400
_DIAL_MODES = ("parallel", "sequential")
_METHODS = ("GET", "POST")
_DIAL_TEXTS = ("agent_id", "caller_id", "dial_music", "confirm_sound", "confirm_key", "sip_headers")
_DIGITS = re.compile(r"[0-9*#A-DwW]{1,100}")


# --- an agent's calls -----------------------------------------------------------------------------


def initiate_call(state: State, asked: Asked) -> Reply:
    body = asked.body
    agent = state.agents.find(required(body, "agent_id"))
    from_ = required(body, "from")
    to = texts(body, "to", most=state.limits.max_destinations)
    if not to:
        raise invalid("to", "is required: a list of numbers")
    choice(body, "dial_mode", _DIAL_MODES, "")
    flag(body, "voicemail_detect")
    for name in ("caller_name", "machine_detection"):
        text(body, name)
    for name in ("time_limit", "ring_timeout"):
        whole(body, name, 1, _DAY)
    _digits(body)
    call = new_call(
        state,
        asked.account,
        from_=from_,
        to=to,
        direction="outbound",
        hooks=hooks_of(agent.config),
    )
    attach_agent(state, call, agent, body)
    answer: dict[str, object] = {
        "message": "call initiated",
        "call_uuid": call.uuid,
        "agent_id": agent.uuid,
        "status": "initiated",
        "from": from_,
        "to": to,
    }
    if agent.config.get("participant_mode") == "multi":
        answer |= {"participant_mode": "multi", "mpc_name": f"mpc-{call.uuid}"}
    return Reply(201, answer)


def connect_call(state: State, asked: Asked) -> Reply:
    agent_id = required(asked.body, "agent_id")
    call = _live(state, asked)
    agent = state.agents.find(agent_id)
    _require_room(state, call)
    connection = attach_agent(state, call, agent, asked.body)
    answer: dict[str, object] = {"agent_session_id": connection.session_id}
    return Reply(201, {"message": "agent connecting", **answer, "status": "connecting"})


def dial(state: State, asked: Asked) -> Reply:
    body = asked.body
    targets = _targets(body, state.limits.max_destinations)
    for name in _DIAL_TEXTS:
        text(body, name)
    choice(body, "dial_mode", _DIAL_MODES, "")
    whole(body, "timeout", 1, _DAY)
    whole(body, "time_limit", 1, _DAY)
    flag(body, "hangup_on_star")
    call = _live(state, asked)
    if body.get("agent_id") is not None:
        state.agents.find(cast("str", body["agent_id"]))
    state.effects.append(TargetsDialed(call_uuid=call.uuid, targets=targets, request=body))
    return Reply(200, {"message": "dialing", "status": "dialing", "call_uuid": call.uuid})


def _targets(body: Body, most: int) -> list[str]:
    given = body.get("targets")
    entries = cast("list[object]", given) if isinstance(given, list) else []
    if not entries:
        raise invalid("targets", "is required: a list of objects with a number")
    if len(entries) > most:
        raise invalid("targets", f"must have at most {most} entries")
    numbers: list[str] = []
    for entry in entries:
        if not isinstance(entry, dict):
            raise invalid("targets", "must hold objects with a number")
        target = cast("Body", entry)
        numbers.append(required(target, "number"))
        _digits(target)
    return numbers


def _digits(body: Body) -> None:
    digits = text(body, "send_digits")
    if digits and not _DIGITS.fullmatch(digits):
        raise invalid("send_digits", "must be of 0-9, *, #, A-D, w and W")


# --- any call -------------------------------------------------------------------------------------


def create_call(state: State, asked: Asked) -> Reply:
    body = asked.body
    from_ = required(body, "from")
    to = required(body, "to", most=10_000).split("<")
    if len(to) > state.limits.max_destinations:
        raise invalid("to", f"must have at most {state.limits.max_destinations} numbers")
    if body.get("answer_url") is None:
        raise invalid("answer_url", "is required")
    hooks = {
        name: hook
        for name in ("answer", "ring", "hangup")
        if (hook := _hook(body, f"{name}_url", f"{name}_method")) is not None
    }
    state.calls.require_room(len(to))  # all of them or none
    state.sessions.require_room(len(to))
    uuids: list[str] = []
    for number in to:
        call = new_call(
            state, asked.account, from_=from_, to=[number], direction="outbound", hooks=hooks
        )
        uuids.append(call.request_uuid)
        fetched = functools.partial(answer_call, state, call)
        tell(state, call, "answer", event="StartApp", status="in-progress", done=fetched)
    request: object = uuids if len(uuids) > 1 else uuids[0]
    return Reply(201, {"message": "call fired", "request_uuid": request})


def hang_up(state: State, asked: Asked) -> Reply:
    call = _live(state, asked)
    call.dropped = True
    for connection in call.connections.values():
        drop(state, call, connection)
    if not call.connections:  # still waiting for its answer XML: no driver has anything to tell
        finish(state, call, cause=NORMAL)
    return Reply(204)


def start_stream(state: State, asked: Asked) -> Reply:
    body = asked.body
    url = socket_address(body.get("service_url"), "service_url")
    for name in ("bidirectional", "noise_cancellation"):
        flag(body, name)
    for name in ("audio_track", "content_type"):
        text(body, name)
    whole(body, "stream_timeout", 1, _DAY)
    whole(body, "noise_cancellation_level", 60, 100)
    hook = _hook(body, "status_callback_url", "status_callback_method")
    hooks = {} if hook is None else {"stream_status": hook}
    call = _live(state, asked)
    _require_room(state, call)
    connection = attach_stream(state, call, url, hooks, body)
    return Reply(202, {"message": "stream started", "stream_id": connection.stream_id})


def list_streams(state: State, asked: Asked) -> Reply:
    return page(asked, [stream.record for stream in _streams(state, asked)])


def get_stream(state: State, asked: Asked) -> Reply:
    return Reply(200, dict(_stream(state, asked).record))


def stop_stream(state: State, asked: Asked) -> Reply:
    _stop(state, asked, [_stream(state, asked)])
    return Reply(204)


def stop_streams(state: State, asked: Asked) -> Reply:
    _stop(state, asked, _streams(state, asked))
    return Reply(204)


# --- inside ---------------------------------------------------------------------------------------


def _live(state: State, asked: Asked) -> Call:
    call = state.calls.find(asked.params[0])
    if not call.is_live:
        raise Refused(404, "the call is over")
    return call


def _require_room(state: State, call: Call) -> None:
    if len(call.connections) >= state.limits.max_streams:
        raise Refused(403, f"the call has {state.limits.max_streams} streams, its limit")
    state.sessions.require_room()


def _streams(state: State, asked: Asked) -> list[Connection]:
    call = state.calls.find(asked.params[0])
    return [connection for connection in call.connections.values() if connection.record]


def _stream(state: State, asked: Asked) -> Connection:
    found = [one for one in _streams(state, asked) if one.stream_id == asked.params[1]]
    if not found:
        raise Refused(404, "stream not found")
    return found[0]


def _stop(state: State, asked: Asked, streams: list[Connection]) -> None:
    call = state.calls.find(asked.params[0])
    running = [stream for stream in streams if not stream.over and not stream.dropped]
    if not running:
        raise Refused(404, "no such stream is running")
    for stream in running:
        drop(state, call, stream)


def _hook(body: Body, name: str, method_name: str) -> Hook | None:
    url = body.get(name)
    method = choice(body, method_name, _METHODS, "POST")
    if url is None:
        return None
    address, options = web_address(url, name)
    return Hook(address, method, options)
