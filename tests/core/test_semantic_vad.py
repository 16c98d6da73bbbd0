"""semantic_vad presets and their expansion (PROTOCOL.md 5.6)."""

from __future__ import annotations

import builtins
import copy
import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from plivo_core.agent import PRESETS, expand_semantic_vad
from plivo_core.errors import ConfigError

VECTOR_FILE = json.loads(
    (Path(__file__).parents[1] / "vectors" / "semantic_vad.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("vector", VECTOR_FILE["vectors"], ids=lambda v: v["id"])
def test_expansions_are_those_of_the_vectors(vector: dict[str, Any]) -> None:
    given = copy.deepcopy(vector["input"])
    if "expect_error" in vector:
        with pytest.raises(getattr(builtins, vector["expect_error"])):
            expand_semantic_vad(given)
    else:
        expanded = expand_semantic_vad(given)
        assert expanded == vector["expect"]
        assert expanded is None or expanded is not given
        assert expand_semantic_vad(expanded) == expanded
    assert given == vector["input"]


def test_the_presets_are_those_of_the_vectors_and_cannot_be_changed() -> None:
    assert VECTOR_FILE["presets"] == PRESETS
    with pytest.raises(TypeError):
        PRESETS["new"] = {}  # type: ignore[index]
    with pytest.raises(TypeError):
        PRESETS["low"]["completed_turn_delay_ms"] = 0  # type: ignore[index]


@pytest.mark.parametrize("value", ["high", {"eagerness": "high"}])
def test_changing_a_result_changes_no_later_one(value: Any) -> None:
    first = expand_semantic_vad(value)
    assert first is not None
    first.clear()
    assert expand_semantic_vad(value) == VECTOR_FILE["presets"]["high"]


def test_a_result_shares_nothing_with_what_was_given() -> None:
    given = {"future": {"list": [1]}}
    expanded: Any = expand_semantic_vad(given)
    expanded["future"]["list"].append(2)
    assert given == {"future": {"list": [1]}}


def test_a_read_only_mapping_will_do() -> None:
    given = MappingProxyType({"eagerness": "auto", "min_interruption_words": 2})
    assert expand_semantic_vad(given) == {"min_interruption_words": 2}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("High", "semantic_vad must be one of low, medium, high, auto, got 'High' "),
        ("High", "did you mean 'high'?; names are case-sensitive"),
        ({"eagerness": "mediun"}, "semantic_vad.eagerness must be one of"),
        ({"eagerness": "mediun"}, "did you mean 'medium'?"),
        (
            {"eagerness": 3},
            "semantic_vad.eagerness must be one of low, medium, high, auto, not int",
        ),
        ({"eagerness": ["low"]}, "not list"),
        ("x" * 25, "got a text of 25 characters (names are case-sensitive)"),
    ],
)
def test_an_unknown_preset_is_told_with_the_nearest_one(value: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        expand_semantic_vad(value)
    assert message in str(caught.value)


def test_what_is_neither_name_nor_fields_is_told_by_its_type() -> None:
    with pytest.raises(TypeError, match="not bool"):
        expand_semantic_vad(True)  # type: ignore[arg-type]
