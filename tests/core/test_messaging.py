"""WhatsApp builders (PROTOCOL.md 6)."""

from __future__ import annotations

import copy
import json
import math
import pickle
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

import pytest

import plivo_core
from plivo_core.errors import ConfigError, PlivoError
from plivo_core.messaging import Dialect, InteractiveMessage, Location, Template

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "templates.json").read_text(encoding="utf-8")
)["vectors"]
BUILDERS: dict[str, Callable[..., Any]] = {
    "template": Template,
    "interactive.button": InteractiveMessage.button,
    "interactive.list": InteractiveMessage.list,
    "interactive.cta_url": InteractiveMessage.cta_url,
    "location": Location,
}
DIALECTS: tuple[Dialect, ...] = get_args(Dialect)


def build(vector: dict[str, Any], dialect: Dialect) -> Any:
    arguments = vector.get("ctor") or vector["args"]
    built = BUILDERS[vector["builder"]](**arguments, dialect=dialect)
    for method, *values in vector.get("calls", ()):
        assert getattr(built, method)(*values) is built
    return built


def row(**changes: object) -> dict[str, object]:
    return {"id": "1", "title": "One", **changes}


def a_list(*rows: dict[str, object], **changes: Any) -> Any:
    arguments: dict[str, Any] = {
        "body_text": "Menu",
        "button_text": "Open",
        "sections": [{"title": "S", "rows": list(rows or [row()])}],
    }
    return InteractiveMessage.list(**(arguments | changes))


def buttons(*changes: dict[str, object], **others: Any) -> Any:
    entries = [{"id": str(at), "title": "T", **change} for at, change in enumerate(changes or [{}])]
    return InteractiveMessage.button(**{"body_text": "Pick", "buttons": entries, **others})


def a_link(**changes: Any) -> Any:
    arguments = {"body_text": "See", "button_title": "Open", "url": "https://e.example"}
    return InteractiveMessage.cta_url(**(arguments | changes))


# --- vectors ---


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["id"])
def test_objects_are_those_of_the_vectors(vector: dict[str, Any], dialect: Dialect) -> None:
    given = copy.deepcopy(vector)
    if "expect_error" in vector:
        assert vector["expect_error"] == "ValueError"
        with pytest.raises(ValueError, match=r"\w"):
            build(given, dialect)
    else:
        expected = vector.get("expect_by_dialect", {}).get(dialect) or vector["expect"]
        built = build(given, dialect)
        # The texts: equality of dicts would not tell 0 from 0.0, nor one order from another.
        texts = [json.dumps(each, sort_keys=True) for each in (built, expected)]
        assert texts[0] == texts[1]
    assert given == vector


@pytest.mark.parametrize("vector", [v for v in VECTORS if "expect_error" not in v])
def test_the_classic_dialect_is_the_default(vector: dict[str, Any]) -> None:
    arguments = vector.get("ctor") or vector["args"]
    built = BUILDERS[vector["builder"]](**arguments)
    for method, *values in vector.get("calls", ()):
        getattr(built, method)(*values)
    assert built == build(vector, "classic")


# --- limits ---


@pytest.mark.parametrize(
    ("make", "low", "high", "argument"),
    [
        (lambda n: buttons(body_text="x" * n), 1, 1024, "body_text"),
        (lambda n: a_list(body_text="x" * n), 1, 4096, "body_text"),
        (lambda n: a_link(body_text="x" * n), 1, 1024, "body_text"),
        (lambda n: buttons({"title": "x" * n}), 1, 20, "buttons[0].title"),
        (lambda n: buttons({}, {"id": "x" * n}), 1, 256, "buttons[1].id"),
        (lambda n: buttons(*[{}] * n) if n else buttons(buttons=[]), 1, 3, "buttons"),
        (lambda n: a_list(button_text="x" * n), 1, 20, "button_text"),
        (lambda n: a_link(button_title="x" * n), 1, 20, "button_title"),
        (lambda n: a_list(sections=[{"rows": [row()]}] * n), 1, 10, "sections"),
        (lambda n: a_list(sections=[{"rows": [row()] * n}]), 1, 10, "sections"),
        (lambda n: a_list(sections=[{"title": "x" * n, "rows": [row()]}]), 0, 24, "].title"),
        (lambda n: a_list(row(), row(title="x" * n)), 1, 24, "sections[0].rows[1].title"),
        (lambda n: a_list(row(id="x" * n)), 1, 200, "sections[0].rows[0].id"),
        (lambda n: a_list(row(description="x" * n)), 0, 72, "sections[0].rows[0].description"),
        (lambda n: buttons(header={"type": "text", "text": "x" * n}), 0, 60, "header text"),
        (lambda n: a_link(header={"type": "text", "text": "x" * n}), 0, 60, "header text"),
        (lambda n: a_list(header_text="x" * n), 0, 60, "header text"),
        (lambda n: buttons(footer_text="x" * n), 0, 60, "footer_text"),
        (lambda n: a_list(footer_text="x" * n), 0, 60, "footer_text"),
        (lambda n: a_link(footer_text="x" * n), 0, 60, "footer_text"),
    ],
)
def test_each_limit_holds_to_the_last_character(
    make: Callable[[int], object], low: int, high: int, argument: str
) -> None:
    for size in (low, high):
        make(size)
    for size in {low - 1, high + 1} - {-1}:
        with pytest.raises(ConfigError) as caught:
            make(size)
        assert argument in str(caught.value)
        assert f"{low} to {high}" in str(caught.value)
        assert f"not {size}" in str(caught.value)


