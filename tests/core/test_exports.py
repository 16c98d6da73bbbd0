"""The public surface: what is exported, and what loads when."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module

import pytest

import plivo_core

PACKAGES = ["", ".audio", ".commands", ".events", ".platform", ".session", ".testing", ".webhooks"]


def in_reading_order(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions and modules: the order the linter keeps.

    Numbers in a name count as numbers: 8 comes before 16.
    """
    by_number = re.sub(r"\d+", lambda digits: digits[0].zfill(4), name)
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, by_number)


@pytest.mark.parametrize("package", PACKAGES)
def test_everything_exported_is_there_once_and_in_order(package: str) -> None:
    module = import_module(f"plivo_core{package}")
    assert module.__all__ == sorted(set(module.__all__), key=in_reading_order)
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_every_public_name_of_a_call_can_be_imported_from_the_top() -> None:
    for name in ("ServerConnection", "ClientConnection", "Session", "State", "Ended", "Limits"):
        assert name in plivo_core.__all__


@pytest.mark.parametrize("name", ["agent", "audio", "platform", "testing"])
def test_the_lazy_parts_load_on_first_use_and_not_before(name: str) -> None:
    program = (
        "import sys, plivo_core\n"
        f"assert 'plivo_core.{name}' not in sys.modules\n"
        "assert 'hypothesis' not in sys.modules\n"
        f"assert plivo_core.{name}.__all__\n"
        f"assert plivo_core.{name} is sys.modules['plivo_core.{name}']\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.parametrize("name", ["agent", "audio", "platform", "testing"])
def test_a_lazy_part_is_the_module_of_that_name(name: str) -> None:
    assert plivo_core.__getattr__(name) is import_module(f"plivo_core.{name}")


@pytest.mark.parametrize("name", ["nothing", "os", "__path_hooks__"])
def test_an_unknown_attribute_raises_attribute_error(name: str) -> None:
    with pytest.raises(AttributeError, match=name):
        getattr(plivo_core, name)
