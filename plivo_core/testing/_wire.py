"""Hypothesis strategies for bytes: how a network cuts them, and what a peer may put into them.

Frames are written here from RFC 6455 section 5.2, not by the code that they test.
"""

from __future__ import annotations

from base64 import b64encode
from itertools import pairwise
from typing import Literal

from hypothesis import strategies as st

__all__ = ["chunkings", "client_frames", "hostile_frames", "hostile_heads"]

_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_LengthForm = Literal["shortest", "two bytes", "eight bytes"]


def chunkings(data: bytes) -> st.SearchStrategy[list[bytes]]:
    """Ways to cut ``data`` into pieces, none of them empty: whole, byte by byte, and between.

    Joined, the pieces are always ``data`` again; no pieces only for no data. Byte by byte only up
    to 4 KiB. Meant for ``data.flatmap(chunkings)`` or ``draw(chunkings(data))``.
    """
    if not data:
        return st.just([])

    def cut(places: set[int]) -> list[bytes]:
        edges = [0, *sorted(places), len(data)]
        return [data[start:end] for start, end in pairwise(edges)]

    if len(data) == 1:
        return st.just([data])
    places = st.sets(st.integers(1, len(data) - 1), max_size=20)
    if len(data) <= 4096:
        places |= st.just(set(range(1, len(data))))
    return places.map(cut)


def client_frames(*, masked: bool = True, max_messages: int = 4) -> st.SearchStrategy[bytes]:
    """WebSocket frames that break no rule, as the bytes of a client (``masked``) or a server.

    Text and binary messages of all length forms, whole or fragmented (text also inside a
    character), with pings and pongs before, between and inside them; a Close at times, and then
    nothing behind it.
    """
    return _valid_frames(masked=masked, max_messages=max_messages)


@st.composite
def _valid_frames(
    draw: st.DrawFn, *, masked: bool, max_messages: int, may_close: bool = True
) -> bytes:
    parts = [draw(_message(masked)) for _ in range(draw(st.integers(0, max_messages)))]
    if may_close and draw(st.booleans()):
        parts.append(_frame(_CLOSE, draw(_close_payloads()), mask=draw(_masks(masked))))
    return b"".join(parts)


def hostile_frames(*, masked: bool = True) -> st.SearchStrategy[bytes]:
    """Frames of which one breaks RFC 6455 or no sane limit allows it, valid ones before it.

    A wrong mask bit, reserved bits and opcodes, lengths in a longer form than needed, fragmented
    or long control frames, continuations of nothing, messages begun inside messages, text that is
    not UTF-8, Close frames with half a code or one that must not travel, announced lengths up to
    2**64 - 1; and simply random bytes. More bytes follow the offence.
    """
    return _broken_frames(masked=masked)


@st.composite
def _broken_frames(draw: st.DrawFn, *, masked: bool) -> bytes:
    before = draw(_valid_frames(masked=masked, max_messages=2, may_close=False))
    behind = draw(st.binary(max_size=40) | _message(masked))
    return before + draw(_offence(masked)) + behind


