"""Tools from type hints: the schema they give, the arguments they take, what the model is told."""

from __future__ import annotations

import functools
import json
import logging
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal, NewType, Optional, Union

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import NotRequired, Required, TypedDict

from plivo_anyio import CallSession, VoiceApp
from plivo_anyio._schema import Misfit, Parameters, tool_parameters
from plivo_anyio._tools import TypedTool
from plivo_core import ConfigError
from plivo_core.agent import Llm
from plivo_core.commands import ToolError, ToolResult
from plivo_core.events import ToolCall
from tests.adapter._caller import a_call

if TYPE_CHECKING:
    from somewhere import Invisible  # type: ignore[import-not-found]


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


class Level(IntEnum):
    LOW = 1


class Odd(Enum):
    PAIR = (1, 2)


class Item(TypedDict):
    sku: str
    count: NotRequired[int]


class Partial(TypedDict, total=False):
    city: Required[str]
    street: str


@dataclass
class Order:
    id: str
    size: Size = Size.SMALL
    tags: list[str] = field(default_factory=list)
    seen: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if not self.id:
            raise ValueError("secret reason")


@dataclass
class Tree:
    children: list[Tree]


@dataclass
class Hidden:
    id: str
    extra: InitVar[int] = 0


OrderId = NewType("OrderId", str)


def hinted(hint: Any, *default: Any) -> Parameters:
    """A tool whose one parameter ``x`` has this hint."""

    def handler(session: object, x: Any = None) -> None: ...

    handler.__annotations__["x"] = hint
    handler.__defaults__ = default or None
    return tool_parameters(handler, "look")


def schema_of(hint: Any) -> Any:
    return hinted(hint).schema["properties"]["x"]


def read(hint: Any, value: object) -> Any:
    return hinted(hint).read({"x": value})["x"]


STRING = {"type": "string"}
INTEGER = {"type": "integer"}
ITEM = {
    "type": "object",
    "properties": {"sku": STRING, "count": INTEGER},
    "required": ["sku"],
    "additionalProperties": False,
}

# hint, schema, (JSON value, what the handler gets)...
KINDS: dict[str, tuple[Any, ...]] = {
    "str": (str, STRING, ("a", "a")),
    "int": (int, INTEGER, (5, 5), (5.0, 5)),
    "float": (float, {"type": "number"}, (0.5, 0.5), (5, 5.0)),
    "bool": (bool, {"type": "boolean"}, (True, True)),
    "None": (None, {"type": "null"}, (None, None)),
    "Any": (Any, {}, ([1], [1]), (None, None)),
    "object": (object, {}, ("a", "a")),
    "newtype": (OrderId, STRING, ("a", "a")),
    "text": ("Size", {"type": "string", "enum": ["small", "large"]}, ("large", Size.LARGE)),
    "Literal": (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}, ("b", "b")),
    "mixed": (Literal[1, "a", None], {"enum": [1, "a", None]}, (1, 1), (1.0, 1), (None, None)),
    "IntEnum": (Level, {"type": "integer", "enum": [1]}, (1, Level.LOW)),
    "list": (list[int], {"type": "array", "items": INTEGER}, ([1, 2.0], [1, 2]), ([], [])),
    "bare-list": (list, {"type": "array", "items": {}}, ([1, "a"], [1, "a"])),
    "Sequence": (Sequence[str], {"type": "array", "items": STRING}, (["a"], ["a"])),
    "tuple": (tuple[int, ...], {"type": "array", "items": INTEGER}, ([1, 2], (1, 2))),
    "pair": (
        tuple[int, str],
        {"type": "array", "minItems": 2, "maxItems": 2, "prefixItems": [INTEGER, STRING]},
        ([1, "a"], (1, "a")),
    ),
    "point": (
        tuple[int, int],
        {"type": "array", "minItems": 2, "maxItems": 2, "items": INTEGER},
        ([1, 2], (1, 2)),
    ),
    "set": (
        set[str],
        {"type": "array", "items": STRING, "uniqueItems": True},
        (["a", "b", "a"], {"a", "b"}),
    ),
    "frozenset": (
        frozenset[tuple[int, ...]],
        {"type": "array", "items": {"type": "array", "items": INTEGER}, "uniqueItems": True},
        ([[1], [2]], frozenset({(1,), (2,)})),
    ),
    "dict": (
        dict[str, int],
        {"type": "object", "additionalProperties": INTEGER},
        ({"a": 1}, {"a": 1}),
    ),
    "bare-dict": (dict, {"type": "object"}, ({"a": [1]}, {"a": [1]})),
    "Mapping": (
        Mapping[str, object],
        {"type": "object", "additionalProperties": {}},
        ({"a": 1}, {"a": 1}),
    ),
    "Optional": (
        Optional[int],  # noqa: UP045 - the old spelling is what is tested
        {"anyOf": [INTEGER, {"type": "null"}]},
        (1, 1),
        (None, None),
    ),
    "Union": (Union[int, str], {"anyOf": [INTEGER, STRING]}, (1, 1), ("a", "a")),  # noqa: UP007
    "bar": (float | list[str], {"anyOf": [{"type": "number"}, {"type": "array", "items": STRING}]}),
    "TypedDict": (Item, ITEM, ({"sku": "a"}, {"sku": "a"}), ({"sku": "a", "count": 1},) * 2),
    "not-total": (
        Partial,
        {**ITEM, "properties": {"city": STRING, "street": STRING}, "required": ["city"]},
        ({"city": "a"}, {"city": "a"}),
    ),
    "dataclass": (
        Order,
        {
            "type": "object",
            "properties": {
                "id": STRING,
                "size": {"type": "string", "enum": ["small", "large"], "default": "small"},
                "tags": {"type": "array", "items": STRING},
            },
            "required": ["id"],
            "additionalProperties": False,
        },
        ({"id": "1"}, Order("1")),
        ({"id": "1", "size": "large", "tags": ["x"]}, Order("1", Size.LARGE, ["x"])),
    ),
    "Annotated": (
        Annotated[int, ["not hashable"], "how many"],
        {"type": "integer", "description": "how many"},
        (1, 1),
    ),
    "unlabelled": (Annotated[int, 5], INTEGER, (1, 1)),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_hint_gives_this_schema_and_reads_these_values(name: str) -> None:
    hint, schema, *values = KINDS[name]
    assert schema_of(hint) == schema
    for sent, meant in values:
        got = read(hint, sent)
        assert (got, type(got)) == (meant, type(meant))


