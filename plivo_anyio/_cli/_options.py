"""Options that more than one command has, and what reads their values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import click

__all__ = ["KeyValue", "backend_option", "json_option"]

F = TypeVar("F", bound=Callable[..., Any])


def backend_option(function: F) -> F:
    return click.option(
        "--backend",
        type=click.Choice(["asyncio", "trio"]),
        default="asyncio",
        show_default=True,
        help="The event loop.",
    )(function)


def json_option(function: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")(
        function
    )


class KeyValue(click.ParamType):  # type: ignore[type-arg]  # click 8.1 has no arguments for it
    """``NAME=VALUE`` (or ``NAME: VALUE``, as headers are written) as a pair."""

    name = "name=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        if isinstance(value, tuple):  # converted already
            return cast("tuple[str, str]", value)
        text = str(value)
        cut = min((at for at in (text.find("="), text.find(":")) if at > 0), default=-1)
        if cut < 0:
            # Not the value itself, which may be a secret that lost its name.
            self.fail("expected NAME=VALUE", param, ctx)
        return text[:cut].strip(), text[cut + 1 :].strip()
