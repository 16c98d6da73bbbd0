"""What becomes of a call: placed, begun, ended.

PROTOCOL.md is silent on when the platform calls back; here ring comes as the call is placed, stream
status and hangup as the driver reports. States of a session (initiated, active, ended) and of a
stream (connecting, in-progress, stopped) are our words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, cast

from plivo_core.platform._answering import (
    Body,
    Refused,
    choice,
    iso,
    socket_address,
    web_address,
)
from plivo_core.platform._effects import CallDropped, CallPlaced
from plivo_core.platform._opening import format_asked_for
from plivo_core.platform._resources_agents import agent_mode, hooks_of
from plivo_core.platform._state import State
from plivo_core.platform._store import Agent, Call, Connection, Hook, Session
from plivo_core.platform._tellings import tell, tell_stream

__all__ = [
    "NORMAL",
    "answer_call",
    "attach_agent",
    "attach_stream",
    "begin",
    "drop",
    "end",
    "finish",
    "new_call",
]

# A stream with a ws address is all that the simulator does of an answer (DESIGN 9). No quantifier
# can be satisfied in two ways, so hostile answers cost linear time.
_STREAM = re.compile(r"<Stream\b([^<>]*)>\s*(wss?://[^\s<>]+)\s*</Stream>")
_ATTRIBUTE = re.compile(r"""\b([A-Za-z]+)\s*=\s*("[^"]*"|'[^']*')""")
_STREAM_TEXTS = {  # in the words of the Stream resource, as text
    "audioTrack": "audio_track",
    "contentType": "content_type",
    "extraHeaders": "extra_headers",
    "streamTimeout": "stream_timeout",
}
_ENTITIES = {"&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'", "&#39;": "'", "&amp;": "&"}
_ATTEMPTS = 3  # PROTOCOL.md 8.1
NORMAL, _NORMAL_CODE = "Normal Hangup", 4000  # PROTOCOL.md 7.7: 4000 is the normal one


def new_call(
    state: State,
    account: str,
    *,
    from_: str,
    to: Sequence[str],
    direction: Literal["inbound", "outbound"],
    hooks: Mapping[str, Hook],
) -> Call:
    """A call that rings, with room for its first session. Raises Refused (403)."""
    state.calls.require_room()
    state.sessions.require_room()
    call = Call(
        state.ids("call"),
        account,
        from_,
        tuple(to),
        direction,
        hooks,
        state.wall,
        request_uuid=state.ids("request"),
    )
    state.calls.add(call.uuid, call)
    tell(state, call, "ring", event="Ring", status="ringing")
    return call


def attach_agent(state: State, call: Call, agent: Agent, request: Body) -> Connection:
    """Let ``agent`` lead the call; the first one that does is the call's own."""
    mode = agent_mode(agent.config)
    connection = _connection(state, call, "raw" if mode == "raw" else "agent", agent)
    session = cast("str", connection.session_id)
    call.agent_uuid = call.agent_uuid or agent.uuid
    config = agent.config
    record: dict[str, object] = {
        "agent_session_uuid": session,
        "agent_session_id": session,
        "agent_uuid": agent.uuid,
        "agent_name": config["agent_name"],
        "plivo_auth_id": call.account,
        "primary_call_uuid": call.uuid,
        "agent_mode": mode,
        "participant_mode": config.get("participant_mode") or "dual",
        "state": "initiated",
        "created_at": iso(state.wall),
        "ended_at": None,
        "duration_seconds": 0,
        "turn_count": 0,
        **{f"has_{part}": config.get(part) is not None for part in ("stt", "llm", "tts", "s2s")},
        "total_cost": "0.00000",
        "from_number": call.from_,
        "to_number": call.to[0],
        "call_legs": [{"call_uuid": call.uuid, "to_number": number} for number in call.to],
        "record_url": None,
    }
    state.sessions.add(session, Session(call.account, record))
    _place(state, call, connection, str(config["websocket_url"]), agent, request)
    return connection


