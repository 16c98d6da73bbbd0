"""Agents, numbers, messages and lookup of the simulated account: what is kept, found and told."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from plivo_core.platform import CallbackDue, PlatformLimits
from plivo_core.webhooks import WebhookVerifier, parse_callback
from tests.platform._account import NUMBER, SUB_ID, TOKENS, Account


@pytest.fixture
def account() -> Account:
    return Account()


def names(answer: Any, member: str) -> list[Any]:
    return [record[member] for record in answer.body["objects"]]


# --- agents ---------------------------------------------------------------------------------------


def test_an_agent_is_stored_as_it_was_configured(account: Account) -> None:
    stt = {"provider": "Deepgram", "api_key": "k", "odd": {"keyId": [1]}}
    created = account.post(
        "Agent",
        {"agent_name": "A", "websocket_url": "ws://h", "stt": stt, "semantic_vad": "high"},
    )
    assert created.body["message"] == "agent created"
    agent = account.get(f"Agent/{created.body['agent_uuid']}").body
    assert (agent["stt"], agent["byok"]) == (stt, True)
    assert agent["semantic_vad"]["completed_turn_delay_ms"] == 150
    assert agent["created_at"].startswith("2026-09-21T14:15:00.000")


def test_an_update_changes_what_it_names_and_null_clears(account: Account) -> None:
    agent = account.an_agent(stt={}, tts={}, welcome_greeting="Hi", semantic_vad=None)
    answer = account.ask("PATCH", f"Agent/{agent}", {"agent_name": "B", "stt": None, "tts": None})
    assert (answer.status, answer.body["agent_name"]) == (200, "B")
    assert "stt" not in answer.body
    assert account.get(f"Agent/{agent}").body["welcome_greeting"] == "Hi"
    refused = account.ask("PATCH", f"Agent/{agent}", {"llm": {}})
    assert refused.status == 400
    assert refused.error.startswith("llm needs stt and tts")


def test_a_deleted_agent_is_gone(account: Account) -> None:
    agent = account.an_agent()
    assert account.delete(f"Agent/{agent}").status == 204
    assert account.get(f"Agent/{agent}").status == 404
    assert account.delete(f"Agent/{agent}").status == 404


def test_agents_are_listed_by_filters_and_in_order(account: Account) -> None:
    for name, parts in [("b", {}), ("c", {"s2s": {}}), ("a", {"s2s": {}})]:
        account.an_agent(agent_name=name, **parts)
    assert names(account.get("Agent"), "agent_name") == ["b", "c", "a"]
    assert names(account.get("Agent", agent_mode="s2s"), "agent_name") == ["c", "a"]
    assert names(account.get("Agent", sort_by="agent_name"), "agent_name") == ["a", "b", "c"]
    down = account.get("Agent", sort_by="agent_name", sort_order="desc")
    assert names(down, "agent_name") == ["c", "b", "a"]


def test_a_list_comes_in_pages_that_name_their_neighbours(account: Account) -> None:
    for at in range(7):
        account.an_agent(agent_name=str(at))
    first = account.get("Agent", limit=3, sort_by="agent_name").body
    assert first["meta"]["previous"] is None
    assert (first["meta"]["limit"], first["meta"]["total_count"]) == (3, 7)
    seen: list[Any] = []
    path = first["meta"]["next"]
    while path is not None:
        prefix, _, query = path.partition("?")
        assert prefix.endswith("/Agent")
        page = account.get("Agent", **dict(parse_qsl(query)))
        seen += names(page, "agent_name")
        path = page.body["meta"]["next"]
    assert seen == ["3", "4", "5", "6"]
    assert account.get("Agent", limit=3, offset=4).body["meta"]["next"] is None
    middle = account.get("Agent", limit=3, offset=4).body["meta"]
    assert "offset=1" in middle["previous"]
    assert account.get("Agent", offset=99).body["objects"] == []


def test_agents_have_numbers_that_are_rented(account: Account) -> None:
    first, second = account.an_agent(), account.an_agent()
    path = f"Agent/{first}/Number"
    assert account.post(path, {"number": NUMBER}).status == 404
    account.a_number()
    answer = account.post(path, {"number": NUMBER})
    assert (answer.status, answer.body["number"]) == (201, NUMBER)
    assert account.get(path).body["numbers"] == [NUMBER]
    assert account.post(f"Agent/{second}/Number", {"number": NUMBER.lstrip("+")}).status == 201
    assert account.get(path).body["numbers"] == []
    unassign = f"Agent/{second}/Number/{NUMBER}"
    assert account.delete(unassign).status == 204
    assert account.delete(unassign).status == 404
    assert account.delete(f"Agent/{second}/Number/x").status == 404


# --- sessions -------------------------------------------------------------------------------------


def test_sessions_are_found_by_agent_call_number_time_and_duration(account: Account) -> None:
    agent = account.an_agent()
    calls: list[str] = []
    for seconds in (5, 50):
        calls.append(account.a_call(agent, to=[f"+{seconds}"]))
        placed = account.placed()
        account.began(placed)
        account.now += seconds
        account.ended(placed, turn_count=seconds)
    running = account.a_call()

    def found(path: str = "AgentSession", **query: object) -> list[Any]:
        return names(account.get(path, **query), "primary_call_uuid")

    assert found() == [*calls, running]
    assert found(agent_id=agent) == calls == found(f"Agent/{agent}/Session")
    assert found(call_uuid=calls[1]) == [calls[1]]
    assert found(phone_number="50") == [calls[1]]
    assert found(duration__gte=10) == [calls[1]]
    assert found(duration__lte="10.5", ended_at__gte="2026-01-01") == [calls[0]]
    assert found(created_at__gt="2026-09-21T14:15:03Z", created_at__lt="2099-01-01 00:00") == [
        calls[1],
        running,
    ]
    assert found(created_at__gte="2026-09-21T20:15:00+06:00") == [*calls, running]
    assert found(sort_by="ended_at", sort_order="desc") == [calls[1], calls[0], running]
    assert found(sort_by="turn_count") == [running, *calls]
    assert found(agent_mode="s2s") == []
    assert found(unheard_of=1, duration__odd=2, odd__gte=3) == [*calls, running]
    session = account.get("AgentSession").body["objects"][0]["agent_session_uuid"]
    assert account.get(f"Agent/{account.an_agent()}/Session/{session}").status == 404
    assert account.get("AgentSession/none").status == 404


# --- messages -------------------------------------------------------------------------------------


def status_of(account: Account, uuid: str) -> str:
    return str(account.get(f"Message/{uuid}/").body["message_state"])


def test_a_message_is_queued_sent_and_delivered_as_time_passes(account: Account) -> None:
    assert account.api.deadline() is None
    uuid = account.a_message()
    assert status_of(account, uuid) == "queued"
    assert account.api.deadline() == pytest.approx(account.now + 0.05)
    account.passes(0.04)
    assert status_of(account, uuid) == "queued"
    account.passes(0.02)
    assert status_of(account, uuid) == "sent"
    account.passes(0.1)
    record = account.get(f"Message/{uuid}/").body
    assert record["message_state"] == "delivered"
    assert record["message_time"] < record["message_sent_time"] < record["message_updated_time"]
    assert account.api.deadline() is None


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_messages_status_is_told_in_signed_forms(account: Account, method: str) -> None:
    url = "https://app.example.com/status?id=7"
    uuid = account.a_message(url=url, method=method)
    account.passes(1)
    dues = account.callbacks()
    verifier = WebhookVerifier(TOKENS["MAEXAMPLE0000000000A"], public_url="https://app.example.com")
    told: list[Any] = []
    for due in dues:
        parts = urlsplit(due.url)
        hook = verifier.verify(
            method=method,
            target=f"{parts.path}?{parts.query}",
            headers=due.headers,
            body=due.body,
        )
        told.append(parse_callback(hook.fields, "message_status"))
    assert [message.status for message in told] == ["queued", "sent", "delivered"]
    assert {message.message_uuid for message in told} == {uuid}
    assert "DeliveryReportTime" in dues[-1].params
    assert "SentTime" not in dues[0].params


def test_what_is_no_phone_number_gets_no_message(account: Account) -> None:
    body = {"dst": "+14155550101<nobody<4915112345678", "src": "ACME", "text": "x"}
    answer = account.post("Message/", body)
    assert answer.status == 202
    assert len(answer.body["message_uuid"]) == 2
    assert answer.body["invalid_number"] == ["nobody"]
    none = account.post("Message/", {**body, "dst": "nobody"})
    assert none.status == 400
    assert none.error.startswith("dst: ")


def test_messages_are_found_by_filters(account: Account) -> None:
    first = account.a_message(dst="+49151")
    account.now += 3600
    second = account.a_message(type="mms", media_urls=["https://h.example.com/a/b.png?x"])
    body = {"dst": "+1", "powerpack_uuid": "pp", "url": "https://app.example.com"}
    account.ask("POST", "Message/", body, user=SUB_ID)
    (due,) = account.of(CallbackDue)
    assert due.params["PowerpackUUID"] == "pp"
    third = due.params["MessageUUID"]

    def found(**query: object) -> list[Any]:
        return names(account.get("Message/", **query), "message_uuid")

    assert found() == [third, second, first]
    assert found(to_number="49151") == [first]
    assert found(message_type="mms") == [second]
    assert found(subaccount=SUB_ID) == [third] == found(powerpack_id="pp")
    assert found(message_state="sent") == []
    assert found(message_time__gte="2026-09-21 14:30") == [third, second]
    (medium,) = account.get(f"Message/{second}/Media/").body["objects"]
    assert medium["media_url"] == "https://h.example.com/a/b.png?x"
    assert medium["file_name"] == "b.png"


def test_stored_media_keep_their_ids(account: Account) -> None:
    uuid = account.a_message(type="mms", media_ids=["m-1"])
    (medium,) = account.get(f"Message/{uuid}/Media/").body["objects"]
    assert (medium["media_id"], medium["media_url"]) == ("m-1", None)
    assert account.get("Message/none/Media/").status == 404


# --- numbers --------------------------------------------------------------------------------------


def test_a_number_is_searched_bought_changed_and_given_back(account: Account) -> None:
    offers = account.get("PhoneNumber/", country_iso="us", type="local", city="San Francisco")
    assert offers.body["meta"]["total_count"] == 25
    number = offers.body["objects"][0]["number"]
    bought = account.post(f"PhoneNumber/{number}/", {"app_id": "77"})
    assert bought.body["numbers"] == [{"number": number, "status": "Success"}]
    assert (
        account.get("PhoneNumber/", country_iso="US", type="local").body["meta"]["total_count"]
        == 24
    )
    assert account.post(f"PhoneNumber/+{number}/").error.startswith("number: ")
    path = f"Number/+{number}/"
    change = {"app_id": "", "alias": "desk", "subaccount": SUB_ID}
    assert account.post(path, change).body["message"] == "changed"
    record = account.get(path).body
    assert (record["application"], record["alias"]) == (None, "desk")
    assert record["sub_account"] == SUB_ID
    assert account.post(path, {}).status == 202
    agent = account.an_agent()
    account.post(f"Agent/{agent}/Number", {"number": number})
    assert account.delete(path).status == 204
    assert account.get(f"Agent/{agent}/Number").body["numbers"] == []
    assert account.get(path).status == 404
    assert account.get("Number/x/").status == 404


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"country_iso": "US"}, 50),
        ({"country_iso": "US", "pattern": "800*"}, 25),
        ({"country_iso": "US", "pattern": "415*9"}, 2),
        ({"country_iso": "US", "pattern": "5550110"}, 2),
        ({"country_iso": "GB", "services": "voice,sms", "type": "mobile"}, 25),
        ({"country_iso": "US", "lata": "722"}, 25),
        ({"country_iso": "ZZ"}, 0),
    ],
)
def test_a_search_has_filters(account: Account, query: dict[str, str], count: int) -> None:
    answer = account.get("PhoneNumber/", **query)
    assert answer.body["meta"]["total_count"] == count


def test_rented_numbers_are_found_by_filters(account: Account) -> None:
    account.a_number("+18005550100")
    account.post("PhoneNumber/4915112345/", {"cnam_lookup": "enabled"})
    account.ask("POST", "PhoneNumber/99912/", user=SUB_ID)

    def found(**query: object) -> list[Any]:
        return names(account.get("Number/", **query), "number")

    assert found() == ["18005550100", "4915112345", "99912"]
    assert found(type="tollfree") == ["18005550100"]
    assert found(number_startswith="+49", services="mms") == ["4915112345"]
    assert found(cnam_lookup="enabled") == ["4915112345"]
    assert found(subaccount=SUB_ID) == ["99912"]
    assert found(renewal_date__gte="2026-10-01") == found()
    assert account.get("Number/99912/").body["country"] is None


@pytest.mark.parametrize(
    ("number", "iso2", "spelled"),
    [
        ("+14155550101", "US", ("(415) 555-0101", "+1 415-555-0101", "tel:+1-415-555-0101")),
        ("4930123456", "DE", ("30123456", "+49 30123456", "tel:+49-30123456")),
        ("99912", None, ("99912", "+99912", "tel:+99912")),
    ],
)
def test_a_lookup_spells_a_number(
    account: Account, number: str, iso2: str | None, spelled: tuple[str, str, str]
) -> None:

    response = account.raw("GET", f"/v1/Number/{number}?type=carrier")
    assert response.status == 200
    found = json.loads(response.body)
    assert found["country"]["iso2"] == iso2
    forms = found["format"]
    assert (forms["national"], forms["international"], forms["rfc3966"]) == spelled
    assert found["phone_number"] == forms["e164"]


# --- bounds ---------------------------------------------------------------------------------------


def test_every_shelf_has_a_bound() -> None:
    account = Account(
        limits=PlatformLimits(
            max_agents=1, max_numbers=1, max_calls=2, max_messages=2, max_destinations=2
        )
    )
    agent = account.an_agent()
    assert "1 agents" in account.post("Agent", {"agent_name": "x", "websocket_url": "ws://h"}).error
    account.a_number()
    assert account.post("PhoneNumber/15550001/").status == 403
    first = account.a_call(agent)
    placed = account.placed()
    account.a_call(agent)
    body = {"agent_id": agent, "from": "+1", "to": ["+2"]}
    assert account.post("AgentCall", body).status == 403  # both are live
    account.ended(placed)
    assert account.post("AgentCall", body).status == 201  # the one that is over makes room
    assert account.get("AgentSession", call_uuid=first).body["objects"] == []
    oldest = account.a_message()
    for _ in range(2):
        account.a_message()
    assert account.get(f"Message/{oldest}/").status == 404
    account.passes(1)
    for path, fields in [
        ("AgentCall", {**body, "to": ["1", "2", "3"]}),
        ("Message/", {"dst": "1<2<3", "src": "9"}),
        ("Call/", {"from": "1", "to": "1<2<3", "answer_url": "http://h"}),
    ]:
        assert account.post(path, fields).status == 400, path


def test_a_driver_that_does_not_drain_stops_changes_but_not_looks() -> None:
    account = Account(limits=PlatformLimits(max_effects=3))
    agent = account.an_agent()
    for _ in range(3):
        account.a_call(agent)
    answer = account.post("Message/", {"dst": "1", "src": "9"})
    assert (answer.status, "drain" in answer.error) == (503, True)
    assert account.get("Message/").status == 200
    assert account.api.receive_call(from_="1", to="2", now=1.0, wall_now=0.0) is None
    account.effects()
    account.a_message()
