"""The caller's packets: their order, their numbers, and what cannot be read."""

from __future__ import annotations

import base64
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_core import AudioError, parse_event
from plivo_core.audio import (
    MULAW_8K,
    PCM_8K,
    PCM_16K,
    PCM_24K,
    AudioFormat,
    AudioFrame,
    CallerAudio,
    Converter,
    decode_mulaw,
)
from plivo_core.events import StreamDtmf, StreamMedia

SOUND = bytes(range(160))
PACKET = base64.b64encode(SOUND).decode()


def numbered(*chunks: float, by: str = "chunk") -> tuple[list[int | None], CallerAudio]:
    """What is missing before each of the packets with these numbers; None: not handed out."""
    audio = CallerAudio(MULAW_8K)
    frames = [audio.feed(PACKET, **{by: number}) for number in chunks]  # type: ignore[arg-type]
    return [None if frame is None else frame.missing for frame in frames], audio


# --- what is in a packet --------------------------------------------------------------------------


def test_a_packet_is_handed_out_as_it_came() -> None:
    frame = CallerAudio(MULAW_8K).feed(PACKET, format=MULAW_8K, chunk=1, timestamp="1540")
    assert frame == AudioFrame(SOUND, MULAW_8K, 0, "1540")


@pytest.mark.parametrize("target", [PCM_8K, PCM_16K, PCM_24K])
def test_a_target_is_what_the_converter_makes_of_the_packets(target: AudioFormat) -> None:
    audio, converter = CallerAudio(MULAW_8K, target), Converter(MULAW_8K, target)
    for _ in range(3):
        frame = audio.feed(PACKET)
        assert frame is not None
        assert frame.format == target
        assert frame.data == converter.feed(SOUND)


def test_mu_law_as_pcm_of_the_same_rate_is_what_g711_says() -> None:
    frame = CallerAudio(MULAW_8K, PCM_8K).feed(PACKET)
    assert frame is not None
    assert frame.data == decode_mulaw(SOUND)


@pytest.mark.parametrize(
    ("format", "payload"),
    [
        (MULAW_8K, ""),
        (MULAW_8K, "AAA"),
        (MULAW_8K, "AA="),
        (MULAW_8K, "AAAA\n"),
        (MULAW_8K, "AB=="),
        (MULAW_8K, "-_-_"),
        (MULAW_8K, "ÄÖÜß"),
        (MULAW_8K, "\ud800AAA"),
        (PCM_8K, "AAAA"),
        (PCM_16K, "AA=="),
    ],
    ids=repr,
)
def test_a_packet_that_cannot_be_read_is_counted_and_changes_nothing_else(
    format: AudioFormat, payload: str
) -> None:
    audio, clean = CallerAudio(format, PCM_24K), CallerAudio(format, PCM_24K)
    before = audio.feed("AAAAAAAA", chunk=1), clean.feed("AAAAAAAA", chunk=1)
    assert audio.feed(payload, chunk=2) is None
    after = audio.feed("f39/f39/", chunk=3), clean.feed("f39/f39/", chunk=2)
    assert before[0] == before[1]
    assert after[0] == after[1]
    assert (audio.invalid, audio.missing, audio.repeated) == (1, 0, 0)


def test_what_is_missing_before_an_unreadable_packet_is_told_with_the_next() -> None:
    audio = CallerAudio(MULAW_8K)
    audio.feed(PACKET, chunk=1)
    assert audio.feed("?", chunk=4) is None
    frame = audio.feed(PACKET, chunk=6)
    assert frame is not None
    assert frame.missing == audio.missing == 3


def test_another_format_is_refused_and_both_are_named() -> None:
    audio = CallerAudio(MULAW_8K)
    audio.feed(PACKET, chunk=1)
    with pytest.raises(AudioError, match=r"16 bit PCM at 16000 Hz .* mu-law at 8000 Hz"):
        audio.feed(PACKET, chunk=5, format=PCM_16K)
    assert audio.feed(PACKET, chunk=2) == AudioFrame(SOUND, MULAW_8K, 0, "")  # nothing counted
    assert (audio.invalid, audio.missing, audio.repeated) == (0, 0, 0)


# --- what is missing ------------------------------------------------------------------------------

BOTH = pytest.mark.parametrize("by", ["chunk", "sequence_number"])


@BOTH
@pytest.mark.parametrize(
    ("numbers", "missing", "repeated"),
    [
        ([1, 2, 3], [0, 0, 0], 0),
        ([4, 5], [0, 0], 0),  # the first begins the numbering: we may have come late
        ([1, 3, 7], [0, 1, 3], 0),
        ([1, 2, 2, 3], [0, 0, None, 0], 1),
        ([1, 4, 2, 3, 5], [0, 2, None, None, 0], 2),
        ([1.0, 2, 3.0], [0, 0, 0], 0),
        ([1, 1002], [0, 1000], 0),
        ([1, 1003, 1004], [0, 0, 0], 0),
        ([2001, 1001, 2002], [0, None, 0], 1),
        ([2001, 1000, 1001], [0, 0, 0], 0),
        ([7, 10**12, 10**12 + 2], [0, 0, 1], 0),
        ([7, 10**4000, 8], [0, 0, 0], 0),
        ([7, 1e308, 9], [0, 0, 0], 0),
        ([1, math.nan, 5, 6], [0, 0, 0, 0], 0),
        ([1, math.inf, -math.inf, 5], [0, 0, 0, 0], 0),
        ([1, 2.5, 1], [0, 0, 0], 0),
        ([1, -1, 2], [0, 0, 0], 0),
        ([0, 2], [0, 1], 0),
    ],
)
def test_what_the_numbers_say(
    by: str, numbers: list[float], missing: list[int | None], repeated: int
) -> None:
    told, audio = numbered(*numbers, by=by)
    assert told == missing
    assert audio.missing == sum(each or 0 for each in missing)
    assert audio.repeated == repeated