def attach_stream(
    state: State, call: Call, url: str, hooks: Mapping[str, Hook], request: Body
) -> Connection:
    """Send the call's audio to ``url``, as ``<Stream>`` and the Stream resource do."""
    connection = _connection(state, call, "stream", None)
    connection.hooks = hooks
    status_hook = hooks.get("stream_status")
    connection.record = {
        "stream_id": connection.stream_id,
        "call_uuid": call.uuid,
        "plivo_auth_id": call.account,
        "service_url": url,
        "status": "connecting",
        "bidirectional": request.get("bidirectional") is True,
        "audio_track": request.get("audio_track"),
        "start_time": iso(state.wall),
        "end_time": None,
        "bill_duration": 0,
        "billed_amount": "0.00000",
        "status_callback_url": None if status_hook is None else status_hook.url,
        "resource_uri": (
            f"/v1/Account/{call.account}/Call/{call.uuid}/Stream/{connection.stream_id}/"
        ),
    }
    _place(state, call, connection, url, None, request)
    return connection


def answer_call(state: State, call: Call, status: int | None, body: bytes) -> None:
    """The answer URL has spoken: connect the ``<Stream>`` it names, or the call is over."""
    if call.over:
        return
    if status is None or status >= 300 or not body:
        finish(state, call, cause="Error Reaching Answer URL")
        return
    found = _STREAM.search(body[:102_400].decode("utf-8", "replace"))  # 100 KB: PROTOCOL.md 7.7
    if found is None:
        finish(state, call, cause=NORMAL)
        return
    given = {name: _unescaped(value[1:-1]) for name, value in _ATTRIBUTE.findall(found[1])}
    hooks: dict[str, Hook] = {}
    try:
        url = socket_address(_unescaped(found[2]), "Stream")
        if "statusCallbackUrl" in given:
            address, options = web_address(given["statusCallbackUrl"], "statusCallbackUrl")
            method = choice(given, "statusCallbackMethod", ("GET", "POST"), "POST")
            hooks["stream_status"] = Hook(address, method, options)
    except Refused:
        finish(state, call, cause="Invalid Answer XML")
        return
    request: dict[str, object] = {
        spelled: given[name] for name, spelled in _STREAM_TEXTS.items() if name in given
    }
    request["bidirectional"] = given.get("bidirectional") == "true"
    attach_stream(state, call, url, hooks, request)


# --- what the driver tells ------------------------------------------------------------------------


def begin(state: State, connection_id: str) -> None:
    found = _find(state, connection_id)
    if found is None or found[1].began_at is not None:
        return
    call, connection = found
    connection.began_at = state.now
    if call.began_at is None:
        call.began_at, call.began_wall = state.now, state.wall
    if connection.session_id is None:
        connection.record["status"] = "in-progress"
    else:  # a session that is not over is not forgotten
        state.sessions.find(connection.session_id).record["state"] = "active"
    tell_stream(state, call, connection, "StartStream")


def end(
    state: State,
    connection_id: str,
    *,
    cause: str,
    turn_count: int,
    transcript: Sequence[Body],
    record_url: str | None,
) -> None:
    found = _find(state, connection_id)
    if found is None:
        return
    call, connection = found
    if _place_again(state, call, connection):
        return
    connection.over = True
    del state.connections[connection_id]
    lasted = 0 if connection.began_at is None else round(state.now - connection.began_at)
    session = state.sessions.get(connection.session_id or "")
    if session is not None:
        session.record.update(
            state="ended",
            ended_at=iso(state.wall),
            duration_seconds=lasted,
            turn_count=turn_count,
            record_url=record_url,
        )
        # No member for it is documented; without one the simulator could not be asked for it.
        if transcript and len(json.dumps(transcript)) <= state.limits.max_transcript:
            session.record["transcript"] = list(transcript)
    if connection.record:
        stopped = {"status": "stopped", "end_time": iso(state.wall), "bill_duration": lasted}
        connection.record.update(stopped)
    if connection.began_at is not None:
        tell_stream(state, call, connection, "StopStream", duration=lasted)
    if record_url is not None:
        more = {"RecordUrl": record_url, "RecordingID": state.ids("recording")}
        hooks = {**call.hooks, **connection.hooks}
        tell(state, call, "recording", event="Record", status="completed", more=more, hooks=hooks)
    if call.primary == connection_id:
        finish(state, call, cause=cause)


