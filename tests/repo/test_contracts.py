"""The import contracts of pyproject.toml are green on the packages as installed, and go red.

A contract that never fails may check nothing: each is seen to break on a copy with a bad import
planted in it.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repo.test_purity import FORBIDDEN

PACKAGES = ("plivo_core", "plivo_anyio", "plivo_httpx_adapter")
PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
LINT_IMPORTS = "from importlinter.cli import lint_imports_command; lint_imports_command()"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the packages under test and of the contracts."""
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.submodule_search_locations is not None
        source = spec.submodule_search_locations[0]
        shutil.copytree(source, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PYPROJECT, tmp_path)
    return tmp_path


def lint_imports(tree: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LINT_IMPORTS, "--no-cache"],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )


def plant(tree: Path, file: str, statement: str) -> None:
    path = tree / file
    path.write_text(f"{path.read_text('utf-8')}\n{statement}\n", "utf-8")


def test_the_contracts_are_kept(tree: Path) -> None:
    done = lint_imports(tree)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_every_forbidden_module_breaks_the_purity_contract(tree: Path) -> None:
    for module in FORBIDDEN:
        plant(tree, "plivo_core/codec.py", f"import {module}")
    done = lint_imports(tree)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "The core is pure BROKEN" in done.stdout
    for module in FORBIDDEN:
        assert f"plivo_core.codec -> {module} " in done.stdout


@pytest.mark.parametrize(
    ("file", "statement", "contract"),
    [
        ("plivo_core/errors.py", "import time", "The core is pure"),
        ("plivo_core/errors.py", "def f(): import time", "The core is pure"),
        ("plivo_core/limits.py", "import plivo_anyio", "The core knows no adapter"),
        ("plivo_core/limits.py", "import plivo_httpx_adapter", "The core knows no adapter"),
        ("plivo_core/errors.py", "import plivo_core.codec", "Each layer of the core knows only"),
        ("plivo_anyio/__init__.py", "import plivo_httpx_adapter", "Adapters are apart"),
        ("plivo_httpx_adapter/__init__.py", "import plivo_anyio", "Adapters are apart"),
    ],
)
def test_a_planted_import_breaks_its_contract(
    tree: Path, file: str, statement: str, contract: str
) -> None:
    plant(tree, file, statement)
    done = lint_imports(tree)
    assert done.returncode == 1, done.stdout + done.stderr
    broken = [line for line in done.stdout.splitlines() if " BROKEN" in line]
    assert any(line.startswith(contract) for line in broken), broken


def test_a_module_without_a_place_in_the_layers_breaks_the_contract(tree: Path) -> None:
    (tree / "plivo_core" / "stray.py").touch()
    done = lint_imports(tree)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "plivo_core.stray" in done.stdout