def test_characters_are_code_points() -> None:
    buttons({"title": "\N{GRINNING FACE}" * 20})


def test_rows_are_counted_over_all_sections() -> None:
    full = {"rows": [row()] * 5}
    a_list(sections=[full, full])
    with pytest.raises(ConfigError, match="rows in total, not 11"):
        a_list(sections=[full, full, {"rows": [row()]}])


def test_a_media_header_is_no_text() -> None:
    header = {"type": "media", "media": "https://m.example/" + "x" * 60}
    assert buttons(header=header)["header"] == header


@pytest.mark.parametrize(("argument", "bound"), [("latitude", 90), ("longitude", 180)])
def test_coordinates_hold_to_the_last_degree(argument: str, bound: int) -> None:
    for degrees in (bound, -bound):
        Location(**{"latitude": 0, "longitude": 0, argument: degrees})
        for wrong in (math.nextafter(degrees, degrees * 2), degrees * math.inf, math.nan):
            with pytest.raises(ConfigError, match=f"{argument} must be between -{bound} and"):
                Location(**{"latitude": 0, "longitude": 0, argument: wrong})


class Degrees(IntEnum):
    NORTH = 37


class OddFloat(float):
    def __repr__(self) -> str:
        return "OddFloat()"


@pytest.mark.parametrize(
    ("degrees", "text"),
    [
        (1e-7, "0.0000001"),
        (-0.1, "-0.1"),
        (37, "37"),
        (37.0, "37.0"),
        (12.345678901234567, "12.345678901234567"),
        (Degrees.NORTH, "37"),
        (OddFloat(1.5), "1.5"),
    ],
)
def test_classic_coordinates_are_decimal_text(degrees: float, text: str) -> None:
    assert Location(degrees, 0)["latitude"] == text
    assert type(Location(degrees, 0, dialect="agentstack")["latitude"]) in (int, float)


# --- what cannot be a message ---


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: buttons({"id": "same"}, {"id": "same"}), "buttons[1].id repeats an earlier one"),
        (lambda: a_link(url=""), "url is empty"),
        (lambda: a_link(url=None), "url must be a str, not NoneType"),
        (lambda: buttons(body_text=None), "body_text must be a str, not NoneType"),
        (lambda: buttons(buttons="yes"), "buttons must be a list of mappings, not str"),
        (lambda: buttons(buttons={"id": "1"}), "buttons must be a list of mappings, not dict"),
        (lambda: buttons(buttons=3), "buttons must be a list of mappings, not int"),
        (lambda: buttons(buttons=["yes"]), "buttons[0] must be a mapping, not str"),
        (lambda: buttons({"title": None}), "buttons[0].title must be a str, not NoneType"),
        (lambda: buttons(header="H"), "header must be a mapping, not str"),
        (lambda: buttons(header={"type": "text"}), "header text must be a str"),
        (lambda: buttons(footer_text=7), "footer_text must be a str, not int"),
        (lambda: a_list(sections=[{"title": "S"}]), "sections[0].rows must be a list of mappings"),
        (lambda: a_list(sections=[{"title": 1, "rows": []}]), "sections[0].title must be a str"),
        (lambda: a_list(row(id=1)), "sections[0].rows[0].id must be a str, not int"),
        (lambda: Location("37.4", 0), "latitude must be a number, not str"),
        (lambda: Location(True, 0), "latitude must be a number, not bool"),
        (lambda: Location(0, 0, name=1), "name must be a str, not int"),
        (lambda: Template(""), "name is empty"),
        (lambda: Template(None), "name must be a str, not NoneType"),
        (lambda: Template("t", None), "language must be a str, not NoneType"),
        (lambda: Template("t").add_body_param(None), "text must be a str, not NoneType"),
        (lambda: Template("t").add_body_param("", parameter_name=1), "parameter_name must be"),
        (lambda: Template("t").add_header_media(1), "url must be a str, not int"),
        (lambda: Template("t").add_body_currency("$1", "USD", 1.5), "amount_1000 must be an int"),
        (lambda: Template("t").add_body_currency("$1", 1, 1), "code must be a str, not int"),
        (lambda: Template("t").add_body_currency(1, "USD", 1), "fallback must be a str, not int"),
        (lambda: Template("t").add_body_datetime(1), "fallback must be a str, not int"),
        (lambda: Template("t").add_button_param("url", -1, "x"), "index must be 0 or more, not -1"),
        (lambda: Template("t").add_button_param("url", True, "x"), "index must be an int, not"),
        (lambda: Template("t").add_button_param(1, 0, "x"), "sub_type must be a str, not int"),
    ],
)
def test_what_cannot_be_a_message_says_why(make: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make()
    assert message in str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, PlivoError)


