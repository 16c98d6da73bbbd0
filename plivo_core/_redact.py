"""What a repr may show of values that came from a call.

Pure functions used by the ``__repr__`` of events and commands. They copy JSON-like values and
replace what is secret or personal by marks such as ``<masked>``; they never change their argument
and never raise. They decide by the *name* of a member, so a card number that a caller speaks stays
in the transcript's text: masking protects logs from accidents, it is no data loss prevention.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias, cast

__all__ = ["hide", "hide_numbers", "mask_number", "redact", "redact_member", "show_size"]

# Known messages are at most 4 deep. The bound also ends the walk through a cyclic value.
_MAX_DEPTH = 8
# Printing an int is quadratic, and refused by Python above 4300 digits.
_MAX_INT_BITS = 4096
# Names are judged by their end; a peer's key may be as long as its message.
_MAX_NAME = 64

# Squashed to lower case without separators. A key matches by its last one, two or three words, so
# "customerEmail" and "x-auth-token" match while "input_tokens" does not.
_SECRET = frozenset(
    {
        "accesskey", "accesstoken", "accountnumber", "address", "apikey", "apitoken",
        "authkey", "authorization", "authtoken", "bearer", "birthdate", "card", "cardnumber",
        "cookie", "credential", "credentials", "creditcard", "customerkey", "cvc", "cvv",
        "dateofbirth", "digit", "digits", "dob", "email", "emailaddress", "expirationdate",
        "expiry", "expirydate", "familyname", "firstname", "givenname", "iban", "lastname",
        "middlename", "otp", "passcode", "passphrase", "passwd", "password", "pin", "pincode",
        "privatekey", "pwd", "secret", "secretkey", "securitycode", "setcookie", "signature",
        "signingkey", "socialsecuritynumber", "ssn", "streetaddress", "surname", "token",
    }
)  # fmt: skip
_NUMBER = frozenset(
    {
        "callee", "calleenumber", "caller", "callerid", "callernumber", "cellphone", "fromnumber",
        "mobile", "mobilenumber", "msisdn", "phone", "phonenumber", "telephone", "tonumber",
    }
)  # fmt: skip
# Also used for things that are no phone number; masked only when enough digits say it is one.
_PERHAPS_NUMBER = frozenset({"destination", "from", "target", "to"})
# Bulky, or a container whose members are judged by their own names. (Digits are not part of a word:
# the last one is "speech_input_b64".)
_SIZED = frozenset({"dtmf", "media", "payload", "speechinputb"})

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_DIGIT = re.compile(r"[0-9]")

_Leaf: TypeAlias = Callable[[object], object]


class _Mark(str):
    """Text that shows without quotes, so that a mark is not taken for a value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str.__str__(self)


_MASKED = _Mark("<masked>")
_TOO_DEEP = _Mark("<...>")
_UNREADABLE = _Mark("<unreadable>")


def redact(value: object) -> object:
    """A copy of a JSON-like ``value`` with the members that name a secret or personal datum masked.

    Mappings become dicts, lists and tuples lists; below eight levels stands ``<...>``. Phone
    numbers keep their last four digits, audio shows its size.
    """
    return _walk(value, _MAX_DEPTH, _show)


def redact_member(name: str, value: object) -> object:
    """:func:`redact` for the value of one member, whose name counts too."""
    return _walk(value, _MAX_DEPTH, _leaf_for(name))


def hide(value: object) -> object:
    """``value`` with every scalar masked; the names of members stay visible."""
    return _walk(value, _MAX_DEPTH, _hide)


def hide_numbers(value: object) -> object:
    """``value``, a phone number or a list of them, through :func:`mask_number`."""
    return _walk(value, _MAX_DEPTH, _hide_number)


def show_size(value: object) -> object:
    """The size of a text or of bytes in their place, e.g. ``<216 characters>``."""
    return _walk(value, _MAX_DEPTH, _size)


def mask_number(text: str) -> str:
    """A phone number or SIP URI reduced to its last four digits, e.g. ``***0101``.

    Texts with four digits or fewer are masked whole: what is left would be all of it.
    """
    digits = _DIGIT.findall(text)
    return "***" + "".join(digits[-4:]) if len(digits) > 4 else "***"


def _walk(value: object, depth: int, leaf: _Leaf) -> object:
    try:
        if isinstance(value, Mapping):
            if not depth:
                return _TOO_DEEP
            by_name = leaf is _show or leaf is _size
            return {
                key: _walk(item, depth - 1, _leaf_for(key) if by_name else leaf)
                for key, item in cast("Mapping[object, object]", value).items()
            }
        if isinstance(value, (list, tuple)):
            if not depth:
                return _TOO_DEEP
            items = cast("list[object] | tuple[object, ...]", value)
            return [_walk(item, depth - 1, leaf) for item in items]
        return leaf(value)
    except Exception:  # noqa: BLE001 - a mapping of the application's may fail in any way; a repr must not
        return _UNREADABLE


def _leaf_for(name: object) -> _Leaf:
    if not isinstance(name, str):
        return _show
    words = [word.lower() for word in _WORD.findall(name[-_MAX_NAME:])]
    for count in (1, 2, 3):
        squashed = "".join(words[-count:])
        if squashed in _SECRET:
            return _hide
        if squashed in _NUMBER:
            return _hide_number
        if squashed in _SIZED:
            return _size
    if "".join(words) in _PERHAPS_NUMBER:
        return _hide_if_number
    return _show


def _show(value: object) -> object:
    if isinstance(value, int) and value.bit_length() > _MAX_INT_BITS:
        return _Mark(f"<int of {value.bit_length()} bits>")
    if isinstance(value, (bytes, bytearray)):
        return _size(value)
    return value


def _hide(value: object) -> object:
    return None if value is None else _MASKED


def _hide_number(value: object) -> object:
    return mask_number(value) if isinstance(value, str) else _hide(value)


def _hide_if_number(value: object) -> object:
    if isinstance(value, str):
        # Seven: the shortest subscriber number with an area.
        return mask_number(value) if len(_DIGIT.findall(value)) >= 7 else value
    return _show(value)


def _size(value: object) -> object:
    if isinstance(value, str):
        return _Mark(f"<{len(value)} characters>")
    if isinstance(value, (bytes, bytearray)):
        return _Mark(f"<{len(value)} bytes>")
    return _hide(value)
