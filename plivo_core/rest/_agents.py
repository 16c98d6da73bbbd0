"""``agent.*``: agents, their calls, numbers and sessions (PROTOCOL.md 3.2-3.5). No trailing slash.

An argument that is not given is not sent. Arguments whose default is ``NOT_GIVEN`` may be ``None``,
which is sent as null: in an update it clears the component.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias, cast

from plivo_core.agent import expand_semantic_vad
from plivo_core.rest._agent_calls import AgentCallsResource
from plivo_core.rest._api import Api, nothing
from plivo_core.rest._operation import Operation
from plivo_core.rest._page import Page
from plivo_core.rest._request import NOT_GIVEN, NotGiven, given, passed_on, require_filled, segment
from plivo_core.rest._responses import Agent, AgentNumber, AgentNumbers, AgentSession

__all__ = ["AgentNumbersResource", "AgentResources", "AgentSessionsResource", "AgentsResource"]

_Object: TypeAlias = Mapping[str, object]
_Objects: TypeAlias = Sequence[Mapping[str, object]]


class AgentResources:
    """What belongs to voice agents."""

    __slots__ = ("agents", "calls", "numbers", "sessions")

    def __init__(self, api: Api) -> None:
        self.agents = AgentsResource(api)
        self.calls = AgentCallsResource(api)
        self.numbers = AgentNumbersResource(api)
        self.sessions = AgentSessionsResource(api)


class AgentsResource:
    """Agents: what answers and talks. The fields are those of PROTOCOL.md 5."""

    __slots__ = ("_api",)

    def __init__(self, api: Api) -> None:
        self._api = api

    def create(
        self,
        agent_name: str,
        *,
        websocket_url: str,
        stt: _Object | NotGiven | None = NOT_GIVEN,
        llm: _Object | NotGiven | None = NOT_GIVEN,
        tts: _Object | NotGiven | None = NOT_GIVEN,
        s2s: _Object | NotGiven | None = NOT_GIVEN,
        stt_fallback: _Objects | NotGiven | None = NOT_GIVEN,
        llm_fallback: _Objects | NotGiven | None = NOT_GIVEN,
        tts_fallback: _Objects | NotGiven | None = NOT_GIVEN,
        agent_tools: _Objects | NotGiven | None = NOT_GIVEN,
        mcp_servers: _Objects | NotGiven | None = NOT_GIVEN,
        welcome_greeting: str | NotGiven | None = NOT_GIVEN,
        speaks_first: str | NotGiven | None = NOT_GIVEN,
        wait_for_user_timeout_s: float | NotGiven | None = NOT_GIVEN,
        idle_timeout: _Object | NotGiven | None = NOT_GIVEN,
        allow_interruptions: bool | NotGiven | None = NOT_GIVEN,
        interruption_enabled: bool | NotGiven | None = NOT_GIVEN,
        greeting_interruptible: bool | NotGiven | None = NOT_GIVEN,
        greeting_interrupt_duration: float | NotGiven | None = NOT_GIVEN,
        prefill_cache: bool | NotGiven | None = NOT_GIVEN,
        send_on: str | NotGiven | None = NOT_GIVEN,
        semantic_vad: str | _Object | NotGiven | None = NOT_GIVEN,
        vad: _Object | NotGiven | None = NOT_GIVEN,
        turn_detector: _Object | NotGiven | None = NOT_GIVEN,
        detection_method: str | NotGiven | None = NOT_GIVEN,
        tool_call_timeout_s: float | NotGiven | None = NOT_GIVEN,
        audio_format: str | NotGiven | None = NOT_GIVEN,
        audio_channels: int | NotGiven | None = NOT_GIVEN,
        plc_enabled: bool | NotGiven | None = NOT_GIVEN,
        comfort_noise_enabled: bool | NotGiven | None = NOT_GIVEN,
        cng_divisor: int | NotGiven | None = NOT_GIVEN,
        noise_cancellation: bool | NotGiven | None = NOT_GIVEN,
        background_audio: _Object | NotGiven | None = NOT_GIVEN,
        stream: _Object | NotGiven | None = NOT_GIVEN,
        callbacks: _Object | NotGiven | None = NOT_GIVEN,
        events: _Object | NotGiven | None = NOT_GIVEN,
        participant_mode: str | NotGiven | None = NOT_GIVEN,
        plivo_auth_id: str | NotGiven | None = NOT_GIVEN,
        plivo_auth_token: str | NotGiven | None = NOT_GIVEN,
        plivo_number: str | NotGiven | None = NOT_GIVEN,
        **other: object,
    ) -> Operation[Agent]:
        """Create an agent; the platform connects each of its calls to ``websocket_url``.

        ``semantic_vad`` takes a preset, a preset with overrides, or the raw object; a wrong one
        raises ConfigError or TypeError. All else goes out as given, unknown fields in ``other``
        too.
        """
        return self._api.operation(
            "POST",
            "/Agent",
            Agent.read,
            body=_configuration(locals()),  # before any other local exists: just the arguments
            look_up="look for its name with agent.agents.list()",
        )

    def get(self, agent_uuid: str) -> Operation[Agent]:
        """One agent."""
        return self._api.operation("GET", f"/Agent/{segment(agent_uuid, 'agent_uuid')}", Agent.read)

    def list(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        sort_by: str | None = None,
        sort_order: str | None = None,
        agent_mode: str | None = None,
        participant_mode: str | None = None,
        **other: str | float | bool | None,
    ) -> Operation[Page[Agent]]:
        """The account's agents; ``sort_order`` is asc or desc."""
        query = {
            "limit": limit,
            "offset": offset,
            "sort_by": sort_by,
            "sort_order": sort_order,
            "agent_mode": agent_mode,
            "participant_mode": participant_mode,
            **passed_on(other),
        }
        return self._api.page("/Agent", Agent, query)

    def update(
        self,
        agent_uuid: str,
        *,
        agent_name: str | NotGiven | None = NOT_GIVEN,
        websocket_url: str | NotGiven | None = NOT_GIVEN,
        stt: _Object | NotGiven | None = NOT_GIVEN,
        llm: _Object | NotGiven | None = NOT_GIVEN,
        tts: _Object | NotGiven | None = NOT_GIVEN,
        s2s: _Object | NotGiven | None = NOT_GIVEN,
        stt_fallback: _Objects | NotGiven | None = NOT_GIVEN,
        llm_fallback: _Objects | NotGiven | None = NOT_GIVEN,
        tts_fallback: _Objects | NotGiven | None = NOT_GIVEN,
        agent_tools: _Objects | NotGiven | None = NOT_GIVEN,
        mcp_servers: _Objects | NotGiven | None = NOT_GIVEN,
        welcome_greeting: str | NotGiven | None = NOT_GIVEN,
        speaks_first: str | NotGiven | None = NOT_GIVEN,
        wait_for_user_timeout_s: float | NotGiven | None = NOT_GIVEN,
        idle_timeout: _Object | NotGiven | None = NOT_GIVEN,
        allow_interruptions: bool | NotGiven | None = NOT_GIVEN,
        interruption_enabled: bool | NotGiven | None = NOT_GIVEN,
        greeting_interruptible: bool | NotGiven | None = NOT_GIVEN,
        greeting_interrupt_duration: float | NotGiven | None = NOT_GIVEN,
        prefill_cache: bool | NotGiven | None = NOT_GIVEN,
        send_on: str | NotGiven | None = NOT_GIVEN,
        semantic_vad: str | _Object | NotGiven | None = NOT_GIVEN,
        vad: _Object | NotGiven | None = NOT_GIVEN,
        turn_detector: _Object | NotGiven | None = NOT_GIVEN,
        detection_method: str | NotGiven | None = NOT_GIVEN,
        tool_call_timeout_s: float | NotGiven | None = NOT_GIVEN,
        audio_format: str | NotGiven | None = NOT_GIVEN,
        audio_channels: int | NotGiven | None = NOT_GIVEN,
        plc_enabled: bool | NotGiven | None = NOT_GIVEN,
        comfort_noise_enabled: bool | NotGiven | None = NOT_GIVEN,
        cng_divisor: int | NotGiven | None = NOT_GIVEN,
        noise_cancellation: bool | NotGiven | None = NOT_GIVEN,
        background_audio: _Object | NotGiven | None = NOT_GIVEN,
        stream: _Object | NotGiven | None = NOT_GIVEN,
        callbacks: _Object | NotGiven | None = NOT_GIVEN,
        events: _Object | NotGiven | None = NOT_GIVEN,
        participant_mode: str | NotGiven | None = NOT_GIVEN,
        plivo_auth_id: str | NotGiven | None = NOT_GIVEN,
        plivo_auth_token: str | NotGiven | None = NOT_GIVEN,
        plivo_number: str | NotGiven | None = NOT_GIVEN,
        **other: object,
    ) -> Operation[Agent]:
        """Change what is given of an agent; ``None`` clears. The fields are those of create."""
        body = _configuration(locals())  # before any other local exists: just the arguments
        del body["agent_uuid"]
        return self._api.operation(
            "PATCH",
            f"/Agent/{segment(agent_uuid, 'agent_uuid')}",
            Agent.read,
            body=body,
            look_up="read it with agent.agents.get()",
        )

    def delete(self, agent_uuid: str) -> Operation[None]:
        """Delete an agent."""
        return self._api.operation("DELETE", f"/Agent/{segment(agent_uuid, 'agent_uuid')}", nothing)


