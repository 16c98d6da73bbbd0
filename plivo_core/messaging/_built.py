"""What the builders share: a dict that hides its texts in a repr, and the checks of arguments.

Messages name arguments, sizes and types, never values: a text may be a one-time password.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias, cast, get_args

from plivo_core._redact import hide
from plivo_core.errors import ConfigError

__all__ = [
    "Built",
    "Dialect",
    "Limit",
    "require_dialect",
    "require_entries",
    "require_mapping",
    "require_text",
    "wrong_type",
]

Dialect: TypeAlias = Literal["classic", "agentstack"]


class Built(dict[str, Any]):
    """An object as it travels. Its repr shows the structure and hides the texts."""

    __slots__ = ()
    _shown: ClassVar[frozenset[str]] = frozenset()

    def __repr__(self) -> str:
        members = (
            f"{name}={(value if name in self._shown else hide(value))!r}"
            for name, value in self.items()
        )
        return f"{type(self).__name__}({', '.join(members)})"


class Limit(NamedTuple):
    """An inclusive bound of PROTOCOL.md 6.4; characters are Unicode code points."""

    low: int
    high: int

    def text(self, value: object, argument: str) -> str:
        """``value`` if it is a text of that many characters."""
        text = require_text(value, argument)
        self.require(len(text), argument, "characters")
        return text

    def require(self, size: int, argument: str, of: str) -> None:
        if not self.low <= size <= self.high:
            raise ConfigError(f"{argument} must have {self.low} to {self.high} {of}, not {size}")


def require_text(value: object, argument: str) -> str:
    if not isinstance(value, str):
        raise wrong_type(value, argument, "a str")
    return value


def require_mapping(value: object, argument: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise wrong_type(value, argument, "a mapping")
    return cast("Mapping[str, object]", value)


def require_entries(value: object, argument: str) -> list[Mapping[str, object]]:
    entries = _entries(value)
    if entries is None:
        raise wrong_type(value, argument, "a list of mappings")
    return [require_mapping(entry, f"{argument}[{at}]") for at, entry in enumerate(entries)]


def _entries(value: object) -> Iterable[object] | None:
    # A mapping and a text would iterate too, over what is no entry.
    if isinstance(value, (str, Mapping)) or not isinstance(value, Iterable):
        return None
    return cast("Iterable[object]", value)


def require_dialect(value: object) -> None:
    if value not in get_args(Dialect):
        raise ConfigError("dialect must be 'classic' or 'agentstack'")


def wrong_type(value: object, argument: str, expected: str) -> ConfigError:
    return ConfigError(f"{argument} must be {expected}, not {type(value).__name__}")
