"""What all resources share: addresses, headers and policy, made into operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from plivo_core.rest._base import Answer
from plivo_core.rest._operation import Operation
from plivo_core.rest._page import Page, page_of
from plivo_core.rest._request import (
    VERSION,
    Query,
    Request,
    basic_auth,
    encode_body,
    encode_query,
)
from plivo_core.rest._retry import RetryPolicy

__all__ = ["Api", "nothing"]

T = TypeVar("T")
A = TypeVar("A", bound=Answer)


class Api:
    """Builds operations for one account. ``path`` is encoded by the caller, part by part."""

    __slots__ = ("_base_url", "_headers", "_lookup_url", "_prefix", "_retry")

    def __init__(
        self,
        *,
        auth_id: str,
        auth_token: str,
        prefix: str,
        base_url: str,
        lookup_url: str,
        retry: RetryPolicy,
    ) -> None:
        self._base_url = base_url
        self._lookup_url = lookup_url
        self._prefix = prefix
        self._retry = retry
        self._headers = (
            ("Authorization", basic_auth(auth_id, auth_token)),
            ("Accept", "application/json"),
            ("Content-Type", "application/json"),
            ("User-Agent", f"plivo-sansio/{VERSION}"),
        )

    def operation(
        self,
        method: str,
        path: str,
        decode: Callable[[Mapping[str, object]], T],
        *,
        query: Query | None = None,
        body: Mapping[str, object] | None = None,
        look_up: str = "",
    ) -> Operation[T]:
        """``look_up`` tells users of a create or change how to see whether it happened."""
        return self._build(
            self._base_url, method, self._prefix + path, decode, query or {}, body, look_up
        )

    def page(
        self, path: str, item: type[A], query: Mapping[str, object] | None = None
    ) -> Operation[Page[A]]:
        """A list whose answer is an envelope."""
        filters = dict(query or {})
        offset = filters.get("offset")
        start = offset if isinstance(offset, int) else 0

        def at(offset: int) -> Operation[Page[A]]:
            return self.page(path, item, {**filters, "offset": offset})

        def decode(raw: Mapping[str, object]) -> Page[A]:
            return page_of(item, raw, requested_offset=start, at=at)

        return self.operation("GET", path, decode, query=filters)

    def lookup(
        self, path: str, decode: Callable[[Mapping[str, object]], T], *, query: Query
    ) -> Operation[T]:
        """On the lookup host, without the account's prefix."""
        return self._build(self._lookup_url, "GET", path, decode, query, None, "")

    def _build(
        self,
        base: str,
        method: str,
        path: str,
        decode: Callable[[Mapping[str, object]], T],
        query: Query,
        body: Mapping[str, object] | None,
        look_up: str,
    ) -> Operation[T]:
        url = base + path + encode_query(query)
        request = Request(method, url, self._headers, encode_body(body))
        return Operation(request, decode, path=path, look_up=look_up, retry=self._retry)


def nothing(_: Mapping[str, object]) -> None:
    """Decode an answer that says nothing."""
