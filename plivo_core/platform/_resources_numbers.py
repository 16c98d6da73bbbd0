"""Phone numbers and lookup (PROTOCOL.md 3.7).

The market is made up: every phone number that is not rented yet can be bought, and a search shows
a few dozen of them for each of the countries below. Records name numbers without plus.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from plivo_core.platform._answering import (
    Asked,
    Refused,
    Reply,
    choice,
    digits_of,
    flag,
    invalid,
    iso,
    mapping,
    page,
    select,
    text,
)
from plivo_core.platform._state import State
from plivo_core.platform._store import Number

__all__ = [
    "buy_number",
    "get_number",
    "list_numbers",
    "look_up",
    "release_number",
    "search_numbers",
    "update_number",
]

_TYPES = ("local", "tollfree", "mobile", "national", "fixed")
_SERVICES = frozenset({"voice", "sms", "mms"})
_OFFERED = 25  # numbers for rent of each kind: more than a page, so that pages can be tested


@dataclass(frozen=True, slots=True)
class _Country:
    name: str
    iso3: str
    prefix: str
    areas: Mapping[str, str]
    """The type of a number to what its numbers begin with, behind the prefix."""


# Area codes whose 555-01xx (or as good as) numbers are kept for fiction, where there are any.
_COUNTRIES = {
    "US": _Country("United States", "USA", "1", {"local": "415555", "tollfree": "800555"}),
    "CA": _Country("Canada", "CAN", "1", {"local": "604555"}),
    "GB": _Country("United Kingdom", "GBR", "44", {"local": "207946", "mobile": "770090"}),
    "DE": _Country("Germany", "DEU", "49", {"local": "302312", "national": "322312"}),
    "IN": _Country("India", "IND", "91", {"mobile": "998765", "fixed": "112345"}),
    "AU": _Country("Australia", "AUS", "61", {"local": "295550", "mobile": "491570"}),
}
_CITY = {"city": "San Francisco", "region": "California", "lata": "722", "rate_center": "SNFC"}
_EXACT = (
    "type", "alias", "cnam_lookup", "tendlc_campaign_id", "tendlc_registration_status",
    "toll_free_sms_verification", "toll_free_sms_verification_order_status",
)  # fmt: skip


# --- the market -----------------------------------------------------------------------------------


def search_numbers(state: State, asked: Asked) -> Reply:
    query = asked.query
    country = query.get("country_iso", "").upper()
    if not re.fullmatch("[A-Z]{2}", country):
        raise invalid("country_iso", "is required: two letters (ISO 3166)")
    _services(query)
    if "type" in query:
        choice(query, "type", _TYPES, "")
    if not re.fullmatch("[0-9]{0,10}", query.get("lata", "")):
        raise invalid("lata", "must be a whole number")
    rented = {number.record["number"] for number in state.numbers}
    offered = [record for record in _offers(asked, country) if record["number"] not in rented]
    exact = {name: (name,) for name in ("type", "region", "lata", "rate_center", "city")}
    found = select(offered, query, exact=exact)
    if pattern := query.get("pattern"):
        found = [record for record in found if _fits(str(record["number"]), pattern, country)]
    return page(asked, found)


def buy_number(state: State, asked: Asked) -> Reply:
    number = digits_of(asked.params[0])
    if number is None:
        raise Refused(404, "number not found")
    text(asked.body, "app_id")
    mapping(asked.body, "verification_info")
    text(asked.body, "cnam_lookup")
    flag(asked.body, "ha_enable")
    text(asked.body, "compliance_application_id")
    if state.numbers.get(number) is not None:
        raise invalid("number", "is rented already")
    state.numbers.require_room()
    iso2, country = _country_of(number)
    tollfree = number.startswith("1800")
    record: dict[str, object] = {
        "number": number,
        "alias": None,
        "application": asked.body.get("app_id") or None,
        "carrier": "Plivo",
        "city": None,
        "country": country.name.upper() if country else None,
        "country_iso": iso2,
        "region": country.name if country else None,
        "number_type": "tollfree" if tollfree else "local",
        "type": "tollfree" if tollfree else "local",
        "monthly_rental_rate": "0.00000",
        "sms_enabled": True,
        "sms_rate": "0.00000",
        "voice_enabled": True,
        "voice_rate": "0.00000",
        "mms_enabled": True,
        "sub_account": None if asked.account == state.main else asked.account,
        "added_on": iso(state.wall)[:10],
        "renewal_date": iso(state.wall + 30 * 86_400)[:10],
        "resource_uri": f"/v1/Account/{asked.account}/Number/{number}/",
        "cnam_lookup": asked.body.get("cnam_lookup"),
    }
    state.numbers.add(number, Number(record))
    bought = [{"number": number, "status": "Success"}]
    return Reply(201, {"message": "created", "status": "fulfilled", "numbers": bought})


# --- rented numbers -------------------------------------------------------------------------------


def list_numbers(state: State, asked: Asked) -> Reply:
    query = asked.query
    wanted = _services(query)
    if "type" in query:
        choice(query, "type", _TYPES, "")
    exact = {**{name: (name,) for name in _EXACT}, "subaccount": ("sub_account",)}
    times = {"renewal_date": "renewal_date"}
    records = [number.record for number in state.numbers]
    records = [r for r in records if all(r[f"{service}_enabled"] for service in wanted)]
    if start := query.get("number_startswith", "").lstrip("+"):
        records = [record for record in records if str(record["number"]).startswith(start)]
    return page(asked, select(records, query, exact=exact, times=times))


def get_number(state: State, asked: Asked) -> Reply:
    return Reply(200, dict(_rented(state, asked).record))


def update_number(state: State, asked: Asked) -> Reply:
    """What is not documented is taken and forgotten."""
    record = _rented(state, asked).record
    body = asked.body
    app_id, alias = text(body, "app_id"), text(body, "alias")
    subaccount = text(body, "subaccount")
    if subaccount and subaccount not in state.tokens:
        raise invalid("subaccount", "is unknown")
    if app_id is not None:
        record["application"] = app_id or None  # empty unlinks
    if alias:
        record["alias"] = alias
    if subaccount:
        record["sub_account"] = subaccount
    return Reply(202, {"message": "changed"})


def release_number(state: State, asked: Asked) -> Reply:
    number = digits_of(asked.params[0]) or ""
    state.numbers.take(number)
    for agent in state.agents:
        agent.numbers.pop(number, None)
    return Reply(204)


# --- lookup ---------------------------------------------------------------------------------------


def look_up(state: State, asked: Asked) -> Reply:
    """What a number's prefix tells; the carrier is made up. Any ``type`` is answered alike."""
    number = digits_of(asked.params[0])
    if number is None:
        raise Refused(404, "number not found")
    iso2, country = _country_of(number)
    national = number[len(country.prefix) :] if country else number
    if iso2 == "US" and len(national) == 10:
        groups = (national[:3], national[3:6], national[6:])
        spoken, dashed = f"({groups[0]}) {groups[1]}-{groups[2]}", "-".join(groups)
    else:
        spoken = dashed = national
    prefix = f"+{country.prefix}" if country else "+"
    return Reply(
        200,
        {
            "phone_number": f"+{number}",
            "country": {
                "name": country.name if country else None,
                "iso2": iso2,
                "iso3": country.iso3 if country else None,
            },
            "format": {
                "e164": f"+{number}",
                "national": spoken,
                "international": f"{prefix} {dashed}".replace("+ ", "+"),
                "rfc3966": f"tel:{prefix}-{dashed}".replace("+-", "+"),
            },
            "carrier": {
                "mobile_country_code": None,
                "mobile_network_code": None,
                "name": "Simulated Carrier",
                "type": "toll-free" if number.startswith("1800") else "mobile",
                "ported": "unknown",
            },
            "resource_uri": asked.path,
        },
    )


