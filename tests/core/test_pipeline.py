"""Helpers for an agent's configuration (PROTOCOL.md 5.1-5.5)."""

from __future__ import annotations

import copy
import inspect
import json
import math
import pickle
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from plivo_core.agent import (
    BackgroundAudio,
    Callback,
    Callbacks,
    CollectEmail,
    EndCall,
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
)
from plivo_core.errors import ConfigError
from plivo_core.rest import Account

# What each helper cannot do without.
HELPERS: dict[Any, dict[str, Any]] = {
    BackgroundAudio: {"sound": "office"},
    Callback: {"url": "https://x.example"},
    Callbacks: {},
    Events: {},
    IdleTimeout: {},
    Llm: {},
    McpHttp: {"url": "https://mcp.example"},
    McpStdio: {"command": "npx"},
    Pipeline: {},
    S2s: {},
    Stream: {},
    Stt: {},
    Tts: {},
}
CHECKED = [
    (helper, name)
    for helper in HELPERS
    for name in inspect.signature(helper).parameters
    if name != "unknown"
]
AGENT_VECTORS = [
    vector
    for vector in json.loads(
        (Path(__file__).parents[1] / "vectors" / "rest.json").read_text(encoding="utf-8")
    )["vectors"]
    if vector["op"] == "agents.create" and "expect_error" not in vector
]


def make(helper: Any, **changes: Any) -> Any:
    return helper(**{**HELPERS[helper], **changes})


def a_pipeline(**changes: Any) -> Pipeline:
    """A full pipeline that is valid; None leaves a part out."""
    parts: dict[str, Any] = {"stt": Stt(), "llm": Llm(), "tts": Tts()}
    return Pipeline(**(parts | changes))


def text_mode(**changes: Any) -> Pipeline:
    return a_pipeline(llm=None, **changes)


# --- what a helper is ---


def test_a_pipeline_is_the_body_of_a_create() -> None:
    end_call, email = EndCall(), CollectEmail()
    pipeline = Pipeline(
        agent_name="Support",
        websocket_url="wss://agent.example.com/ws",
        stt=Stt("Deepgram", model="nova-3", endpointing=25),
        stt_fallback=(Stt(name) for name in ("google", "groq")),
        llm=Llm("openai", temperature=0.2, tools=[end_call, {"name": "own"}]),
        tts=Tts("elevenlabs", region="in", speed=1),
        agent_tools=[email, {"type": "own"}],
        mcp_servers=[
            McpHttp("https://mcp.example", allowed_tools=("search",), headers={"userId": "u"}),
            McpStdio("npx", args=["-y", "srv"], env={"FOO_BAR": "1"}),
        ],
        idle_timeout=IdleTimeout(no_response_timeout_s=15, max_retries=0),
        background_audio=BackgroundAudio("city-street", volume=0.3, loop=False),
        stream=Stream(extra_headers={"tenantId": "42"}),
        callbacks=Callbacks(hangup=Callback("https://x.example/h", method="POST")),
        events=Events(vad_events=True),
        detection_method="audio",
        semantic_vad="high",
    )
    pipeline.validate()
    expected = {
        "agent_name": "Support",
        "websocket_url": "wss://agent.example.com/ws",
        "stt": {"provider": "Deepgram", "model": "nova-3", "endpointing": 25},
        "stt_fallback": [{"provider": "google"}, {"provider": "groq"}],
        "llm": {
            "provider": "openai",
            "temperature": 0.2,
            "tools": [end_call.tool, {"name": "own"}],
        },
        "tts": {"provider": "elevenlabs", "region": "in", "speed": 1},
        "agent_tools": [email.definition, {"type": "own"}],
        "mcp_servers": [
            {
                "type": "http",
                "url": "https://mcp.example",
                "allowed_tools": ["search"],
                "headers": {"userId": "u"},
            },
            {"type": "stdio", "command": "npx", "args": ["-y", "srv"], "env": {"FOO_BAR": "1"}},
        ],
        "idle_timeout": {"no_response_timeout_s": 15, "max_retries": 0},
        "background_audio": {"sound": "city-street", "volume": 0.3, "loop": False},
        "stream": {"extra_headers": {"tenantId": "42"}},
        "callbacks": {"hangup": {"url": "https://x.example/h", "method": "POST"}},
        "events": {"vad_events": True},
        "detection_method": "audio",
        "semantic_vad": "high",
    }
    assert pipeline == expected
    high = {
        "completed_turn_delay_ms": 150,
        "incomplete_turn_delay_ms": 1400,
        "uncertain_turn_delay_ms": 700,
        "min_interruption_duration_ms": 300,
        "false_interruption_timeout_ms": 750,
    }
    assert pipeline.to_body() == {**expected, "semantic_vad": high}


