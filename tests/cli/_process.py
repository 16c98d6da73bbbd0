"""The command line as a process of its own: signals, terminals, exit codes."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Running", "command", "running"]

PATIENCE = 30.0  # seconds


def command(*arguments: object) -> list[str]:
    """As ``plivo-sansio ARGUMENTS``; warnings are errors."""
    return [sys.executable, "-W", "error", "-m", "plivo_anyio", *map(str, arguments)]


class Running:
    """A process whose lines are read as they come."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.text = ""

    def line_with(self, part: str) -> str:
        """The next line that holds ``part``; what came before it is in :attr:`text`."""
        assert self.process.stdout is not None
        until = time.monotonic() + PATIENCE
        line = b""
        while time.monotonic() < until:
            if not select.select([self.process.stdout], [], [], 0.1)[0]:
                continue
            piece = os.read(self.process.stdout.fileno(), 1)
            if not piece:
                break
            line += piece
            if piece == b"\n":
                text, line = line.decode(), b""
                self.text += text
                if part in text:
                    return text
        raise AssertionError(f"no line with {part!r} in:\n{self.text}{line.decode()}")

    def ends(self, number: int | None = signal.SIGINT) -> tuple[int, str]:
        """Exit status and the rest of the output, after a signal."""
        if number is not None:
            self.process.send_signal(number)
        rest, errors = self.process.communicate(timeout=PATIENCE)
        assert errors == b"", errors.decode()
        return self.process.returncode, rest.decode()

    def summary_after(self, number: int | None = signal.SIGINT) -> tuple[int, dict[str, Any]]:
        status, rest = self.ends(number)
        summary: dict[str, Any] = json.loads(rest.splitlines()[-1])["summary"]
        return status, summary


@contextmanager
def running(*arguments: object, **environment: str) -> Iterator[Running]:
    """The command, started; killed if it is still there at the end."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PLIVO_")}
    process = subprocess.Popen(
        command(*arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**kept, **environment},
        bufsize=0,
    )
    with process:
        try:
            yield Running(process)
        finally:
            process.kill()
