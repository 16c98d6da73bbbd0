"""Agents, their numbers and their sessions (PROTOCOL.md 3.2, 3.4, 3.5, 5).

The configuration is checked by the helpers of :mod:`plivo_core.agent`, which know PROTOCOL.md 5;
what they do not know is stored and given back as it came, secrets included.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

from plivo_core.agent import (
    BackgroundAudio,
    Callback,
    Callbacks,
    Events,
    IdleTimeout,
    Llm,
    McpHttp,
    McpStdio,
    Pipeline,
    S2s,
    Stream,
    Stt,
    Tts,
    expand_semantic_vad,
)
from plivo_core.agent._fields import Section
from plivo_core.errors import ConfigError
from plivo_core.platform._answering import (
    Asked,
    Body,
    Refused,
    Reply,
    digits_of,
    invalid,
    iso,
    mapping,
    page,
    required,
    select,
    socket_address,
    web_address,
)
from plivo_core.platform._state import State
from plivo_core.platform._store import Agent, Hook

__all__ = [
    "agent_mode",
    "assign_number",
    "create_agent",
    "delete_agent",
    "get_agent",
    "get_session",
    "hooks_of",
    "list_agents",
    "list_numbers",
    "list_sessions",
    "unassign_number",
    "update_agent",
]

_PARTS: Mapping[str, type[Section]] = {
    "stt": Stt,
    "llm": Llm,
    "tts": Tts,
    "s2s": S2s,
    "idle_timeout": IdleTimeout,
    "background_audio": BackgroundAudio,
    "stream": Stream,
    "callbacks": Callbacks,
    "events": Events,
}
_FALLBACKS: Mapping[str, type[Section]] = {
    "stt_fallback": Stt,
    "llm_fallback": Llm,
    "tts_fallback": Tts,
}
_HOOKS = ("hangup", "recording", "ring", "stream_status")
_KEY_BEARERS = ("stt", "llm", "tts", "s2s")
_AGENT_ORDER = ("agent_name", "agent_uuid", "created_at")
_SESSION_ORDER = ("agent_name", "created_at", "duration_seconds", "ended_at", "state", "turn_count")


# --- agents ---------------------------------------------------------------------------------------


def create_agent(state: State, asked: Asked) -> Reply:
    config = dict(asked.body)
    _check(config)
    state.agents.require_room()
    agent = Agent(state.ids("agent"), asked.account, _stored(config), iso(state.wall))
    state.agents.add(agent.uuid, agent)
    return Reply(201, {"message": "agent created", **_shown(agent)})


def get_agent(state: State, asked: Asked) -> Reply:
    return Reply(200, _shown(state.agents.find(asked.params[0])))


def list_agents(state: State, asked: Asked) -> Reply:
    shown = [{**_shown(agent), "agent_mode": agent_mode(agent.config)} for agent in state.agents]
    exact = {"agent_mode": ("agent_mode",), "participant_mode": ("participant_mode",)}
    return page(asked, select(shown, asked.query, exact=exact), sortable=_AGENT_ORDER)


def update_agent(state: State, asked: Asked) -> Reply:
    """Null clears a component; what remains must be valid as a whole."""
    agent = state.agents.find(asked.params[0])
    config = {**agent.config, **asked.body}
    _check(config)
    config = {name: value for name, value in _stored(config).items() if value is not None}
    most = state.limits.max_body  # which each update keeps to, but not all of them together
    if len(json.dumps(config, ensure_ascii=False).encode()) > most:
        raise invalid("body", f"the agent would take more than {most} bytes")
    agent.config = config
    return Reply(200, {"message": "agent updated", **_shown(agent)})


def delete_agent(state: State, asked: Asked) -> Reply:
    """Its calls go on: PROTOCOL.md is silent about them."""
    state.agents.take(asked.params[0])
    return Reply(204)


def agent_mode(config: Body) -> str:
    """PROTOCOL.md 5.1; of its words only ``pipeline`` and ``s2s`` are known, the rest are ours."""
    have = {name for name in _KEY_BEARERS if config.get(name) is not None}
    if "s2s" in have:
        return "s2s"
    if "llm" in have:
        return "pipeline"
    return "text" if have else "raw"


def hooks_of(config: Body) -> dict[str, Hook]:
    """The callbacks of an agent by name: JSON, by POST (PROTOCOL.md 7.6)."""
    hooks: dict[str, Hook] = {}
    for name in _HOOKS:
        callback = cast("Body | None", cast("Body", config.get("callbacks") or {}).get(name))
        if callback is not None:
            url, options = web_address(callback["url"], name)
            hooks[name] = Hook(url, cast("str", callback.get("method") or "POST"), options, True)
    return hooks


def _shown(agent: Agent) -> dict[str, object]:
    parts = [agent.config.get(name) for name in _KEY_BEARERS]
    byok = any(isinstance(part, Mapping) and "api_key" in part for part in parts)
    ours = {"agent_uuid": agent.uuid, "created_at": agent.created_at, "byok": byok}
    return {**agent.config, **ours}


def _stored(config: Body) -> dict[str, object]:
    stored = dict(config)
    if "semantic_vad" in stored:
        stored["semantic_vad"] = expand_semantic_vad(
            cast("str | Body | None", stored["semantic_vad"])
        )
    return stored


def _check(config: Body) -> None:
    required(config, "agent_name")
    socket_address(config.get("websocket_url"), "websocket_url")
    try:
        whole = Pipeline.__new__(Pipeline)
        whole.update(config)
        whole.validate()  # first: from here on every part has the right JSON kind
        for name, kind in _PARTS.items():
            if config.get(name) is not None:
                _check_part(kind, config[name])
        for name, kind in _FALLBACKS.items():
            for entry in cast("list[Body]", config.get(name) or ()):
                _check_part(kind, entry)
        for entry in cast("list[Body]", config.get("mcp_servers") or ()):
            if entry.get("type") not in ("http", "stdio"):
                raise invalid("mcp_servers", "type must be http or stdio")
            _check_part(McpHttp if entry["type"] == "http" else McpStdio, entry)
        for name in _HOOKS:
            callback = mapping(cast("Body", config.get("callbacks") or {}), name)
            if callback is not None:
                _check_part(Callback, callback)
                web_address(callback["url"], f"callbacks.{name}.url")
    except (ConfigError, TypeError) as error:  # TypeError: semantic_vad of a wrong kind
        raise Refused(
            400, error.message if isinstance(error, ConfigError) else str(error)
        ) from None


def _check_part(kind: type[Section], members: object) -> None:
    part = kind.__new__(kind)  # not called: a member that is missing would be a TypeError
    part.update(cast("Body", members))
    part.check()


# --- numbers of an agent --------------------------------------------------------------------------


def assign_number(state: State, asked: Asked) -> Reply:
    """PROTOCOL.md is silent on a number not rented (404 here) and on another agent's (it moves)."""
    agent = state.agents.find(asked.params[0])
    number = required(asked.body, "number")
    digits = digits_of(number)
    if digits is None:
        raise invalid("number", "must be a phone number, digits with or without plus")
    state.numbers.find(digits)
    for other in state.agents:
        other.numbers.pop(digits, None)
    agent.numbers[digits] = number
    body: dict[str, object] = {"agent_uuid": agent.uuid, "number": number}
    return Reply(201, {**body, "message": "number assigned"})


