"""What every argument of a command must be; the platform's own rules are PROTOCOL.md 11, D-26.

Each check raises :class:`~plivo_core.errors.InvalidCommandError` with the argument's name. Its
message names positions and types, never values: digits may be a PIN.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from plivo_core.errors import InvalidCommandError

__all__ = [
    "destinations",
    "require_bool",
    "require_dial_mode",
    "require_mapping",
    "require_rate",
    "require_seconds",
    "require_share",
    "require_text",
    "require_tones",
]

_DIAL_MODES = ("parallel", "sequential")
_TONES = frozenset("0123456789*#ABCDwW")
_INFINITY = float("inf")


def require_text(value: object, argument: str) -> None:
    if not isinstance(value, str):
        raise _wrong_type(value, argument, "a str")


def require_bool(value: object, argument: str) -> None:
    if not isinstance(value, bool):
        raise _wrong_type(value, argument, "a bool")


def require_rate(value: object, argument: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong_type(value, argument, "an int")
    if value <= 0:
        raise InvalidCommandError(f"{argument} must be positive", argument=argument)


def require_seconds(value: object, argument: str) -> None:
    if not 0 < _number(value, argument) < _INFINITY:  # NaN compares false, here and below
        raise InvalidCommandError(
            f"{argument} must be a positive, finite number of seconds", argument=argument
        )


def require_share(value: object, argument: str) -> None:
    if not 0 <= _number(value, argument) <= 1:
        raise InvalidCommandError(f"{argument} must be between 0 and 1", argument=argument)


def require_mapping(value: object, argument: str) -> None:
    if not isinstance(value, Mapping):
        raise _wrong_type(value, argument, "a mapping")


def require_tones(digits: object, argument: str) -> None:
    require_text(digits, argument)
    text = cast("str", digits)
    if not text:
        raise InvalidCommandError(
            f"{argument} is empty", argument=argument, hint="give at least one tone"
        )
    if not _TONES.issuperset(text):
        position = next(at for at, tone in enumerate(text, 1) if tone not in _TONES)
        raise InvalidCommandError(
            f"character {position} of {argument} is not a tone",
            argument=argument,
            hint="tones are 0-9, *, #, A-D; w and W pause",
        )


def require_dial_mode(value: object, argument: str) -> None:
    if value not in _DIAL_MODES:
        raise InvalidCommandError(
            f"{argument} must be 'parallel' or 'sequential'", argument=argument
        )


def destinations(value: object) -> tuple[str, ...]:
    """One str or an iterable of them as a tuple of those that can be dialled."""
    entries = _entries(value)
    if entries is None:
        raise _wrong_type(value, "destination", "a str or an iterable of str")
    if not entries:
        raise InvalidCommandError(
            "destination is empty", argument="destination", hint="give a number or SIP address"
        )
    for at, entry in enumerate(entries, 1):
        if not isinstance(entry, str):
            raise _wrong_type(entry, "destination", "made of str")
        if not entry.strip():
            raise InvalidCommandError(f"entry {at} of destination is blank", argument="destination")
    return cast("tuple[str, ...]", entries)


def _entries(value: object) -> tuple[object, ...] | None:
    if isinstance(value, str):
        return (value,)
    # A mapping would iterate too; as a list of numbers it is a mistake, here or on the wire.
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        return None
    return tuple(cast("Iterable[object]", value))


def _number(value: object, argument: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _wrong_type(value, argument, "a number")
    return value


def _wrong_type(value: object, argument: str, expected: str) -> InvalidCommandError:
    return InvalidCommandError(
        f"{argument} must be {expected}, not {type(value).__name__}", argument=argument
    )
