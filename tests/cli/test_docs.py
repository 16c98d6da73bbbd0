"""docs/cli.md is what click says: every command, every option with its default, every status."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from plivo_anyio._cli._main import cli

PAGE = (Path(__file__).parents[2] / "docs/cli.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))


def test_every_command_has_its_section() -> None:
    assert SECTIONS.keys() == cli.commands.keys()


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_the_table_of_a_command_lists_its_options_and_their_defaults(name: str) -> None:
    rows = re.findall(r"^\| `(--[\w-]+)` \| (.*?) \|", SECTIONS[name], re.MULTILINE)
    options = [option for option in cli.commands[name].params if isinstance(option, click.Option)]
    assert [option for option, _ in rows] == [option.opts[0] for option in options]
    stated = dict(rows)
    for option in options:
        if option.show_default:
            assert stated[option.opts[0]] == f"`{option.default}`"


def test_every_exit_status_of_the_help_is_in_the_page() -> None:
    text = str(cli.help)
    assert re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE) == re.findall(r"\b(\d+) [a-z]", text)
