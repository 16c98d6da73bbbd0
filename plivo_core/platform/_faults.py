"""Failures on purpose, as data: which request gets which wrong answer, and how often."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from plivo_core.errors import ConfigError
from plivo_core.platform._routes import OPERATIONS
from plivo_core.platform._scenario import RestFault
from plivo_core.wire import Headers, Response

__all__ = ["Fault", "FaultPlan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The answer ``status`` for requests of ``operation`` (None: for all).

    ``method`` and ``path`` narrow them further: empty they match all, a path matches where it
    occurs.
    ``skip`` matching requests go by first, then ``times`` get it (None: all that follow).
    ``retry_after`` is that header as it is written, seconds or an HTTP date. ``done``: the
    operation is carried out first, so that only its answer is lost. Raises ConfigError.
    """

    status: int
    operation: str | None = None
    method: str = ""
    path: str = ""
    skip: int = 0
    times: int | None = 1
    retry_after: str | None = None
    body: bytes | None = None
    done: bool = False

    def __post_init__(self) -> None:
        if not 400 <= self.status <= 599:
            raise ConfigError(f"status is {self.status}", hint="a fault answers 400 to 599")
        if self.operation is not None and self.operation not in OPERATIONS:
            raise ConfigError(
                f"there is no operation {self.operation!r}",
                hint=f"one of {', '.join(sorted(OPERATIONS))}",
            )

    @classmethod
    def of_scenario(cls, fault: RestFault) -> Fault:
        """The fault that a scenario describes."""
        after = fault.retry_after
        return cls(
            status=fault.status,
            method=fault.method,
            path=fault.path,
            times=fault.times,
            retry_after=None if after is None else f"{after:g}",
        )

    def matches(self, operation: str, method: str, path: str) -> bool:
        """Whether the request is one of those."""
        return (
            self.operation in (None, operation)
            and self.method in ("", method)
            and self.path in path
        )

    def response(self) -> Response:
        headers: Headers = (("content-type", "application/json"),)
        if self.retry_after is not None:
            headers += (("retry-after", self.retry_after),)
        body = f'{{"error":"a fault of the plan: {self.status}"}}'.encode()
        return Response(
            status=self.status, headers=headers, body=body if self.body is None else self.body
        )


class FaultPlan:
    """Faults, each with its count. The first that is due decides; all that match count."""

    def __init__(self, faults: Iterable[Fault | RestFault]) -> None:
        self._faults = tuple(
            fault if isinstance(fault, Fault) else Fault.of_scenario(fault) for fault in faults
        )
        self._seen = [0] * len(self._faults)

    def next(self, operation: str, method: str, path: str) -> Fault | None:
        """What goes wrong with this request."""
        chosen: Fault | None = None
        for at, fault in enumerate(self._faults):
            if not fault.matches(operation, method, path):
                continue
            seen = self._seen[at]
            self._seen[at] = seen + 1
            due = fault.skip <= seen and (fault.times is None or seen < fault.skip + fault.times)
            if due and chosen is None:
                chosen = fault
        return chosen
