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

__all__ = [
    "hide",
    "hide_numbers",
    "mask_number",
    "redact",
    "redact_member",
    "redact_setting",
    "show_size",
]

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
        "mobile", "mobilenumber", "msisdn", "phone", "phonenumber", "plivonumber", "telephone",
        "tonumber",
    }
)  # fmt: skip
# Also used for things that are no phone number; masked only when enough digits say it is one.
_PERHAPS_NUMBER = frozenset({"destination", "from", "number", "numbers", "target", "to"})
# Bulky, or a container whose members are judged by their own names. (Digits are not part of a word:
# the last one is "speech_input_b64".)
_SIZED = frozenset({"dtmf", "media", "payload", "speechinputb"})

# Names of settings, by their last word, that say nothing about how secret their values are.
_HIDDEN_SETTING = frozenset({"args", "auth", "env", "headers", "key", "keys"})
_ADDRESS = ("url", "urls", "endpoint", "endpoints")
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*://)(?:[^/?#]*@)?([^/?#@]*)", re.IGNORECASE)
_CREDENTIAL = re.compile(r"\s*(?:bearer|basic)\s+\S+\s*", re.IGNORECASE)

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


def redact_setting(name: str, value: object) -> object:
    """:func:`redact_member` for a member of a configuration, ours or an answer's copy of it.

    There names are the application's own, and addresses may hold keys: what is named like headers,
    environments and keys of any kind is masked, a URL is cut to its origin.
    """
    return redact_member(name, _without_secrets(value, name, _MAX_DEPTH))


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


def _without_secrets(value: object, name: object, depth: int) -> object:
    """``value`` with what :func:`redact` cannot know: settings of any name, keys inside URLs."""
    if _is_hidden_setting(name) or not depth:
        return hide(value)
    if isinstance(value, dict):
        members = cast("dict[object, object]", value)
        return {key: _without_secrets(member, key, depth - 1) for key, member in members.items()}
    if isinstance(value, Mapping):  # of the application's: only `hide` bears one that fails
        return hide(cast("object", value))
    if isinstance(value, (list, tuple)):
        entries = cast("list[object] | tuple[object, ...]", value)
        return [_without_secrets(entry, name, depth - 1) for entry in entries]
    if isinstance(value, str):
        if _CREDENTIAL.fullmatch(value):
            return _MASKED
        if isinstance(name, str) and name.lower().endswith(_ADDRESS):
            return _origin(value)
    return value


def _is_hidden_setting(name: object) -> bool:
    if not isinstance(name, str):
        return False
    words = _WORD.findall(name[-_MAX_NAME:])
    return bool(words) and words[-1].lower() in _HIDDEN_SETTING


def _origin(url: str) -> object:
    found = _ORIGIN.match(url)
    if not found:
        return show_size(url)
    return found[1] + found[2] + ("/..." if found.end() < len(url) else "")


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