def test_chunk_wins_over_the_sequence_number() -> None:
    audio = CallerAudio(MULAW_8K)
    assert audio.feed(PACKET, chunk=1, sequence_number=2) is not None
    frame = audio.feed(PACKET, chunk=2, sequence_number=9)
    assert frame is not None
    assert frame.missing == 0


def test_without_numbers_the_order_is_that_of_arrival() -> None:
    audio = CallerAudio(MULAW_8K)
    frames = [audio.feed(PACKET) for _ in range(3)]
    assert [frame.missing for frame in frames if frame is not None] == [0, 0, 0]


def test_other_events_take_sequence_numbers_too() -> None:
    """The stream of PROTOCOL.md 9.3: start 1, media 5 (chunk 4), dtmf 9, playedStream "12"."""
    audio = CallerAudio(MULAW_8K)
    audio.skip(1)
    event = parse_event('{"sequenceNumber":5,"event":"media","media":{"payload":"f39/fw=="}}')
    assert isinstance(event, StreamMedia)
    first = audio.feed(event.payload, sequence_number=event.sequence_number)
    assert first is not None
    assert first.missing == 3  # the chunks 1 to 3, as that packet's own chunk says
    dtmf = parse_event('{"sequenceNumber":6,"event":"dtmf","dtmf":{"digit":"5"}}')
    assert isinstance(dtmf, StreamDtmf)
    audio.skip(dtmf.sequence_number)
    audio.skip(dtmf.sequence_number)  # told twice
    audio.skip(None)
    audio.skip(math.nan)
    audio.skip(8)  # one is missing in front of it
    frames = [audio.feed(PACKET, sequence_number=number) for number in (9, 11, 8, 12)]
    assert [frame and frame.missing for frame in frames] == [1, 1, None, 0]
    assert audio.missing == 5


def test_a_gap_in_front_of_another_event_says_nothing_of_packets_with_a_chunk() -> None:
    audio = CallerAudio(MULAW_8K)
    audio.feed(PACKET, chunk=1, sequence_number=1)
    audio.skip(9)
    by_chunk = audio.feed(PACKET, chunk=2, sequence_number=10)
    audio.skip(19)
    by_arrival = audio.feed(PACKET)
    assert [frame and frame.missing for frame in (by_chunk, by_arrival)] == [0, 0]


# --- whatever comes -------------------------------------------------------------------------------

numbers = (
    st.none()
    | st.integers(-3, 30)
    | st.integers(-(10**15), 10**15)
    | st.floats()
    | st.integers(0, 40).map(lambda step: 10**12 + step)
)
payloads = st.sampled_from([PACKET, "f39/fw==", "AA==", "", "?", "AAAA"]) | st.text(max_size=6)


@given(
    st.lists(
        st.tuples(st.sampled_from(["feed", "feed", "skip"]), payloads, numbers, numbers),
        max_size=40,
    ),
    st.sampled_from([None, PCM_8K, PCM_16K, PCM_24K]),
)
def test_whatever_comes_nothing_raises_and_the_counters_add_up(
    inputs: list[tuple[str, str, float | None, float | None]], target: AudioFormat | None
) -> None:
    audio = CallerAudio(MULAW_8K, target)
    frames: list[AudioFrame] = []
    fed = 0
    for kind, payload, chunk, sequence in inputs:
        if kind == "skip":
            audio.skip(sequence)
            continue
        fed += 1
        frame = audio.feed(payload, chunk=chunk, sequence_number=sequence, format=MULAW_8K)
        if frame is not None:
            frames.append(frame)
            assert frame.format == (target or MULAW_8K)
            assert sum(each.missing for each in frames) == audio.missing
    assert fed == len(frames) + audio.repeated + audio.invalid
    assert sum(frame.missing for frame in frames) <= audio.missing <= 1000 * len(inputs)


@given(st.lists(st.booleans(), min_size=1, max_size=100), st.integers(0, 10**9), st.data())
def test_packets_lost_on_the_way_are_missed_one_by_one(
    arrive: list[bool], first: int, data: st.DataObject
) -> None:
    """However many of a numbered stream are lost, and come again, the sum is right."""
    audio = CallerAudio(MULAW_8K)
    kept = [first + place for place, arrives in enumerate([True, *arrive, True]) if arrives]
    seen: list[int] = []
    for number in kept:
        frame = audio.feed(PACKET, chunk=number)
        assert frame is not None
        seen += [number] * (frame.missing + 1)
        again = data.draw(st.sampled_from([None, *kept[max(0, len(seen) - 20) :]]))
        if again is not None and again <= number:
            assert audio.feed(PACKET, chunk=again) is None
    assert len(seen) == kept[-1] - first + 1
    assert audio.missing == len(arrive) + 2 - len(kept)


@given(
    st.lists(st.sampled_from(["media", "other", "lost"]), max_size=60),
    st.integers(0, 10**9),
)
def test_with_sequence_numbers_alone_what_is_lost_is_missed_too(
    kinds: list[str], first: int
) -> None:
    audio = CallerAudio(MULAW_8K)
    audio.skip(first)
    for number, kind in enumerate([*kinds, "media"], first + 1):
        if kind == "media":
            assert audio.feed(PACKET, sequence_number=number) is not None
        elif kind == "other":
            audio.skip(number)
    assert audio.missing == kinds.count("lost")
