"""WebSocket frames as we write them (RFC 6455 section 5). wsproto reads, this writes.

Our own writer, because a client's masking keys must come from the injected ``random_bytes`` and
because a server's text frame is one header in front of the text.
"""

from __future__ import annotations

from struct import Struct

__all__ = [
    "BINARY",
    "CLOSE",
    "PING",
    "PONG",
    "TEXT",
    "close_payload",
    "encode_frame",
    "xor_mask",
]

_short_head, _head, _long_head = Struct("!BB").pack, Struct("!BBH").pack, Struct("!BBQ").pack
TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA


def xor_mask(data: bytes | bytearray, key: bytes | bytearray) -> bytes:
    """Mask or unmask ``data`` (RFC 6455 5.3). One big-integer XOR: far cheaper than bytewise."""
    size = len(data)
    pad = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(pad, "little")).to_bytes(size, "little")


def encode_frame(opcode: int, payload: bytes, mask: bytes | None = None) -> bytes:
    """One final, unfragmented frame. ``mask``: 4 random bytes in the client role, else None."""
    size = len(payload)
    bit = 0 if mask is None else 0x80
    if size < 126:
        head = _short_head(0x80 | opcode, bit | size)
    elif size < 65536:
        head = _head(0x80 | opcode, bit | 126, size)
    else:
        head = _long_head(0x80 | opcode, bit | 127, size)
    if mask is None:
        return head + payload
    return head + mask + xor_mask(payload, mask)


def close_payload(code: int, reason: str) -> bytes:
    """The body of a Close frame; the reason is cut to 123 bytes, never inside a character."""
    text = reason.encode("utf-8", "replace")[:123]
    return code.to_bytes(2, "big") + text.decode("utf-8", "ignore").encode()
