"""``python -m plivo_anyio demo``: one scripted call on loopback, no account needed."""

from __future__ import annotations

import argparse
import functools
import sys

import anyio

from plivo_anyio._demo import run_demo
from plivo_anyio._logging import configure_from_environment
from plivo_core import ConfigError


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 all steps observed, 1 some were missed, 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m plivo_anyio", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="hold one scripted call and print its transcript")
    demo.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    demo.add_argument("--json", action="store_true", help="one JSON object per line")
    options = parser.parse_args(arguments)
    try:
        configure_from_environment()
    except ConfigError as error:
        parser.error(str(error))
    run = functools.partial(run_demo, as_json=options.json, out=_print)
    try:
        observed = anyio.run(run, options.backend, backend=options.backend)
    except LookupError:
        parser.error("trio is not installed: pip install 'plivo-sansio[trio]'")
    return 0 if observed else 1


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
