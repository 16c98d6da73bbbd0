"""What the helpers for an agent's configuration are made of.

A :class:`Section` is a dict, the very object that travels, that checks its known members when it is
made and masks its secrets when it is shown. The constructor's annotations are the table of what is
checked: ``Annotated[the type, the rule]``. A rule takes a value and the field's name, and returns
what to keep or raises :class:`~plivo_core.errors.ConfigError`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from sys import float_info
from typing import Annotated, Any, ClassVar, Protocol, TypeAlias, cast, get_args

from plivo_core._redact import redact, redact_setting
from plivo_core.errors import ConfigError

__all__ = [
    "CustomerTool",
    "Flag",
    "Number",
    "PlatformTool",
    "Rule",
    "Section",
    "Text",
    "Texts",
    "Tools",
    "Whole",
    "at_least",
    "between",
    "choice",
    "described_by",
    "filled",
    "list_of",
    "mapping",
    "not_among",
    "number",
    "plain",
    "section",
    "text",
    "whole",
    "wrong_type",
]

Rule: TypeAlias = Callable[[object, str], object]

# A provider's name is short, so a longer text in its place may be a key: not shown.
_MAX_SHOWN = 24
_ESCAPE = "a plain dict is sent unchecked"


class Section(dict[str, Any]):
    """A part of the configuration, as it travels.

    Members are checked when the section is made: ConfigError names the field, what is expected and
    what came. None leaves a member out (put null in by hand: this is a dict). Keywords that are not
    known here are sent unchecked, as is a plain dict in a section's place.
    """

    __slots__ = ()
    _path: ClassVar[str]
    _rules: ClassVar[Mapping[str, Rule]]
    _optional: ClassVar[frozenset[str]]

    def __init_subclass__(cls, *, path: str | None = None) -> None:
        """``path`` goes before the members' names in messages; without it nothing is new."""
        if path is None:
            return
        annotations: dict[str, Any] = vars(cls)["__init__"].__annotations__
        table = {name: get_args(hint) for name, hint in annotations.items() if _has_rule(hint)}
        for name, (kind, _) in table.items():
            annotations[name] = kind  # what help() shows
        cls._path = path
        cls._rules = {name: rule for name, (_, rule) in table.items()}
        cls._optional = frozenset(
            name for name, (kind, _) in table.items() if type(None) in get_args(kind)
        )

    def __repr__(self) -> str:
        members = (f"{name}={redact_setting(name, value)!r}" for name, value in self.items())
        return f"{type(self).__name__}({', '.join(members)})"

    def check(self) -> None:
        """Check the known members once more, after this dict was changed."""
        self._checked(self)

    def _take(self, arguments: dict[str, Any]) -> None:
        """Fill an empty section from ``locals()``: naming thirty arguments twice invites slips."""
        self.update(self._checked(arguments))
        self.update(arguments["unknown"])

    def _checked(self, given: Mapping[str, object]) -> dict[str, object]:
        return {
            name: rule(given.get(name), self._path + name)
            for name, rule in self._rules.items()
            if given.get(name) is not None or name not in self._optional
        }


def _has_rule(hint: object) -> bool:
    return hasattr(hint, "__metadata__")


def plain(value: object) -> object:
    """A copy of a JSON-like ``value`` whose mappings are dicts."""
    if isinstance(value, Mapping):
        members = cast("Mapping[object, object]", value)
        return {name: plain(member) for name, member in members.items()}
    if isinstance(value, list):
        return [plain(entry) for entry in cast("list[object]", value)]
    if isinstance(value, tuple):
        return tuple(plain(entry) for entry in cast("tuple[object, ...]", value))
    return value


# --- errors ---


def wrong_type(value: object, field: str, expected: str) -> ConfigError:
    # The type only: the value may be a key in the wrong place.
    return ConfigError(f"{field} must be {expected}, not {type(value).__name__}")


def not_among(names: tuple[str, ...], got: object, field: str, hint: str = "") -> ConfigError:
    """An error that names all the valid names and the nearest one."""
    if not isinstance(got, str):
        return wrong_type(got, field, f"one of {', '.join(names)}")
    # In here: loaded for who needs it, and only then.
    from difflib import get_close_matches

    shown = repr(got) if len(got) <= _MAX_SHOWN else f"a text of {len(got)} characters"
    nearest = get_close_matches(got[:_MAX_SHOWN].lower(), names, 1)
    hints = [f"did you mean {name!r}?" for name in nearest]
    return ConfigError(
        f"{field} must be one of {', '.join(names)}, got {shown}",
        hint="; ".join([*hints, hint] if hint else hints),
    )


