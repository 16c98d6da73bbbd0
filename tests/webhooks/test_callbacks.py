"""Typed callbacks: every parameter of PROTOCOL.md 7.6 and 7.7, in both spellings, from any peer."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_core import ConfigError
from plivo_core.webhooks import (
    AnswerCallback,
    Callback,
    CallbackKind,
    DialCallback,
    DigitsCallback,
    HangupCallback,
    IncomingMessage,
    MachineDetectionCallback,
    MessageStatus,
    Params,
    RecordingCallback,
    RingCallback,
    StreamStatus,
    VoiceCallback,
    parse_callback,
)
from plivo_core.webhooks._callback import CALLBACKS

# The tables of PROTOCOL.md 7.7, written out by hand: the code derives these names.
VOICE = {
    "CallUUID": "call_uuid", "From": "from_", "To": "to", "Direction": "direction",
    "CallStatus": "call_status", "Event": "event", "RequestUUID": "request_uuid",
    "ALegUUID": "a_leg_uuid", "ALegRequestUUID": "a_leg_request_uuid",
    "ForwardedFrom": "forwarded_from", "CallerName": "caller_name",
    "STIRVerification": "stir_verification", "SessionStart": "session_start",
    "ParentAuthID": "parent_auth_id", "BillRate": "bill_rate",
}  # fmt: skip
MORE: dict[type[Callback], dict[str, str]] = {
    VoiceCallback: VOICE,
    AnswerCallback: VOICE,
    RingCallback: VOICE,
    HangupCallback: {
        **VOICE, "HangupCause": "hangup_cause", "HangupCauseName": "hangup_cause_name",
        "HangupCauseCode": "hangup_cause_code", "HangupSource": "hangup_source",
        "Duration": "duration", "BillDuration": "bill_duration", "TotalCost": "total_cost",
        "StartTime": "start_time", "AnswerTime": "answer_time", "EndTime": "end_time",
        "CarrierFailoverTriggered": "carrier_failover_triggered",
    },
    MachineDetectionCallback: {**VOICE, "Machine": "machine", "IfMachine": "if_machine"},
    RecordingCallback: {
        **VOICE, "RecordUrl": "record_url", "RecordingID": "recording_id",
        "RecordingDuration": "recording_duration", "RecordingDurationMs": "recording_duration_ms",
        "RecordingStartMs": "recording_start_ms", "RecordingEndMs": "recording_end_ms",
    },
    DialCallback: {
        **VOICE, "DialStatus": "dial_status", "DialRingStatus": "dial_ring_status",
        "DialHangupCause": "dial_hangup_cause", "DialALegUUID": "dial_a_leg_uuid",
        "DialBLegUUID": "dial_b_leg_uuid",
    },
    DigitsCallback: {**VOICE, "Digits": "digits"},
    StreamStatus: {
        "Event": "event", "CallUUID": "call_uuid", "StreamID": "stream_id",
        "Timestamp": "timestamp", "From": "from_", "To": "to", "Direction": "direction",
        "StatusReason": "status_reason", "Duration": "duration",
    },
    MessageStatus: {
        "MessageUUID": "message_uuid", "ParentMessageUUID": "parent_message_uuid",
        "PartInfo": "part_info", "Sequence": "sequence", "From": "from_", "To": "to",
        "Type": "type", "Status": "status", "Units": "units", "TotalRate": "total_rate",
        "TotalAmount": "total_amount", "MCC": "mcc", "MNC": "mnc", "ErrorCode": "error_code",
        "MessageTime": "message_time", "QueuedTime": "queued_time", "SentTime": "sent_time",
        "DeliveryReportTime": "delivery_report_time", "requester_ip": "requester_ip",
        "PowerpackUUID": "powerpack_uuid", "ConversationID": "conversation_id",
        "ConversationOrigin": "conversation_origin",
        "ConversationExpirationTimestamp": "conversation_expiration_timestamp",
    },
    IncomingMessage: {
        "MessageUUID": "message_uuid", "From": "from_", "To": "to", "Text": "text",
        "Body": "body", "Type": "type", "Units": "units", "TotalRate": "total_rate",
        "TotalAmount": "total_amount", "MessageIntent": "message_intent",
        "PowerpackUUID": "powerpack_uuid", "MediaCount": "media_count", "MimeType": "mime_type",
        "ContentType": "content_type", "ErrorCode": "error_code",
        "ConversationID": "conversation_id", "ConversationOrigin": "conversation_origin",
        "ConversationExpirationTimestamp": "conversation_expiration_timestamp",
    },
}  # fmt: skip
NUMBERS = {
    "HangupCauseCode", "Duration", "BillDuration", "RecordingDuration", "RecordingDurationMs",
    "RecordingStartMs", "RecordingEndMs", "Sequence", "Units", "MediaCount",
}  # fmt: skip
FLAGS = {"CarrierFailoverTriggered", "Machine"}

every_class = pytest.mark.parametrize("cls", list(MORE), ids=lambda cls: cls.kind)


def sent_and_read(name: str) -> tuple[str, object]:
    """A value of the parameter as text, and as the field holds it."""
    if name in NUMBERS:
        return str(100 + len(name)), 100 + len(name)
    return ("true", True) if name in FLAGS else (f"value of {name}", f"value of {name}")


# --- every parameter ------------------------------------------------------------------------------


@every_class
def test_every_documented_parameter_has_its_field(cls: type[Callback]) -> None:
    pairs = [(name, sent_and_read(name)[0]) for name in MORE[cls]]
    hook: Any = cls.parse(pairs)
    assert {name: getattr(hook, member) for name, member in MORE[cls].items()} == {
        name: sent_and_read(name)[1] for name in MORE[cls]
    }
    assert hook.extra == {}


@every_class
def test_the_spelling_of_agents_is_read_too(cls: type[Callback]) -> None:
    classic = {name: sent_and_read(name)[0] for name in MORE[cls]}
    snake = {member.rstrip("_"): classic[name] for name, member in MORE[cls].items()}
    assert cls.parse(snake) == cls.parse(classic)


@every_class
def test_a_missing_parameter_takes_its_default(cls: type[Callback]) -> None:
    hook: Any = cls.parse([])
    assert hook == cls()
    for name, member in MORE[cls].items():
        assert getattr(hook, member) == (None if name in NUMBERS | FLAGS else "")


def test_each_kind_is_parsed_by_its_name() -> None:
    assert set(get_args(CallbackKind)) == set(CALLBACKS) == {cls.kind for cls in MORE}
    for kind in get_args(CallbackKind):
        assert parse_callback([("From", "1")], kind) == CALLBACKS[kind](extra={}, from_="1")  # type: ignore[call-arg]
        assert type(parse_callback({}, kind)).kind == kind


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="kind must be one of answer, dial, digits, hangup"):
        parse_callback({}, "hang-up")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cls", "body", "fields"),
    [
        (
            HangupCallback,
            {"call_uuid": "c-1", "duration": 87.5, "hangup_cause": "NORMAL_CLEARING"},
            {"call_uuid": "c-1", "duration": 87.5, "hangup_cause": "NORMAL_CLEARING"},
        ),
        (
            RecordingCallback,
            {"recording_url": "https://x/r.mp3", "session": "as-1"},
            {"record_url": "https://x/r.mp3", "extra": {"session": "as-1"}},
        ),
        (
            RingCallback,
            {"call_uuid": "c-1", "direction": "outbound", "from": 14155550100, "to": "+1415555"},
            {"call_uuid": "c-1", "direction": "outbound", "from_": "14155550100", "to": "+1415555"},
        ),
        (
            StreamStatus,
            {"event": "started", "stream_id": "s"},
            {"event": "started", "stream_id": "s"},
        ),
    ],
    ids=["hangup", "recording", "ring", "stream_status"],
)
def test_the_callbacks_of_an_agent_are_read(
    cls: type[Callback], body: dict[str, object], fields: dict[str, Any]
) -> None:
    assert cls.parse(body) == cls(**fields)


# --- what does not fit ----------------------------------------------------------------------------


def test_an_unknown_parameter_is_kept() -> None:
    hook = HangupCallback.parse([("callUUID", "x"), ("New", ""), ("Duration", "5")])
    assert hook == HangupCallback(duration=5, extra={"callUUID": "x", "New": ""})


@pytest.mark.parametrize("text", ["x", "1_0", "+1", "٣", "NaN", "1e999", "0x1", "007"], ids=ascii)
def test_an_unreadable_number_is_kept_as_it_came(text: str) -> None:
    hook = HangupCallback.parse([("Duration", text)])
    assert (hook.duration, hook.extra) == (None, {"Duration": text})


@pytest.mark.parametrize(
    ("text", "number"), [("12", 12), (" 12 ", 12), ("-1", -1), ("1410.50", 1410.5)], ids=ascii
)
def test_a_number_is_read_from_text(text: str, number: float) -> None:
    assert HangupCallback.parse([("Duration", text)]) == HangupCallback(duration=number)


@pytest.mark.parametrize(
    ("value", "flag"),
    [("true", True), ("False", False), (" TRUE ", True), (True, True), (False, False)],
    ids=repr,
)
def test_a_flag_is_read_from_text(value: object, flag: bool) -> None:
    hook = MachineDetectionCallback.parse({"Machine": value})
    assert hook == MachineDetectionCallback(machine=flag)


@pytest.mark.parametrize("value", ["yes", "1", 1, 0, []], ids=repr)
def test_an_unreadable_flag_is_kept(value: object) -> None:
    hook = MachineDetectionCallback.parse({"Machine": value})
    assert hook == MachineDetectionCallback(extra={"Machine": value})


def test_null_and_blank_count_as_missing() -> None:
    params = {"Duration": "", "CarrierFailoverTriggered": "", "From": "", "To": None}
    assert HangupCallback.parse(params) == HangupCallback()


@pytest.mark.parametrize("value", [True, {"a": 1}, [], [[]], ["a", "b"]], ids=repr)
def test_an_unreadable_text_is_kept(value: object) -> None:
    assert AnswerCallback.parse({"From": value}) == AnswerCallback(extra={"From": value})


# --- given more than once -------------------------------------------------------------------------


def test_a_parameter_given_twice_with_two_values_is_not_chosen_from() -> None:
    hook = AnswerCallback.parse([("From", "1"), ("To", "3"), ("From", "2")])
    assert hook == AnswerCallback(to="3", extra={"From": ["1", "2"]})


def test_the_parameters_of_a_verifier_are_read_even_when_given_twice() -> None:
    params = Params([("From", "1"), ("From", "2"), ("To", "3"), ("To", "3")])
    assert AnswerCallback.parse(params) == AnswerCallback(to="3", extra={"From": ["1", "2"]})


def test_both_spellings_with_two_values_are_not_chosen_from() -> None:
    params = {"CallUUID": "a", "call_uuid": "b", "Direction": "inbound", "direction": "inbound"}
    assert AnswerCallback.parse(params) == AnswerCallback(
        direction="inbound", extra={"CallUUID": "a", "call_uuid": "b"}
    )


def test_the_lists_of_parse_qs_are_read() -> None:
    params = {"From": ["1"], "Duration": ["5"], "X-PH-a": ["b"], "New": ["1", "2"]}
    assert HangupCallback.parse(params) == HangupCallback(
        from_="1", duration=5, sip_headers={"X-PH-a": "b"}, extra={"New": ["1", "2"]}
    )


# --- headers and media ----------------------------------------------------------------------------


def test_sip_headers_are_collected_under_their_full_names() -> None:
    pairs = [
        ("SIP-H-To", "<sip:x>"),
        ("x-ph-Tenant", "42"),
        ("X-PH-", "no name"),
        ("X-PH-two", "1"),
        ("X-PH-two", "2"),
        ("NX-PH-a", "other"),
    ]
    hook = AnswerCallback.parse(pairs)
    assert hook.sip_headers == {"SIP-H-To": "<sip:x>", "x-ph-Tenant": "42"}
    assert hook.extra == {"X-PH-": "no name", "X-PH-two": ["1", "2"], "NX-PH-a": "other"}


def test_media_are_in_the_order_of_their_numbers() -> None:
    pairs = [
        ("Media10", "j"),
        ("Media2", "b"),
        ("Media1", "a"),
        ("MediaCount", "3"),
        ("Media", "x"),
    ]
    hook = IncomingMessage.parse(pairs)
    assert hook.media == ("a", "b", "j")
    assert hook.media_count == 3
    assert hook.extra == {"Media": "x"}


def test_a_header_or_medium_of_the_wrong_kind_is_kept() -> None:
    assert AnswerCallback.parse({"X-PH-a": 5}) == AnswerCallback(extra={"X-PH-a": 5})
    assert IncomingMessage.parse({"Media1": {}}) == IncomingMessage(extra={"Media1": {}})


# --- any peer -------------------------------------------------------------------------------------

ALL_NAMES = sorted({name for names in MORE.values() for name in names} | {"Media1", "X-PH-a"})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(ALL_NAMES) | st.text()


@given(st.sampled_from(list(MORE)), st.dictionaries(NAMES, JSON) | st.lists(st.tuples(NAMES, JSON)))
def test_no_parameters_make_it_raise_or_are_lost(cls: type[Callback], params: Any) -> None:
    hook = cls.parse(params)
    repr(hook)
    for name in dict(params):
        if name not in MORE[cls] and name.rstrip("_") not in cls._names:
            known = name.lower().startswith(("x-ph-", "sip-h-", "media"))
            assert name in hook.extra or known


@pytest.mark.parametrize("body", ["From=1", b"From=1", bytearray(b""), memoryview(b"")], ids=type)
def test_a_body_that_was_not_decoded_is_refused(body: Any) -> None:
    with pytest.raises(TypeError, match=r"params must be a mapping or pairs, not .*: decode"):
        AnswerCallback.parse(body)


def test_the_arguments_are_not_changed() -> None:
    params: dict[str, object] = {"From": ["1"], "New": "x"}
    AnswerCallback.parse(params)
    assert params == {"From": ["1"], "New": "x"}


# --- values ---------------------------------------------------------------------------------------


def test_a_callback_is_frozen_and_compares_by_class_and_value() -> None:
    hook = RingCallback.parse({"From": "1"})
    assert hook == RingCallback(from_="1") != RingCallback(from_="2")
    assert hook != AnswerCallback(from_="1")
    assert isinstance(hook, VoiceCallback)
    with pytest.raises(AttributeError):
        hook.to = "2"  # type: ignore[misc]
    with pytest.raises(TypeError, match="unhashable"):
        hash(hook)


def test_a_repr_shows_no_personal_data() -> None:
    voice = HangupCallback.parse(
        {
            "From": "+14155550101",
            "To": "sip:+14155550102@x",
            "ForwardedFrom": "+14155550103",
            "CallerName": "Ann Other",
            "X-PH-pin": "4711",
            "SIP-H-To": "Ann",
            "X-PH-twice": ["4711", "4712"],
            "CallUUID": "c-1",
            "Duration": "5",
            "DialBLegTo": "+14155550104",
            "caller_number": "+14155550105",
            "next_to": "+14155550106",
            "token": "4711",
        }
    )
    shown = repr(voice)
    for secret in ("4711", "4712", "Ann", "5555"):
        assert secret not in shown
    assert "call_uuid='c-1'" in shown
    assert "duration=5" in shown
    assert "from_='***0101'" in shown
    assert "'DialBLegTo': '***0104'" in shown
    assert "'X-PH-twice': [<masked>, <masked>]" in shown
    assert repr(RingCallback(from_="12345", to="sip:1@x")) == (
        "RingCallback(from_='***2345', to='***')"
    )
    assert repr(DigitsCallback(digits="4711")) == "DigitsCallback(digits=<masked>)"
    assert repr(RecordingCallback(record_url="https://x/4711")) == (
        "RecordingCallback(record_url='https://x/...')"
    )
    assert repr(MessageStatus(requester_ip="192.0.2.1")) == ("MessageStatus(requester_ip=<masked>)")
    message = IncomingMessage(
        text="code 4711", body="code 4711", media=("https://x/4711",), extra={"From": ["+14155551"]}
    )
    assert repr(message) == (
        "IncomingMessage(text=<9 characters>, body=<9 characters>, media=['https://x/...'], "
        "extra={'From': ['***5551']})"
    )
    assert "4711" not in repr(StreamStatus(extra={"X-PH-a": "4711"}))
    assert "4711" not in repr(IncomingMessage(extra={"Media1": ["x", "4711"]}))
