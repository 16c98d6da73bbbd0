"""What commands print: lines for people, or one JSON object per line for programs.

A command says everything twice, in both forms, and the one that was not asked for is dropped here.
Colours are click's: they are gone where nobody looks at a terminal.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass

import click

__all__ = ["Output", "Progress", "milliseconds"]


@dataclass(frozen=True)
class Output:
    """Standard output, flushed per line."""

    as_json: bool

    def text(self, line: str = "", *, colour: str | None = None, bold: bool = False) -> None:
        """A line for people."""
        if not self.as_json:
            click.secho(line, fg=colour, bold=bold or None)

    def message(self, line: str) -> None:
        """A line for people that may be cut where the terminal ends."""
        width = shutil.get_terminal_size((120, 24)).columns
        self.text(line if len(line) <= width else line[: width - 3] + "...")

    def json(self, value: dict[str, object]) -> None:
        """A line for programs."""
        if self.as_json:
            click.echo(json.dumps(value))


class Progress:
    """One line on standard error that is written over, if that is a terminal; else nothing."""

    def __init__(self, output: Output) -> None:
        self._shown = 0
        self._active = not output.as_json and sys.stderr.isatty()

    def show(self, line: str) -> None:
        if self._active:
            click.echo("\r" + line.ljust(self._shown), err=True, nl=False)
            self._shown = len(line)

    def clear(self) -> None:
        """Before other lines are printed, and at the end."""
        if self._shown:
            click.echo("\r" + " " * self._shown + "\r", err=True, nl=False)
            self._shown = 0


def milliseconds(seconds: float) -> str:
    ms = seconds * 1000
    return f"{ms:.1f} ms" if ms < 100 else f"{ms:.0f} ms"
