"""What the arguments of answer XML and of fetch options must be.

``optional_*`` let None pass: it leaves the attribute to the platform's default. Each check raises
:class:`~plivo_core.errors.ConfigError`, which names the argument and what was expected, never a
text: it may be a PIN or a password.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, TypeAlias, cast

from plivo_core.errors import ConfigError

__all__ = [
    "KEY",
    "KEYS",
    "METHODS",
    "TONE",
    "TONES",
    "Method",
    "optional_bool",
    "optional_characters",
    "optional_choice",
    "optional_pairs",
    "optional_text",
    "optional_url",
    "optional_whole",
    "require_text",
    "require_url",
    "wrong_type",
]

Method: TypeAlias = Literal["GET", "POST"]

METHODS = ("GET", "POST")
KEYS, KEY = "0123456789*#", "one of 0-9, * and #"
TONES, TONE = "0123456789w", "a digit or w"

_URL = re.compile(r"([A-Za-z]+)://[^/?#\\]+(?:[/?#][^\\]*)?")
_ALPHANUMERIC = re.compile(r"[A-Za-z0-9]+")
_HTTP = ("http", "https")


def require_text(value: object, argument: str, *, most: int | None = None) -> str:
    """A text that says something, of ``most`` characters."""
    if not isinstance(value, str):
        raise wrong_type(value, argument, "a str")
    if not value.strip():
        raise ConfigError(f"{argument} is blank")
    if most is not None and len(value) > most:
        raise ConfigError(f"{argument} must have at most {most} characters, not {len(value)}")
    return value


def optional_text(value: object, argument: str, *, most: int | None = None) -> str | None:
    return None if value is None else require_text(value, argument, most=most)


def optional_bool(value: object, argument: str) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise wrong_type(value, argument, "a bool")
    return value


def optional_whole(value: object, argument: str, low: int, high: int | None = None) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(value, argument, "an int")
    if value < low or (high is not None and value > high):
        expected = f"at least {low}" if high is None else f"between {low} and {high}"
        raise ConfigError(f"{argument} must be {expected}")
    return value


def optional_choice(value: object, argument: str, choices: tuple[str, ...]) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or value not in choices:
        raise ConfigError(f"{argument} must be one of {', '.join(map(repr, choices))}")
    return value


def optional_characters(value: object, argument: str, characters: str, expected: str) -> str | None:
    """A text made of ``characters`` only."""
    if value is None:
        return None
    text = require_text(value, argument)
    for at, character in enumerate(text, 1):
        if character not in characters:
            raise ConfigError(f"character {at} of {argument} must be {expected}")
    return text


def require_url(value: object, argument: str, schemes: tuple[str, ...] = _HTTP) -> str:
    """An absolute URL as it travels: ASCII without blanks, its scheme one of ``schemes``."""
    url = require_text(value, argument)
    found = _URL.fullmatch(url) if url.isascii() and url.isprintable() and " " not in url else None
    if found is None or found[1].lower() not in schemes:
        raise ConfigError(
            f"{argument} must be an absolute {' or '.join(schemes)} URL",
            hint="percent-encode what is not ASCII, blanks and backslashes",
        )
    return url


def optional_url(value: object, argument: str) -> str | None:
    return None if value is None else require_url(value, argument)


def optional_pairs(value: object, argument: str, *, most: int | None = None) -> str | None:
    """A mapping of alphanumeric names to such values, as ``name=value,name2=value2``."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise wrong_type(value, argument, "a mapping")
    pairs = cast("Mapping[object, object]", value)
    if not pairs:
        raise ConfigError(f"{argument} is empty")
    for at, part in enumerate((part for pair in pairs.items() for part in pair), 2):
        if not isinstance(part, str) or not _ALPHANUMERIC.fullmatch(part):
            raise ConfigError(
                f"name or value {at // 2} of {argument} is not alphanumeric text",
                hint="use A-Z, a-z, 0-9",
            )
    text = ",".join(f"{name}={content}" for name, content in pairs.items())
    if most is not None and len(text) > most:
        raise ConfigError(f"{argument} must have at most {most} bytes, not {len(text)}")
    return text


def wrong_type(value: object, argument: str, expected: str) -> ConfigError:
    return ConfigError(f"{argument} must be {expected}, not {type(value).__name__}")
