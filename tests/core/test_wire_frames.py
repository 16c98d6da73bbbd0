"""Frames as we write them, against RFC 6455 and another implementation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from plivo_core.testing import chunkings
from plivo_core.wire._frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    close_payload,
    encode_frame,
    xor_mask,
)
from tests.core._wire import MASK, frame


@pytest.mark.parametrize(
    ("opcode", "payload", "mask", "written"),
    [
        (TEXT, b"Hello", None, "810548656c6c6f"),
        (TEXT, b"Hello", MASK, "818537fa213d7f9f4d5158"),
        (PING, b"Hello", None, "890548656c6c6f"),
        (PONG, b"Hello", MASK, "8a8537fa213d7f9f4d5158"),
    ],
)
def test_the_frames_of_rfc_6455_section_5_7_are_written_bit_for_bit(
    opcode: int, payload: bytes, mask: bytes | None, written: str
) -> None:
    assert encode_frame(opcode, payload, mask).hex() == written


@pytest.mark.parametrize(("size", "head"), [(256, "827e0100"), (65536, "827f0000000000010000")])
def test_the_longer_heads_of_rfc_6455_section_5_7_are_written_bit_for_bit(
    size: int, head: str
) -> None:
    assert encode_frame(BINARY, bytes(size)).hex() == head + "00" * size


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 65537])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_every_length_form_is_the_one_that_another_implementation_writes(
    opcode: int, size: int
) -> None:
    payload = b"x" * size
    theirs = Frame(Opcode(opcode), payload).serialize(mask=False)
    assert encode_frame(opcode, payload) == theirs
    assert frame(opcode, payload, mask=None) == theirs  # and so does the tests' own writer


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_masking_is_bytewise_xor_and_its_own_inverse(data: bytes, key: bytes) -> None:
    masked = xor_mask(data, key)
    assert masked == bytes(byte ^ key[place % 4] for place, byte in enumerate(data))
    assert xor_mask(bytearray(masked), key) == data


@given(st.text(max_size=10).map(lambda text: text * 13))
def test_a_close_reason_is_cut_to_123_bytes_and_never_inside_a_character(reason: str) -> None:
    payload = close_payload(1000, reason)
    assert payload[:2] == b"\x03\xe8"
    assert len(payload) <= 125
    assert reason.startswith(payload[2:].decode())
    assert len(payload) >= min(125 - 3, 2 + len(reason.encode()))


def test_a_close_reason_of_124_bytes_loses_its_whole_last_character() -> None:
    assert close_payload(1000, "x" * 122 + "é") == b"\x03\xe8" + b"x" * 122
    assert close_payload(1000, "x" * 121 + "é")[2:] == ("x" * 121 + "é").encode()


def test_a_lone_surrogate_in_a_close_reason_becomes_a_question_mark() -> None:
    assert close_payload(CLOSE, "a\ud800b")[2:] == b"a?b"


@given(st.data(), st.binary(max_size=5000))
def test_a_chunking_never_loses_a_byte(data: st.DataObject, stream: bytes) -> None:
    pieces = data.draw(chunkings(stream))
    assert b"".join(pieces) == stream
    assert b"" not in pieces