@pytest.mark.parametrize(
    ("hint", "value", "told"),
    [
        (str, 5, "x must be a string, not an integer"),
        (int, "5", "x must be an integer, not a string"),
        (int, True, "x must be an integer, not a boolean"),
        (int, 5.5, "x must be an integer, not a number"),
        (float, "5", "x must be a number, not a string"),
        (float, 10**400, "x must be a number, not an integer"),
        (bool, 1, "x must be a boolean, not an integer"),
        (None, {}, "x must be null, not an object"),
        (str, None, "x must be a string, not null"),
        (Literal["a", 1], "c", 'x must be one of "a", 1'),
        (Literal[1], True, "x must be one of 1"),
        (Size, "SMALL", 'x must be one of "small", "large"'),
        (list[int], [1, "a"], "x[1] must be an integer, not a string"),
        (list[int], {}, "x must be an array, not an object"),
        (tuple[int, int], [1], "x must be an array of 2, not of 1"),
        (dict[str, int], {"a": []}, "x['a'] must be an integer, not an array"),
        (dict[str, int], [], "x must be an object, not an array"),
        (int | None, "a", "x must be an integer or null, not a string"),
        (Size | None, "a", 'x must be one of "small", "large" or null, not a string'),
        (Item | None, {}, "x.sku is missing, it must be a string"),
        (Item | Order, {}, "x must be an object or an object, not an object"),
        (Item, {"sku": "a", "z": 1}, "x has no member 'z'"),
        (Order, {"id": ""}, "x is not a valid Order"),
        (
            Order,
            {"tags": [None], "z": 1},
            "; ".join(
                [
                    "x.id is missing, it must be a string",
                    "x.tags[0] must be a string, not null",
                    "x has no member 'z'",
                ]
            ),
        ),
    ],
    ids=lambda value: None if isinstance(value, str) else "",
)
def test_a_misfit_says_where_and_what_was_expected(hint: Any, value: object, told: str) -> None:
    with pytest.raises(Misfit) as caught:
        read(hint, value)
    assert str(caught.value) == told


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(name=st.sampled_from(sorted(KINDS)), arguments=st.dictionaries(st.text(), json_values))
def test_whatever_a_model_sends_fits_or_is_a_misfit(
    name: str, arguments: dict[str, object]
) -> None:
    parameters = hinted(KINDS[name][0])
    for sent in (arguments, *({"x": value} for value in arguments.values())):
        try:
            assert parameters.read(sent).keys() == {"x"}
        except Misfit:
            pass  # any other exception fails the test