def list_numbers(state: State, asked: Asked) -> Reply:
    agent = state.agents.find(asked.params[0])
    return Reply(200, {"agent_uuid": agent.uuid, "numbers": list(agent.numbers.values())})


def unassign_number(state: State, asked: Asked) -> Reply:
    agent = state.agents.find(asked.params[0])
    if agent.numbers.pop(digits_of(asked.params[1]) or "", None) is None:
        raise Refused(404, "number not found")
    return Reply(204)


# --- sessions -------------------------------------------------------------------------------------


def list_sessions(state: State, asked: Asked) -> Reply:
    """Of one agent (the older form) or of the account, the newest last."""
    records = [session.record for session in state.sessions]
    if asked.params:
        agent = state.agents.find(asked.params[0]).uuid
        records = [record for record in records if record["agent_uuid"] == agent]
    chosen = select(
        records,
        asked.query,
        exact={
            "agent_id": ("agent_uuid",),
            "agent_mode": ("agent_mode",),
            "call_uuid": ("primary_call_uuid",),
            "phone_number": ("from_number", "to_number"),
        },
        times={"created_at": "created_at", "ended_at": "ended_at"},
        amounts={"duration": "duration_seconds"},
    )
    return page(asked, chosen, sortable=_SESSION_ORDER)


def get_session(state: State, asked: Asked) -> Reply:
    record = state.sessions.find(asked.params[-1]).record
    if len(asked.params) > 1 and record["agent_uuid"] != asked.params[0]:
        raise Refused(404, "session not found")
    return Reply(200, dict(record))
