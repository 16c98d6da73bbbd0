"""Strict JSON, and strict base64, for messages of a hostile peer.

What the standard library's ``json`` lets through is refused here: nesting beyond a bound (its
``RecursionError`` is not a ``ValueError``), NaN and Infinity, numbers that overflow to infinity,
integers too long to convert, bytes that are not UTF-8. Nothing but :class:`MalformedMessage`
leaves :meth:`Codec.decode`.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Literal, NoReturn, TypeAlias, cast

from plivo_core.errors import InvalidCommandError
from plivo_core.limits import Limits

__all__ = [
    "DEFAULT_CODEC",
    "Codec",
    "InvalidReason",
    "MalformedMessage",
    "codec_for",
    "decode_base64",
]

InvalidReason: TypeAlias = Literal["invalid_json", "not_an_object"]

# Escapes are matched as pairs, so that an escaped quote does not end a string, and give "", which
# costs no memory. No quantifier: linear in the text, whatever it holds.
_STRUCTURE = re.compile(r'\\.|(["\[\]{}])', re.DOTALL)


class MalformedMessage(ValueError):  # noqa: N818 - not an error of ours: a verdict on a message
    """The text is not a JSON object; ``reason`` is ``invalid_json`` or ``not_an_object``."""

    def __init__(self, reason: InvalidReason) -> None:
        super().__init__(reason)
        self.reason: InvalidReason = reason


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite_float(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError("number out of range")
    return value


_decoder = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite_float)
_WHITE = " \t\n\r"  # RFC 8259, section 2


def _strict_loads(text: str) -> object:
    # What decode() does, which spends two regular expressions on white space that nobody sends.
    text = text.lstrip(_WHITE)
    value, end = _decoder.raw_decode(text)
    if end != len(text) and text[end:].strip(_WHITE):
        raise ValueError("more than one value")
    return value


# ASCII output: a lone surrogate in application data then cannot break the UTF-8 of a frame.
_ascii_dumps = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


class Codec:
    """Text to object and back.

    ``loads`` and ``dumps`` may be replaced, say by orjson's: ``loads(text) -> object`` must raise
    ``ValueError`` on what is not JSON, ``dumps(object) -> str`` ``ValueError`` or ``TypeError``.
    ``max_depth`` bounds nesting before ``loads`` sees the text.
    """

    __slots__ = ("_dumps", "_loads", "encode_text", "max_depth")

    def __init__(
        self,
        *,
        loads: Callable[[str], object] = _strict_loads,
        dumps: Callable[[object], str] = _ascii_dumps,
        max_depth: int = 64,  # Limits.max_json_depth
    ) -> None:
        self._loads = loads
        self._dumps = dumps
        ours = dumps is _ascii_dumps and type(self).encode is Codec.encode
        self.encode_text: Callable[[str], str] | None = dumps if ours else None
        """Text as a JSON string, exactly as :meth:`encode` writes one inside a message; None when
        ``dumps`` or ``encode`` was replaced, for then only they know how."""
        self.max_depth = max_depth

    def decode(self, text: str | bytes) -> dict[str, object]:
        """The JSON object in ``text`` (bytes: UTF-8). Raises only :class:`MalformedMessage`."""
        try:
            if isinstance(text, bytes):
                text = text.decode()
            # A text with few brackets cannot be deep: two memchr-like counts for nearly all of it.
            if text.count("{") + text.count("[") > self.max_depth and self._too_deep(text):
                raise MalformedMessage("invalid_json")
            value = self._loads(text)
        except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
            if isinstance(error, MalformedMessage):
                raise
            raise MalformedMessage("invalid_json") from None
        if not isinstance(value, dict):
            raise MalformedMessage("not_an_object")
        return cast("dict[str, object]", value)

    def encode(self, message: Mapping[str, object]) -> str:
        """One line of JSON. Raises InvalidCommandError for values JSON cannot carry."""
        try:
            text = self._dumps(message)
            if not text.isascii():
                text.encode()  # what cannot be UTF-8 must not surface when the frame is written
            return text
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidCommandError(
                f"the message cannot be written as JSON: {error}",
                argument="message",
                hint="use only dict, list, str, finite numbers, bool and None",
            ) from error

    def _too_deep(self, text: str) -> bool:
        depth = 0
        in_string = False
        for mark in _STRUCTURE.findall(text):
            if mark == '"':
                in_string = not in_string
            elif in_string or not mark:
                continue
            elif mark in "{[":
                depth += 1
                if depth > self.max_depth:
                    return True
            else:
                depth -= 1
        return False


DEFAULT_CODEC = Codec()


def codec_for(limits: Limits) -> Codec:
    """The standard library's JSON, with the depth that ``limits`` allow."""
    if limits.max_json_depth == DEFAULT_CODEC.max_depth:
        return DEFAULT_CODEC
    return Codec(max_depth=limits.max_json_depth)


def decode_base64(text: str) -> bytes:
    """Bytes of base64 in the standard alphabet, padded (RFC 4648, section 4).

    Raises :class:`ValueError` (``binascii.Error``, or its parent for text that is not ASCII) for
    anything else.
    """
    data = binascii.a2b_base64(text)
    # a2b_base64 skips what is not of the alphabet, and its strict_mode came with 3.11. Encoding
    # back is as fast as a regular expression and also refuses padding bits that are not zero.
    if binascii.b2a_base64(data, newline=False) != text.encode():
        raise binascii.Error("the payload is not base64 of the standard alphabet, with padding")
    return data