@pytest.mark.parametrize("vector", AGENT_VECTORS, ids=lambda v: v["id"])
def test_what_the_vectors_create_a_pipeline_creates_too(vector: dict[str, Any]) -> None:
    pipeline = Pipeline(**vector["args"])
    null = {name: None for name, value in vector["args"].items() if value is None}
    assert {**pipeline.to_body(), **null} == vector["request"]["body"]


def test_a_pipeline_goes_into_create_and_knows_the_same_names() -> None:
    create = Account("MAEXAMPLE0000000000A", "token").agent.agents.create
    pipeline = a_pipeline(agent_name="A", websocket_url="ws://localhost:1/ws", semantic_vad="low")
    assert create(**pipeline) is not None
    known = set(inspect.signature(create).parameters) - {"other"}
    assert known == set(inspect.signature(Pipeline).parameters) - {"unknown"}


@pytest.mark.parametrize("helper", HELPERS)
def test_a_helper_is_a_dict_that_can_be_copied(helper: Any) -> None:
    made = make(helper, api_key="k")
    for twin in (copy.deepcopy(made), copy.copy(made), pickle.loads(pickle.dumps(made))):
        assert type(twin) is helper
        assert twin == made == json.loads(json.dumps(made))


@pytest.mark.parametrize("helper", HELPERS)
def test_a_signature_shows_types_and_not_how_they_are_checked(helper: Any) -> None:
    assert "Annotated" not in str(inspect.signature(helper))


@pytest.mark.parametrize(("helper", "name"), CHECKED)
def test_every_field_is_checked_and_none_leaves_it_out(helper: Any, name: str) -> None:
    error = TypeError if name == "semantic_vad" else ConfigError
    with pytest.raises(error, match=rf"{name}\b") as caught:
        make(helper, **{name: object()})
    assert "object" in str(caught.value)
    if name in HELPERS[helper]:
        with pytest.raises(ConfigError, match=rf"{name}.*NoneType"):
            make(helper, **{name: None})
    else:
        assert name not in make(helper, **{name: None})


@pytest.mark.parametrize("helper", HELPERS)
def test_unknown_fields_pass_as_they_are(helper: Any) -> None:
    value: dict[str, Any] = {"a": [None, object()]}
    made = make(helper, future=value, other_future=None, unknown=1)
    assert made["future"] is value
    assert made["other_future"] is None
    assert made["unknown"] == 1
    made.check()


def test_plain_mappings_pass_unchecked_in_every_place() -> None:
    nonsense: Any = {"provider": "nobody", "temperature": 99, "x": None}
    one = ("stt", "llm", "tts", "s2s", "idle_timeout", "background_audio", "stream", "callbacks")
    many = ("stt_fallback", "llm_fallback", "tts_fallback", "agent_tools", "mcp_servers")
    given: Any = {
        **dict.fromkeys((*one, "events", "vad", "turn_detector"), nonsense),
        **{name: [nonsense] for name in many},
    }
    assert Pipeline(**given) == given
    assert Callbacks(ring={"url": 1}) == {"ring": {"url": 1}}


def test_nothing_that_was_given_is_changed_or_shared_by_the_body() -> None:
    read_only = MappingProxyType({"provider": "own", "list": [1], "pair": (1, {})})
    given: dict[str, Any] = {
        "stt": {"provider": "deepgram", "keywords": ["a"]},
        "llm": Llm(tools=[{"name": "t", "parameters": {}}]),
        "tts": read_only,
        "semantic_vad": {"eagerness": "low", "future": []},
        "stt_fallback": [{"provider": "google"}],
    }
    before = {name: copy.deepcopy(given[name]) for name in given if name != "tts"}
    body = Pipeline(**given).to_body()
    assert body["tts"] == {"provider": "own", "list": [1], "pair": (1, {})}
    assert type(body["llm"]) is dict
    body["stt"]["keywords"].append("b")
    body["llm"]["tools"][0]["parameters"]["x"] = 1
    body["tts"]["list"].append(2)
    body["semantic_vad"]["future"].append(1)
    body["stt_fallback"].clear()
    assert {name: given[name] for name in before} == before
    assert read_only["list"] == [1]


