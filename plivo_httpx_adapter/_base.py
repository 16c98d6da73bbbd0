"""What AsyncClient and Client share: settings, the tree, and all of an attempt but the waiting."""

from __future__ import annotations

import abc
import copy
import logging
import os
import random
from collections.abc import Callable
from functools import cached_property, lru_cache
from time import time
from typing import Any, Generic, TypeVar

import httpx

from plivo_core import ConfigError
from plivo_core.rest import (
    API_URL,
    Account,
    Cause,
    Operation,
    Request,
    Response,
    RetryPolicy,
    SleepUntil,
    Step,
)
from plivo_httpx_adapter._binding import Mode
from plivo_httpx_adapter._failures import classify
from plivo_httpx_adapter._resources import Agent, Calls, Messages, Numbers

__all__ = ["MAX_ANSWER", "BaseClient"]

MAX_ANSWER = 2 * 1024 * 1024
"""Bytes of an answer's body that are read; a page of 20 records is some 20 KiB, and JSON takes
many times its size when it is decoded."""
TIMEOUT = 30.0
"""Seconds; what the agent SDKs wait."""

H = TypeVar("H", httpx.AsyncClient, httpx.Client)
S = TypeVar("S", bound="BaseClient[Any, Any]")
T = TypeVar("T")

logger = logging.getLogger("plivo_httpx_adapter")

# All creates of one kind go to one address, and parsing it is a tenth of what httpx costs.
_parsed = lru_cache(maxsize=64)(httpx.URL)


class BaseClient(abc.ABC, Generic[Mode, H]):
    """Everything but the I/O."""

    def __init__(
        self,
        auth_id: str | None = None,
        auth_token: str | None = None,
        *,
        base_url: str | None = None,
        lookup_url: str | None = None,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
        http_client: H | None = None,
        max_answer: int = MAX_ANSWER,
    ) -> None:
        # Empty equals unset; what is missing then, the account reports.
        self.account = Account(
            auth_id or os.environ.get("PLIVO_AUTH_ID", ""),
            auth_token or os.environ.get("PLIVO_AUTH_TOKEN", ""),
            base_url=base_url or os.environ.get("PLIVO_API_URL") or API_URL,
            lookup_url=lookup_url or None,
        )
        """The pure tree: its methods build operations for :meth:`send` and :meth:`iterate`."""
        self._timeout = _checked(timeout) if timeout is not None or http_client else TIMEOUT
        self._retry = retry
        self._max_answer = max_answer
        self._owns_http = http_client is None
        self._http: H = self._make_http() if http_client is None else http_client

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.account!r})"

    # -- the tree ------------------------------------------------------------------------------

    @cached_property
    def agent(self) -> Agent[Mode]:
        """Voice agents: ``agents``, ``calls``, ``numbers``, ``sessions``."""
        return Agent(self.account.agent, self._run)

    @cached_property
    def calls(self) -> Calls[Mode]:
        """Calls of any kind: hang up, streams."""
        return Calls(self.account.calls, self._run)

    @cached_property
    def messages(self) -> Messages[Mode]:
        """SMS, MMS, WhatsApp."""
        return Messages(self.account.messages, self._run)

    @cached_property
    def numbers(self) -> Numbers[Mode]:
        """Phone numbers, to rent and rented; ``numbers.lookup``."""
        return Numbers(self.account.numbers, self._run)

    # -- options -------------------------------------------------------------------------------

    def with_options(
        self: S, *, timeout: float | None = None, retry: RetryPolicy | None = None
    ) -> S:
        """The same client with another time-out or policy; what is not given stays.

        It shares the connections; closing it closes nothing.
        """
        derived = copy.copy(self)
        for name in ("agent", "calls", "messages", "numbers"):
            vars(derived).pop(name, None)  # these are bound to the client they were made for
        derived._timeout = self._timeout if timeout is None else _checked(timeout)
        derived._retry = self._retry if retry is None else retry
        derived._owns_http = False
        return derived

    # -- for the drivers -----------------------------------------------------------------------

    @abc.abstractmethod
    def _make_http(self) -> H: ...

    @abc.abstractmethod
    def _run(self, build: Callable[..., Operation[Any]], /) -> Callable[..., Any]:
        """From a method that builds an operation to one that runs it."""

    def _prepare(
        self, request: Request, timeout: float | None
    ) -> tuple[httpx.Request, float | None]:
        """The request, and the seconds that its answer's body may take. Raises InvalidURL."""
        timeout = self._timeout if timeout is None else _checked(timeout)
        message = self._http.build_request(
            request.method,
            _parsed(request.url),
            # An answer that is compressed nevertheless is not decoded: a bomb knows no size cap.
            headers=[*request.headers, ("Accept-Encoding", "identity")],
            content=request.body,
            timeout=httpx.USE_CLIENT_DEFAULT if timeout is None else timeout,
        )
        # httpx bounds each single read: a body that drips could hold a request for days.
        return message, message.extensions["timeout"]["read"]

    def _answer(self, answer: httpx.Response, body: bytearray, broken: Cause | None) -> Response:
        cap = self._max_answer
        return Response(
            answer.status_code,
            answer.headers.multi_items(),
            bytes(body[:cap]),
            complete=broken is None and len(body) <= cap,
            broken=broken if len(body) <= cap else None,
        )

    def _begin(self, op: Operation[T], retry: RetryPolicy | None, now: float) -> Step[T]:
        return op.begin(now=now, retry=retry or self._retry, jitter=_full_jitter)

    def _responded(self, op: Operation[T], response: Response, now: float) -> Step[T]:
        step = op.responded(response, now=now, wall_now=time())
        return _told(op, step, f"HTTP {response.status}")

    def _lost(self, op: Operation[T], error: Exception, now: float) -> Step[T]:
        return _told(op, op.lost(*classify(error), now=now), type(error).__name__)


def _told(op: Operation[Any], step: Step[T], outcome: object) -> Step[T]:
    """Log an attempt: no credentials, no bodies, and numbers in a path are masked by the repr."""
    if isinstance(step, SleepUntil):
        logger.info("%r: attempt %d: %s; trying again", op, op.attempts, outcome)
    else:
        logger.debug("%r: attempt %d: %s", op, op.attempts, outcome)
    return step


def _full_jitter(wait: float) -> float:
    """Anything up to the back-off: clients that failed together do not come back together."""
    return random.uniform(0.0, wait)


def _checked(timeout: float | None) -> float | None:
    if timeout is not None and not 0 < timeout < float("inf"):
        raise ConfigError(f"timeout is {timeout!r}", hint="a number of seconds above 0")
    return timeout
