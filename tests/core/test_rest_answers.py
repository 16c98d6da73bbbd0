"""From answers to typed values, pages and errors."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plivo_core
from plivo_core import (
    AmbiguousOutcomeError,
    ApiError,
    AuthenticationError,
    ConnectionFailedError,
    ForbiddenError,
    InvalidCommandError,
    PlivoError,
    RequestTimeoutError,
    ServerError,
    TransportError,
    WebSocketError,
    rest,
)
from plivo_core.rest import (
    Agent,
    AgentNumbers,
    AgentSession,
    Answer,
    AudioStream,
    AvailableNumber,
    Done,
    Media,
    Message,
    MessageCreated,
    NumberBought,
    NumberInfo,
    Page,
    PageMeta,
    RentedNumber,
    Response,
)
from tests.core._rest import an_account, an_operation, answers, run
from tests.repo.test_purity import FORBIDDEN, loaded_by

account = an_account()
ANSWERS = sorted(
    (
        value
        for value in vars(rest).values()
        if isinstance(value, type) and issubclass(value, Answer) and value is not Answer
    ),
    key=lambda cls: cls.__name__,
)
each_answer = pytest.mark.parametrize("cls", ANSWERS, ids=lambda cls: cls.__name__)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)

# --- answers ---


def test_an_answer_has_typed_fields_and_all_that_came() -> None:
    raw = {"message_uuid": "m1", "units": "2", "error_code": 450, "total_rate": 0.0035, "new": [1]}
    message = run(account.messages.get("m1"), [answers(200, raw)]).value
    assert type(message) is Message
    assert (message.message_uuid, message.units, message.error_code) == ("m1", 2, "450")
    assert (message.total_rate, message.to_number) == ("0.0035", None)
    assert message.raw == raw
    assert message["new"] == [1]
    with pytest.raises(KeyError):
        message["absent"]


def test_a_member_of_the_wrong_kind_stays_in_raw_only() -> None:
    message = Message.read({"message_uuid": ["m1"], "units": "two", "is_domestic": "yes"})
    assert (message.message_uuid, message.units, message.is_domestic) == ("", None, None)
    assert message["units"] == "two"


def test_a_whole_number_field_takes_no_fraction() -> None:
    assert PageMeta.read({"limit": "20", "offset": 1.5}).limit == 20
    assert PageMeta.read({"limit": "20", "offset": 1.5}).offset is None


def test_names_that_python_keeps_for_itself_have_an_underscore() -> None:
    op = account.agent.calls.initiate("a", from_="+1", to="+2")
    value = run(op, [answers(201, {"from": "+14155550100", "to": ["+2"]})]).value
    assert (value.from_, value.to, value["from"]) == ("+14155550100", ["+2"], "+14155550100")


def test_objects_inside_an_answer_are_typed_too() -> None:
    info = NumberInfo.read({"carrier": {"type": "mobile", "new": 1}, "country": None, "format": 3})
    assert (info.carrier.type, info.carrier["new"]) == ("mobile", 1)
    assert (info.country.iso2, info.format.e164) == (None, None)
    bought = NumberBought.read({"numbers": [{"number": "1", "status": "Success"}, "odd"]})
    assert [number.status for number in bought.numbers] == ["Success"]
    assert NumberBought.read({"numbers": "odd"}).numbers == ()


@each_answer
def test_an_answer_can_be_built_empty_and_cannot_be_changed(cls: type[Answer]) -> None:
    empty = cls()
    assert empty == cls.read({})
    assert repr(empty) == f"{cls.__name__}()"
    assert empty.raw == {}
    with pytest.raises(dataclasses.FrozenInstanceError):
        empty.raw = {}  # type: ignore[misc]
    with pytest.raises(TypeError):
        hash(empty)


@each_answer
@settings(max_examples=20)  # for each of some twenty classes
@given(data=st.data())
def test_reading_an_answer_never_fails(cls: type[Answer], data: Any) -> None:
    names = st.sampled_from([f.name for f in dataclasses.fields(cls)] + ["from", "new"])
    raw = data.draw(st.dictionaries(names, json_values))
    value = cls.read(raw)
    assert value.raw is raw
    assert repr(value)
    assert value == copy.deepcopy(value)


def test_answers_are_equal_by_class_and_content() -> None:
    assert Message.read({"new": 1}) == Message.read({"new": 1})
    assert Message.read({"new": 1}) != Message.read({"new": 2})
    assert Message.read({}) != MessageCreated.read({})
    assert Message.read({}) != {}


def test_a_repr_masks_keys_and_phone_numbers() -> None:
    shown = repr(
        [
            Agent.read({"llm": {"api_key": "sk-1", "model": "m"}, "plivo_number": "+14155550199"}),
            AgentNumbers.read({"numbers": ["+14155550199"]}),
            RentedNumber.read(
                {"number": "14155550199", "resource_uri": "/v1/Account/M/Number/14155550199/"}
            ),
            AvailableNumber(resource_uri=7),  # type: ignore[arg-type]
            NumberInfo.read({"format": {"national": "(415) 555-0199"}}),
            Message.read({"to_number": "14155550199", "requester_ip": "10.1.2.3"}),
        ]
    )
    for secret in ("sk-1", "4155550199", "555-0199", "10.1.2.3"):
        assert secret not in shown
    assert "***0199" in shown
    assert "'model': 'm'" in shown


def test_a_repr_masks_what_an_answer_repeats_of_the_configuration() -> None:
    settings = {
        "api_key": "SECRET", "base_url": "https://u:SECRET@llm.example.com/v1?key=SECRET",
        "headers": {"X": "SECRET"}, "env": {"X": "SECRET"}, "auth": "SECRET",
        "subscription_key": "SECRET", "other": ["Bearer SECRET"], "azure_endpoint": "https://h/SECRET",
    }  # fmt: skip
    legs: list[object] = [{"number": "+14155550199", "to": "14155550199", "role": "caller"}]
    shown = repr(
        [
            Agent.read(
                {
                    "websocket_url": "wss://me.example.com/ws?token=SECRET",
                    **dict.fromkeys(("stt", "llm", "tts", "s2s"), settings),
                }
            ),
            AudioStream.read({"service_url": "wss://me/SECRET", "status_callback_url": "SECRET"}),
            AgentSession.read({"record_url": "https://s3/x?Sig=SECRET", "call_legs": legs}),
            Media.read({"media_url": "https://media.plivo.com/x/SECRET"}),
            PageMeta.read(
                {"next": "/v1/Account/M/Message/?to_number=4155550199", "previous": "?q"}
            ),
            a_page({"next": "/Number/4155550199/?number_startswith=4155550199"}, []),
        ]
    )
    assert "SECRET" not in shown
    assert "4155550199" not in shown
    for plain in ("'wss://me.example.com/...'", "'https://llm.example.com/...'", "'caller'",
                  "'/v1/Account/M/Message/?...'", "***0199"):  # fmt: skip
        assert plain in shown


@pytest.mark.parametrize("body", [b"", b" \r\n"])
def test_an_empty_success_is_an_empty_answer(body: bytes) -> None:
    value = run(account.messages.get("m"), [Response(200, (), body)]).value
    assert (value, value.raw) == (Message(), {})


def test_an_operation_without_a_result_gives_none_for_any_object() -> None:
    for response in (answers(204), answers(200), answers(202, {"message": "deleted"})):
        assert run(account.numbers.delete("1"), [response]).last == Done(None)


def test_a_body_with_204_is_not_read() -> None:
    assert run(account.numbers.delete("1"), [Response(204, (), b"<html>")]).value is None


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (Response(200, (), b"<html>"), "the answer is not JSON"),
        (Response(200, (), b'{"a": NaN}'), "the answer is not JSON"),
        (Response(200, (), b"[" * 100_000), "the answer is not JSON"),
        (Response(200, (), b"\xff"), "the answer is not JSON"),
        (Response(200, (), b'["a"]'), "the answer is JSON but no object"),
        (Response(200, (), b'{"a": "b', complete=False), "the answer was cut after 8 bytes"),
    ],
)
def test_a_success_that_cannot_be_read_is_an_error_that_keeps_the_status(
    response: Response, message: str
) -> None:
    error = run(an_operation("GET"), [response]).error
    assert type(error) is ApiError
    assert (error.status_code, error.message, error.attempts) == (200, message, 1)
    assert len(error.body["message"]) <= 1010
    assert "proxy" in error.hint
    assert "POST was carried out" in run(an_operation("POST"), [response]).error.hint


# --- pages ---


def a_page(meta: Any, objects: Any, **arguments: Any) -> Page[Message]:
    body = {"api_id": "z", "meta": meta, "objects": objects}
    page: Page[Message] = run(account.messages.list(**arguments), [answers(200, body)]).value
    return page


def test_a_page_holds_typed_objects_and_the_whole_envelope() -> None:
    page = a_page({"limit": 2, "offset": 0, "next": None}, [{"message_uuid": "m"}, "odd"])
    assert [message.message_uuid for message in page.objects] == ["m"]
    assert (page.meta.limit, page.meta.total_count) == (2, None)
    assert page["api_id"] == "z"
    assert page["objects"] == [{"message_uuid": "m"}, "odd"]
    assert "'m'" in repr(page)


@pytest.mark.parametrize("body", [{}, {"meta": [], "objects": {}}, {"meta": None, "objects": None}])
def test_an_odd_envelope_is_an_empty_last_page(body: Any) -> None:
    page = run(account.messages.list(), [answers(200, body)]).value
    assert (list(page.objects), page.meta, page.next_page()) == ([], PageMeta(), None)


def test_a_page_built_by_hand_has_no_next_page() -> None:
    assert Page[Message](objects=(), next_offset=3).next_page() is None
    assert Done[None](None).value is None


@pytest.mark.parametrize(
    ("meta", "offset"),
    [
        ({"limit": 20, "offset": 40}, "60"),
        ({"limit": 5, "offset": 40}, "45"),
        ({"limit": 20, "offset": 50}, "70"),
        ({"offset": 40}, "42"),  # as many as came
        ({"limit": 0, "offset": 40}, "42"),
        ({"limit": -5, "offset": -7}, "42"),
        ({"limit": 20, "offset": 0}, "60"),  # never back to where we were
        ({"limit": 20}, "60"),
        ({"limit": 10**30, "offset": 10**4000}, "42"),
        ({"limit": "20", "offset": "40"}, "60"),
    ],
)
def test_the_next_offset_always_grows(meta: Any, offset: str) -> None:
    page = a_page({**meta, "next": "x"}, [{}, {}], offset=40, subaccount="S")
    op = page.next_page()
    assert op is not None
    assert op.request.url.endswith(f"?limit=20&offset={offset}&subaccount=S")


@given(json_values, st.lists(json_values, max_size=3))
def test_no_envelope_makes_a_page_fail(meta: Any, objects: list[Any]) -> None:
    page = a_page(meta, objects)
    op = page.next_page()
    assert op is None or op.method == "GET"


# --- errors ---


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": {"message": "", "error": "why"}}, "why"),
        ({"error": {"message": 3, "error": {}}}, '{"message": 3, "error": {}}'),
        ({"error": {"dst": "ungültig"}}, '{"dst": "ungültig"}'),
        ({"error": ["a", 1]}, '["a", 1]'),
        ({"error": {}, "message": "use this"}, "use this"),
        ({"error": [], "message": " use this "}, "use this"),
        ({"error": 7, "message": 8}, "HTTP 400"),
        ({"error": "  "}, "HTTP 400"),
        ({"error": "\ud800"}, "\\ud800"),
        ({"error": "x" * 5000}, "x" * 1000 + "..."),
    ],
)
def test_an_error_of_any_shape_has_a_readable_message(body: Any, message: str) -> None:
    error = run(an_operation("GET"), [answers(400, body)]).error
    assert error.message == message
    assert error.body == body
    assert str(error).encode()


def test_an_answer_that_is_no_json_is_quoted_up_to_a_bound() -> None:
    error = run(an_operation("POST"), [Response(500, (), "é".encode() * 9999)]).error
    assert error.message == error.body["message"] == "é" * 1000 + "..."


def test_an_error_tells_what_was_asked_of_whom_and_what_to_do() -> None:
    op = account.numbers.get("+14155550199")
    error = run(op, [answers(500)] * 3 + [answers(401, {"api_id": "a1", "error": "no"})]).error
    assert error.path.endswith("/Number/+14155550199/")
    assert str(error) == (
        "no (check auth_id and auth_token) [GET /v1/Account/MAEXAMPLE0000000000A/Number/***0199/:"
        " HTTP 401, api_id a1, after 4 attempts]"
    )


def test_a_redirect_points_at_base_url() -> None:
    assert "base_url" in run(an_operation("GET"), [answers(302)]).error.hint


def test_an_api_id_is_bounded_and_can_be_written() -> None:
    error = run(an_operation("GET"), [answers(400, {"api_id": "x" * 9999})]).error
    assert error.api_id == "x" * 100 + "..."
    error = run(an_operation("GET"), [answers(400, {"api_id": "\ud800"})]).error
    assert error.api_id == "\\ud800"
    assert str(error).encode()


def test_an_api_id_that_is_no_text_is_none() -> None:
    assert run(an_operation("GET"), [answers(400, {"api_id": 3})]).error.api_id is None


def test_several_fields_of_one_name_are_joined() -> None:
    assert Response(200, [("A", "1"), ("a", "2"), ("B", "3")]).header("A") == "1, 2"
    assert Response(200).header("A") is None


def test_the_tree_is_as_designed() -> None:
    assert issubclass(ForbiddenError, AuthenticationError)
    assert issubclass(AuthenticationError, ApiError)
    assert issubclass(ConnectionFailedError, TransportError)
    assert issubclass(RequestTimeoutError, TransportError)
    assert not issubclass(AmbiguousOutcomeError, TransportError)
    for cls in (ApiError, TransportError, AmbiguousOutcomeError):
        assert issubclass(cls, PlivoError)
        assert not issubclass(cls, WebSocketError)


@pytest.mark.parametrize(
    "error",
    [
        ServerError("boom", status_code=500, method="GET", path="/v1/x", attempts=4, hint="h"),
        ConnectionFailedError("no", method="GET", path="/v1/x", attempts=2),
        AmbiguousOutcomeError("maybe"),
        InvalidCommandError("bad", argument="text"),
        PlivoError("plain", hint="h"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_can_be_pickled_and_copied(error: PlivoError) -> None:
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(other) is type(error)
        assert str(other) == str(error)
        assert other.__dict__ == error.__dict__


# --- the package ---


def test_every_public_name_is_there() -> None:
    assert {name for name in rest.__all__ if not hasattr(rest, name)} == set()
    assert plivo_core.rest is rest


def test_importing_rest_loads_no_forbidden_module() -> None:
    loaded = loaded_by("import plivo_core.rest") - loaded_by("pass")
    assert "plivo_core.rest" in loaded
    assert {name for name in loaded if name.partition(".")[0] in FORBIDDEN} == set()
