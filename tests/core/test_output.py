"""The two lanes of unsent messages: what leaves first, what is dropped, what ends the call."""

from __future__ import annotations

import base64
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_core import Fate, Limits, SendQueueFull, Session
from plivo_core.commands import Checkpoint, PlayAudio, Speak, serialize_command
from plivo_core.playback import audio_duration_ms
from tests.core.calls import (
    START,
    STARTED,
    a_call,
    a_session,
    bytes_of,
    close_codes,
    frames,
    messages,
    names,
    texts,
)

PACKET = base64.b64encode(b"\x7f" * 160).decode()  # 20 ms of mu-law


def marked(number: int, ms: int = 20) -> str:
    """A payload that can be told from others."""
    return base64.b64encode(number.to_bytes(4, "big") * (ms * 2)).decode()


def numbers(found: list[dict[str, object]]) -> list[int]:
    payloads = [each["media"]["payload"] for each in found if each.get("event") == "playAudio"]  # type: ignore[index]
    return [int.from_bytes(base64.b64decode(payload)[:4], "big") for payload in payloads]


# --- order ----------------------------------------------------------------------------------------


def test_control_leaves_before_audio() -> None:
    session = a_session(STARTED, START)
    session.send_media(PACKET)
    session.speak("first")
    session.send_media(PACKET)
    session.hangup()
    assert names(texts(session)) == [
        "agent_session.speak",
        "agent_session.hangup",
        "playAudio",
        "playAudio",
    ]


def test_a_checkpoint_keeps_its_place_between_audio() -> None:
    session = a_session(START)
    session.send_media(PACKET)
    session.send_checkpoint("one")
    session.send_media(PACKET)
    session.send_checkpoint("two")
    assert names(texts(session)) == ["playAudio", "checkpoint", "playAudio", "checkpoint"]


def test_a_stream_id_is_filled_in_where_none_is_given() -> None:
    session = Session(now=0)
    session.send_checkpoint("early")
    session.clear_audio()
    session = a_session(START)
    session.send_checkpoint("c")
    session.send(Checkpoint("other", stream_id="s-9"))
    session.clear_audio()
    assert [sent["streamId"] for sent in texts(session)] == ["stream-1"]
    session.send_checkpoint("c-2")
    session.send(Checkpoint("c-3", stream_id="s-9"))
    assert [sent["streamId"] for sent in texts(session)] == ["stream-1", "s-9"]


def test_before_the_start_the_stream_id_is_empty() -> None:
    session = Session(now=0)
    session.clear_audio()
    session.send_checkpoint("early")
    assert [sent["streamId"] for sent in texts(session)] == ["", ""]


# --- audio over its budget ------------------------------------------------------------------------


def test_over_five_seconds_the_oldest_audio_is_dropped_and_counted() -> None:
    session = a_session(START)
    for number in range(260):  # 5.2 s
        session.send_media(marked(number))
    assert (session.pending.audio_ms, session.pending.audio_messages) == (5000, 250)
    assert (session.playback.dropped_ms, session.output.dropped_messages) == (200, 10)
    assert numbers(texts(session)) == list(range(10, 260))
    assert session.pending == (0, 0, 0, 0, 0)


def test_over_256_kib_the_oldest_audio_is_dropped_and_counted() -> None:
    session = a_session(START)
    payload, size = "A" * 4000, 0  # at 10**9 Hz it lasts no time: only bytes count
    while session.output.dropped_messages < 3:
        session.send_media(payload, "audio/x-mulaw", 10**9)
    for text in iter(session.next_text, None):
        size += len(text)
    assert 256 * 1024 - 5000 < size <= 256 * 1024


def test_the_newest_audio_is_kept_however_large() -> None:
    session = a_session(START)
    session.send_media(marked(1))
    session.send_media(marked(2, ms=10_000))
    assert session.output.dropped_messages == 1
    assert numbers(texts(session)) == [2]


def test_checkpoints_are_not_dropped_with_the_audio_around_them() -> None:
    session = a_session(START, limits=Limits(audio_buffer_ms=40))
    session.send_checkpoint("front")
    for number in range(4):
        session.send_media(marked(number))
        session.send_checkpoint(str(number))
    assert names(texts(session)) == ["checkpoint"] * 3 + [
        "playAudio",
        "checkpoint",
        "playAudio",
        "checkpoint",
    ]
    assert session.playback.pending == ("front", "0", "1", "2", "3")


def test_one_message_that_drops_many_passes_each_checkpoint_once() -> None:
    session = a_session(START)
    for number in range(100):
        session.send_checkpoint(str(number))
    for number in range(200):
        session.send_media(marked(number))
    moves = 0

    def count(_frame: object, event: str, function: object) -> None:
        nonlocal moves
        moves += event == "c_call" and getattr(function, "__name__", "") == "popleft"

    sys.setprofile(count)
    try:
        session.send_media(marked(200, ms=4900))
    finally:
        sys.setprofile(None)
    assert session.output.dropped_messages == 195
    assert moves == 100 + 195


def test_raw_messages_that_spell_audio_follow_its_policy() -> None:
    session = a_session(START)
    session.send_raw(serialize_command(PlayAudio(PACKET)))
    session.speak("first")
    assert session.pending.audio_ms == 20
    assert names(texts(session)) == ["agent_session.speak", "playAudio"]