class AgentNumbersResource:
    """Numbers whose calls an agent answers."""

    __slots__ = ("_api",)

    def __init__(self, api: Api) -> None:
        self._api = api

    def assign(self, agent_uuid: str, *, number: str) -> Operation[AgentNumber]:
        """Let the agent answer the rented ``number`` (E.164 with plus)."""
        return self._api.operation(
            "POST",
            f"/Agent/{segment(agent_uuid, 'agent_uuid')}/Number",
            AgentNumber.read,
            body={"number": require_filled(number, "number")},
            look_up="look for it with agent.numbers.list()",
        )

    def list(self, agent_uuid: str) -> Operation[AgentNumbers]:
        """All numbers of the agent, in one answer."""
        return self._api.operation(
            "GET", f"/Agent/{segment(agent_uuid, 'agent_uuid')}/Number", AgentNumbers.read
        )

    def unassign(self, agent_uuid: str, *, number: str) -> Operation[None]:
        """Take ``number`` from the agent; it stays rented."""
        agent, number = segment(agent_uuid, "agent_uuid"), segment(number, "number")
        return self._api.operation("DELETE", f"/Agent/{agent}/Number/{number}", nothing)


class AgentSessionsResource:
    """Conversations, in two forms: of one agent (``agent_uuid`` given) or of the account."""

    __slots__ = ("_api",)

    def __init__(self, api: Api) -> None:
        self._api = api

    def get(self, session_id: str, *, agent_uuid: str | None = None) -> Operation[AgentSession]:
        """One session."""
        session = segment(session_id, "session_id")
        return self._api.operation("GET", f"{_sessions(agent_uuid)}/{session}", AgentSession.read)

    def list(
        self,
        *,
        agent_uuid: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
        sort_by: str | None = None,
        sort_order: str | None = None,
        agent_mode: str | None = None,
        agent_id: str | None = None,
        call_uuid: str | None = None,
        phone_number: str | None = None,
        created_at__gte: str | None = None,
        created_at__lte: str | None = None,
        ended_at__gte: str | None = None,
        ended_at__lte: str | None = None,
        duration__gte: float | None = None,
        duration__lte: float | None = None,
        **other: str | float | bool | None,
    ) -> Operation[Page[AgentSession]]:
        """Sessions by filters: times in ISO 8601, durations in seconds.

        The form of one agent documents only paging, sorting and ``agent_mode``.
        """
        query = {
            "limit": limit,
            "offset": offset,
            "sort_by": sort_by,
            "sort_order": sort_order,
            "agent_mode": agent_mode,
            "agent_id": agent_id,
            "call_uuid": call_uuid,
            "phone_number": phone_number,
            "created_at__gte": created_at__gte,
            "created_at__lte": created_at__lte,
            "ended_at__gte": ended_at__gte,
            "ended_at__lte": ended_at__lte,
            "duration__gte": duration__gte,
            "duration__lte": duration__lte,
            **passed_on(other),
        }
        return self._api.page(_sessions(agent_uuid), AgentSession, query)


def _sessions(agent_uuid: str | None) -> str:
    if agent_uuid is None:
        return "/AgentSession"
    return f"/Agent/{segment(agent_uuid, 'agent_uuid')}/Session"


def _configuration(arguments: dict[str, object]) -> dict[str, object]:
    """The body of a create or update, of the method's arguments."""
    other = arguments.pop("other")
    del arguments["self"]
    body = given({**arguments, **passed_on(cast("dict[str, object]", other))})
    if "semantic_vad" in body:
        # Any object: what the caller gave is for expand_semantic_vad to judge.
        body["semantic_vad"] = expand_semantic_vad(
            cast("str | _Object | None", body["semantic_vad"])
        )
    return body
