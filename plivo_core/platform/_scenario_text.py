"""A scenario's TOML as tables that know their lines, and the complaints about what is in them.

``tomllib`` tells no positions, so the lines come from a look at the text: headers and keys at the
start of a line, outside multi-line strings. A key that is written otherwise (inside an inline
table, say) is reported at the nearest line that is known.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NoReturn, cast

from plivo_core.errors import ConfigError, ScenarioError

__all__ = ["Source", "Table"]

_HEADER = re.compile(r"\s*\[\[?\s*([\w.-]+)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*["']?([\w-]+)["']?\s*[.=]""")
_AT_LINE = re.compile(r"\(at (?:line (\d+)|end of document)")
_MOST_DEPTH = 64  # as in the JSON that messages are
_QUOTED = re.compile(r""""(?:\\.|[^"\\])*"|'[^']*'""")
# A key nests as deep as it has parts. Refused before it is read: of each key tomllib keeps all
# beginnings, and the square of 30,000 parts fills a machine's memory.
_DEEP_KEY = re.compile(rf'(?<![\w"-])(?:[\w"-]+[ \t]*\.[ \t]*){{{_MOST_DEPTH}}}')
_MOST_NUMBER = 86_400.0  # seconds, mostly: the longest stream (PROTOCOL.md 14)
_MOST_COUNT = 1000


class Source:
    """The text of one scenario."""

    def __init__(self, text: str, filename: str) -> None:
        self.filename = filename
        self._sections: dict[tuple[str, int], int] = {}
        self._keys: dict[tuple[str, int, str], int] = {}
        self._lines = re.split(
            "\r?\n", text.removesuffix("\n")
        )  # TOML's; str.splitlines() knows ten more
        self._require_unicode()
        self._scan()
        self.values = self._load(text)

    def _require_unicode(self) -> None:
        """A lone surrogate, which a text of Python can hold, could not be sent."""
        for number, line in enumerate(self._lines, 1):
            spelled = line.encode(errors="backslashreplace").decode()
            if spelled != line:
                raise ScenarioError(
                    "not Unicode",
                    filename=self.filename,
                    line=number,
                    found=spelled.strip(),
                    expected="no surrogates",
                )

    def _scan(self) -> None:
        section, index, quote = "", 0, ""
        counts: dict[str, int] = {}
        for number, line in enumerate(self._lines, 1):
            if quote:  # inside a multi-line string
                if quote in line:
                    quote = ""
                continue
            self._require_flat_keys(number, line)
            if header := _HEADER.match(line):
                section = header[1]
                index = counts[section] = counts.get(section, -1) + 1
                self._sections[section, index] = number
                outer, _, key = section.partition(".")  # [steps.where] is a key of the last step
                self._keys.setdefault((outer, counts.get(outer, 0), key), number)
            elif key_of_line := _KEY.match(line):
                self._keys.setdefault((section, index, key_of_line[1]), number)
            for mark in ('"""', "'''"):
                if line.count(mark) % 2:
                    quote = mark

    def _require_flat_keys(self, number: int, line: str) -> None:
        line = re.split("\"\"\"|'''", line)[0]  # what is behind may be any text
        line = _QUOTED.sub('"', line).partition("#")[0]
        if _DEEP_KEY.search(line):
            self._too_deep(number, f"a key of more than {_MOST_DEPTH} parts")

    def _too_deep(self, line: int, found: str) -> NoReturn:
        raise ScenarioError(
            "nested too deeply",
            filename=self.filename,
            line=line,
            found=found,
            expected="as many as a message may have",
        )

    def _load(self, text: str) -> dict[str, Any]:
        name = "tomllib" if sys.version_info >= (3, 11) else "tomli"
        try:
            # Any: tomllib is not there for type checkers of 3.10, nor tomli for those of 3.13.
            loads = cast("Callable[[str], dict[str, Any]]", import_module(name).loads)
        except ImportError as error:
            raise ConfigError(
                f"scenarios need the package {name} on this Python",
                hint="pip install 'plivo-sansio[testing]', or 'plivo-sansio[cli]'",
            ) from error
        try:
            values = loads(text)
            if _is_deeper(values, _MOST_DEPTH):
                raise RecursionError
            return values
        except RecursionError:
            self._too_deep(1, f"more than {_MOST_DEPTH} levels")
        except ValueError as error:
            at = _AT_LINE.search(str(error))
            line = int(at[1]) if at and at[1] else max(1, len(self._lines))
            found = self._lines[line - 1].strip() if line <= len(self._lines) else ""
            raise ScenarioError(
                f"not TOML ({error})",
                filename=self.filename,
                line=line,
                found=found or "nothing",
                expected="a TOML document",
            ) from error

    def line_of(self, section: str, index: int, key: str = "") -> int:
        """Where a key stands; where it cannot be found, where its table does."""
        if (line := self._keys.get((section, index, key))) is not None:
            return line
        if (line := self._sections.get((section, index))) is not None:
            return line
        # steps = [ ... ], or a table that nobody knows
        return self._keys.get(("", 0, section)) or self._sections.get((key, 0), 1)


