"""What every REST operation of the simulator needs: the request taken apart, answers, checks.

A check raises :class:`Refused`, which becomes the answer; nothing else that a client sends may
raise. PROTOCOL.md has no text for a failed check: ours begin with the name of the field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import cast
from urllib.parse import urlencode, urlsplit

from plivo_core.codec import DEFAULT_CODEC, MalformedMessage
from plivo_core.errors import ConfigError
from plivo_core.webhooks import FetchOptions, split_fetch_options
from plivo_core.webhooks._signatures import decode_pairs
from plivo_core.wire import Headers

__all__ = [
    "Asked",
    "Body",
    "Refused",
    "Reply",
    "choice",
    "digits_of",
    "flag",
    "invalid",
    "iso",
    "mapping",
    "page",
    "read_body",
    "required",
    "seconds_of",
    "select",
    "socket_address",
    "text",
    "texts",
    "web_address",
    "whole",
]

_MAX_URL = 2048
"""Characters of a callback address: the bound that PROTOCOL.md 14 gives for a websocket_url."""

_MAX_LIMIT = 20  # PROTOCOL.md 3.9
_MAX_OFFSET = 2**31  # no store holds more; a longer number would only cost time
_NUMBER = re.compile(r"\+?[0-9]{1,15}")  # E.164 has at most 15 digits
_WHOLE = re.compile(r"[0-9]{1,10}")
_DECIMAL = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,6})?")

Body = Mapping[str, object]
Record = Mapping[str, object]


class Refused(Exception):  # noqa: N818 - an answer, not an error of ours
    """The request is answered with ``status`` and ``text``."""

    def __init__(self, status: int, text: str, *, headers: Headers = ()) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = headers


def invalid(name: str, problem: str) -> Refused:
    """400 for the field ``name``."""
    return Refused(400, f"{name}: {problem}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that is authenticated and has an operation. ``params`` come from the path."""

    operation: str
    account: str
    path: str
    params: Sequence[str] = ()
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    body: Body = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; ``body`` gets its api_id later, None is no body at all."""

    status: int
    body: dict[str, object] | None = None


def read_body(raw: bytes) -> Body:
    """The JSON object of a request; blank counts as empty (``numbers.buy`` sends none)."""
    if not raw.strip():
        return {}
    try:
        body = DEFAULT_CODEC.decode(raw)
        # An escaped lone surrogate could be stored, but neither signed nor sent.
        json.dumps(body, ensure_ascii=False).encode()
    except MalformedMessage as error:
        problem = "JSON, but no object" if error.reason == "not_an_object" else "not JSON"
        raise invalid("body", problem) from None
    except ValueError:
        raise invalid("body", "not Unicode") from None
    return body


# --- fields of a body -----------------------------------------------------------------------------


def text(body: Body, name: str, *, most: int = 1000) -> str | None:
    """A text, or None where there is none; ``most`` characters, enough for whatever is short."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise invalid(name, "must be text")
    if len(value) > most:
        raise invalid(name, f"must have at most {most} characters")
    return value


def required(body: Body, name: str, *, most: int = 1000) -> str:
    """A text that says something."""
    value = text(body, name, most=most)
    if value is None or not value.strip():
        raise invalid(name, "is required")
    return value


def whole(body: Body, name: str, low: int, high: int) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise invalid(name, f"must be a whole number from {low} to {high}")
    return value


def flag(body: Body, name: str) -> bool | None:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise invalid(name, "must be true or false")
    return value


def choice(body: Body, name: str, names: Collection[str], default: str) -> str:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, str) or value not in names:
        raise invalid(name, f"must be one of {', '.join(names)}")
    return value


def texts(body: Body, name: str, *, most: int) -> list[str]:
    """A list of texts that say something."""
    value = body.get(name)
    if value is None:
        return []
    entries = cast("list[object]", value) if isinstance(value, list) else [None]
    if not all(isinstance(entry, str) and entry for entry in entries):
        raise invalid(name, "must be a list of texts")
    if len(entries) > most:
        raise invalid(name, f"must have at most {most} entries")
    return cast("list[str]", entries)


def mapping(body: Body, name: str) -> Body | None:
    value = body.get(name)
    if value is not None and not isinstance(value, Mapping):
        raise invalid(name, "must be an object")
    return cast("Body | None", value)


def web_address(value: object, name: str) -> tuple[str, FetchOptions]:
    """The address of a callback and its fetch options (PROTOCOL.md 7.7)."""
    try:
        if isinstance(value, str) and _is_plain(value):
            return split_fetch_options(value)
    except ConfigError as error:
        raise invalid(name, f"must be an http or https address: {error.message}") from None
    raise invalid(name, f"must be an http or https address of at most {_MAX_URL} characters")


def socket_address(value: object, name: str) -> str:
    """The address of a WebSocket (PROTOCOL.md 5.5)."""
    if not isinstance(value, str) or not _is_plain(value):
        raise invalid(name, f"must be a ws or wss address of at most {_MAX_URL} characters")
    if not re.match(r"wss?://[^/?#]", value, re.IGNORECASE):
        raise invalid(name, "must be a ws or wss address")
    return value


