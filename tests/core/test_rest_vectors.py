"""Every vector of rest.json and errors.json, through the pure core."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from plivo_core import errors
from plivo_core.rest import API_URL, LOOKUP_URL, VERSION, Account, Response, RetryPolicy
from tests.core._rest import AUTH_ID, AUTH_TOKEN, an_account, an_operation, call, run, vectors

SERVICES = {"api": API_URL, "lookup": LOOKUP_URL}


def by_id(vector: dict[str, Any]) -> str:
    return str(vector["id"])


@pytest.mark.parametrize("vector", vectors("rest.json"), ids=by_id)
def test_an_operation_asks_and_reads_what_the_vector_says(vector: dict[str, Any]) -> None:
    account = an_account(auth_id=vector["auth_id"])
    before = json.dumps(vector["args"])
    if "expect_error" in vector:
        with pytest.raises((ValueError, TypeError)) as caught:
            call(account, vector["op"], vector["args"])
        assert isinstance(
            caught.value, {"ValueError": ValueError, "TypeError": TypeError}[vector["expect_error"]]
        )
        return
    op = call(account, vector["op"], vector["args"])
    wanted = vector["request"]
    url = urlsplit(op.request.url)
    assert f"{url.scheme}://{url.netloc}" == SERVICES[wanted["service"]]
    assert (op.method, url.path, op.path) == (wanted["method"], wanted["path"], wanted["path"])
    assert (
        dict(parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query)))
        == (wanted["query"])
    )
    body = op.request.body
    assert (None if body is None else json.loads(body)) == wanted["body"]
    assert json.dumps(vector["args"]) == before  # the caller's values are the caller's
    if "response" in vector:
        answer = vector["response"]
        text = answer.get("text", "" if answer.get("body") is None else json.dumps(answer["body"]))
        value = run(op, [Response(answer["status"], (), text.encode())]).value
        assert (value and value.raw) == (vector["result"] or (value and {}))


@pytest.mark.parametrize("vector", vectors("rest.json", "headers"), ids=by_id)
def test_headers_and_addresses_are_as_the_vector_says(vector: dict[str, Any]) -> None:
    options = {"base_url": vector["base_url"]} if "base_url" in vector else {}
    account = Account(
        vector.get("auth_id", AUTH_ID), vector.get("auth_token", AUTH_TOKEN), **options
    )
    request = call(account, vector["op"], vector["args"]).request
    headers = {name.lower(): value for name, value in request.headers}
    for name, value in vector.get("expect_headers", {}).items():
        assert headers[name] == value
    assert request.url == vector.get("expect_url", request.url)
    assert headers["user-agent"] == f"plivo-sansio/{VERSION}"


def test_the_version_is_that_of_the_distribution() -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert re.findall(r'^version = "(.*?)"', project, re.MULTILINE) == [VERSION]


@pytest.mark.parametrize("vector", vectors("rest.json", "credentials"), ids=by_id)
def test_credentials_by_argument_are_kept_or_refused(vector: dict[str, Any]) -> None:
    # The environment is for clients to read; the core sees what they found.
    given = {
        name: vector["args"].get(name) or vector["env"].get(f"PLIVO_{name.upper()}", "")
        for name in ("auth_id", "auth_token")
    }
    if "expect_error" in vector:
        with pytest.raises(ValueError, match="PLIVO_AUTH_"):
            Account(**given)
        return
    assert Account(**given).auth_id == vector["expect"]["auth_id"]


@pytest.mark.parametrize("vector", vectors("rest.json", "pagination"), ids=by_id)
def test_pages_are_walked_by_offset(vector: dict[str, Any]) -> None:
    op: Any = call(an_account(), vector["op"], vector["args"])
    queries: list[dict[str, str]] = []
    items: list[Any] = []
    for page in vector["pages"]:
        queries.append(dict(parse_qsl(urlsplit(op.request.url).query)))
        value = run(op, [Response(200, (), json.dumps(page).encode())]).value
        items.extend(item.raw for item in value.objects)
        op = value.next_page()
    assert op is None
    assert queries == vector["expect_queries"]
    assert items == vector["expect_items"]


@pytest.mark.parametrize("vector", vectors("errors.json"), ids=by_id)
def test_an_answer_becomes_the_error_of_the_vector(vector: dict[str, Any]) -> None:
    wall_now = 0.0
    if "now" in vector:
        wall_now = datetime.fromisoformat(vector["now"].replace("Z", "+00:00")).timestamp()
    response = Response(
        vector["status"], tuple(vector["headers"].items()), vector["body_text"].encode()
    )
    op = an_operation("GET", retry=RetryPolicy(max_retries=0))
    error = run(op, [response], wall_now=wall_now).error
    expected = vector["expect"]
    name = "ApiError" if expected["class"] == "PlivoError" else expected["class"]
    assert type(error) is getattr(errors, name)
    assert error.status_code == expected["status_code"]
    assert error.api_id == expected["api_id"]
    assert error.body == expected["body"]
    if "message" in expected:
        assert error.message == expected["message"]
    else:
        assert expected["message_contains"] in error.message
    assert error.retry_after == expected.get("retry_after")
    assert (error.method, error.path, error.attempts) == ("GET", op.path, 1)


@pytest.mark.parametrize("vector", vectors("errors.json", "retry"), ids=by_id)
def test_retries_follow_the_vector(vector: dict[str, Any]) -> None:
    config = dict(vector["config"])
    assert config.pop("jitter") is False
    script = [
        Response(r["status"], tuple(r.get("headers", {}).items())) for r in vector["responses"]
    ]
    result = run(an_operation(vector["method"]), script, retry=RetryPolicy(**config))
    expected = vector["expect"]
    assert (result.sends, result.waits) == (expected["attempts"], expected["sleeps"])
    if expected["outcome"] == "ok":
        assert result.value is None or result.value.raw == {}
    else:
        assert type(result.error) is getattr(errors, expected["outcome"])
        assert result.error.attempts == expected["attempts"]
