"""Hypothesis strategies for what Plivo's REST API answers: objects, pages, and failures.

Built from the annotations of the classes in :mod:`plivo_core.rest`; values are of the kind that is
documented, and any member may be missing or null.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar, cast

from hypothesis import strategies as st

from plivo_core import rest
from plivo_core.codec import DEFAULT_CODEC
from plivo_core.rest import Answer, Response

__all__ = ["answer_objects", "answers", "page_objects", "rest_failures", "rest_responses"]

A = TypeVar("A", bound=Answer)
_Object = dict[str, Any]

_names = st.text(alphabet="abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12)
_texts = st.text(max_size=20)
_whole = st.integers(0, 10**6)
_scalars = st.booleans() | _whole | _texts
_objects = st.dictionaries(_names, _scalars, max_size=3)
_ids = st.uuids().map(str)
_amounts = st.decimals(0, 100, places=5).map(str)
_times = st.datetimes().map("{:%Y-%m-%d %H:%M:%S}+00:00".format)
_BY_ANNOTATION: Mapping[str, st.SearchStrategy[Any]] = {
    "str": _texts,
    "bool": st.booleans(),
    "int": _whole,
    "Number": _whole | st.floats(0, 10**6),
    "object": _scalars | _objects,
    "Mapping[str, object]": _objects,
    "Sequence[str]": st.lists(_texts, max_size=3),
    "Sequence[object]": st.lists(_scalars, max_size=3),
}
_NESTED = re.compile(r"(Sequence\[)?(\w+)\]?")
_JSON = (("content-type", "application/json"),)


def _values(name: str, annotation: str) -> st.SearchStrategy[Any]:
    """Of the JSON member that is read into such a field."""
    kind = annotation.removesuffix(" | None")
    if kind == "str":
        if name.endswith(("_uuid", "_id")):
            return _ids
        if name.endswith(("_time", "_at", "_date")):
            return _times
        if name.endswith(("_rate", "_amount", "_cost", "price")):
            return _amounts
    if (known := _BY_ANNOTATION.get(kind)) is not None:
        return known
    match = cast("re.Match[str]", _NESTED.fullmatch(kind))
    inner = _documented(cast("type[Answer]", getattr(rest, match[2])))
    return st.lists(inner, max_size=3) if match[1] else inner


def _documented(cls: type[Answer]) -> st.SearchStrategy[_Object]:
    members = {
        cast("str", f.metadata.get("name", f.name)): st.none()
        | _values(f.name, cast("str", f.type))
        for f in fields(cls)
        if f.name != "raw"
    }
    return st.fixed_dictionaries({}, optional=members)


def answer_objects(cls: type[Answer]) -> st.SearchStrategy[_Object]:
    """JSON objects that ``cls`` of :mod:`plivo_core.rest` reads, now and then with members it does
    not know, as a newer API would send."""
    unknown = st.dictionaries(_names.map("x_{}".format), _scalars, max_size=2)
    return st.builds(_joined, _documented(cls), unknown)


def _joined(one: _Object, other: _Object) -> _Object:
    return {**one, **other}


def answers(cls: type[A]) -> st.SearchStrategy[A]:
    """The same, read: what an operation returns to your code."""
    return answer_objects(cls).map(cls.read)


def page_objects(
    cls: type[Answer], *, offset: int = 0, limit: int = 20, last: bool | None = None
) -> st.SearchStrategy[_Object]:
    """The JSON of one page of a list; ``last`` says whether another follows (None: draws it)."""
    return _page(cls, offset, limit, last)


@st.composite
def _page(
    draw: st.DrawFn, cls: type[Answer], offset: int, limit: int, last: bool | None
) -> _Object:
    ends = draw(st.booleans()) if last is None else last
    # One that promises more than it has is a page all the same; an empty one promises nothing.
    items = draw(st.lists(answer_objects(cls), min_size=0 if ends else 1, max_size=min(limit, 4)))
    following = None if ends else f"/v1/Account/MA/?limit={limit}&offset={offset + limit}"
    before = f"/v1/Account/MA/?limit={limit}&offset={max(0, offset - limit)}" if offset else None
    meta: _Object = {"limit": limit, "offset": offset, "next": following, "previous": before}
    if draw(st.booleans()):  # messages may lack it
        meta["total_count"] = offset + len(items) + (0 if ends else draw(st.integers(1, 1000)))
    return {"api_id": draw(_ids), "meta": meta, "objects": items}


def rest_responses(cls: type[Answer], *, page: bool = False) -> st.SearchStrategy[Response]:
    """What a request may get: mostly a success with the JSON of ``cls`` (or of a ``page`` of it),
    now and then a failure."""
    bodies = page_objects(cls) if page else answer_objects(cls)
    successes = st.builds(_success, st.sampled_from([200, 200, 201, 202]), bodies)
    return st.one_of(successes, successes, successes, rest_failures())


def _success(status: int, body: _Object) -> Response:
    return Response(status, _JSON, DEFAULT_CODEC.encode(body).encode())


def rest_failures() -> st.SearchStrategy[Response]:
    """Answers that are no success: 400 that names a field, 401, 403, 404, 429 with and without
    Retry-After, 5xx, some of them of a proxy that speaks HTML, empty or cut."""
    told: list[st.SearchStrategy[_Object]] = [
        st.fixed_dictionaries({"error": _names.map("{}: is required".format)}),
        st.fixed_dictionaries({"api_id": _ids, "error": _texts}),
        st.fixed_dictionaries({"api_id": _ids, "error": st.fixed_dictionaries({"error": _texts})}),
        st.fixed_dictionaries({"api_id": _ids, "message": _texts}),
    ]
    errors = st.one_of(told)
    bodies = st.one_of(
        errors.map(lambda error: (_JSON, DEFAULT_CODEC.encode(error).encode())),
        st.sampled_from([b"", b"Not Found", b"<html><body>Bad Gateway</body></html>"]).map(
            lambda text: ((("content-type", "text/html"),), text)
        ),
    )
    waits = st.sampled_from([None, "0", "1", "120", "soon", "Wed, 21 Oct 2015 07:28:00 GMT"])
    return st.builds(
        _failure,
        st.sampled_from([400, 401, 403, 404, 405, 409, 429, 429, 500, 502, 503, 504]),
        bodies,
        waits,
        st.sampled_from([True] * 9 + [False]),
    )


def _failure(
    status: int,
    said: tuple[tuple[tuple[str, str], ...], bytes],
    retry_after: str | None,
    complete: bool,
) -> Response:
    headers, body = said
    if retry_after is not None and status in (429, 503):
        headers = (*headers, ("retry-after", retry_after))
    if not complete:
        return Response(status, headers, body[: len(body) // 2], complete=False)
    return Response(status, headers, body)