# --- inside ---------------------------------------------------------------------------------------


def _rented(state: State, asked: Asked) -> Number:
    return state.numbers.find(digits_of(asked.params[0]) or "")


def _services(query: Mapping[str, str]) -> list[str]:
    wanted = [name for name in query.get("services", "").split(",") if name]
    if not _SERVICES.issuperset(wanted):
        raise invalid("services", "must be a comma list of voice, sms, mms")
    return wanted


def _country_of(number: str) -> tuple[str | None, _Country | None]:
    for iso2, country in _COUNTRIES.items():
        if number.startswith(country.prefix):
            return iso2, country
    return None, None


def _offers(asked: Asked, iso2: str) -> list[dict[str, object]]:
    country = _COUNTRIES.get(iso2)
    if country is None:
        return []
    return [
        {
            "number": (number := f"{country.prefix}{area}{100 + at:04}"),
            "prefix": area[:3],
            "country": country.name.upper(),
            **(_CITY if (iso2, kind) == ("US", "local") else dict.fromkeys(_CITY)),
            "type": kind,
            "monthly_rental_rate": "0.00000",
            "setup_rate": "0.00000",
            "sms_enabled": True,
            "sms_rate": "0.00000",
            "voice_enabled": True,
            "voice_rate": "0.00000",
            "restriction": None,
            "restriction_text": None,
            "resource_uri": f"{asked.path}{number}/",
        }
        for kind, area in country.areas.items()
        for at in range(_OFFERED)
    ]


def _fits(number: str, pattern: str, country: str) -> bool:
    """``415*``: digits behind the country's prefix, a star for any. Never a regular expression."""
    national = number[len(_COUNTRIES[country].prefix) :]
    start, star, rest = pattern.partition("*")
    if not star:
        return start in national
    return national.startswith(start) and national.endswith(rest.rpartition("*")[2])
