"""The adapter's logger. Call id and session id travel in ``extra``; audio and texts never do."""

from __future__ import annotations

import logging
import os

from plivo_core import ConfigError

__all__ = ["configure_from_environment", "logger"]

logger = logging.getLogger("plivo_anyio")


def configure_from_environment() -> None:
    """Let ``PLIVO_LOG`` (debug, info, warning, error) show the adapter's log on stderr.

    Empty equals unset: logging is the application's. Raises ConfigError for any other word.
    """
    level = os.environ.get("PLIVO_LOG", "").strip().upper()
    if not level:
        return
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ConfigError(
            f"PLIVO_LOG is {level.lower()!r}", hint="use debug, info, warning or error"
        )
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logger.setLevel(level)
