"""Plivo's own client from PyPI against the simulated account, its addresses patched, and its
signature validator against the simulator's callbacks. A dev dependency: missing is a failure.
"""

from __future__ import annotations

import functools
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl

import plivo
import plivo.resources.lookup
import plivo.rest.client
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from plivo.utils import validate_v3_signature

from tests.platform._account import AUTH_ID, TOKENS, Account
from tests.platform._served import BACKENDS, served


@pytest.fixture(scope="module", params=BACKENDS)
def portal(request: pytest.FixtureRequest) -> Iterator[BlockingPortal]:
    with start_blocking_portal(request.param) as made:
        yield made


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def client(
    portal: BlockingPortal, account: Account, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    monkeypatch.setenv("NO_PROXY", "*")
    with served(portal, account.api) as base:
        for name in ("PLIVO_API_BASE_URI", "API_VOICE_BASE_URI"):
            monkeypatch.setattr(plivo.rest.client, name, f"{base}/v1/Account")
        lookup = plivo.resources.lookup
        monkeypatch.setattr(lookup, "LOOKUP_API_ENDPOINT", f"{base}/v1/Number")
        with plivo.RestClient(AUTH_ID, TOKENS[AUTH_ID]) as made:
            yield made


@pytest.fixture
def webhooks() -> Iterator[Any]:
    """A server of the standard library that keeps what it is sent: method, URL, headers, form."""
    seen: list[Any] = []
    arrived = threading.Condition()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"] or 0)).decode()
            with arrived:
                url = f"http://{self.headers['host']}{self.path}"
                form = dict(parse_qsl(body, keep_blank_values=True))
                seen.append((self.command, url, self.headers, form))
                arrived.notify_all()
            self.send_response(200)
            self.end_headers()

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        serve = functools.partial(server.serve_forever, poll_interval=0.01)
        threading.Thread(target=serve, daemon=True).start()

        def wait_for(count: int) -> list[Any]:
            with arrived:
                assert arrived.wait_for(lambda: len(seen) >= count, timeout=10)
            return seen

        yield f"http://127.0.0.1:{server.server_address[1]}", wait_for
        server.shutdown()


def test_it_sends_and_lists_messages(client: Any) -> None:
    sent = client.messages.create(src="14155550100", dst="14155550101", text="hi")
    assert sent.message == "message(s) queued"
    (uuid,) = sent.message_uuid
    assert client.messages.get(uuid).to_number == "14155550101"
    client.messages.create(src="14155550100", dst="14155550102<14155550103", text="hi")
    listed = client.messages.list(limit=2)
    assert listed.meta.total_count == 3
    assert [message.to_number for message in listed.objects] == ["14155550103", "14155550102"]


def test_it_buys_and_looks_up_a_number(client: Any) -> None:
    offers = client.numbers.search(country_iso="US", type="local")
    number = offers.objects[0].number
    assert client.numbers.buy(number).status == "fulfilled"
    client.numbers.update(number, alias="desk")
    assert client.numbers.get(number).alias == "desk"
    found = client.lookup.get(number)
    assert found.format.e164 == f"+{number}"
    assert found.country.iso2 == "US"
    client.numbers.delete(number)
    with pytest.raises(plivo.exceptions.ResourceNotFoundError, match="number not found"):
        client.numbers.get(number)


def test_its_errors_carry_our_texts(client: Any) -> None:
    with pytest.raises(plivo.exceptions.ValidationError, match=r"^text: "):
        client.messages.create(src="1415555", dst="14155550101", text="x" * 1601)
    client.session.auth = (AUTH_ID, "wrong")
    with pytest.raises(plivo.exceptions.AuthenticationError, match="verify"):
        client.messages.get("x")  # its lists cannot read an error that is JSON


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_its_validator_accepts_the_callbacks_of_a_message(
    client: Any, webhooks: Any, method: str
) -> None:
    base, wait_for = webhooks
    client.messages.create(
        src="14155550100", dst="14155550101", text="hi", url=f"{base}/s?id=7", method=method
    )
    seen = wait_for(3)
    assert [is_valid(*request) for request in seen] == [True, True, True]
    command, url, headers, form = seen[0]
    assert not is_valid(command, url.replace("id=7", "id=8"), headers, form)


def test_its_validator_accepts_the_callbacks_of_a_call(client: Any, webhooks: Any) -> None:
    base, wait_for = webhooks
    fired = client.calls.create(
        from_="14155550100",
        to_="14155550101",
        answer_url=f"{base}/answer",
        answer_method="GET",
        ring_url=f"{base}/ring",
        hangup_url=f"{base}/hangup",
    )
    assert fired.message == "call fired"
    seen = wait_for(3)
    assert all(is_valid(*request) for request in seen)
    assert {url.rpartition("/")[2].partition("?")[0] for _, url, _, _ in seen} == {
        "answer",
        "ring",
        "hangup",
    }


def is_valid(method: str, url: str, headers: Any, form: dict[str, str]) -> bool:
    return bool(
        validate_v3_signature(
            method,
            url,
            headers["X-Plivo-Signature-V3-Nonce"],
            TOKENS[AUTH_ID],
            headers["X-Plivo-Signature-V3"],
            dict(form),
        )
    )
