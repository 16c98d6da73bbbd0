"""Strict JSON: what the standard library lets through (SECURITY.md 1.3) stops here."""

from __future__ import annotations

import json
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_core.codec import DEFAULT_CODEC, Codec, MalformedMessage, codec_for
from plivo_core.errors import InvalidCommandError, LocalProtocolError
from plivo_core.events import InvalidMessage, UnknownEvent
from plivo_core.limits import Limits
from plivo_core.session import Session


def verdict_on(text: str | bytes, codec: Codec = DEFAULT_CODEC) -> str:
    with pytest.raises(MalformedMessage) as caught:
        codec.decode(text)
    return caught.value.reason


def nested(depth: int, inside: str = "1") -> str:
    """An object that is ``depth`` deep, arrays inside."""
    return '{"a":' + "[" * (depth - 1) + inside + "]" * (depth - 1) + "}"


def test_an_object_of_depth_64_is_read_and_one_of_65_is_not() -> None:
    assert "a" in DEFAULT_CODEC.decode(nested(64))
    assert verdict_on(nested(65)) == "invalid_json"
    assert verdict_on('{"a":' * 65 + "1" + "}" * 65) == "invalid_json"


@pytest.mark.parametrize("depth", [1000, 100_000])
def test_no_depth_reaches_the_parser_s_recursion(depth: int) -> None:
    assert verdict_on(nested(depth)) == "invalid_json"
    assert verdict_on("[" * depth) == "invalid_json"


def test_the_bound_on_depth_can_be_set() -> None:
    assert Codec(max_depth=3).decode(nested(3))
    assert verdict_on(nested(4), Codec(max_depth=3)) == "invalid_json"


def test_many_brackets_are_not_depth() -> None:
    assert DEFAULT_CODEC.decode('{"a":[' + ",".join(["[]"] * 1000) + "]}")["a"] == [[]] * 1000


@pytest.mark.parametrize("inside", ['"', "\\", '\\"', "\\\\", "{", "\\\\\\"])
def test_brackets_in_strings_are_not_depth(inside: str) -> None:
    value = (inside + "[{") * 200
    assert DEFAULT_CODEC.decode(json.dumps({"a": value})) == {"a": value}


@given(st.recursive(st.text('a"\\[{]}'), lambda inner: st.lists(inner, max_size=3)))
def test_depth_is_counted_exactly_as_python_nests(value: object) -> None:
    def depth_of(thing: object) -> int:
        return 1 + max(map(depth_of, thing), default=0) if isinstance(thing, list) else 0

    text = json.dumps({"a": value})
    depth = 1 + depth_of(value)
    assert Codec(max_depth=depth).decode(text) == {"a": value}
    assert verdict_on(text, Codec(max_depth=depth - 1)) == "invalid_json"


@pytest.mark.parametrize(
    "number",
    ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" + "0" * 5000, "-" + "9" * 5000],
)
def test_numbers_that_python_cannot_carry_on_are_refused(number: str) -> None:
    assert verdict_on('{"a": [' + number + "]}") == "invalid_json"


def test_numbers_within_bounds_are_read() -> None:
    text = '{"a": [1e308, -0.0, 1E-999, ' + "9" * 4300 + "]}"
    big, zero, tiny, long = DEFAULT_CODEC.decode(text)["a"]  # type: ignore[misc]
    assert (big, zero, tiny) == (1e308, 0.0, 0.0)
    assert long == int("9" * 4300)


@pytest.mark.parametrize(
    "text",
    ["", " ", "{", '{"a"}', "{} x", "\ufeff{}", '{"a": 1,}', "{'a': 1}", b"\xff", b"\xef\xbb\xbf{}",
     '{"a":1}'.encode("utf-16"), '{"a":1}'.encode("utf-16-le"), '{"a":1}'.encode("utf-32-be"),
     b'{"a": "\xed\xa0\x80"}', '{"a": "\n"}'],
)  # fmt: skip
def test_what_is_not_json_in_utf_8_is_invalid(text: str | bytes) -> None:
    assert verdict_on(text) == "invalid_json"


@pytest.mark.parametrize("text", ["[]", "1", "null", '"text"', "true", b"[{}]"])
def test_json_that_is_not_an_object_is_told_apart(text: str | bytes) -> None:
    assert verdict_on(text) == "not_an_object"