class Table:
    """One table: takes values by key and kind, and complains about everything else."""

    def __init__(
        self, source: Source, values: object, section: str, index: int = 0, *, inside: str = ""
    ) -> None:
        self._source = source
        self._section = section
        self._index = index
        self._inside = inside  # the key of the outer table that holds this one
        self.name = section if section != "steps" else f"step {index + 1}"
        if not isinstance(values, Mapping):
            self.fail(f"{inside or section} is of the wrong type", _show(values), "a table")
        self.values = cast("Mapping[str, Any]", values)

    def fail(
        self, problem: str, found: str, expected: str, *, key: str = "", nearest: str = ""
    ) -> NoReturn:
        """Raise ScenarioError about ``key``, or about the table."""
        raise ScenarioError(
            problem,
            filename=self._source.filename,
            line=self._source.line_of(self._section, self._index, self._inside or key),
            found=found,
            expected=expected,
            nearest=nearest,
        )

    def only(self, known: Collection[str]) -> None:
        """Complain about keys that are not ``known``."""
        for key in self.values:
            if key not in known:
                self.unknown("key", key, known, key=key)

    def unknown(self, what: str, word: str, known: Collection[str], *, key: str) -> NoReturn:
        """Complain about a word that is none of ``known``."""
        near = get_close_matches(word, known, 1)
        self.fail(
            f"unknown {what} in {self.name}",
            repr(word),
            f"one of {', '.join(sorted(known))}" if known else "none at all",
            key=key,
            nearest=near[0] if near else "",
        )

    def _take(self, key: str, kind: type | tuple[type, ...], words: str, default: object) -> Any:
        if key not in self.values:
            if default is ...:
                self.fail(f"{self.name} lacks {key!r}", _show(list(self.values)), words)
            return default
        value = self.values[key]
        is_flag = isinstance(value, bool)
        if not isinstance(value, kind) or is_flag != (kind is bool):
            self.fail(f"{key!r} of {self.name} is of the wrong type", _show(value), words, key=key)
        return value

    def text(self, key: str, default: Any = ...) -> str:
        value: str = self._take(key, str, "a text", default)
        return value

    def flag(self, key: str, default: Any = ...) -> bool:
        value: bool = self._take(key, bool, "true or false", default)
        return value

    def number(
        self, key: str, default: Any = ..., *, least: float = 0, most: float = _MOST_NUMBER
    ) -> Any:
        """A number from ``least`` to ``most``, or ``default``."""
        value = self._take(key, (int, float), "a number", default)
        if key in self.values and not least <= value <= most:
            self.fail(
                f"{key!r} of {self.name} is out of range",
                _show(value),
                f"{_plain(least)} to {_plain(most)}",
                key=key,
            )
        return value

    def count(
        self, key: str, default: Any = ..., *, least: int = 0, most: int = _MOST_COUNT
    ) -> int:
        """A whole number from ``least`` to ``most``."""
        self._take(key, int, "a whole number", default)
        value: int = self.number(key, default, least=least, most=most)
        return value

    def choice(self, key: str, options: Collection[str], default: Any = ...) -> str:
        """One of ``options``."""
        value = self.text(key, default)
        if value not in options and key in self.values:
            self.unknown(f"value of {key!r}", value, options, key=key)
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; missing: none."""
        values = self._take(key, list, "a list of texts", ())
        for value in values:
            if not isinstance(value, str):
                self.fail(
                    f"{key!r} of {self.name} is of the wrong type",
                    _show(value),
                    "a list of texts",
                    key=key,
                )
        return tuple(values)

    def table(self, key: str) -> Table:
        """The table under ``key``, of what JSON can carry; missing: an empty one."""
        values = self._take(key, Mapping, "a table", {})
        if (odd := _not_json(values)) is not None:
            self.fail(
                f"{key!r} of {self.name} holds what no message can",
                _show(odd),
                "what JSON can carry",
                key=key,
            )
        inner = Table(self._source, values, self._section, self._index, inside=key)
        inner.name = f"{key!r} of {self.name}"
        return inner

    def tables(self, key: str) -> list[Table]:
        """The tables of the list under ``key``."""
        values = self._take(key, list, f"tables under [[{key}]]", [])
        return [Table(self._source, value, key, number) for number, value in enumerate(values)]


def _not_json(value: object) -> object:
    """The first value in ``value`` that JSON does not know (a date, nan, inf); None: none is."""
    if isinstance(value, Mapping):
        value = list(cast("Mapping[str, object]", value).values())
    if isinstance(value, list):
        inner = (_not_json(entry) for entry in cast("list[object]", value))
        return next((odd for odd in inner if odd is not None), None)
    if isinstance(value, float):
        return None if -float("inf") < value < float("inf") else value
    return None if isinstance(value, str | int) else value


def _is_deeper(value: object, most: int) -> bool:
    """Whether tables and lists in ``value`` are nested more than ``most`` deep."""
    level: list[object] = [value]
    for _ in range(most + 1):
        outer, level = level, []
        for entry in outer:
            if isinstance(entry, Mapping):
                level += cast("Mapping[str, object]", entry).values()
            elif isinstance(entry, list):
                level += cast("list[object]", entry)
    return bool(level)


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
