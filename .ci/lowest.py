"""Print pip constraints that pin every requirement of pyproject.toml to its floor.

Also the check that each requirement is a plain floor: no cap, no pin, no second floor.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

try:
    import tomllib
except ImportError:  # Python 3.10, where the tools that we install need tomli as well
    import tomli as tomllib

REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+)(\[[\w,-]+\])?>=(?P<floor>[\w.]+)(; python_version < '3.11')?"
)


def main() -> None:
    project = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text())
    project = project["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    floors: dict[str, str] = {}
    for requirement in (line for group in groups for line in group):
        if requirement.startswith(f"{project['name']}["):
            continue  # an extra made of our own extras
        match = REQUIREMENT.fullmatch(requirement)
        if match is None:
            sys.exit(f"pyproject.toml: {requirement!r} is not of the form name>=floor")
        name, floor = match["name"], match["floor"]
        if floors.setdefault(name, floor) != floor:
            sys.exit(f"pyproject.toml: two floors for {name}: {floors[name]} and {floor}")
    for name, floor in sorted(floors.items()):
        print(f"{name}=={floor}")


main()
