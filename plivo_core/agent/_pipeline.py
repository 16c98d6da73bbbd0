"""An agent's configuration as a whole, and its parts that are no provider (PROTOCOL.md 5.1-5.5).

    pipeline = Pipeline(
        agent_name="Support",
        websocket_url="wss://agent.example.com/ws",
        stt=Stt("deepgram", model="nova-3"),
        llm=Llm("openai", model="gpt-4o", temperature=0.2, tools=[EndCall()]),
        tts=Tts("elevenlabs", voice="v1"),
        llm_fallback=[Llm("groq")],
    )
    pipeline.validate()
    operation = account.agent.agents.create(**pipeline)

Nothing here is needed to create an agent: plain keywords and dicts reach the service as they are.
"""

# No `from __future__ import annotations` here: Section reads the annotations as values.

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeAlias, cast

from plivo_core.agent._fields import (
    Flag,
    PlatformTool,
    Section,
    Text,
    Texts,
    Whole,
    at_least,
    between,
    choice,
    described_by,
    filled,
    list_of,
    mapping,
    number,
    plain,
    section,
    text,
    whole,
)
from plivo_core.agent._providers import Llm, S2s, Stt, Tts
from plivo_core.agent._semantic_vad import expand_semantic_vad
from plivo_core.errors import ConfigError

__all__ = [
    "BackgroundAudio",
    "Callback",
    "Callbacks",
    "Events",
    "IdleTimeout",
    "McpHttp",
    "McpStdio",
    "Pipeline",
    "Stream",
]

_Transport: TypeAlias = Literal["sse", "streamable_http"]
_Sound: TypeAlias = Literal[
    "office", "city-street", "crowded-room", "call-center", "typing", "typing-short"
]
_Method: TypeAlias = Literal["GET", "POST"]
_Speaker: TypeAlias = Literal["agent", "user"]
_SendOn: TypeAlias = Literal["turn_end", "speaking_stop"]
_Detection: TypeAlias = Literal["disabled", "audio", "llm"]
_AudioFormat: TypeAlias = Literal["pcm_16k", "mulaw_8k"]
_Participants: TypeAlias = Literal["dual", "multi"]
_Fields: TypeAlias = Mapping[str, object]

_ALPHANUMERIC = re.compile("[A-Za-z0-9]+")
_MAX_EXTRA_HEADERS = 512  # bytes, PROTOCOL.md 14
_MAX_WEBSOCKET_URL = 2048  # characters, PROTOCOL.md 14


def _websocket_url(value: object, field: str) -> str:
    url = text(value, field)
    if not url.lower().startswith(("ws://", "wss://")):
        raise ConfigError(f"{field} must start with ws:// or wss://")
    if len(url) > _MAX_WEBSOCKET_URL:
        raise ConfigError(
            f"{field} must have at most {_MAX_WEBSOCKET_URL} characters, not {len(url)}"
        )
    return url


def _extra_headers(value: object, field: str) -> _Fields:
    size = 0
    for at, (name, content) in enumerate(mapping(value, field).items(), 1):
        for part in (name, content):
            if not _ALPHANUMERIC.fullmatch(text(part, f"name or value {at} of {field}")):
                raise ConfigError(
                    f"name or value {at} of {field} is not alphanumeric", hint="use A-Z, a-z, 0-9"
                )
            size += len(cast("str", part))
    if size > _MAX_EXTRA_HEADERS:
        raise ConfigError(
            f"{field} must have at most {_MAX_EXTRA_HEADERS} bytes in all its names and values, "
            f"not {size}"
        )
    return cast("_Fields", value)


def _semantic_vad(value: object, _field: str) -> object:
    expand_semantic_vad(cast("str | _Fields", value))
    return value  # as given: create and update expand it


class IdleTimeout(Section, path="idle_timeout."):
    """What happens when the caller says nothing.

    ``no_response_timeout_s`` 1 to 120 s (15), then ``reminder_message`` (required in text mode), up
    to ``max_retries`` 0 to 10 (3) times, then ``hangup_message``; ``extended_wait_time_s`` 1 to
    300 s (30) is what :meth:`SessionCommands.extend_wait` grants. (PROTOCOL.md 5.5)
    """

    __slots__ = ()

    def __init__(
        self,
        *,
        no_response_timeout_s: Annotated[float | None, between(1, 120, "s")] = None,
        reminder_message: Text = None,
        extended_wait_time_s: Annotated[float | None, between(1, 300, "s")] = None,
        max_retries: Annotated[int | None, whole(0, 10)] = None,
        hangup_message: Text = None,
        **unknown: object,
    ) -> None:
        self._take(locals())


class BackgroundAudio(Section, path="background_audio."):
    """A ``sound`` under the call: ``volume`` 0 to 1, ``loop`` (on). (PROTOCOL.md 5.5)"""

    __slots__ = ()

    def __init__(
        self,
        sound: Annotated[_Sound, choice(_Sound)],
        *,
        volume: Annotated[float | None, between(0, 1)] = None,
        loop: Flag = None,
        **unknown: object,
    ) -> None:
        self._take(locals())