def test_a_misfit_tells_five_problems_at_most_and_no_long_name() -> None:
    with pytest.raises(Misfit) as caught:
        hinted(int).read({f"{number}" * 500: 0 for number in range(1000)})
    assert len(caught.value.problems) == 5
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("hint", "default", "shown"),
    [
        (int, 5, {"default": 5}),
        (Size, Size.LARGE, {"default": "large"}),
        (int | None, None, {"default": None}),
        (dict[str, int], {"a": 1}, {"default": {"a": 1}}),
        (int, None, {}),
        (float, float("nan"), {}),
        (Order, Order("1"), {}),
    ],
    ids=["int", "enum", "none", "dict", "wrong", "nan", "object"],
)
def test_a_default_is_in_the_schema_if_json_can_say_it(
    hint: Any, default: object, shown: dict[str, object]
) -> None:
    parameters = hinted(hint, default)
    assert parameters.schema["properties"]["x"] == {**schema_of(hint), **shown}
    assert parameters.schema["required"] == []
    assert parameters.read({}) == {}


@pytest.mark.parametrize(
    "hint",
    [
        bytes,
        complex,
        Callable[[], int],
        dict[int, str],
        set[dict[str, int]],
        set[Order],
        Tree,
        Hidden,
        Odd,
        Literal[b"a"],
        "NoSuchName",
        "Invisible",
        "1 +",
        typing.TypeVar("T"),
        list[bytes],
    ],
    ids=str,
)
def test_a_hint_that_json_schema_cannot_say_is_refused_by_name(hint: Any) -> None:
    with pytest.raises(ConfigError, match=r"^tool 'look': parameter 'x'") as caught:
        hinted(hint)
    assert caught.value.hint


def test_a_class_that_contains_itself_is_refused_as_such() -> None:
    with pytest.raises(ConfigError, match="Tree contains itself"):
        hinted(Tree)


def takes_nothing() -> None: ...
def only_named(*, session: object) -> None: ...
def positional(session: object, x: int, /) -> None: ...
def starred(session: object, *x: int) -> None: ...
def open_ended(session: object, **x: int) -> None: ...
def unhinted(session: object, x) -> None: ...  # type: ignore[no-untyped-def]


unreadable = functools.partial(unhinted)
unreadable.__signature__ = "none"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("handler", "told"),
    [
        (takes_nothing, "must take the session first"),
        (only_named, "must take the session first"),
        (positional, "'x' cannot be passed by name"),
        (starred, "'x' cannot be passed by name"),
        (open_ended, "'x' cannot be passed by name"),
        (unhinted, "'x' has no type hint"),
        (unreadable, "no readable signature"),
    ],
)
def test_a_handler_that_cannot_be_called_by_name_is_refused(handler: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        tool_parameters(handler, "look")


class Handlers:
    async def method(self, session: Invisible, order: Order) -> Invisible: ...
    async def __call__(self, session: object, order: Order) -> None: ...


async def two_orders(session: object, first: int, order: Order) -> None: ...


@pytest.mark.parametrize(
    "handler",
    [
        Handlers().method,
        Handlers(),
        functools.partial(two_orders, None),
        functools.cache(Handlers().method),
    ],
    ids=["method", "object", "partial", "wrapped"],
)
def test_hints_resolve_whatever_is_called_and_those_of_the_session_need_not(handler: Any) -> None:
    assert tool_parameters(handler, "look").read({"order": {"id": "1"}}) == {"order": Order("1")}


def test_a_hint_may_name_a_type_that_the_function_closes_over() -> None:
    @dataclass
    class Local:
        id: str

    def handler(session: object, local: Local) -> Local:
        return Local("")

    assert tool_parameters(handler, "look").read({"local": {"id": "1"}}) == {"local": Local("1")}


def test_a_hint_may_not_name_what_is_defined_after_the_tool() -> None:
    def handler(session: object, later: Later) -> object:
        return Later("")

    with pytest.raises(ConfigError, match="'later': the hint cannot be resolved") as caught:
        tool_parameters(handler, "look")
    assert "in a function" in caught.value.hint

    @dataclass
    class Later:
        id: str


def test_text_inside_a_hint_is_resolved_from_3_11_on_and_refused_before() -> None:
    hint = list["Size"]
    if sys.version_info < (3, 11):
        with pytest.raises(ConfigError, match="'Size' inside a hint is text"):
            hinted(hint)
    else:
        assert read(hint, ["large"]) == [Size.LARGE]


def test_the_definition_is_new_each_time_and_survives_json() -> None:
    def handler(session: object, x: list[int]) -> None:
        """Look.

        And see.
        """

    tool = TypedTool("look", handler)
    first: Any = tool.definition
    assert first == json.loads(json.dumps(first))
    assert first["description"] == "Look.\n\nAnd see."
    first["parameters"]["properties"]["x"].clear()
    assert tool.definition["parameters"] == tool_parameters(handler, "look").schema


def test_a_sync_handler_stays_sync() -> None:
    def look(session: object, x: int) -> int:
        return x + 1

    call = ToolCall(id="t", name="look", arguments={"x": 1})
    assert TypedTool("look", look).handler()(None, call) == 2  # type: ignore[arg-type]


# --- through an app -------------------------------------------------------------------------------


def an_app() -> VoiceApp:
    app = VoiceApp()

    @app.tool(schema=True)
    async def lookup_order(
        session: CallSession, order_id: Annotated[str, "as printed on the parcel"], limit: int = 5
    ) -> dict[str, object]:
        """Find an order."""
        return {"order": order_id, "limit": limit}

    @app.tool("plain")
    async def answer(session: CallSession, call: ToolCall) -> object:
        return call.arguments

    return app


def test_the_app_has_the_entries_for_the_agent() -> None:
    app = an_app()
    assert app.tools == [
        {
            "name": "lookup_order",
            "description": "Find an order.",
            "parameters": {
                "type": "object",
                "properties": {
                    "order_id": {"type": "string", "description": "as printed on the parcel"},
                    "limit": {"type": "integer", "default": 5},
                },
                "required": ["order_id"],
                "additionalProperties": False,
            },
        }
    ]
    assert Llm(tools=app.tools)["tools"] == app.tools


def test_name_and_description_can_be_given_and_the_docstring_of_a_class_is_not_taken() -> None:
    class Look:
        """A class."""

        async def __call__(self, session: object) -> None: ...

    app = VoiceApp()
    app.tool("look", schema=True)(Look())
    app.tool("see", schema=True, description="See it.")(Look())
    told = [(tool["name"], tool["description"]) for tool in app.tools]
    assert told == [("look", ""), ("see", "See it.")]


def test_replacing_a_tool_replaces_its_entry() -> None:
    app = an_app()

    @app.tool("lookup_order", replace=True)
    async def answer(session: CallSession, call: ToolCall) -> None: ...

    assert app.tools == []


def test_a_tool_without_name_or_with_a_stray_description_is_refused() -> None:
    app = an_app()
    with pytest.raises(ConfigError, match="parentheses"):
        app.tool(takes_nothing)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="has no name"):
        app.tool()(Handlers())
    with pytest.raises(ConfigError, match="schema=True"):
        app.tool("look", description="Look.")
    with pytest.raises(ConfigError, match="already"):
        app.tool("lookup_order", schema=True)(Handlers().__call__)
    assert len(app.tools) == 1


