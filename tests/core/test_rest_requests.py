"""From arguments to requests: paths, queries, bodies, and what is refused before any request."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from functools import partial
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plivo_core import ConfigError, rest
from plivo_core.messaging import Location
from plivo_core.rest import NOT_GIVEN, Account, Operation, Request, Response
from tests.core._rest import AUTH_ID, AUTH_TOKEN, an_account

account = an_account()
UUID = "550e8400-e29b-41d4-a716-446655440000"

# Every place where text of the caller becomes part of a path.
PLACES: dict[str, Callable[[str], Operation[Any]]] = {
    "agents.get": account.agent.agents.get,
    "agents.update": account.agent.agents.update,
    "agents.delete": account.agent.agents.delete,
    "agent.calls.connect": lambda text: account.agent.calls.connect(text, agent_uuid="a"),
    "agent.calls.dial": lambda text: account.agent.calls.dial(text, targets=[]),
    "agent.numbers.assign": lambda text: account.agent.numbers.assign(text, number="1"),
    "agent.numbers.list": account.agent.numbers.list,
    "agent.numbers.unassign agent": lambda text: account.agent.numbers.unassign(text, number="1"),
    "agent.numbers.unassign": lambda text: account.agent.numbers.unassign("a", number=text),
    "sessions.get": account.agent.sessions.get,
    "sessions.get agent": lambda text: account.agent.sessions.get("s", agent_uuid=text),
    "sessions.list agent": lambda text: account.agent.sessions.list(agent_uuid=text),
    "messages.get": account.messages.get,
    "messages.list_media": account.messages.list_media,
    "numbers.get": account.numbers.get,
    "numbers.buy": account.numbers.buy,
    "numbers.update": account.numbers.update,
    "numbers.delete": account.numbers.delete,
    "lookup.get": account.numbers.lookup.get,
    "calls.hangup": account.calls.hangup,
    "calls.start_stream": lambda text: account.calls.start_stream(text, service_url="wss://x"),
    "calls.list_streams": account.calls.list_streams,
    "calls.get_stream call": lambda text: account.calls.get_stream(text, "s"),
    "calls.get_stream": lambda text: account.calls.get_stream("c", text),
    "calls.stop_stream": lambda text: account.calls.stop_stream("c", text),
    "calls.stop_streams": account.calls.stop_streams,
}
places = pytest.mark.parametrize("place", PLACES.values(), ids=list(PLACES))


def body_of(op: Operation[Any]) -> Any:
    assert op.request.body is not None
    return json.loads(op.request.body)


# --- paths ---


@places
@pytest.mark.parametrize("text", ["", ".", ".."])
def test_a_part_that_would_name_another_resource_is_refused(
    place: Callable[[str], Operation[Any]], text: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        place(text)
    assert isinstance(caught.value, ValueError)


@places
@settings(max_examples=20)  # for each of some twenty-five places
@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_part_stays_one_part_and_comes_back_whole(
    place: Callable[[str], Operation[Any]], text: str
) -> None:
    if text in {".", ".."}:
        return
    url = urlsplit(place(text).request.url)
    plain = urlsplit(place("PART").request.url)
    assert url[:2] + url[3:] == plain[:2] + plain[3:]  # all but the path is untouched
    parts, expected = url.path.split("/"), plain.path.split("/")
    assert [unquote(part) for part in parts] == [
        text if part == "PART" else part for part in expected
    ]
    assert url.path.isascii()
    assert not set(url.path) & set(' \t\r\n\\"<>')


@pytest.mark.parametrize("value", [None, 14155550199, b"x"])
def test_a_part_that_is_no_text_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError, match="number must be a str"):
        account.numbers.get(value)


def test_a_lone_surrogate_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="number holds a lone surrogate"):
        account.numbers.get("\ud800")


# --- queries ---


def test_filters_are_encoded_so_that_none_can_add_another() -> None:
    op = account.messages.list(limit=None, offset=None, subaccount="a&b=c#d é+/")
    assert urlsplit(op.request.url).query == "subaccount=a%26b%3Dc%23d%20%C3%A9%2B%2F"


def test_an_unlisted_filters_name_is_encoded_too() -> None:
    op = account.agent.agents.list(**{"a&b": True, "c": 1.5})
    assert urlsplit(op.request.url).query == "a%26b=true&c=1.5"


def test_a_filter_that_is_no_plain_value_is_a_type_error() -> None:
    wrong: Any = ["voice", "sms"]
    with pytest.raises(TypeError, match="services must be"):
        account.numbers.list(services=wrong)


# --- bodies ---


def test_what_is_not_given_is_not_sent_and_none_is_null() -> None:
    op = account.agent.agents.update(UUID, stt=None, llm=NOT_GIVEN, new_field=None)
    assert body_of(op) == {"stt": None, "new_field": None}


def test_unknown_agent_fields_pass_through() -> None:
    op = account.agent.agents.create("A", websocket_url="wss://x", brand_new={"deep": [1]})
    assert body_of(op) == {
        "agent_name": "A",
        "websocket_url": "wss://x",
        "brand_new": {"deep": [1]},
    }


def test_an_unknown_field_may_have_any_name() -> None:
    odd: Any = {"other": 1, "body": 2}
    assert body_of(account.agent.agents.update(UUID, **odd)) == odd


def test_the_body_is_fixed_when_the_operation_is_built() -> None:
    stt = {"provider": "deepgram"}
    op = account.agent.agents.update(UUID, stt=stt)
    stt["provider"] = "google"
    assert body_of(op) == {"stt": {"provider": "deepgram"}}


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, [object()], b"x"])
def test_what_json_cannot_carry_is_refused_before_any_request(value: object) -> None:
    with pytest.raises(ConfigError, match="cannot be written as JSON"):
        account.agent.agents.update(UUID, value=value)


@pytest.mark.parametrize("part", ["stt", "llm", "tts", "s2s", "callbacks", "semantic_vad", "new"])
def test_any_mapping_can_be_a_part_of_the_configuration(part: str) -> None:
    section = MappingProxyType({"a": [MappingProxyType({"b": 1})]})
    if part == "semantic_vad":
        section = MappingProxyType({"sensitivity": 1})
    sent = body_of(account.agent.agents.update(UUID, **{part: section}))[part]
    assert sent if part == "semantic_vad" else sent == {"a": [{"b": 1}]}


# Each method that passes unlisted keywords on.
PASSING: dict[str, Callable[..., Operation[Any]]] = {
    "agents.create": partial(account.agent.agents.create, "n", websocket_url="wss://x"),
    "agents.update": partial(account.agent.agents.update, "a"),
    "agents.list": account.agent.agents.list,
    "sessions.list": account.agent.sessions.list,
    "initiate": partial(account.agent.calls.initiate, "a", from_="+1", to="+2"),
    "dial": partial(account.agent.calls.dial, "c", targets=[]),
    "start_stream": partial(account.calls.start_stream, "c", service_url="wss://x"),
    "messages.create": partial(account.messages.create, dst="+1"),
    "messages.list": account.messages.list,
    "numbers.list": account.numbers.list,
    "numbers.buy": partial(account.numbers.buy, "1"),
    "numbers.update": partial(account.numbers.update, "1"),
    "numbers.search": partial(account.numbers.search, "US"),
}


@pytest.mark.parametrize("option", ["timeout", "retry"])
@pytest.mark.parametrize("method", PASSING)
def test_an_option_of_the_request_does_not_become_a_field(method: str, option: str) -> None:
    if (method, option) == ("dial", "timeout"):  # how long it rings
        assert body_of(PASSING[method](timeout=5))["timeout"] == 5
        return
    with pytest.raises(ConfigError, match=rf"client\.with_options\({option}=\.\.\.\)"):
        PASSING[method](**{option: 5})


def test_each_method_that_passes_keywords_on_is_asked_that() -> None:
    found = {
        f"{cls.__name__}.{name}"
        for cls in vars(rest).values()
        if isinstance(cls, type) and cls.__name__.endswith("Resource")
        for name, method in vars(cls).items()
        if inspect.isfunction(method) and "other" in inspect.signature(method).parameters
    }
    assert len(found) == len(PASSING), found


def test_text_beyond_ascii_survives() -> None:
    text = "Grüße 🎉 \ud800"
    assert body_of(account.messages.create(dst="+1", text=text))["text"] == text


# --- agent.calls ---


@pytest.mark.parametrize("to", ["", [], ["+1", ""]])
def test_a_call_to_nobody_is_refused(to: Any) -> None:
    with pytest.raises(ConfigError, match="to is empty"):
        account.agent.calls.initiate(UUID, from_="+1", to=to)


@pytest.mark.parametrize(
    ("argument", "build"),
    [
        ("agent_uuid", lambda: account.agent.calls.initiate("", from_="+1", to="+2")),
        ("from_", lambda: account.agent.calls.initiate(UUID, from_="", to="+2")),
        ("agent_uuid", lambda: account.agent.calls.connect("c", agent_uuid="")),
        ("number", lambda: account.agent.numbers.assign(UUID, number="")),
    ],
)
def test_an_empty_identifier_in_a_body_is_refused_by_name(
    argument: str, build: Callable[[], Operation[Any]]
) -> None:
    with pytest.raises(ConfigError, match=f"{argument} is empty"):
        build()


@pytest.mark.parametrize("targets", [{"number": "+1"}, "+1"])
def test_targets_that_lost_their_brackets_are_refused(targets: Any) -> None:
    with pytest.raises(ConfigError, match="targets must be a list"):
        account.agent.calls.dial("c", targets=targets)


def test_unlisted_call_settings_pass_through() -> None:
    op = account.agent.calls.initiate(UUID, from_="+1", to="+2", callback_url="https://x")
    assert body_of(op)["callback_url"] == "https://x"
    op = account.agent.calls.dial("c", targets=({"number": "+1"},), whisper="hi")
    assert body_of(op) == {"targets": [{"number": "+1"}], "whisper": "hi"}


# --- calls ---


def test_hanging_up_and_streams_use_the_classic_paths() -> None:
    prefix = f"/v1/Account/{AUTH_ID}/Call/c1/"
    calls = account.calls
    started = calls.start_stream(
        "c1", service_url="wss://x", bidirectional=True, noise_cancellation_level=85, new=1
    )
    asked = [
        (op.method, op.path)
        for op in (
            calls.hangup("c1"),
            started,
            calls.list_streams("c1"),
            calls.get_stream("c1", "s1"),
            calls.stop_stream("c1", "s1"),
            calls.stop_streams("c1"),
        )
    ]
    assert asked == [
        ("DELETE", prefix),
        ("POST", prefix + "Stream/"),
        ("GET", prefix + "Stream/"),
        ("GET", prefix + "Stream/s1/"),
        ("DELETE", prefix + "Stream/s1/"),
        ("DELETE", prefix + "Stream/"),
    ]
    assert body_of(started) == {
        "service_url": "wss://x",
        "bidirectional": True,
        "noise_cancellation_level": 85,
        "new": 1,
    }


# --- messages ---


def test_the_builders_are_plain_objects_to_a_message() -> None:
    location = Location(52.52, 13.405, dialect="agentstack")
    op = account.messages.create(dst="+1", src="+2", type="whatsapp", location=location)
    assert body_of(op)["location"] == {"latitude": 52.52, "longitude": 13.405}


def test_unlisted_message_fields_pass_through() -> None:
    assert body_of(account.messages.create(dst="+1", new_field=None))["new_field"] is None


@pytest.mark.parametrize("dst", ["", [], ["+1", ""], ["+1<+2"]])
def test_destinations_that_are_none_or_hide_another_are_refused(dst: Any) -> None:
    with pytest.raises(ConfigError, match="dst"):
        account.messages.create(dst=dst, src="+2", text="x")


@pytest.mark.parametrize(
    ("type", "text", "limit"),
    [
        ("sms", "a" * 1601, "1600"),
        ("sms", "[" * 801, "1602 GSM-7"),
        ("sms", "я" * 738, "737"),
        ("sms", "🎉" * 369, "738 UCS-2"),
        ("whatsapp", "a" * 4097, "4096"),
    ],
)
def test_a_text_that_is_too_long_is_refused_with_the_limit(
    type: str, text: str, limit: str
) -> None:
    with pytest.raises(ConfigError, match=limit):
        account.messages.create(dst="+1", src="+2", type=type, text=text)
    assert account.messages.create(dst="+1", src="+2", type=type, text=text[:-1])


def test_a_type_unknown_to_us_has_no_limits() -> None:
    urls = ["https://x"] * 11
    assert account.messages.create(dst="+1", type="rcs", text="a" * 9999, media_urls=urls)


@pytest.mark.parametrize(("type", "most"), [("mms", 10), ("whatsapp", 1)])
@pytest.mark.parametrize("argument", ["media_urls", "media_ids"])
def test_too_many_media_are_refused_with_the_limit(type: str, most: int, argument: str) -> None:
    media: Any = {argument: ["m"] * most}
    assert account.messages.create(dst="+1", src="+2", type=type, **media)
    with pytest.raises(
        ConfigError, match=f"{argument} has {most + 1} entries; {type} takes {most}"
    ):
        account.messages.create(dst="+1", src="+2", type=type, **{argument: ["m"] * (most + 1)})


@pytest.mark.parametrize("argument", ["media_urls", "media_ids"])
@pytest.mark.parametrize("type", ["sms", "mms"])
def test_a_single_text_in_place_of_media_is_refused(type: str, argument: str) -> None:
    media: Any = {argument: "http://x"}
    with pytest.raises(ConfigError, match=f"{argument} must be a list"):
        account.messages.create(dst="+1", src="+2", type=type, **media)


def test_buying_a_number_sends_blank_fields_as_given_but_for_app_id() -> None:
    op = account.numbers.buy("1", app_id="", cnam_lookup="", verification_info={}, new="")
    assert body_of(op) == {"cnam_lookup": "", "verification_info": {}, "new": ""}
    assert account.numbers.buy("1", app_id="").request.body is None


# --- account ---


@pytest.mark.parametrize("value", ["", None, 7])
@pytest.mark.parametrize("argument", ["auth_id", "auth_token"])
def test_a_missing_credential_is_named_with_its_variable(argument: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        an_account(**{argument: value})
    assert argument in str(caught.value)
    assert f"PLIVO_{argument.upper()}" in str(caught.value)
    assert AUTH_TOKEN not in str(caught.value)


@pytest.mark.parametrize("auth_id", ["a:b", "..", "\ud800"])
def test_an_account_id_that_cannot_travel_is_refused(auth_id: str) -> None:
    with pytest.raises(ConfigError, match="auth_id"):
        an_account(auth_id=auth_id)


def test_a_token_that_cannot_travel_is_refused_without_quoting_it() -> None:
    with pytest.raises(ConfigError) as caught:
        an_account(auth_token="hunter2\ud800")
    assert caught.value.__cause__ is None
    assert "hunter2" not in str(caught.value)


def test_an_account_id_of_any_shape_is_taken() -> None:
    assert an_account(auth_id="x/y").messages.get("m").path == "/v1/Account/x%2Fy/Message/m/"


def test_credentials_travel_as_utf_8() -> None:
    headers = dict(Account("MA", "gehéim").messages.get("m").request.headers)
    assert headers["Authorization"] == "Basic TUE6Z2Vow6lpbQ=="


@pytest.mark.parametrize(
    "url",
    [
        "", None, "api.plivo.com", "ftp://api.plivo.com", "https://", "https:///x", "https://:1",
        "https://h:x", "https://h:0", "https://h:99999", "https://[::1", "https://h?x", "https://h#x",
        "https://u:p@h", "https://h/a b", "http://a..b", "http://.a", "http://" + "a" * 64 + ".com",
        "http://.", "https://h/\n", "https://hé",
    ],
)  # fmt: skip
@pytest.mark.parametrize("argument", ["base_url", "lookup_url"])
def test_an_address_that_cannot_be_used_is_refused_by_name(argument: str, url: Any) -> None:
    if argument == "lookup_url" and url is None:
        return
    with pytest.raises(ConfigError, match=argument) as caught:
        an_account(**{argument: url})
    assert "u:p" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "host"),
    [
        ({}, "https://lookup.plivo.com/v1"),
        ({"base_url": "https://api.plivo.com//"}, "https://lookup.plivo.com/v1"),
        ({"base_url": "http://[::1]:8080/proxy/"}, "http://[::1]:8080/proxy/v1"),
        ({"lookup_url": "https://l.example.com/"}, "https://l.example.com/v1"),
        ({"base_url": "http://h", "lookup_url": "http://l"}, "http://l/v1"),
        ({"base_url": f"http://{'a' * 63}.com."}, f"http://{'a' * 63}.com./v1"),
    ],
)
def test_base_url_moves_the_lookup_service_unless_that_has_its_own(
    options: dict[str, str], host: str
) -> None:
    op = an_account(**options).numbers.lookup.get("+1")
    assert op.request.url == f"{host}/Number/+1?type=carrier"
    assert op.path == "/v1/Number/+1"


# --- reprs ---


def test_no_repr_shows_a_secret_or_a_whole_phone_number() -> None:
    op = account.numbers.get("+14155550199")
    shown = [repr(thing) for thing in (account, op, op.request, op.begin(now=0.0))]
    shown.append(repr(op.responded(Response(401, (), b"{}"), now=0.0, wall_now=0.0)))
    lookup = account.numbers.lookup.get("14155550199")
    shown += [repr(lookup), repr(lookup.request)]
    for text in shown:
        assert AUTH_TOKEN not in text
        assert "TUFFWEFNUExF" not in text
        assert "415555" not in text
    assert "***0199" in shown[1]


def test_a_request_and_a_response_show_sizes_not_contents() -> None:
    assert repr(Request("POST", "http://h/x?q=1", (), b"secret")) == (
        "<Request POST http://h/x, 6 bytes>"
    )
    assert repr(Response(200, (), b"secret")) == "<Response 200, 6 bytes>"
    assert repr(Response(200, (), b"secret", complete=False)) == "<Response 200, 6 bytes, cut>"
    assert repr(NOT_GIVEN) == "NOT_GIVEN"