class Stream(Section, path="stream."):
    """How the platform opens its connection to us.

    ``extra_headers``: names and values alphanumeric, at most 512 bytes together; the platform adds
    agentUuid. ``stream_timeout`` 1 to 86400 s (86400). ``content_type`` such as
    ``audio/x-mulaw;rate=8000``. ``noise_cancellation`` (off), its level 60 to 100 (85).
    (PROTOCOL.md 5.5, 14)
    """

    __slots__ = ()

    def __init__(
        self,
        *,
        extra_headers: Annotated[Mapping[str, str] | None, _extra_headers] = None,
        stream_timeout: Annotated[int | None, whole(1, 86400, "s")] = None,
        content_type: Text = None,
        noise_cancellation: Flag = None,
        noise_cancellation_level: Annotated[int | None, whole(60, 100)] = None,
        **unknown: object,
    ) -> None:
        self._take(locals())


class Callback(Section, path="callback."):
    """A webhook: its ``url``, not empty, and ``method``. (PROTOCOL.md 5.5)"""

    __slots__ = ()

    def __init__(
        self,
        url: Annotated[str, filled],
        *,
        method: Annotated[_Method | None, choice(_Method)] = None,
        **unknown: object,
    ) -> None:
        self._take(locals())


_Callback: TypeAlias = Annotated[_Fields | None, section(Callback)]


class Callbacks(Section, path="callbacks."):
    """What the platform calls when something happens (PROTOCOL.md 5.5, 7.6)."""

    __slots__ = ()

    def __init__(
        self,
        *,
        hangup: _Callback = None,
        recording: _Callback = None,
        ring: _Callback = None,
        stream_status: _Callback = None,
        **unknown: object,
    ) -> None:
        self._take(locals())


class Events(Section, path="events."):
    """Which events the session is sent besides the usual ones (PROTOCOL.md 5.5)."""

    __slots__ = ()

    def __init__(
        self,
        *,
        vad_events: Flag = None,
        turn_events: Flag = None,
        metrics_events: Flag = None,
        **unknown: object,
    ) -> None:
        self._take(locals())


class McpHttp(Section, path="mcp_servers."):
    """An MCP server behind a ``url``; ``timeout`` in seconds (5). (PROTOCOL.md 5.4)"""

    __slots__ = ()

    def __init__(
        self,
        url: Annotated[str, filled],
        *,
        allowed_tools: Texts = None,
        headers: Annotated[Mapping[str, str] | None, mapping] = None,
        timeout: Annotated[float | None, at_least(0, "s", kind=number)] = None,
        transport_type: Annotated[_Transport | None, choice(_Transport)] = None,
        **unknown: object,
    ) -> None:
        self["type"] = "http"
        self._take(locals())


class McpStdio(Section, path="mcp_servers."):
    """An MCP server that the platform runs by ``command``. (PROTOCOL.md 5.4)"""

    __slots__ = ()

    def __init__(
        self,
        command: Annotated[str, filled],
        *,
        args: Texts = None,
        env: Annotated[Mapping[str, str] | None, mapping] = None,
        cwd: Text = None,
        **unknown: object,
    ) -> None:
        self["type"] = "stdio"
        self._take(locals())