@pytest.mark.anyio
async def test_arguments_come_by_name_and_a_plain_tool_keeps_its_call() -> None:
    async with a_call(an_app()) as caller:
        await caller.says(ToolCall(id="a", name="lookup_order", arguments={"order_id": "7"}))
        assert await caller.receives() == ToolResult("a", {"order": "7", "limit": 5})
        await caller.says(ToolCall(id="b", name="plain", arguments={"any": 1}))
        assert await caller.receives() == ToolResult("b", {"any": 1})


@pytest.mark.anyio
async def test_what_does_not_fit_never_reaches_the_handler_and_the_model_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "plivo_anyio")
    app, called = VoiceApp(), list[object]()

    @app.tool(schema=True)
    async def pay(session: CallSession, amount: float) -> str:
        called.append(amount)
        return "paid"

    told = "amount must be a number, not a string; there is no argument 'to'"
    async with a_call(app) as caller:
        await caller.says(
            ToolCall(id="a", name="pay", arguments={"amount": "4711", "to": "4712"}),
        )
        assert await caller.receives() == ToolError("a", told)
        await caller.says(ToolCall(id="", name="pay"))  # nothing to answer
        await caller.says(ToolCall(id="b", name="pay", arguments={"amount": 1}))
        assert await caller.receives() == ToolResult("b", "paid")
    records = [each for each in caplog.records if "was not called" in each.message]
    assert [each.levelno for each in records] == [logging.INFO] * 2
    assert told in records[0].message
    assert "4711" not in caplog.text
    assert called == [1.0]


@pytest.mark.anyio
async def test_a_catch_all_that_answered_first_is_no_error() -> None:
    app, errors, done = VoiceApp(), list[Exception](), anyio.Event()

    @app.on_event
    async def anything(session: CallSession, event: object) -> None:
        if isinstance(event, ToolCall):
            session.send_tool_result(event.id, "mine")

    @app.tool(schema=True)
    async def pay(session: CallSession, amount: float) -> None: ...

    @app.on_handler_error
    async def failed(session: CallSession, event: object, error: Exception) -> None:
        errors.append(error)

    @app.on_disconnect
    async def gone(session: CallSession) -> None:
        done.set()

    async with a_call(app) as caller:
        await caller.says(ToolCall(id="a", name="pay"))
        assert await caller.receives() == ToolResult("a", "mine")
        await caller.closes()
        await done.wait()
    assert errors == []
