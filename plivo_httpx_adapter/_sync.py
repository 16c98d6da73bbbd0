"""Client: the driver for plain threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import httpx

from plivo_core.rest import (
    Cause,
    Done,
    Operation,
    Page,
    Request,
    Response,
    RetryPolicy,
    Send,
    SleepUntil,
)
from plivo_httpx_adapter._base import BaseClient
from plivo_httpx_adapter._binding import Sync
from plivo_httpx_adapter._failures import BROKEN_BODY, FAILURES, broken_by

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Client"]

T = TypeVar("T")


class Client(BaseClient[Sync, httpx.Client]):
    """Plivo's REST API for plain threads: ``with Client() as client``.

    The tree is the one of :class:`~plivo_core.rest.Account`; each method blocks until the answer is
    there. All else is as with :class:`AsyncClient`. Several threads may share one client.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, unless they are those of an httpx client that was given."""
        if self._owns_http:
            self._http.close()

    def send(
        self, op: Operation[T], *, timeout: float | None = None, retry: RetryPolicy | None = None
    ) -> T:
        """Run any operation of :attr:`account`. Raises what the operation failed with."""
        lost: Exception | None = None
        step = self._begin(op, retry, monotonic())
        while True:
            if isinstance(step, Send):
                try:
                    response = self._fetch(step.request, timeout)
                except FAILURES as error:
                    lost, step = error, self._lost(op, error, monotonic())
                else:
                    lost, step = None, self._responded(op, response, monotonic())
            elif isinstance(step, SleepUntil):
                sleep(max(0.0, step.at - monotonic()))
                step = op.wake(now=monotonic())
            elif isinstance(step, Done):
                return step.value
            else:
                raise step.error from lost

    def iterate(
        self,
        op: Operation[Page[T]],
        *,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> Iterator[T]:
        """The items of a list, page by page: ``for message in client.iterate(op)``.

        ``timeout`` and ``retry`` are for each page. When a page fails, the iterator stays where it
        is: its next item is asked for again.
        """
        return _Items(self.with_options(timeout=timeout, retry=retry), op)

    def _fetch(self, request: Request, seconds: float | None) -> Response:
        message, limit = self._prepare(request, seconds)
        answer = self._http.send(message, stream=True, auth=None, follow_redirects=False)
        chunks = answer.iter_bytes() if answer.is_stream_consumed else answer.iter_raw()
        began, body, broken = monotonic(), bytearray(), None
        try:
            for chunk in chunks:
                body += chunk
                if len(body) > self._max_answer:
                    break
                if limit is not None and monotonic() - began > limit:
                    broken = Cause.TIMEOUT
                    break
        except BROKEN_BODY as error:
            broken = broken_by(error)
        finally:
            answer.close()
        return self._answer(answer, body, broken)

    def _make_http(self) -> httpx.Client:
        return httpx.Client(timeout=self._timeout)

    def _run(self, build: Callable[..., Operation[Any]], /) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            return self.send(build(*args, **kwargs))

        return run


class _Items(Iterator[T], Generic[T]):
    """Not a generator: that would be over after a page that failed."""

    def __init__(self, client: Client, op: Operation[Page[T]]) -> None:
        self._client = client
        self._next: Operation[Page[T]] | None = op
        self._items: Iterator[T] = iter(())

    def __next__(self) -> T:
        while True:
            for item in self._items:
                return item
            if self._next is None:
                raise StopIteration
            page = self._client.send(self._next.again())
            self._items, self._next = iter(page.objects), page.next_page()