def test_of_duplicate_names_the_last_wins() -> None:
    assert DEFAULT_CODEC.decode('{"type": "a", "type": ["b"]}') == {"type": ["b"]}


def test_bytes_are_read_as_utf_8() -> None:
    assert DEFAULT_CODEC.decode('{"a": "é"}'.encode()) == {"a": "é"}


def test_a_lone_surrogate_makes_the_round_trip_in_ascii() -> None:
    message = DEFAULT_CODEC.decode('{"a": "\\ud800"}')
    assert message == {"a": "\ud800"}
    text = DEFAULT_CODEC.encode(message)
    assert text.encode() == b'{"a":"\\ud800"}'


def deep(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "message",
    [
        {"a": float("nan")},
        {"a": float("inf")},
        {"a": b"bytes"},
        {"a": {1, 2}},
        {"a": object()},
        {("a", "b"): 1},
        {"a": 10**5000},
        {"a": deep(100_000)},
        MappingProxyType({"a": 1}),
    ],
)
def test_values_that_json_cannot_carry_are_a_bug_of_the_caller(message: dict[str, object]) -> None:
    with pytest.raises(InvalidCommandError, match="cannot be written as JSON") as caught:
        DEFAULT_CODEC.encode(message)
    assert caught.value.argument == "message"
    assert isinstance(caught.value, LocalProtocolError)
    assert isinstance(caught.value, ValueError)
    assert caught.value.__cause__ is not None


def test_a_message_that_contains_itself_is_refused() -> None:
    message: dict[str, object] = {}
    message["again"] = message
    with pytest.raises(InvalidCommandError):
        DEFAULT_CODEC.encode(message)


def test_loads_and_dumps_can_be_swapped() -> None:
    class Sorted(dict[str, object]):
        pass

    codec = Codec(
        loads=lambda text: json.loads(text, object_pairs_hook=Sorted),
        dumps=lambda value: json.dumps(value, ensure_ascii=False),
    )
    assert type(codec.decode('{"a": "é"}')) is Sorted
    assert codec.encode({"a": "é"}) == '{"a": "é"}'
    assert verdict_on("x", codec) == "invalid_json"
    assert verdict_on("[]", codec) == "not_an_object"
    assert verdict_on(nested(65), codec) == "invalid_json"


def test_a_swapped_dumps_cannot_smuggle_what_is_not_utf_8_into_a_frame() -> None:
    codec = Codec(dumps=lambda value: json.dumps(value, ensure_ascii=False))
    with pytest.raises(InvalidCommandError):
        codec.encode({"a": "\ud800"})


def test_a_parser_that_runs_out_of_stack_gives_a_verdict() -> None:
    def loads(text: str) -> object:
        raise RecursionError

    assert verdict_on("{}", Codec(loads=loads)) == "invalid_json"


@given(st.text() | st.binary())
def test_decoding_gives_an_object_or_a_verdict(text: str | bytes) -> None:
    try:
        assert isinstance(DEFAULT_CODEC.decode(text), dict)
    except MalformedMessage:
        pass


def test_the_depth_that_limits_allow_holds_on_both_ends_of_a_call() -> None:
    assert codec_for(Limits()) is DEFAULT_CODEC
    session = Session(now=0.0, limits=Limits(max_json_depth=3))
    session.receive_text('{"type":"x","a":[[1]]}', now=0.0)
    session.receive_text('{"type":"x","a":[[[1]]]}', now=0.0)
    assert type(session.next_event()) is UnknownEvent
    assert session.next_event() == InvalidMessage('{"type":"x","a":[[[1]]]}', "invalid_json")


BLANK = st.text(" \t\n\r", max_size=3)


@given(BLANK, BLANK, st.sampled_from(['{"a":1}', "[]", "1", "", "{", '"']), st.text(max_size=2))
def test_white_space_and_what_follows_a_value_count_as_for_the_standard_library(
    before: str, behind: str, value: str, more: str
) -> None:
    text = before + value + behind + more
    try:
        expected = json.JSONDecoder().decode(text)
    except ValueError:
        assert verdict_on(text) == "invalid_json"
    else:
        if isinstance(expected, dict):
            assert DEFAULT_CODEC.decode(text) == expected
        else:
            assert verdict_on(text) == "not_an_object"
