"""The command line: ``plivo-sansio``, and ``python -m plivo_anyio``, which is the same.

Built on click, which comes with the extra ``cli``; nothing else in this package imports it, and
importing :mod:`plivo_anyio` does not import this. What is decided about calls, callbacks and
signatures is decided in the core: here are options, sockets, and how results are shown.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]

_USAGE = 2  # as click has it for a wrong command line
_INTERRUPTED = 130  # 128 + SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status, one of those that docs/cli.md lists. Never raises."""
    try:
        try:
            import click  # noqa: F401  # pyright: ignore[reportUnusedImport]
        except ImportError:
            sys.stderr.write(
                "plivo-sansio: the command line needs click: pip install 'plivo-sansio[cli]'\n"
            )
            return _USAGE
        from plivo_anyio._cli._main import run

        return run(arguments)
    except KeyboardInterrupt:  # Ctrl-C at once: yet plivo_anyio itself is imported before this
        return _INTERRUPTED
