"""The commands in one group, and what any of them may end with as an exit status."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

import click

from plivo_anyio._cli._call import call
from plivo_anyio._cli._demo import demo
from plivo_anyio._cli._listen import listen
from plivo_anyio._cli._simulate import simulate
from plivo_anyio._cli._verify import verify
from plivo_anyio._logging import configure_from_environment
from plivo_core import ConfigError

__all__ = ["cli", "run"]

_FAILED = 1
_INTERRUPTED = 128 + signal.SIGINT


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="plivo-sansio")
@click.pass_context
def cli(context: click.Context) -> None:
    """Call, catch and check: the other side of a Plivo voice agent, on this machine.

    Exit status: 0 everything expected was observed, 1 something was missed or refused, 2 wrong
    usage, 130 interrupted (Ctrl-C), 143 terminated.
    """
    if os.environ.get("NO_COLOR"):
        context.color = False
    try:
        configure_from_environment()
    except ConfigError as error:
        raise click.UsageError(str(error)) from error


for _command in (call, simulate, verify, listen, demo):
    cli.add_command(_command)


def _nobody_reads(error: BaseException) -> bool:
    """Whether all of it is a closed pipe; where tasks run, errors come in groups."""
    parts: tuple[BaseException, ...] = getattr(error, "exceptions", ())
    return all(map(_nobody_reads, parts)) if parts else isinstance(error, BrokenPipeError)


def run(arguments: Sequence[str] | None) -> int:
    """Run the command line; the exit status."""
    given = None if arguments is None else list(arguments)
    try:
        status = cli.main(args=given, prog_name="plivo-sansio", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except ConfigError as error:
        click.UsageError(str(error)).show()
        return click.UsageError.exit_code
    except (click.Abort, KeyboardInterrupt):  # before the event loop ran, or after it
        return _INTERRUPTED
    except SystemExit:  # click's, where nobody reads the output any more
        return _FAILED
    except Exception as error:
        if not _nobody_reads(error):
            raise
        # The same in a group or behind click. Python would complain once more at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED
    return status if isinstance(status, int) else 0
