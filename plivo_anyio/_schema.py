"""JSON Schema from type hints, and the way back: a model's arguments as a handler's keywords.

:func:`tool_parameters` looks at a handler once, when it is registered; what it gives says the
schema and reads arguments by the very same table of kinds, so that the two cannot disagree. Pure
functions of hints and values; what a hint cannot say in JSON is refused with a ConfigError.

Reading is strict: no text becomes a number and no number a text. Two things are the same in JSON
and so are taken: an integer for a float, and 5.0 for an int.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, cast

from plivo_anyio._schema_kinds import Kind, Misfit, Unsupported, kind_of, object_kind
from plivo_core import ConfigError

__all__ = ["Misfit", "Parameters", "tool_parameters"]

_SUPPORTED = (
    "use str, int, float, bool, None, Literal, Enum, list, tuple, set, dict[str, ...], Optional, "
    "Union, TypedDict, a dataclass or Annotated[..., 'description'] of these"
)


@dataclass(frozen=True, slots=True)
class Parameters:
    """What one tool takes."""

    _kind: Kind

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of ``arguments``; a new object each time."""
        return deepcopy(self._kind.schema)

    def read(self, arguments: Mapping[str, object]) -> dict[str, Any]:
        """The keywords for the handler. Raises :class:`Misfit`; its text is made for the model."""
        return cast("dict[str, Any]", self._kind.read(arguments, ""))


def tool_parameters(handler: Callable[..., object], tool: str) -> Parameters:
    """What ``handler(session, ...)`` takes besides the session. Raises ConfigError."""
    try:
        signature = inspect.signature(handler)
    except (TypeError, ValueError, NameError) as error:
        raise ConfigError(f"tool {tool!r}: the handler has no readable signature") from error
    parameters = list(signature.parameters.values())
    if not parameters or parameters[0].kind not in (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    ):
        raise ConfigError(
            f"tool {tool!r}: the handler must take the session first",
            hint="async def handler(session, order_id: str)",
        )
    scope = _scope(handler)
    members = {each.name: _member(each, scope, tool) for each in parameters[1:]}
    return Parameters(object_kind(members, dict))


def _member(
    parameter: inspect.Parameter, scope: dict[str, Any], tool: str
) -> tuple[Kind, bool, object]:
    """Its kind, whether it is required, and its default."""
    where = f"tool {tool!r}: parameter {parameter.name!r}"
    if parameter.kind not in (
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.KEYWORD_ONLY,
    ):
        raise ConfigError(
            f"{where} cannot be passed by name", hint="give each argument a parameter of its own"
        )
    if parameter.annotation is inspect.Parameter.empty:
        raise ConfigError(f"{where} has no type hint", hint=_SUPPORTED)
    try:
        kind = kind_of(_resolved(parameter.annotation, scope))
    except Unsupported as error:
        raise ConfigError(f"{where}: {error}", hint=_SUPPORTED) from None
    except Exception as error:
        # A hint as text may be any expression, and any exception may come of it.
        raise ConfigError(
            f"{where}: the hint cannot be resolved: {error}",
            hint="name types that the module of the handler imports at run time, not in a function "
            "or under TYPE_CHECKING",
        ) from error
    required = parameter.default is inspect.Parameter.empty
    return kind, required, parameter.default


def _resolved(annotation: object, scope: dict[str, Any]) -> object:
    """The hint behind text. One at a time: the session's own hint need not resolve at run time."""
    holder = types.SimpleNamespace(__annotations__={"hint": annotation})
    # A namespace is no documented argument, but all that get_type_hints asks is __annotations__.
    return typing.get_type_hints(cast("Any", holder), globalns=scope, include_extras=True)["hint"]


def _scope(handler: Any) -> dict[str, Any]:
    """The names that hints of ``handler`` may use: its module's, and what it closes over."""
    function: Any = inspect.unwrap(getattr(handler, "func", handler))  # the func of a partial
    if not hasattr(function, "__code__"):
        function = type(function).__call__  # an object that is called
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return {
        **function.__globals__,
        **{name: cell.cell_contents for name, cell in cells if _is_filled(cell)},
    }


def _is_filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - an empty one raises
    except ValueError:
        return False
    return True