# --- rules ---


def text(value: object, field: str) -> str:
    if not isinstance(value, str):
        raise wrong_type(value, field, "a str")
    return value


def filled(value: object, field: str) -> str:
    if not text(value, field):
        raise ConfigError(f"{field} is empty")
    return cast("str", value)


def flag(value: object, field: str) -> bool:
    if not isinstance(value, bool):
        raise wrong_type(value, field, "a bool")
    return value


def number(value: object, field: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise wrong_type(value, field, "a number")
    if not -float_info.max <= value <= float_info.max:  # NaN compares false
        raise ConfigError(f"{field} must be a finite number, got {redact(value)!r}")
    return value


def integer(value: object, field: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(value, field, "an int")
    return value


def between(low: float, high: float, unit: str = "") -> Rule:
    """A number from ``low`` to ``high``, both included."""
    return _ranged(number, low, high, unit)


def whole(low: int, high: int, unit: str = "") -> Rule:
    """An int from ``low`` to ``high``, both included."""
    return _ranged(integer, low, high, unit)


def at_least(
    low: int, unit: str = "", *, kind: Callable[[object, str], int | float] = integer
) -> Rule:
    """A number from ``low`` on."""
    expected = f"at least {low} {unit}".rstrip()

    def rule(value: object, field: str) -> int | float:
        checked = kind(value, field)
        if checked < low:
            raise ConfigError(f"{field} must be {expected}, got {redact(checked)!r}")
        return checked

    return rule


def _ranged(kind: Callable[[object, str], int | float], low: float, high: float, unit: str) -> Rule:
    expected = f"between {low} and {high} {unit}".rstrip()

    def rule(value: object, field: str) -> int | float:
        checked = kind(value, field)
        if not low <= checked <= high:
            raise ConfigError(f"{field} must be {expected}, got {redact(checked)!r}")
        return checked

    return rule


def choice(literal: object, *, any_case: bool = False) -> Rule:
    """One of the names in a ``Literal``, kept as given."""
    names = cast("tuple[str, ...]", get_args(literal))

    def rule(value: object, field: str) -> str:
        if isinstance(value, str) and (value.lower() if any_case else value) in names:
            return value
        raise not_among(names, value, field, _ESCAPE)

    return rule


def mapping(value: object, field: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise wrong_type(value, field, "a mapping")
    return cast("Mapping[str, object]", value)


def section(*kinds: type[Section]) -> Rule:
    """A section of one of these kinds, or a plain mapping, which is not looked at."""

    def rule(value: object, field: str) -> Mapping[str, object]:
        if isinstance(value, Section):
            if not isinstance(value, kinds):
                raise wrong_type(value, field, " or ".join(kind.__name__ for kind in kinds))
            value.check()
        return mapping(value, field)

    return rule


def list_of(entry: Rule) -> Rule:
    """Any iterable of what ``entry`` takes, kept as a new list."""

    def rule(value: object, field: str) -> list[object]:
        entries = _entries(value)
        if entries is None:
            raise wrong_type(value, field, "a list")
        return [entry(each, f"{field}[{at}]") for at, each in enumerate(entries)]

    return rule


def _entries(value: object) -> Iterable[object] | None:
    # A text and a mapping would iterate too; here they are one entry that lost its brackets.
    if isinstance(value, (str, Mapping)) or not isinstance(value, Iterable):
        return None
    return cast("Iterable[object]", value)


class CustomerTool(Protocol):
    """A tool that the application answers, such as :class:`EndCall`."""

    @property
    def tool(self) -> Mapping[str, object]: ...


class PlatformTool(Protocol):
    """A tool that the platform runs, such as :class:`CollectEmail`."""

    @property
    def definition(self) -> Mapping[str, object]: ...


def described_by(attribute: str) -> Rule:
    """A plain mapping, or an object that has one under ``attribute``."""

    def rule(value: object, field: str) -> Mapping[str, object]:
        found: object = getattr(value, attribute, value)
        if not isinstance(found, Mapping):
            raise wrong_type(value, field, f"a mapping or an object with .{attribute}")
        return cast("Mapping[str, object]", found)

    return rule


# --- the kinds of which there are many ---

Text: TypeAlias = Annotated[str | None, text]
Flag: TypeAlias = Annotated[bool | None, flag]
Number: TypeAlias = Annotated[float | None, number]
Whole: TypeAlias = Annotated[int | None, integer]
Texts: TypeAlias = Annotated[Iterable[str] | None, list_of(text)]
Tools: TypeAlias = Annotated[
    Iterable[Mapping[str, object] | CustomerTool] | None, list_of(described_by("tool"))
]
