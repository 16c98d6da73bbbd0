"""``import plivo_core`` loads nothing impure: measured in a child process.

The contracts and ruff's bans read our imports; this sees what those drag in behind them.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

FORBIDDEN = frozenset(
    {
        "anyio",
        "asyncio",
        "http",
        "httpx",
        "logging",
        "os",
        "random",
        "secrets",
        "select",
        "selectors",
        "socket",
        "ssl",
        "subprocess",
        "threading",
        "time",
        "trio",
    }
)
LAZY = ("audio", "messaging", "agent", "rest", "webhooks", "platform", "trace", "testing")


def folder_of(package: str) -> str:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parents[1])


def loaded_by(statement: str) -> set[str]:
    """Modules in a fresh interpreter after ``statement``.

    Isolated and without site, so that no .pth file of this environment loads a module first and
    hides ours; ``os`` is imported by hand because site, in every interpreter, does so.
    """
    folders = sorted({folder_of(name) for name in ("plivo_core", "h11", "wsproto")})
    program = (
        f"import os, sys; sys.path.extend({folders!r})\n"
        f"{statement}\n"
        "print('[' + ', '.join('\"' + name + '\"' for name in sys.modules) + ']')"
    )
    child = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True
    )
    return set(json.loads(child.stdout))


@pytest.fixture(scope="module")
def newly_loaded() -> set[str]:
    return loaded_by("import plivo_core") - loaded_by("pass")


def test_importing_the_core_loads_no_forbidden_module(newly_loaded: set[str]) -> None:
    assert "plivo_core" in newly_loaded
    assert {name for name in newly_loaded if name.partition(".")[0] in FORBIDDEN} == set()


def test_importing_the_core_loads_no_third_party_but_h11_and_wsproto(
    newly_loaded: set[str],
) -> None:
    roots = {name.partition(".")[0] for name in newly_loaded}
    third_party = {
        root for root in roots - sys.stdlib_module_names if not root.startswith("_sysconfigdata")
    }
    assert third_party <= {"plivo_core", "h11", "wsproto"}


def test_importing_the_core_leaves_the_lazy_parts_alone(newly_loaded: set[str]) -> None:
    assert newly_loaded.isdisjoint(f"plivo_core.{part}" for part in LAZY)


def test_importing_the_server_leaves_the_simulator_and_the_audio_alone() -> None:
    loaded = loaded_by("import plivo_anyio")
    assert "plivo_anyio" in loaded
    assert loaded.isdisjoint({"plivo_core.platform", "plivo_core.audio", "click", "pytest"})


@pytest.mark.parametrize("module", sorted(FORBIDDEN - {"anyio", "httpx", "trio", "os", "time"}))
def test_the_measurement_sees_a_forbidden_module(module: str) -> None:
    assert module in loaded_by(f"import {module}") - loaded_by("pass")
