"""Lists: one page, and the operation that fetches the next (PROTOCOL.md 3.9, D-10).

The next page is asked for by offset. The ``next`` address of an answer only says that there is one;
it is never followed, because it could lead anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

from plivo_core.rest._base import ADDRESS, Answer, answer, read_list
from plivo_core.rest._operation import Operation

__all__ = ["Page", "PageMeta", "page_of"]

T_co = TypeVar("T_co", covariant=True)
A = TypeVar("A", bound=Answer)

# A page's numbers are the server's; beyond this they are nonsense, and costly to print.
_MAX_OFFSET = 2**63


@answer
class PageMeta(Answer):
    """Where a page stands in its list. Messages may lack ``total_count``."""

    limit: int | None = None
    offset: int | None = None
    total_count: int | None = None
    previous: str | None = field(default=None, metadata=ADDRESS)
    next: str | None = field(default=None, metadata=ADDRESS)


# No slots: on 3.10 a frozen, slotted class cannot be called as Page[Message](...).
@dataclass(frozen=True, kw_only=True)
class Page(Generic[T_co]):
    """One page of a list.

    ``objects`` holds the answer's objects as typed values (what is no JSON object stays in
    ``raw``), ``meta`` where the page stands, ``raw`` the whole envelope; ``page["name"]`` reads it.
    """

    objects: Sequence[T_co]
    meta: PageMeta = field(default_factory=PageMeta)
    raw: Mapping[str, object] = field(default_factory=dict[str, object], repr=False)
    next_offset: int | None = None
    """Where the next page begins; None: this is the last one."""
    at: Callable[[int], Operation[Page[T_co]]] | None = field(
        default=None, repr=False, compare=False
    )
    """Builds the operation for the page at an offset, with the same filters."""

    __hash__ = None  # type: ignore[assignment]

    def __getitem__(self, name: str) -> object:
        return self.raw[name]

    def next_page(self) -> Operation[Page[T_co]] | None:
        """The operation for the next page; None: this is the last one."""
        if self.at is None or self.next_offset is None:
            return None
        return self.at(self.next_offset)


def page_of(
    item: type[A],
    raw: Mapping[str, object],
    *,
    requested_offset: int,
    at: Callable[[int], Operation[Page[A]]],
) -> Page[A]:
    """The page that an envelope holds; never raises."""
    meta = raw.get("meta")
    known = PageMeta.read(cast("Mapping[str, object]", meta) if isinstance(meta, Mapping) else {})
    received = raw.get("objects")
    items = cast("list[object]", received) if isinstance(received, list) else []
    return Page(
        objects=read_list(item, items),
        meta=known,
        raw=raw,
        next_offset=_next_offset(known, len(items), requested_offset),
        at=at,
    )


def _next_offset(meta: PageMeta, count: int, requested: int) -> int | None:
    if not count or meta.next is None:
        return None
    # A server that garbles its own numbers must not send us back: the offset always grows.
    start, step = requested, count
    if meta.offset is not None and requested < meta.offset < _MAX_OFFSET:
        start = meta.offset
    if meta.limit is not None and 0 < meta.limit < _MAX_OFFSET:
        step = meta.limit
    return start + step