def test_a_helper_may_be_subclassed() -> None:
    class MyLlm(Llm):
        def __init__(self, temperature: float) -> None:
            super().__init__("groq", temperature=temperature)

    assert Pipeline(llm=MyLlm(1))["llm"] == {"provider": "groq", "temperature": 1}
    with pytest.raises(ConfigError):
        MyLlm(3)


# --- names ---

PROVIDERS = {
    Stt: "deepgram google azure assemblyai groq openai",
    Llm: "openai anthropic groq google azure together fireworks perplexity mistral",
    Tts: "elevenlabs cartesia google azure openai deepgram",
    S2s: "openai_realtime gemini_live azure_openai",
}
CHOICES: list[tuple[Any, str, str]] = [
    (Llm, "reasoning_effort", "low medium high"),
    (Tts, "region", "us in"),
    (BackgroundAudio, "sound", "office city-street crowded-room call-center typing typing-short"),
    (Callback, "method", "GET POST"),
    (McpHttp, "transport_type", "sse streamable_http"),
    (Pipeline, "speaks_first", "agent user"),
    (Pipeline, "send_on", "turn_end speaking_stop"),
    (Pipeline, "detection_method", "disabled audio llm"),
    (Pipeline, "audio_format", "pcm_16k mulaw_8k"),
    (Pipeline, "participant_mode", "dual multi"),
    (Pipeline, "semantic_vad", "low medium high auto"),
]


@pytest.mark.parametrize("helper", PROVIDERS)
def test_providers_are_known_in_any_case_and_sent_as_given(helper: Any) -> None:
    for name in PROVIDERS[helper].split():
        for spelling in (name, name.upper(), name.title()):
            assert helper(spelling) == {"provider": spelling}
    with pytest.raises(ConfigError) as caught:
        helper("nobody")
    listed = ", ".join(PROVIDERS[helper].split())
    assert f"provider must be one of {listed}, got 'nobody'" in str(caught.value)


@pytest.mark.parametrize(
    ("helper", "given", "nearest"),
    [
        (Stt, "depgram", "deepgram"),
        (Llm, "Antropic", "anthropic"),
        (Tts, "eleven-labs", "elevenlabs"),
        (S2s, "openai", "azure_openai"),
        (S2s, "OpenAI-Realtime", "openai_realtime"),
    ],
)
def test_a_provider_that_was_misspelt_is_told_with_the_nearest(
    helper: Any, given: str, nearest: str
) -> None:
    with pytest.raises(ConfigError, match=f"did you mean '{nearest}'") as caught:
        helper(given)
    assert "a plain dict is sent unchecked" in str(caught.value)


@pytest.mark.parametrize(("helper", "name", "values"), CHOICES)
def test_other_names_are_taken_as_they_are_spelt(helper: Any, name: str, values: str) -> None:
    listed = ", ".join(values.split())
    for value in values.split():
        assert make(helper, **{name: value})[name] == value
        wrong = value.lower() if value.isupper() else value.upper()
        with pytest.raises(ConfigError, match=f"{name} must be one of {listed}, got {wrong!r}"):
            make(helper, **{name: wrong})


def test_a_key_in_a_providers_place_is_not_shown() -> None:
    key = "0123456789abcdef01234567x"
    with pytest.raises(ConfigError, match="got a text of 25 characters") as caught:
        Stt(key)
    assert key[:8] not in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        Llm(api_key=7121)  # type: ignore[arg-type]
    assert str(caught.value) == "llm.api_key must be a str, not int"


# --- ranges ---