def _offence(masked: bool) -> st.SearchStrategy[bytes]:
    small = st.binary(max_size=125)
    control = st.sampled_from([_CLOSE, _PING, _PONG])
    data = st.sampled_from([_TEXT, _BINARY])
    mask, wrong_mask = _masks(masked), _masks(not masked)
    bad_text = st.builds(
        _around,
        st.text(max_size=40),
        st.sampled_from([b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"]),
        st.text(max_size=40),
    )
    bad_code = st.sampled_from([0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535])
    bad_close = st.one_of(
        st.binary(min_size=1, max_size=1),
        st.builds(_close_payload, bad_code, st.just(b"bye")),
        st.builds(_close_payload, st.just(1000), bad_text),
    )
    longer: st.SearchStrategy[_LengthForm] = st.sampled_from(["two bytes", "eight bytes"])
    return st.one_of(
        st.builds(_frame, data | control, small, mask=wrong_mask),
        st.builds(_frame, data | control, small, mask=mask, reserved=st.integers(1, 7)),
        st.builds(_frame, st.sampled_from([3, 4, 5, 6, 7, 11, 12, 13, 14, 15]), small, mask=mask),
        st.builds(_frame, data | control, small, mask=mask, form=longer),
        st.builds(_frame, control, small, mask=mask, final=st.just(False)),
        st.builds(_frame, control, st.binary(min_size=126, max_size=130), mask=mask),
        st.builds(_frame, st.just(_CONTINUATION), small, mask=mask, final=st.booleans()),
        st.builds(
            bytes.__add__,
            st.builds(_frame, data, small, mask=mask, final=st.just(False)),
            st.builds(_frame, data, small, mask=mask, final=st.booleans()),
        ),
        st.builds(_frame, st.just(_TEXT), bad_text, mask=mask, final=st.booleans()),
        st.builds(_frame, st.just(_CLOSE), bad_close, mask=mask),
        st.builds(
            _frame,
            st.integers(0, 15),
            small,
            mask=mask,
            form=longer,
            announced=st.sampled_from([1 << 20, 1 << 31, 1 << 62, (1 << 63) - 1, 1 << 63]),
        ),
        st.binary(max_size=60),
    )


@st.composite
def _message(draw: st.DrawFn, masked: bool) -> bytes:
    """One message, whole or in fragments, with control frames around its frames."""
    opcode = draw(st.sampled_from([_TEXT, _TEXT, _BINARY]))
    if opcode == _TEXT:
        payload = draw(st.text(max_size=30)).encode()
    else:
        payload = draw(st.binary(max_size=150))
    payload *= draw(st.sampled_from([1] * 10 + [4, 1000]))  # the longer length forms
    cuts = draw(st.lists(st.integers(0, len(payload)), max_size=3).map(sorted))
    edges = [0, *cuts, len(payload)]
    parts: list[bytes] = []
    for number, (start, end) in enumerate(pairwise(edges)):
        parts.extend(draw(st.lists(_control(masked), max_size=2)))
        parts.append(
            _frame(
                _CONTINUATION if number else opcode,
                payload[start:end],
                mask=draw(_masks(masked)),
                final=number == len(cuts),
            )
        )
    return b"".join(parts)


def _control(masked: bool) -> st.SearchStrategy[bytes]:
    opcode = st.sampled_from([_PING, _PONG])
    return st.builds(_frame, opcode, st.binary(max_size=125), mask=_masks(masked))


def _close_payloads() -> st.SearchStrategy[bytes]:
    code = st.sampled_from([1000, 1001, 1002, 1003, 1007, 1011, 3000, 4999])
    reason = st.text(max_size=30).map(str.encode)
    return st.just(b"") | st.builds(_close_payload, code, reason)


def _close_payload(code: int, reason: bytes) -> bytes:
    return code.to_bytes(2, "big") + reason[:123]


def _around(start: str, middle: bytes, end: str) -> bytes:
    return start.encode() + middle + end.encode()


def _masks(masked: bool) -> st.SearchStrategy[bytes | None]:
    return st.binary(min_size=4, max_size=4) if masked else st.none()


def _frame(
    opcode: int,
    payload: bytes,
    *,
    mask: bytes | None,
    final: bool = True,
    reserved: int = 0,
    form: _LengthForm = "shortest",
    announced: int | None = None,
) -> bytes:
    size = len(payload) if announced is None else announced
    if form == "shortest":
        form = "eight bytes" if size > 0xFFFF else "two bytes" if size > 125 else form
    if form == "shortest":
        length = bytes([size])
    elif form == "two bytes":
        length = b"\x7e" + (size & 0xFFFF).to_bytes(2, "big")
    else:
        length = b"\x7f" + size.to_bytes(8, "big")
    first = bytes([final << 7 | reserved << 4 | opcode])
    if mask is None:
        return first + length + payload
    masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
    return first + bytes([length[0] | 0x80]) + length[1:] + mask + masked


def hostile_heads() -> st.SearchStrategy[bytes]:
    """HTTP request heads as a scanner, a confused proxy or an attacker writes them.

    An upgrade request with parts missing, doubled, replaced by nonsense or stuffed with bytes that
    no header may hold; smuggling attempts; heads too long or cut short; and random bytes. Some are
    valid by luck.
    """
    return st.one_of(_heads(), _heads(), st.binary(max_size=200))


@st.composite
def _heads(draw: st.DrawFn) -> bytes:
    method = draw(st.sampled_from([b"GET", b"GET", b"POST", b"HEAD", b"CONNECT", b"B\x00D", b""]))
    target = draw(st.sampled_from(_TARGETS) | st.binary(max_size=20))
    version = draw(st.sampled_from([b"1.1", b"1.1", b"1.1", b"1.0", b"0.9", b"1.9", b"2.0", b"x"]))
    key = b64encode(draw(st.binary(max_size=24)))
    usual = [
        b"Host: example.com",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: " + draw(st.sampled_from([key, b"dGhlIHNhbXBsZSBub25jZQ=="])),
    ]
    kept = [line for line in usual if draw(st.integers(0, 9))]  # one in ten is missing
    odd = draw(st.lists(st.sampled_from(_ODD_HEADERS) | _random_headers(), max_size=3))
    lines = draw(st.permutations(kept + odd))
    if draw(st.integers(0, 19)) == 0:
        lines = [*lines, *[b"X-%d: y" % number for number in range(150)]]
    if draw(st.integers(0, 19)) == 0:
        lines = [*lines, b"X-Long: " + b"y" * draw(st.sampled_from([16_000, 60_000]))]
    newline = draw(st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n"]))
    head = newline.join([method + b" " + target + b" HTTP/" + version, *lines, b"", b""])
    if draw(st.integers(0, 9)) == 0:
        return head[: draw(st.integers(0, len(head)))]
    return head + draw(st.just(b"") | st.binary(max_size=40))


def _random_headers() -> st.SearchStrategy[bytes]:
    name = st.sampled_from([b"Host", b"Connection", b"X-Any", b"Sec-WebSocket-Extensions"])
    value = st.binary(max_size=20).map(b": ".__add__)
    return st.builds(bytes.__add__, name, value)


_TARGETS = [
    b"/",
    b"/agent?call=1&to=%2B15550100",
    b"http://example.com/absolute",
    b"*",
    b"example.com:443",
    b"/a#fragment",
    b"/back\\slash",
    b"/sp ace",
    b"/\xff",
    b"",
]
_ODD_HEADERS = [
    b"Host: \xff",
    b"Host: other.example.com",
    b"Connection: keep-alive, \xe9",
    b"Connection: close",
    b"Upgrade: h2c",
    b"Sec-WebSocket-Key: x",
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    b"Sec-WebSocket-Version: 8",
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=abc",
    b"Sec-WebSocket-Extensions: \x80",
    b"Sec-WebSocket-Protocol: caf\xc3\xa9",
    b"Content-Length: 5",
    b"Content-Length: 99999999999999999999",
    b"Content-Length: -1",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Expect: 100-continue",
    b"X-Bell: \x07",
    b"X-Nul: \x00",
    b" folded: line",
    b"No colon here",
    b": no name",
]