def drop(state: State, call: Call, connection: Connection) -> None:
    """The connection is to end; the driver tells when it has."""
    if connection.over or connection.dropped:
        return
    connection.dropped = True
    state.effects.append(CallDropped(connection_id=connection.id, call_uuid=call.uuid))


# --- inside ---------------------------------------------------------------------------------------


def _unescaped(text: str) -> str:
    return re.sub("|".join(_ENTITIES), lambda entity: _ENTITIES[entity[0]], text)


def _find(state: State, connection_id: str) -> tuple[Call, Connection] | None:
    call = state.connections.get(connection_id)
    return None if call is None else (call, call.connections[connection_id])


def _connection(
    state: State, call: Call, mode: Literal["agent", "raw", "stream"], agent: Agent | None
) -> Connection:
    connection = Connection(
        id=state.ids("connection"),
        stream_id=state.ids("stream"),
        mode=mode,
        session_id=None if agent is None else state.ids("session"),
        hooks={} if agent is None else hooks_of(agent.config),
    )
    call.connections[connection.id] = connection
    call.primary = call.primary or connection.id
    state.connections[connection.id] = call
    return connection


def _place(
    state: State,
    call: Call,
    connection: Connection,
    url: str,
    agent: Agent | None,
    request: Body,
) -> None:
    config = None if agent is None else agent.config
    format = format_asked_for(connection.mode, config, request)
    connection.placed = CallPlaced(
        connection_id=connection.id,
        call_uuid=call.uuid,
        session_id=connection.session_id,
        stream_id=connection.stream_id,
        mode=connection.mode,
        url=url,
        headers=state.signatures("GET", url, call.account, None),
        direction=call.direction,
        from_=call.from_,
        to=call.to,
        agent_uuid=None if agent is None else agent.uuid,
        agent=config,
        request=request,
        content_type=format.content_type or "",
        sample_rate=format.sample_rate,
        callbacks=tuple(sorted({*call.hooks, *connection.hooks})),
    )
    state.effects.append(connection.placed)


def _place_again(state: State, call: Call, connection: Connection) -> bool:
    """Whether a connection that never came up is tried once more."""
    placed = connection.placed
    if placed is None or connection.began_at is not None or connection.dropped:
        return False
    if placed.attempt >= _ATTEMPTS:
        return False
    headers = state.signatures("GET", placed.url, call.account, None)
    connection.placed = replace(placed, headers=headers, attempt=placed.attempt + 1)
    state.effects.append(connection.placed)
    return True


def finish(state: State, call: Call, *, cause: str) -> None:
    """The call is over, and so is all that hangs on it."""
    call.over = True
    for connection in call.connections.values():
        drop(state, call, connection)
    lasted = 0 if call.began_at is None else round(state.now - call.began_at)
    more: dict[str, str] = {
        "HangupCause": cause,
        "HangupCauseName": cause,
        "Duration": str(lasted),
        "BillDuration": str(lasted),
        "TotalCost": "0.00000",
        "StartTime": iso(call.started_wall),
        "EndTime": iso(state.wall),
    }
    if cause == NORMAL:
        more["HangupCauseCode"] = str(_NORMAL_CODE)
    if call.began_wall is not None:
        more["AnswerTime"] = iso(call.began_wall)
    status = "failed" if call.began_at is None else "completed"
    tell(state, call, "hangup", event="Hangup", status=status, more=more)