@pytest.mark.parametrize(
    ("helper", "name", "low", "high"),
    [
        (Llm, "temperature", 0, 2),
        (Tts, "stability", 0, 1),
        (Tts, "similarity_boost", 0, 1),
        (Tts, "speed", 0.1, 4),
        (BackgroundAudio, "volume", 0, 1),
        (IdleTimeout, "no_response_timeout_s", 1, 120),
        (IdleTimeout, "extended_wait_time_s", 1, 300),
        (Pipeline, "wait_for_user_timeout_s", 0, 60),
        (Pipeline, "tool_call_timeout_s", 1, 300),
    ],
)
def test_numbers_hold_to_their_last_value(helper: Any, name: str, low: float, high: float) -> None:
    for value in (low, high, float(low), (low + high) / 2):
        assert make(helper, **{name: value})[name] == value
    below, above = math.nextafter(low, -math.inf), math.nextafter(high, math.inf)
    for value in (below, above, low - 1, high + 1):
        with pytest.raises(
            ConfigError, match=rf"{name} must be between {low} and {high}"
        ) as caught:
            make(helper, **{name: value})
        assert f"got {value!r}" in str(caught.value)
    for value in (math.nan, math.inf, -math.inf, 10**5000):
        with pytest.raises(ConfigError, match=f"{name} must be a finite number"):
            make(helper, **{name: value})
    for wrong in (True, "1", 1j):
        with pytest.raises(
            ConfigError, match=f"{name} must be a number, not {type(wrong).__name__}"
        ):
            make(helper, **{name: wrong})


@pytest.mark.parametrize(
    ("helper", "name", "low", "high"),
    [
        (IdleTimeout, "max_retries", 0, 10),
        (Stream, "stream_timeout", 1, 86400),
        (Stream, "noise_cancellation_level", 60, 100),
    ],
)
def test_whole_numbers_hold_to_their_last_value(
    helper: Any, name: str, low: int, high: int
) -> None:
    for value in (low, high):
        assert make(helper, **{name: value})[name] == value
    for value in (low - 1, high + 1):
        with pytest.raises(ConfigError, match=f"{name} must be between {low} and {high}"):
            make(helper, **{name: value})
    for wrong in (float(low), True, "1"):
        with pytest.raises(ConfigError, match=f"{name} must be an int, not {type(wrong).__name__}"):
            make(helper, **{name: wrong})


@pytest.mark.parametrize(
    ("helper", "name", "low"),
    [
        (McpHttp, "timeout", 0),
        (Pipeline, "greeting_interrupt_duration", 0),
        (Pipeline, "audio_channels", 1),
    ],
)
def test_a_value_below_the_least_is_refused(helper: Any, name: str, low: int) -> None:
    assert make(helper, **{name: low})[name] == low
    assert make(helper, **{name: 10**9})[name] == 10**9
    with pytest.raises(ConfigError, match=f"{name} must be at least {low}.*, got -5"):
        make(helper, **{name: -5})
    with pytest.raises(ConfigError, match=f"{name} must be"):
        make(helper, **{name: float("nan")})


def test_a_unit_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        IdleTimeout(no_response_timeout_s=121)
    assert str(caught.value) == (
        "idle_timeout.no_response_timeout_s must be between 1 and 120 s, got 121"
    )


