"""``python -m plivo_anyio``: the command line, as ``plivo-sansio``."""

from __future__ import annotations

import sys

from plivo_anyio._cli import main

if __name__ == "__main__":
    sys.exit(main())
