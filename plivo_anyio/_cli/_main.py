"""The commands in one group, and what any of them may end with as an exit status."""

from __future__ import annotations

import errno
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
_UNWRITTEN = {errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


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


def _give_up_output(error: OSError) -> None:
    """Say why, unless it is that nobody reads any more; Python would complain at its exit."""
    if error.errno != errno.EPIPE:
        click.echo(f"plivo-sansio: cannot write the output: {error.strerror}", err=True)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run(arguments: Sequence[str] | None) -> int:
    """Run the command line; the exit status."""
    given = None if arguments is None else list(arguments)
    try:
        status = cli.main(args=given, prog_name="plivo-sansio", standalone_mode=False)
        if sys.stdout is not None:  # None: closed before it began
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
    except OSError as error:
        if error.errno not in _UNWRITTEN or error.filename is not None:
            raise
        _give_up_output(error)
        return _FAILED
    return status if isinstance(status, int) else 0
