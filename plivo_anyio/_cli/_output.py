"""What commands print: lines for people, or one JSON object per line for programs.

A command says everything twice, in both forms, and the one that was not asked for is dropped here.
Colours are click's: they are gone where nobody looks at a terminal.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

__all__ = ["Output", "Progress", "http_url", "milliseconds"]


# What a terminal would obey, or no encoding can hold. A line's end is our own.
_UNPRINTABLE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


@dataclass
class Output:
    """Standard output, flushed per line."""

    as_json: bool
    stop: Callable[[], object] | None = None
    """Ends what runs: its task is not that of who prints, which may be a server's."""
    failed: OSError | None = None
    """Why nothing can be printed any more: nobody reads it, or the disk is full."""

    def text(self, line: str = "", *, colour: str | None = None, bold: bool = False) -> None:
        """A line for people."""
        if not self.as_json:
            self._write(_UNPRINTABLE.sub(_escaped, line), fg=colour, bold=bold or None)

    def message(self, line: str) -> None:
        """A line for people that may be cut where the terminal ends."""
        width = shutil.get_terminal_size((120, 24)).columns
        self.text(line if len(line) <= width else line[: width - 3] + "...")

    def json(self, value: dict[str, object]) -> None:
        """A line for programs."""
        if self.as_json:
            self._write(json.dumps(value))

    def _write(self, line: str, **style: Any) -> None:
        if self.failed is not None:
            return
        try:
            # Without a style there is nothing to reset: JSON on a terminal is JSON.
            click.echo(click.style(line, **style) if style else line)
        except OSError as error:
            if self.stop is None:
                raise
            self.failed = error
            self.stop()


class Progress:
    """One line on standard error that is written over, if that is a terminal; else nothing."""

    def __init__(self, output: Output) -> None:
        self._shown = 0
        self._active = not output.as_json and sys.stderr is not None and sys.stderr.isatty()

    def show(self, line: str) -> None:
        if self._active:
            click.echo("\r" + line.ljust(self._shown), err=True, nl=False)
            self._shown = len(line)

    def clear(self) -> None:
        """Before other lines are printed, and at the end."""
        if self._shown:
            click.echo("\r" + " " * self._shown + "\r", err=True, nl=False)
            self._shown = 0


def http_url(address: tuple[str, int]) -> str:
    """Of a server that listens there."""
    host, port = address
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def milliseconds(seconds: float) -> str:
    ms = seconds * 1000
    return f"{ms:.1f} ms" if ms < 100 else f"{ms:.0f} ms"