@pytest.mark.parametrize(
    ("make_it", "message"),
    [
        (lambda: Pipeline(websocket_url="https://x.example"), "must start with ws:// or wss://"),
        (lambda: Pipeline(websocket_url=""), "must start with ws:// or wss://"),
        (
            lambda: Pipeline(websocket_url="wss://" + "x" * 2043),
            "websocket_url must have at most 2048 characters, not 2049",
        ),
        (lambda: Callback(""), "callback.url is empty"),
        (lambda: McpHttp(""), "mcp_servers.url is empty"),
        (lambda: McpStdio(""), "mcp_servers.command is empty"),
        (lambda: McpStdio("npx", args="-y"), "mcp_servers.args must be a list, not str"),
        (lambda: McpStdio("npx", args=["-y", 1]), "mcp_servers.args[1] must be a str, not int"),
        (lambda: Pipeline(stt="deepgram"), "stt must be a mapping, not str"),
        (lambda: Pipeline(stt=Tts()), "stt must be Stt, not Tts"),
        (lambda: Pipeline(llm_fallback=Llm()), "llm_fallback must be a list, not Llm"),
        (lambda: Pipeline(llm_fallback=[Llm(), Stt()]), "llm_fallback[1] must be Llm, not Stt"),
        (
            lambda: Pipeline(mcp_servers=[Stream()]),
            "mcp_servers[0] must be McpHttp or McpStdio, not Stream",
        ),
        (
            lambda: Pipeline(agent_tools=[EndCall()]),
            "agent_tools[0] must be a mapping or an object with .definition, not EndCall",
        ),
        (
            lambda: Llm(tools=[CollectEmail()]),
            "llm.tools[0] must be a mapping or an object with .tool, not CollectEmail",
        ),
        (lambda: Llm(tools=EndCall().tool), "llm.tools must be a list, not dict"),
        (lambda: Callbacks(ring="https://x.example"), "callbacks.ring must be a mapping, not str"),
    ],
)
def test_what_cannot_be_is_told_by_its_field(make_it: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_it()
    assert message in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_a_websocket_url_may_be_long_and_in_any_case() -> None:
    for url in ("WSS://" + "x" * 2042, "ws://localhost"):
        assert Pipeline(websocket_url=url) == {"websocket_url": url}


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"a": "x" * 512}, "must have at most 512 bytes in all its names and values, not 513"),
        ({"a" * 500: "x" * 6, "b": "y" * 6}, "not 513"),
        ({"tenant-id": "1"}, "name or value 1 of stream.extra_headers is not alphanumeric"),
        ({"a": "1", "b": "x y"}, "name or value 2 of stream.extra_headers is not alphanumeric"),
        ({"a": "\u00e9"}, "is not alphanumeric (use A-Z, a-z, 0-9)"),
        ({"a": "1\n"}, "is not alphanumeric"),
        ({"a": ""}, "is not alphanumeric"),
        ({"": "a"}, "is not alphanumeric"),
        ({"a": 1}, "name or value 1 of stream.extra_headers must be a str, not int"),
        ("a=1", "stream.extra_headers must be a mapping, not str"),
    ],
)
def test_extra_headers_are_short_and_alphanumeric(headers: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Stream(extra_headers=headers)
    assert message in str(caught.value)
    plain = Pipeline(stream={"extra_headers": headers})
    with pytest.raises(ConfigError) as caught:
        plain.validate()
    assert message in str(caught.value)


def test_extra_headers_may_fill_their_512_bytes() -> None:
    headers = {"a" * 500: "Z" * 6, "b": "09876"}
    Pipeline(stream=Stream(extra_headers=headers)).validate()
    Pipeline(stream=Stream(extra_headers={})).validate()
    Pipeline(stream={"extra_headers": None}).validate()


# --- the rules between the parts ---


@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        (Pipeline(llm=Llm()), "llm needs stt and tts (missing: stt, tts)"),
        (a_pipeline(tts=None), "llm needs stt and tts (missing: tts)"),
        (a_pipeline(stt=None), "llm needs stt and tts (missing: stt)"),
        (Pipeline(s2s=S2s(), stt={}), "s2s excludes stt, llm, tts (leave out stt)"),
        (Pipeline(s2s={}, llm=Llm()), "s2s excludes stt, llm, tts (leave out llm)"),
        (a_pipeline(s2s=S2s()), "s2s excludes stt, llm, tts (leave out stt, llm, tts)"),
        (Pipeline(stt_fallback=[{}]), "stt_fallback needs stt"),
        (text_mode(llm_fallback=[Llm()]), "llm_fallback needs llm"),
        (Pipeline(stt=Stt(), tts_fallback=[Tts()]), "tts_fallback needs tts"),
        (Pipeline(s2s=S2s(), llm_fallback=[Llm()]), "llm_fallback needs llm"),
        (text_mode(agent_tools=[CollectEmail()]), "agent_tools are not available in text mode"),
        (text_mode(idle_timeout=IdleTimeout()), "idle_timeout.reminder_message is required"),
        (text_mode(idle_timeout={"reminder_message": ""}), "reminder_message is required"),
        (
            Pipeline(participant_mode="multi", plivo_number="+14155550199"),
            (
                "participant_mode 'multi' needs plivo_auth_id and plivo_auth_token and "
                "plivo_number (missing: plivo_auth_id, plivo_auth_token)"
            ),
        ),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(pipeline: Pipeline, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pipeline.validate()
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "pipeline",
    [
        Pipeline(),
        a_pipeline(),
        text_mode(),
        Pipeline(stt={}),
        Pipeline(tts=Tts()),
        Pipeline(s2s=S2s(), agent_tools=[CollectEmail()], idle_timeout=IdleTimeout()),
        a_pipeline(agent_tools=[CollectEmail()], idle_timeout=IdleTimeout()),
        a_pipeline(llm_fallback=[Llm()], stt_fallback=[Stt()], tts_fallback=[Tts()]),
        Pipeline(stt_fallback=[]),
        text_mode(agent_tools=[]),
        text_mode(idle_timeout=IdleTimeout(reminder_message="Hello?")),
        text_mode(idle_timeout={"reminder_message": "Hello?"}),
        Pipeline(participant_mode="dual"),
        Pipeline(
            participant_mode="multi", plivo_auth_id="MA", plivo_auth_token="t", plivo_number="+1"
        ),
    ],
)
def test_parts_that_fit_together_are_not(pipeline: Pipeline) -> None:
    before = copy.deepcopy(pipeline)
    pipeline.validate()
    assert pipeline == before


def test_null_put_in_by_hand_counts_as_absent() -> None:
    pipeline = Pipeline(s2s=S2s())
    pipeline["stt"] = pipeline["llm_fallback"] = None
    pipeline.validate()
    assert pipeline.to_body()["stt"] is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.update(tool_call_timeout_s=0), "tool_call_timeout_s must be between 1 and"),
        (lambda p: p["llm"].update(temperature=3), "llm.temperature must be between 0 and 2"),
        (lambda p: p["llm_fallback"][0].update(provider="x"), "llm.provider must be one of"),
        (lambda p: p["callbacks"]["ring"].pop("url"), "callback.url must be a str, not NoneType"),
    ],
)
def test_what_was_changed_for_the_worse_is_found(change: Any, message: str) -> None:
    pipeline = a_pipeline(
        llm_fallback=[Llm("groq")], callbacks=Callbacks(ring=Callback("https://x.example"))
    )
    pipeline.validate()
    change(pipeline)
    with pytest.raises(ConfigError) as caught:
        pipeline.validate()
    assert message in str(caught.value)


