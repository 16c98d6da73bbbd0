"""Print the command of README.md that follows the marker ``<!-- ci: NAME -->``.

The marker stands right above a fenced block; its lines are one shell script.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path


def main(name: str) -> None:
    readme = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
    marker = rf"^<!-- ci: {re.escape(name)} -->\n+```\w*\n(?P<script>.*?)^```$"
    blocks = re.findall(marker, readme, re.DOTALL | re.MULTILINE)
    if len(blocks) != 1:
        sys.exit(f"README.md: {len(blocks)} fenced blocks under <!-- ci: {name} -->, expected 1")
    print(blocks[0], end="")


main(*sys.argv[1:])
