"""AsyncClient: the driver for asyncio and trio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import anyio
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
from plivo_httpx_adapter._binding import Async
from plivo_httpx_adapter._failures import BROKEN_BODY, FAILURES, broken_by

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["AsyncClient"]

# httpcore reads 64 KiB at a time, and so much it may still hold, in pieces of a byte or more, when
# the cap is passed. A transport with more has no checkpoint: no cancelling would ever stop it.
_ALREADY_READ = 2 * 65536

T = TypeVar("T")


class AsyncClient(BaseClient[Async, httpx.AsyncClient]):
    """Plivo's REST API on asyncio and trio: ``async with AsyncClient() as client``.

    The tree is the one of :class:`~plivo_core.rest.Account`, each method awaited. Without arguments
    the account is that of PLIVO_AUTH_ID and PLIVO_AUTH_TOKEN, and the address PLIVO_API_URL; an
    empty one counts as absent. ``timeout`` (seconds, 30) bounds each wait for the network, and the
    answer's body as a whole. ``http_client`` stays yours to close, and its own time-outs count
    unless you give ``timeout``. Raises ConfigError.
    """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections, unless they are those of an httpx client that was given."""
        if self._owns_http:
            await self._http.aclose()

    async def send(
        self,
        op: Operation[T],
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - httpx's own, which knows the stage
        retry: RetryPolicy | None = None,
    ) -> T:
        """Run any operation of :attr:`account`. Raises what the operation failed with."""
        lost: Exception | None = None
        step = self._begin(op, retry, anyio.current_time())
        while True:
            if isinstance(step, Send):
                try:
                    response = await self._fetch(step.request, timeout)
                except FAILURES as error:
                    lost, step = error, self._lost(op, error, anyio.current_time())
                else:
                    lost, step = None, self._responded(op, response, anyio.current_time())
            elif isinstance(step, SleepUntil):
                await anyio.sleep_until(step.at)
                step = op.wake(now=anyio.current_time())
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
    ) -> AsyncIterator[T]:
        """The items of a list, page by page: ``async for message in client.iterate(op)``.

        ``timeout`` and ``retry`` are for each page. When a page fails or its request is cancelled,
        the iterator stays where it is: its next item is asked for again.
        """
        return _Items(self.with_options(timeout=timeout, retry=retry), op)

    async def _fetch(self, request: Request, seconds: float | None) -> Response:
        message, limit = self._prepare(request, seconds)
        answer = await self._http.send(message, stream=True, auth=None, follow_redirects=False)
        chunks = answer.aiter_bytes() if answer.is_stream_consumed else answer.aiter_raw()
        body, ignored, broken = bytearray(), 0, None
        try:
            with anyio.move_on_after(limit) as scope:
                async for chunk in chunks:
                    if len(body) > self._max_answer:
                        ignored += 1 + len(chunk)
                        if ignored > _ALREADY_READ:
                            break
                        continue
                    body += chunk
                    if len(body) > self._max_answer:
                        # Not `break`: cancelling unwinds httpx's generators here and now, which
                        # trio would otherwise find unfinished, and close the connection.
                        scope.cancel()
            if scope.cancelled_caught and len(body) <= self._max_answer:
                broken = Cause.TIMEOUT
        except BROKEN_BODY as error:
            broken = broken_by(error)
        finally:
            await answer.aclose()
        return self._answer(answer, body, broken)

    def _make_http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(timeout=self._timeout)

    def _run(self, build: Callable[..., Operation[Any]], /) -> Callable[..., Any]:
        async def run(*args: Any, **kwargs: Any) -> Any:
            return await self.send(build(*args, **kwargs))

        return run


class _Items(AsyncIterator[T], Generic[T]):
    """Not a generator: nothing is left to clean up when a loop over it is broken off."""

    def __init__(self, client: AsyncClient, op: Operation[Page[T]]) -> None:
        self._client = client
        self._next: Operation[Page[T]] | None = op
        self._items: Iterator[T] = iter(())

    async def __anext__(self) -> T:
        while True:
            for item in self._items:
                return item
            if self._next is None:
                raise StopAsyncIteration
            page = await self._client.send(self._next.again())
            self._items, self._next = iter(page.objects), page.next_page()