@pytest.mark.parametrize(
    "make",
    [
        lambda dialect: Template("t", dialect=dialect),
        lambda dialect: buttons(dialect=dialect),
        lambda dialect: a_list(dialect=dialect),
        lambda dialect: a_link(dialect=dialect),
        lambda dialect: Location(0, 0, dialect=dialect),
    ],
)
@pytest.mark.parametrize("dialect", ["meta", "Classic", None, ["classic"]])
def test_there_are_two_dialects(make: Any, dialect: Any) -> None:
    with pytest.raises(ConfigError, match="dialect must be 'classic' or 'agentstack'"):
        make(dialect)


def test_a_refused_parameter_leaves_the_template_as_it_was() -> None:
    template = Template("t").add_body_param("a")
    before = template.build()
    with pytest.raises(ConfigError):
        template.add_body_currency("$1", "USD", "1000")  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        template.add_button_param("url", 0, None)  # type: ignore[arg-type]
    assert template == before


# --- what passes through, what is copied, what is shown ---


def test_variables_may_be_named() -> None:
    template = Template("t").add_header_param("h", parameter_name="a").add_body_param("b")
    assert template["components"] == [
        {
            "type": "header",
            "parameters": [{"type": "text", "text": "h", "parameter_name": "a"}],
        },
        {"type": "body", "parameters": [{"type": "text", "text": "b"}]},
    ]


def test_components_put_in_by_hand_stay_last() -> None:
    template = Template("t")
    template["components"] = [{"type": "carousel", "cards": []}]
    template.add_button_param("url", 0, "u").add_body_param("b")
    kinds = [component["type"] for component in template["components"]]
    assert kinds == ["body", "button", "carousel"]


def test_other_members_of_buttons_sections_and_rows_pass_through() -> None:
    assert buttons({"icon": "x"})["action"]["buttons"][0]["icon"] == "x"
    section = {"title": None, "new": 1, "rows": [row(description="", new=[2])]}
    assert a_list(sections=[section])["action"]["sections"] == [section]


def test_later_changes_of_what_was_given_do_not_reach_the_message() -> None:
    rows = [row()]
    sections = [{"title": "S", "rows": rows}]
    entry = {"id": "1", "title": "T"}
    header = {"type": "text", "text": "H"}
    listed = a_list(sections=sections)
    replies = buttons(buttons=(MappingProxyType(each) for each in [entry]), header=header)
    rows[0]["title"] = "changed"
    rows.append(row())
    entry["title"] = header["text"] = "changed"
    assert listed == a_list()
    assert replies == buttons({"id": "1"}, header={"type": "text", "text": "H"})


def test_a_built_template_is_a_plain_copy() -> None:
    template = Template("t").add_body_param("a")
    built = template.build()
    assert type(built) is dict
    assert built == template
    template.add_body_param("b")
    assert len(built["components"][0]["parameters"]) == 1  # type: ignore[index]


@pytest.mark.parametrize(
    ("built", "shown"),
    [
        (
            Template("otp", "de").add_body_param("4711"),
            (
                "Template(name='otp', language='de', components=[{'type': <masked>, "
                "'parameters': [{'type': <masked>, 'text': <masked>}]}])"
            ),
        ),
        (
            buttons(body_text="Hi Ann"),
            (
                "InteractiveMessage(type='button', body={'text': <masked>}, "
                "action={'buttons': [{'id': <masked>, 'title': <masked>}]})"
            ),
        ),
        (
            Location(37.4, -122.1, name="Ann's"),
            "Location(latitude=<masked>, longitude=<masked>, name=<masked>)",
        ),
    ],
)
def test_a_repr_shows_structure_and_hides_texts(built: Any, shown: str) -> None:
    assert repr(built) == shown
    for twin in (copy.deepcopy(built), pickle.loads(pickle.dumps(built))):
        assert repr(twin) == shown
        assert twin == built
        assert twin is not built


def test_the_package_loads_on_first_use() -> None:
    assert plivo_core.messaging.Template is Template
