"""How long the platform waits for a callback of ours, and what it repeats (PROTOCOL.md 7.7).

The options ride in the fragment of a callback's URL, ``https://.../answer#ct=1000&rc=3``. They are
for the platform alone: they never reach the server and no signature covers them. PROTOCOL.md gives
names, bounds and defaults; the ``&`` between pairs, the least ``tt``, the words of ``rp`` and those
of ``er`` are from Plivo's page on callback configurations (docs.plivo.com, a stored copy).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast, get_args

from plivo_core.errors import ConfigError
from plivo_core.webhooks._arguments import (
    optional_whole,
    require_text,
    require_url,
    wrong_type,
)

__all__ = ["FetchOptions", "Repeatable", "split_fetch_options", "with_fetch_options"]

Repeatable: TypeAlias = Literal["4xx", "5xx", "ct", "rt", "all"]
"""A failure to repeat on: a status, no connection in time, no answer in time, or any of them."""

_REPEATABLE = get_args(Repeatable)
# Open: regions come and go.
_REGION = re.compile(r"[a-z]+(?:_[a-z0-9]+)*")
# int() would take "+1", "1_0" and digits of other scripts.
_WHOLE = re.compile(r"0|[1-9][0-9]{0,9}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchOptions:
    """Options for fetching one callback URL; None leaves one to the platform's default.

    Times in milliseconds: ``connect_ms`` 100 to 10000 (2000), ``read_ms`` 100 to 40000 (40000),
    ``total_ms``, all repeats included, 100 to 55000 (55000). ``repeats`` 0 to 5 (1), ``repeat_on``
    which failures (ct and rt). ``region`` is nearest (the default), local or a region's name.
    Raises ConfigError naming the argument.
    """

    connect_ms: int | None = None
    read_ms: int | None = None
    total_ms: int | None = None
    repeats: int | None = None
    repeat_on: tuple[Repeatable, ...] | None = None
    region: str | None = None

    def __post_init__(self) -> None:
        for argument, (low, high) in _BOUNDS.items():
            optional_whole(getattr(self, argument), argument, low, high)
        if self.repeat_on is not None:
            object.__setattr__(self, "repeat_on", _require_failures(self.repeat_on))
        if self.region is not None and not _REGION.fullmatch(require_text(self.region, "region")):
            raise ConfigError(
                "region must be nearest, local or a region's name", hint="such as n_virginia"
            )

    def __str__(self) -> str:
        """As a fragment, without ``#``; empty when nothing is set."""
        pairs: list[str] = []
        for argument, name in _NAMES.items():
            value = getattr(self, argument)
            if value is not None:
                text = ",".join(value) if argument == "repeat_on" else str(value)
                pairs.append(f"{name}={text}")
        return "&".join(pairs)

    @classmethod
    def parse(cls, fragment: str) -> FetchOptions:
        """Of a fragment without ``#``. Raises ConfigError for an option that is no option."""
        given: dict[str, object] = {}
        for at, pair in enumerate(fragment.split("&") if fragment else (), 1):
            name, _, text = pair.partition("=")
            argument = _ARGUMENTS.get(name)
            if argument is None or not text or argument in given:
                raise ConfigError(
                    f"part {at} of the fragment is no fetch option",
                    hint=f"each of {', '.join(_ARGUMENTS)} once, as name=value, joined with &",
                )
            given[argument] = _read(argument, text)
        return cls(**given)  # type: ignore[arg-type]  # checked when it is made


_NAMES = {
    "connect_ms": "ct",
    "read_ms": "rt",
    "total_ms": "tt",
    "repeats": "rc",
    "repeat_on": "rp",
    "region": "er",
}
_ARGUMENTS = {name: argument for argument, name in _NAMES.items()}
_BOUNDS = {
    "connect_ms": (100, 10_000),
    "read_ms": (100, 40_000),
    "total_ms": (100, 55_000),
    "repeats": (0, 5),
}


def with_fetch_options(url: str, options: FetchOptions) -> str:
    """``url`` with ``options`` as its fragment; unchanged when none is set.

    For answer, fallback, hangup, ring, action and callback URLs. Raises ConfigError for a ``url``
    that is not absolute http or https, or has a fragment already.
    """
    if "#" in require_url(url, "url"):
        raise ConfigError("url has a fragment already", hint="take it off with split_fetch_options")
    fragment = str(options)
    return f"{url}#{fragment}" if fragment else url


def split_fetch_options(url: str) -> tuple[str, FetchOptions]:
    """The URL that is requested and signed, and the options of its fragment.

    Raises ConfigError when the fragment is something else.
    """
    address, _, fragment = require_url(url, "url").partition("#")
    return address, FetchOptions.parse(fragment)


def _read(argument: str, text: str) -> object:
    if argument == "repeat_on":
        return tuple(text.split(","))
    if argument == "region":
        return text
    if not _WHOLE.fullmatch(text):
        raise ConfigError(f"{argument} must be a whole number in the fragment")
    return int(text)


def _require_failures(value: object) -> tuple[Repeatable, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise wrong_type(value, "repeat_on", "a tuple of str")
    failures = tuple(cast("Iterable[object]", value))
    known = all(one in _REPEATABLE for one in failures)
    if not failures or not known or len(set(failures)) < len(failures):
        raise ConfigError(f"repeat_on must be distinct ones of {', '.join(_REPEATABLE)}")
    return cast("tuple[Repeatable, ...]", failures)