# --- control over its budget ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["speak", "checkpoint"])
def test_control_over_one_mebibyte_ends_the_call(kind: str) -> None:
    conn = a_call(STARTED)
    session = conn.session
    size = len(json.dumps(serialize_command(Speak("")), separators=(",", ":")))
    session.speak("x" * (1024 * 1024 - size))  # exactly the budget
    assert not session.output.fits("x")
    with pytest.raises(SendQueueFull):
        session.speak("") if kind == "speak" else session.send_checkpoint("c")
    assert session.playback.pending == ()
    assert close_codes(bytes_of(conn)) == [1008]


def test_what_left_makes_room_again() -> None:
    session = a_session(START, limits=Limits(control_buffer=200))
    for number in range(50):
        session.speak("x" * 100)
        session.send_checkpoint(str(number))
        assert len(texts(session)) == 2
    assert session.output.fits("x" * 200)


# --- clearing -------------------------------------------------------------------------------------


def test_a_clear_drops_unsent_audio_and_overtakes() -> None:
    session = a_session(START)
    session.send_checkpoint("sent")
    texts(session)
    session.send_media(PACKET)
    session.send_checkpoint("unsent")
    session.clear_audio()
    session.send_media(PACKET)
    assert names(texts(session)) == ["clearAudio", "playAudio"]
    assert session.playback.fate("unsent") is Fate.CLEARED
    assert session.playback.fate("sent") is Fate.PENDING
    assert session.playback.dropped_ms == 20
    assert session.output.dropped_messages == 1


def test_a_clear_gives_back_the_budget_of_dropped_checkpoints() -> None:
    session = a_session(START, limits=Limits(control_buffer=500))
    for turn in range(50):
        session.send_media(PACKET)
        session.send_checkpoint(str(turn))
        session.clear_audio()
        assert len(texts(session)) == 1


# --- slices ---------------------------------------------------------------------------------------


def test_bytes_come_in_slices_near_the_transport_buffer() -> None:
    conn = a_call(START)
    for number in range(200):
        conn.session.send_media(marked(number))
    slices = list(iter(conn.data_to_send, b""))
    frame_size = len(slices[0]) // len(frames(slices[0]))
    assert all(16 * 1024 <= len(each) < 16 * 1024 + frame_size for each in slices[:-1])
    assert numbers(messages(b"".join(slices))) == list(range(200))


def test_a_clear_overtakes_what_the_transport_has_not_taken() -> None:
    conn = a_call(START)
    for number in range(200):
        conn.session.send_media(marked(number))
    taken = conn.data_to_send()
    conn.session.clear_audio()
    rest = messages(bytes_of(conn))
    assert names(rest) == ["clearAudio"]
    assert conn.session.output.dropped_messages == 200 - len(messages(taken))


@given(
    sizes=st.lists(st.integers(0, 400) | st.just(30_000), max_size=30),
    lanes=st.lists(st.sampled_from(["audio", "control", "checkpoint", "take"]), max_size=60),
    buffer=st.sampled_from([1, 500, 16 * 1024]),
)
def test_nothing_is_lost_and_each_lane_keeps_its_order(
    sizes: list[int], lanes: list[str], buffer: int
) -> None:
    conn = a_call(START, limits=Limits(transport_buffer=buffer, audio_buffer=2**30))
    session, sent = conn.session, b""
    expected: dict[bool, list[str]] = {True: [], False: []}
    for at, lane in enumerate(lanes):
        filling = "A" * (sizes[at % len(sizes)] if sizes else 0)
        if lane == "audio":
            session.send_media(filling, f"{at}", 10**9)
            expected[True].append(f"{at}")
        elif lane == "checkpoint":
            session.send_checkpoint(f"{at}")
            expected[True].append(f"{at}")
        elif lane == "control":
            session.speak(f"{at}:{filling}")
            expected[False].append(f"{at}")
        else:
            sent += conn.data_to_send()
    sent += bytes_of(conn)
    found: dict[bool, list[str]] = {True: [], False: []}
    for each in messages(sent):
        if "text" in each:
            found[False].append(each["text"].split(":")[0])
        else:
            found[True].append(each.get("name") or each["media"]["contentType"])
    assert found == expected
    assert session.pending.audio_ms == 0
    assert not session.output


# --- playing time ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "content_type", "rate", "ms"),
    [
        (PACKET, "audio/x-mulaw", 8000, 20),
        (base64.b64encode(bytes(640)).decode(), "audio/x-l16", 16000, 20),
        (base64.b64encode(bytes(320)).decode(), "audio/x-l16", 8000, 20),
        (base64.b64encode(b"x").decode(), "audio/x-mulaw", 8000, 0.125),
        (PACKET, "audio/x-mulaw", 0, 20),
        (PACKET, "audio/x-mulaw", -1, 20),
        ("", "audio/x-mulaw", 8000, 0),
        ("=", "audio/x-mulaw", 8000, 0),
        ("==", "audio/x-l16", 8000, 0),
    ],
)
def test_playing_time_follows_from_the_length_of_the_payload(
    payload: str, content_type: str, rate: float, ms: float
) -> None:
    assert audio_duration_ms(payload, content_type, rate) == ms
