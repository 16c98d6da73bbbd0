"""Commands run in this process, as from a shell; what they end with and print."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from plivo_anyio._cli import main


@dataclass(frozen=True)
class Done:
    """A command that is over."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The output of --json: one object per line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def summary(self) -> dict[str, Any]:
        summary: dict[str, Any] = self.lines[-1]["summary"]
        return summary

    @property
    def missed(self) -> dict[str, Any]:
        """The one thing that was missed."""
        (missed,) = self.summary["missed"]
        assert isinstance(missed, dict)
        return missed


Plivo = Callable[..., Done]


@pytest.fixture
def plivo(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Plivo:
    """``plivo("call", url, "--json")``, with nothing of Plivo's in the environment."""
    for name in ("PLIVO_AUTH_TOKEN", "PLIVO_PUBLIC_URL", "PLIVO_LOG", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: object) -> Done:
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        return Done(status, *capsys.readouterr())

    return run


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    """The command's own event loop."""
    name: str = request.param
    return name
