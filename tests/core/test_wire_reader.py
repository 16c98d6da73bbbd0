"""Frames in, messages out: the fast path, wsproto's path, and what neither may let through."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plivo_core.limits import Limits
from plivo_core.testing import chunkings, client_frames, hostile_frames
from plivo_core.wire._reader import (
    CloseFrame,
    Failure,
    Fragment,
    Item,
    MessageReader,
    Ping,
    Pong,
)
from tests.core._wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MASK,
    PING,
    PONG,
    TEXT,
    close_frame,
    frame,
)

SMALL = Limits(max_message=1000, max_fragments=4)


def a_reader(
    *, client: bool = False, limits: Limits | None = None, fast: bool = True
) -> MessageReader:
    return MessageReader(client=client, limits=limits or Limits(), fast=fast)


def read(reader: MessageReader, *pieces: bytes) -> list[Item]:
    items: list[Item] = []
    for piece in pieces:
        reader.feed(piece)
        while (item := reader.next()) is not None:
            items.append(item)
    return items


def read_anew(*pieces: bytes, limits: Limits | None = None) -> list[Item]:
    """What the server's reader says, having made sure that both paths say it, in any cut."""
    expected = read(a_reader(limits=limits), *pieces)
    stream = b"".join(pieces)
    assert read(a_reader(limits=limits, fast=False), *pieces) == expected
    if len(stream) < 5000:
        assert read(a_reader(limits=limits), *(bytes([byte]) for byte in stream)) == expected
    return expected


@pytest.mark.parametrize(
    ("wire", "item"),
    [
        ("810548656c6c6f", "Hello"),
        ("890548656c6c6f", Ping(b"Hello")),
        ("8a0548656c6c6f", Pong(b"Hello")),
        ("827e0100" + "00" * 256, bytes(256)),
        ("827f0000000000010000" + "00" * 65536, bytes(65536)),
    ],
)
def test_a_client_reads_the_unmasked_frames_of_rfc_6455_section_5_7(wire: str, item: Item) -> None:
    assert read(a_reader(client=True), bytes.fromhex(wire)) == [item]
    assert read(a_reader(client=True, fast=False), bytes.fromhex(wire)) == [item]


def test_a_client_reads_the_fragmented_message_of_rfc_6455_section_5_7() -> None:
    items = read(a_reader(client=True), bytes.fromhex("010348656c"), bytes.fromhex("80026c6f"))
    assert items == [Fragment(), "Hello"]


def test_a_server_reads_the_masked_frames_of_rfc_6455_section_5_7() -> None:
    assert read_anew(bytes.fromhex("818537fa213d7f9f4d5158")) == ["Hello"]
    assert read_anew(bytes.fromhex("8a8537fa213d7f9f4d5158")) == [Pong(b"Hello")]


@given(st.data(), client_frames() | hostile_frames(), st.sampled_from([Limits(), SMALL]))
def test_the_fast_path_and_wsproto_give_the_same_items_at_the_same_byte(
    data: st.DataObject, stream: bytes, limits: Limits
) -> None:
    fast, slow = a_reader(limits=limits), a_reader(limits=limits, fast=False)
    for piece in data.draw(chunkings(stream)):
        assert read(fast, piece) == read(slow, piece)
        assert fast.incomplete == slow.incomplete


@pytest.mark.parametrize("fast", [True, False])
def test_bad_utf_8_in_a_small_text_frame_is_found_with_its_last_byte(fast: bool) -> None:
    stream = frame(TEXT, b"\xff rest")
    reader = a_reader(fast=fast)
    assert read(reader, *(bytes([byte]) for byte in stream[:-1])) == []
    assert read(reader, stream[-1:]) == [Failure(1007, "invalid UTF-8")]


@settings(max_examples=60)
@given(st.data(), client_frames(masked=False) | hostile_frames(masked=False))
def test_the_two_paths_agree_in_the_client_role_too(data: st.DataObject, stream: bytes) -> None:
    fast, slow = a_reader(client=True), a_reader(client=True, fast=False)
    for piece in data.draw(chunkings(stream)):
        assert read(fast, piece) == read(slow, piece)


@given(st.data(), client_frames() | hostile_frames(), st.sampled_from([Limits(), SMALL]))
def test_no_chunking_changes_what_is_read(
    data: st.DataObject, stream: bytes, limits: Limits
) -> None:
    whole, cut = a_reader(limits=limits), a_reader(limits=limits)
    assert read(cut, *data.draw(chunkings(stream))) == read(whole, stream)
    assert cut.incomplete == whole.incomplete