class Pipeline(Section, path=""):
    """An agent's configuration; ``account.agent.agents.create(**pipeline)`` takes it.

    The parts may be helpers or plain mappings. With ``stt``, ``llm`` and ``tts`` the platform runs
    the agent; without ``llm`` the application brings its model (text mode); ``s2s`` excludes the
    three; with none of them audio travels as it is (``audio_format`` pcm_16k or mulaw_8k).

    Seconds, with the platform's defaults: ``wait_for_user_timeout_s`` 0 (without limit) to 60 (5),
    ``greeting_interrupt_duration`` (0.5), ``tool_call_timeout_s`` 1 to 300 (30: then a
    ``tool.called`` without an answer fails). ``speaks_first`` is agent when there is a greeting,
    else user. ``detection_method`` finds voicemail. ``semantic_vad`` is a preset, fields, or both:
    see :func:`expand_semantic_vad`; ``vad`` and ``turn_detector`` are its older, manual form, as
    ``interruption_enabled`` is of ``allow_interruptions`` (D-12). On by default:
    ``allow_interruptions``, ``prefill_cache``, ``comfort_noise_enabled`` (``cng_divisor`` 2800).
    (PROTOCOL.md 5.1-5.5)
    """

    __slots__ = ()

    def __init__(
        self,
        *,
        agent_name: Text = None,
        websocket_url: Annotated[str | None, _websocket_url] = None,
        stt: Annotated[_Fields | None, section(Stt)] = None,
        stt_fallback: Annotated[Iterable[_Fields] | None, list_of(section(Stt))] = None,
        llm: Annotated[_Fields | None, section(Llm)] = None,
        llm_fallback: Annotated[Iterable[_Fields] | None, list_of(section(Llm))] = None,
        tts: Annotated[_Fields | None, section(Tts)] = None,
        tts_fallback: Annotated[Iterable[_Fields] | None, list_of(section(Tts))] = None,
        s2s: Annotated[_Fields | None, section(S2s)] = None,
        agent_tools: Annotated[
            Iterable[_Fields | PlatformTool] | None, list_of(described_by("definition"))
        ] = None,
        mcp_servers: Annotated[
            Iterable[_Fields] | None, list_of(section(McpHttp, McpStdio))
        ] = None,
        welcome_greeting: Text = None,
        speaks_first: Annotated[_Speaker | None, choice(_Speaker)] = None,
        wait_for_user_timeout_s: Annotated[float | None, between(0, 60, "s")] = None,
        idle_timeout: Annotated[_Fields | None, section(IdleTimeout)] = None,
        allow_interruptions: Flag = None,
        interruption_enabled: Flag = None,
        greeting_interruptible: Flag = None,
        greeting_interrupt_duration: Annotated[float | None, at_least(0, "s", kind=number)] = None,
        prefill_cache: Flag = None,
        send_on: Annotated[_SendOn | None, choice(_SendOn)] = None,
        semantic_vad: Annotated[str | _Fields | None, _semantic_vad] = None,
        vad: Annotated[_Fields | None, mapping] = None,
        turn_detector: Annotated[_Fields | None, mapping] = None,
        detection_method: Annotated[_Detection | None, choice(_Detection)] = None,
        tool_call_timeout_s: Annotated[float | None, between(1, 300, "s")] = None,
        audio_format: Annotated[_AudioFormat | None, choice(_AudioFormat)] = None,
        audio_channels: Annotated[int | None, at_least(1)] = None,
        plc_enabled: Flag = None,
        comfort_noise_enabled: Flag = None,
        cng_divisor: Whole = None,
        noise_cancellation: Flag = None,
        background_audio: Annotated[_Fields | None, section(BackgroundAudio)] = None,
        stream: Annotated[_Fields | None, section(Stream)] = None,
        callbacks: Annotated[_Fields | None, section(Callbacks)] = None,
        events: Annotated[_Fields | None, section(Events)] = None,
        participant_mode: Annotated[_Participants | None, choice(_Participants)] = None,
        plivo_auth_id: Text = None,
        plivo_auth_token: Text = None,
        plivo_number: Text = None,
        **unknown: object,
    ) -> None:
        self._take(locals())

    def validate(self) -> None:
        """Check the parts once more, then the rules between them; for a whole configuration.

        An update may hold a part without what it needs, so nothing calls this by itself. Parts that
        are plain mappings are not looked into, but for ``idle_timeout.reminder_message`` and
        ``stream.extra_headers``. Raises ConfigError. (PROTOCOL.md 5.1, 5.4, 5.5)
        """
        self.check()
        # An empty mapping is a component with the platform's defaults.
        have = {name for name, value in self.items() if value is not None and value != []}
        if "s2s" in have:
            _exclude(have, "s2s", "stt", "llm", "tts")
        if "llm" in have:
            _need(have, "llm", "stt", "tts")
        for component in ("stt", "llm", "tts"):
            if f"{component}_fallback" in have:
                _need(have, f"{component}_fallback", component)
        if {"stt", "tts"} <= have and "llm" not in have:
            _check_text_mode(self, have)
        if self.get("participant_mode") == "multi":
            _need(
                have,
                "participant_mode 'multi'",
                "plivo_auth_id",
                "plivo_auth_token",
                "plivo_number",
            )
        extra_headers = _member(self.get("stream"), "extra_headers")
        if extra_headers is not None:
            _extra_headers(extra_headers, "stream.extra_headers")

    def to_body(self) -> dict[str, Any]:
        """A plain copy as it travels, ``semantic_vad`` expanded; nothing is validated."""
        body = cast("dict[str, Any]", plain(self))
        if "semantic_vad" in body:
            body["semantic_vad"] = expand_semantic_vad(body["semantic_vad"])
        return body


def _check_text_mode(config: _Fields, have: set[str]) -> None:
    if "agent_tools" in have:
        raise ConfigError(
            "agent_tools are not available in text mode (stt and tts without llm)",
            hint="add llm, or leave agent_tools out",
        )
    if "idle_timeout" in have and not _member(config["idle_timeout"], "reminder_message"):
        raise ConfigError(
            "idle_timeout.reminder_message is required in text mode (stt and tts without llm)"
        )


def _need(have: set[str], what: str, *parts: str) -> None:
    missing = [part for part in parts if part not in have]
    if missing:
        raise ConfigError(
            f"{what} needs {' and '.join(parts)}", hint=f"missing: {', '.join(missing)}"
        )


def _exclude(have: set[str], what: str, *parts: str) -> None:
    clashing = [part for part in parts if part in have]
    if clashing:
        raise ConfigError(
            f"{what} excludes {', '.join(parts)}", hint=f"leave out {', '.join(clashing)}"
        )


def _member(value: object, name: str) -> object:
    return cast("_Fields", value).get(name) if isinstance(value, Mapping) else None