def _is_plain(url: str) -> bool:
    """Whether it can stand in a request line as it is, names a host and can be signed."""
    if not (len(url) <= _MAX_URL and url.isascii() and url.isprintable() and " " not in url):
        return False
    try:
        parts = urlsplit(url)
        decode_pairs(parts.query)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # an IPv6 address or a port that is none; a query that is not UTF-8
        return False


def digits_of(number: str) -> str | None:
    """The digits of a phone number with or without plus; None: it is no phone number."""
    return number.lstrip("+") if _NUMBER.fullmatch(number) else None


# --- time -----------------------------------------------------------------------------------------


def iso(wall: float) -> str:
    """Unix seconds in ISO 8601, UTC."""
    return datetime.fromtimestamp(wall, tz=timezone.utc).isoformat(timespec="milliseconds")


def seconds_of(value: str, name: str) -> float:
    """Unix seconds of ISO 8601 or ``YYYY-MM-DD HH:MM[:SS]``; without a zone it is UTC."""
    spelled = value[:-1] + "+00:00" if value.endswith(("Z", "z")) else value
    try:
        moment = datetime.fromisoformat(spelled)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return moment.timestamp()
    except (ValueError, OverflowError):
        raise invalid(name, "must be a date or a time in ISO 8601") from None


# --- lists ----------------------------------------------------------------------------------------


def select(
    records: Sequence[Record],
    query: Mapping[str, str],
    *,
    exact: Mapping[str, Sequence[str]],
    times: Mapping[str, str] | None = None,
    amounts: Mapping[str, str] | None = None,
) -> Sequence[Record]:
    """The records that all filters of ``query`` let pass.

    ``exact`` maps a filter to the members of which one must equal it; ``times`` and ``amounts`` map
    the stem of filters that end in ``__gt``, ``__gte``, ``__lt``, ``__lte`` or nothing to a member.
    Filters that none names are ignored, as PROTOCOL.md says nothing of their refusal.
    """
    for name, wanted in query.items():
        stem, _, operator = name.partition("__")
        if name in exact:
            members = exact[name]
            records = [r for r in records if any(_equal(r.get(m), wanted) for m in members)]
        elif operator not in _COMPARISONS:
            continue
        elif times is not None and stem in times:
            records = _compared(records, times[stem], operator, seconds_of(wanted, name), name)
        elif amounts is not None and stem in amounts:
            if not _DECIMAL.fullmatch(wanted):
                raise invalid(name, "must be a number of seconds")
            records = _compared(records, amounts[stem], operator, float(wanted), name)
    return records


_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "": lambda a, b: a == b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
}


def _compared(
    records: Sequence[Record], member: str, operator: str, bound: float, name: str
) -> Sequence[Record]:
    holds = _COMPARISONS[operator]

    def passes(value: object) -> bool:
        if isinstance(value, str):
            value = seconds_of(value, name)
        return isinstance(value, (int, float)) and holds(value, bound)

    return [record for record in records if passes(record.get(member))]


def _equal(value: object, wanted: str) -> bool:
    """Numbers with and without plus are one; PROTOCOL.md leaves open which form is preferred."""
    if value is None:
        return False
    spelled = str(value).lower() if isinstance(value, bool) else str(value)
    if spelled == wanted:
        return True
    return digits_of(spelled) is not None and digits_of(spelled) == digits_of(wanted)


def page(asked: Asked, records: Sequence[Record], *, sortable: Collection[str] = ()) -> Reply:
    """One page of ``records`` in the envelope of PROTOCOL.md 3.9, at most 20 of them."""
    query = asked.query
    limit = _whole_of(query, "limit", _MAX_LIMIT, low=1, high=_MAX_LIMIT)
    offset = _whole_of(query, "offset", 0, low=0, high=_MAX_OFFSET)
    order = query.get("sort_order", "asc")
    if order not in ("asc", "desc"):
        raise invalid("sort_order", "must be asc or desc")
    if (member := query.get("sort_by")) is not None and sortable:
        if member not in sortable:
            raise invalid("sort_by", f"must be one of {', '.join(sortable)}")
        records = sorted(
            records, key=lambda record: _rank(record.get(member)), reverse=order == "desc"
        )
    following = offset + limit

    def at(start: int | None) -> str | None:
        if start is None:
            return None
        filters = {**query, "limit": str(limit), "offset": str(start)}
        return f"{asked.path}?{urlencode(filters)}"

    meta = {
        "limit": limit,
        "offset": offset,
        "total_count": len(records),
        "previous": at(max(0, offset - limit) if offset else None),
        "next": at(following if following < len(records) else None),
    }
    return Reply(200, {"meta": meta, "objects": list(records[offset:following])})


def _rank(value: object) -> tuple[int, float, str]:
    if value is None:
        return 0, 0.0, ""
    if isinstance(value, (int, float)):
        return 1, float(value), ""
    return 2, 0.0, str(value)


def _whole_of(query: Mapping[str, str], name: str, default: int, *, low: int, high: int) -> int:
    value = query.get(name)
    if value is None:
        return default
    if not _WHOLE.fullmatch(value) or not low <= int(value) <= high:
        raise invalid(name, f"must be a whole number from {low} to {high}")
    return int(value)