@settings(max_examples=60)
@given(client_frames())
def test_frames_that_break_no_rule_never_fail(stream: bytes) -> None:
    reader = a_reader()
    assert not [item for item in read(reader, stream) if isinstance(item, Failure)]
    assert not reader.incomplete


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (frame(TEXT, b"hi", mask=None), 1002),
        (frame(TEXT, b"x" * 300, mask=None), 1002),
        (b"\xc1\x80" + MASK, 1002),
        (b"\xa2\x80" + MASK, 1002),
        (b"\x91\x80" + MASK, 1002),
        (frame(0x3), 1002),
        (frame(0xB, b"x"), 1002),
        (b"\x81\xfe\x00\x05" + MASK + b"12345", 1002),
        (b"\x82\xff" + (126).to_bytes(8, "big") + MASK + b"x" * 126, 1002),
        (b"\x82\xff" + (1 << 63).to_bytes(8, "big") + MASK, 1002),
        (frame(PING, b"x", final=False), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(CONTINUATION, b"x"), 1002),
        (frame(CONTINUATION), 1002),
        (frame(TEXT, b"x", final=False) + frame(TEXT, b"y"), 1002),
        (frame(TEXT, b"x", final=False) + frame(BINARY, b"y"), 1002),
        (frame(TEXT, b"\xff"), 1007),
        (frame(TEXT, b"\xed\xa0\x80"), 1007),
        (frame(TEXT, b"\xe2\x82"), 1007),
        (frame(TEXT, b"\xe2\x82", final=False) + frame(CONTINUATION), 1007),
        (frame(TEXT, b"\xc0\x80" * 40_000), 1007),
        (frame(CLOSE, b"x"), 1002),
        (close_frame(1000)[:-2] + bytes([0xFF ^ MASK[0], 0xFF ^ MASK[1]]), 1002),
        (frame(CLOSE, b"\x03\xe8\xff"), 1007),
        *[(close_frame(code), 1002) for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000)],
    ],
)
def test_a_broken_frame_is_our_failure_and_hides_nothing_before_it(
    broken: bytes, code: int
) -> None:
    *before, last = read_anew(frame(TEXT, b"good"), broken, frame(TEXT, b"never read"))
    assert before[0] == "good"
    assert all(isinstance(item, Fragment) for item in before[1:])
    assert isinstance(last, Failure)
    assert last.code == code
    assert last.reason


def test_a_masked_frame_fails_a_client() -> None:
    assert read(a_reader(client=True), frame(TEXT, b"hi")) == [Failure(1002, "protocol error")]


def test_a_character_may_be_cut_by_fragments_and_frames_between() -> None:
    euro = "€".encode()
    items = read_anew(
        frame(TEXT, euro[:1], final=False)
        + frame(PING, b"p")
        + frame(CONTINUATION, final=False)
        + frame(PONG)
        + frame(CONTINUATION, euro[1:])
    )
    assert items == [Fragment(), Ping(b"p"), Fragment(), Pong(b""), "€"]


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536, 1024 * 1024])
def test_messages_of_every_length_form_up_to_the_limit_arrive(opcode: int, size: int) -> None:
    whole: Item = "x" * size if opcode == TEXT else b"x" * size
    assert read_anew(frame(opcode, b"x" * size)) == [whole]
    half = size // 2
    fragments = frame(opcode, b"x" * half, final=False) + frame(CONTINUATION, b"x" * (size - half))
    assert read_anew(fragments) == [Fragment(), whole]


@pytest.mark.parametrize(
    "stream",
    [
        frame(TEXT, b"x" * 1001),
        frame(BINARY, b"x" * 1001),
        frame(TEXT, b"x" * 1000, final=False) + frame(CONTINUATION, b"y"),
        frame(TEXT, "é".encode() * 501),  # bytes count, not characters
    ],
)
def test_a_message_over_the_limit_is_refused_with_1009(stream: bytes) -> None:
    assert read_anew(stream, limits=SMALL)[-1] == Failure(1009, "message too big")


def test_a_message_of_2_to_the_62_bytes_is_refused_at_its_head_without_buffering() -> None:
    for opcode in (TEXT, BINARY):
        head = bytes([0x80 | opcode, 0xFF]) + (1 << 62).to_bytes(8, "big") + MASK
        reader = a_reader()
        assert read(reader, head[:-1]) == []
        assert read(reader, head[-1:]) == [Failure(1009, "message too big")]
        assert not reader.incomplete


def test_4096_fragments_are_a_message_and_4097_are_refused() -> None:
    for payload in (b"", b"x"):
        most = frame(TEXT, payload, final=False) + frame(CONTINUATION, payload, final=False) * 4094
        assert read_anew(most, frame(CONTINUATION, payload))[-1] == payload.decode() * 4096
        most += frame(CONTINUATION, payload, final=False)
        assert read_anew(most, frame(CONTINUATION))[-1] == Failure(1009, "too many fragments")


def test_limits_are_per_message_and_control_frames_do_not_count() -> None:
    message = frame(BINARY, b"x" * 500, final=False) + frame(PING, b"y" * 125) * 10
    message += frame(CONTINUATION, b"x" * 500)
    items = read_anew(message * 3, limits=SMALL)
    assert items.count(b"x" * 1000) == 3


def test_four_megabytes_after_an_error_are_not_kept() -> None:
    reader = a_reader()
    assert read(reader, frame(0x3)) == [Failure(1002, "protocol error")]
    garbage = b"x" * 65536
    tracemalloc.start()
    try:
        assert read(reader, *[garbage] * 64) == []
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 65536
    assert kept < 65536


def test_a_close_frame_is_the_last_thing_read() -> None:
    items = read_anew(close_frame(4000, "bye"), frame(TEXT, b"late"), b"\xff" * 100)
    assert items == [CloseFrame(4000, "bye")]
    assert read_anew(frame(CLOSE)) == [CloseFrame(1005, "")]


def test_only_what_has_begun_and_not_ended_is_incomplete() -> None:
    reader = a_reader()
    assert not reader.incomplete
    for piece, incomplete in [
        (frame(TEXT, b"hello")[:1], True),
        (frame(TEXT, b"hello")[1:], False),
        (frame(BINARY, b"hello", final=False), True),
        (frame(PING), True),
        (frame(CONTINUATION, b"!")[:-1], True),
        (frame(CONTINUATION, b"!")[-1:], False),
        (close_frame(1000), False),
    ]:
        read(reader, piece)
        assert reader.incomplete is incomplete