# --- what is shown ---

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    "made",
    [
        Stt("deepgram", api_key=SECRET),
        Llm(api_key=SECRET, elevenlabs_api_key=SECRET),
        Tts(base_url=f"https://user:{SECRET}@tts.example/{SECRET}?key={SECRET}#{SECRET}"),
        S2s(azure_endpoint=f"wss://{SECRET}@x.example"),
        S2s(base_url=SECRET),
        McpHttp(f"https://mcp.example/{SECRET}", headers={"X-Anything": SECRET}),
        McpStdio("npx", args=["--key", SECRET], env={"ANYTHING": SECRET}),
        Callback(f"https://x.example?token={SECRET}"),
        Stream(extra_headers={"tenant": SECRET}),
        Pipeline(plivo_auth_token=SECRET),
        Pipeline(websocket_url=f"wss://agent.example.com/ws?token={SECRET}"),
        Pipeline(
            stt={"api_key": SECRET},
            llm_fallback=[{"apiKey": SECRET}, Llm(api_key=SECRET)],
            mcp_servers=[{"url": f"https://x.example/{SECRET}", "headers": {"a": SECRET}}],
            callbacks={"hangup": {"url": f"https://x.example/{SECRET}"}},
            future=[({"headers": {"b": [SECRET]}},)],
        ),
        Pipeline(tts=MappingProxyType({"anything": SECRET})),
        Stt("azure", subscription_key=SECRET, key=SECRET, auth=SECRET),
        Stt("azure", **{"Ocp-Apim-Subscription-Key": SECRET}),
        Llm("openai", anything={"deep": f"Bearer {SECRET}", "or": [f"basic {SECRET}"]}),
    ],
)
def test_no_secret_is_shown(made: Any) -> None:
    assert SECRET in json.dumps(made, default=dict)
    for shown in (repr(made), str(made), f"{made}", repr([made]), repr(Pipeline(part=made))):
        assert SECRET not in shown


def test_a_repr_masks_the_number_of_the_account() -> None:
    assert repr(Pipeline(plivo_number="+14155550199")) == "Pipeline(plivo_number='***0199')"


def test_a_repr_shows_the_rest() -> None:
    assert repr(Llm("openai", api_key="k", base_url="https://u@e.ex:1/v1", temperature=1)) == (
        "Llm(provider='openai', api_key=<masked>, base_url='https://e.ex:1/...', temperature=1)"
    )
    assert repr(Pipeline(stt=Stt("groq"), websocket_url="ws://h", audio_channels=1, n={1: 2})) == (
        "Pipeline(websocket_url='ws://h', stt={'provider': 'groq'}, audio_channels=1, n={1: 2})"
    )
    assert repr(Callback("no address")) == "Callback(url=<10 characters>)"


def test_a_repr_bears_a_pipeline_that_holds_itself() -> None:
    pipeline = Pipeline()
    pipeline["self"] = pipeline
    assert "<...>" in repr(pipeline)
