"""Requests and responses as plain data, and how arguments become a path, a query and a body.

Not :mod:`plivo_core.wire`'s classes of the same names: those are what a peer asks of our server,
these what we ask of Plivo. The rules are PROTOCOL.md 2.1.
"""

from __future__ import annotations

import json
from binascii import b2a_base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias, TypeVar, cast
from urllib.parse import quote

from plivo_core.codec import Codec
from plivo_core.errors import ConfigError, InvalidCommandError, mask_path
from plivo_core.rest._vocabulary import Cause

__all__ = [
    "NOT_GIVEN",
    "VERSION",
    "Headers",
    "NotGiven",
    "Query",
    "Request",
    "Response",
    "basic_auth",
    "encode_body",
    "encode_query",
    "given",
    "passed_on",
    "require_filled",
    "segment",
    "without_blanks",
    "without_none",
]

T = TypeVar("T")

VERSION: Final = "0.1.0"  # tests hold it equal to pyproject.toml; the core reads no metadata

Headers: TypeAlias = Sequence[tuple[str, str]]
Query: TypeAlias = Mapping[str, object]


class NotGiven(Enum):
    """The type of :data:`NOT_GIVEN`, the default of arguments whose ``None`` is sent as null."""

    NOT_GIVEN = "NOT_GIVEN"

    def __repr__(self) -> str:
        return self.value


NOT_GIVEN: Final = NotGiven.NOT_GIVEN


@dataclass(frozen=True, slots=True)
class Request:
    """What to send: put ``method``, ``url``, ``headers`` and ``body`` on the wire unchanged.

    ``url`` is complete and percent-encoded. ``headers`` hold the credentials; the repr hides them.
    Follow no redirects, send no body for None.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None = None

    def __repr__(self) -> str:
        address = mask_path(self.url.partition("?")[0])
        size = "no body" if self.body is None else f"{len(self.body)} bytes"
        return f"<{self.__class__.__qualname__} {self.method} {address}, {size}>"


@dataclass(frozen=True, slots=True)
class Response:
    """What came: the status, the header fields as pairs, the body without content coding.

    Once the status is known an answer is a response, whatever becomes of its body: ``lost()`` is
    for requests without one. ``complete=False`` says that ``body`` is only what came before it was
    cut, and ``broken`` by what: TIMEOUT or BROKEN on its way, None at the driver's own size cap. A
    success that broke is asked for again where the method allows; one that is too large is not.
    """

    status: int
    headers: Headers = ()
    body: bytes = b""
    complete: bool = True
    broken: Cause | None = None

    def __repr__(self) -> str:
        cut = "" if self.complete else ", cut"
        return f"<{self.__class__.__qualname__} {self.status}, {len(self.body)} bytes{cut}>"

    def header(self, name: str) -> str | None:
        """The field ``name`` in any case; several are joined with commas (RFC 9110, 5.3)."""
        wanted = name.lower()
        values = [value for key, value in self.headers if key.lower() == wanted]
        return ", ".join(values) if values else None


def segment(value: str, argument: str) -> str:
    """``value`` as one part of a path: percent-encoded, so that it can name nothing else.

    Raises ConfigError (a ValueError) for what would reach another resource: empty, ``.``, ``..``.
    """
    _require_text(value, argument)
    if value in {"", ".", ".."}:
        raise ConfigError(
            f"{argument} is empty" if not value else f"{argument} must not be {value!r}",
            hint="it becomes part of the request's path",
        )
    return _quote(value, argument, safe="+")


def _as_dict(value: object) -> object:
    """A mapping that is no dict, such as a MappingProxyType, as JSON can write it."""
    if isinstance(value, Mapping):
        return dict(cast("Mapping[object, object]", value))
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


# As DEFAULT_CODEC writes, and any mapping.
_CODEC = Codec(
    dumps=json.JSONEncoder(allow_nan=False, separators=(",", ":"), default=_as_dict).encode
)


def encode_query(query: Query) -> str:
    """``?name=value&...`` or nothing: None is left out, booleans are words."""
    pairs = [
        f"{_quote(name, 'the name of a filter')}={_quote(_query_text(name, value), name)}"
        for name, value in query.items()
        if value is not None
    ]
    return "?" + "&".join(pairs) if pairs else ""


def _query_text(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)):
        return str(value)
    raise TypeError(f"{name} must be a str, a number or a bool, not {type(value).__name__}")


def encode_body(body: Mapping[str, object] | None) -> bytes | None:
    """JSON, as given. Raises ConfigError (a ValueError) for what JSON cannot carry."""
    if body is None:
        return None
    try:
        return _CODEC.encode(body).encode("ascii")
    except InvalidCommandError as error:
        raise ConfigError(
            f"the body cannot be written as JSON: {error.__cause__}", hint=error.hint
        ) from error


def given(arguments: Mapping[str, object]) -> dict[str, object]:
    """The arguments that were given; None counts and becomes null."""
    return {name: value for name, value in arguments.items() if value is not NOT_GIVEN}


def passed_on(other: Mapping[str, T]) -> Mapping[str, T]:
    """Keywords that no parameter knows: sent as given, but for the clients' own options.

    Raises ConfigError for ``timeout`` and ``retry``, which nobody means for Plivo.
    """
    for name in ("timeout", "retry"):
        if name in other:
            raise ConfigError(
                f"{name} is no argument of this method",
                hint=f"client.with_options({name}=...) sets it for the request",
            )
    return other


def require_filled(value: str, argument: str) -> str:
    """``value``, an identifier or number for a body. Raises ConfigError when it is empty."""
    _require_text(value, argument)
    if not value:
        raise ConfigError(f"{argument} is empty")
    return value


def without_none(**arguments: object) -> dict[str, object]:
    """The arguments that are not None; empty text stays."""
    return {name: value for name, value in arguments.items() if value is not None}


def without_blanks(**arguments: object) -> dict[str, object]:
    """The arguments that say something: neither None nor empty. False and 0 stay."""
    return {
        name: value
        for name, value in arguments.items()
        if value is not None and value != "" and value != [] and value != {} and value != ()
    }


def basic_auth(user: str, password: str) -> str:
    """The value of the Authorization header (RFC 7617, UTF-8)."""
    return "Basic " + b2a_base64(f"{user}:{password}".encode(), newline=False).decode("ascii")


def _require_text(value: object, argument: str) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be a str, not {type(value).__name__}")


def _quote(text: str, argument: str, safe: str = "") -> str:
    try:
        return quote(text, safe=safe)
    except UnicodeEncodeError:
        raise ConfigError(f"{argument} holds a lone surrogate, which UTF-8 cannot carry") from None
