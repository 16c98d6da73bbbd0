"""``numbers`` and ``numbers.lookup``: rent, configure and look up phone numbers (PROTOCOL.md 3.7).

Numbers go out as given, with or without plus. Trailing slash, but not on lookup.
"""

from __future__ import annotations

from plivo_core.rest._api import Api, nothing
from plivo_core.rest._operation import Operation
from plivo_core.rest._page import Page
from plivo_core.rest._request import passed_on, segment, without_blanks, without_none
from plivo_core.rest._responses import (
    AvailableNumber,
    NumberBought,
    NumberInfo,
    NumberUpdated,
    RentedNumber,
)

__all__ = ["LookupResource", "NumbersResource"]


class NumbersResource:
    """Numbers of the account, and those it could have."""

    __slots__ = ("_api", "lookup")

    def __init__(self, api: Api) -> None:
        self._api = api
        self.lookup = LookupResource(api)

    def list(
        self,
        *,
        limit: int | None = 20,
        offset: int | None = 0,
        type: str | None = None,
        number_startswith: str | None = None,
        subaccount: str | None = None,
        alias: str | None = None,
        services: str | None = None,
        renewal_date: str | None = None,
        renewal_date__lt: str | None = None,
        renewal_date__lte: str | None = None,
        renewal_date__gt: str | None = None,
        renewal_date__gte: str | None = None,
        cnam_lookup: str | None = None,
        tendlc_campaign_id: str | None = None,
        tendlc_registration_status: str | None = None,
        toll_free_sms_verification: str | None = None,
        toll_free_sms_verification_order_status: str | None = None,
        **other: str | float | bool | None,
    ) -> Operation[Page[RentedNumber]]:
        """Rented numbers, 20 to a page at most; ``services`` is a comma list of voice, sms, mms."""
        query = {
            "limit": limit,
            "offset": offset,
            "type": type,
            "number_startswith": number_startswith,
            "subaccount": subaccount,
            "alias": alias,
            "services": services,
            "renewal_date": renewal_date,
            "renewal_date__lt": renewal_date__lt,
            "renewal_date__lte": renewal_date__lte,
            "renewal_date__gt": renewal_date__gt,
            "renewal_date__gte": renewal_date__gte,
            "cnam_lookup": cnam_lookup,
            "tendlc_campaign_id": tendlc_campaign_id,
            "tendlc_registration_status": tendlc_registration_status,
            "toll_free_sms_verification": toll_free_sms_verification,
            "toll_free_sms_verification_order_status": toll_free_sms_verification_order_status,
            **passed_on(other),
        }
        return self._api.page("/Number/", RentedNumber, query)

    def get(self, number: str) -> Operation[RentedNumber]:
        """One rented number."""
        return self._api.operation("GET", _rented(number), RentedNumber.read)

    def buy(
        self,
        number: str,
        *,
        app_id: str | None = None,
        verification_info: object = None,
        cnam_lookup: str | None = None,
        ha_enable: bool | None = None,
        compliance_application_id: str | None = None,
        **other: object,
    ) -> Operation[NumberBought]:
        """Rent a number, from now on and at a price; never repeated by itself after a doubt."""
        options = without_none(
            app_id=app_id or None,
            verification_info=verification_info,
            cnam_lookup=cnam_lookup,
            ha_enable=ha_enable,
            compliance_application_id=compliance_application_id,
        )
        return self._api.operation(
            "POST",
            f"/PhoneNumber/{segment(number, 'number')}/",
            NumberBought.read,
            body={**options, **passed_on(other)} or None,
            look_up="look for it with numbers.get()",
        )

    def update(
        self,
        number: str,
        *,
        app_id: str | None = None,
        subaccount: str | None = None,
        alias: str | None = None,
        **other: object,
    ) -> Operation[NumberUpdated]:
        """Change what is given; ``app_id=""`` unlinks the application."""
        body = without_blanks(subaccount=subaccount, alias=alias)
        if app_id is not None:
            body["app_id"] = app_id
        return self._api.operation(
            "POST",
            _rented(number),
            NumberUpdated.read,
            body={**body, **passed_on(other)},
            look_up="read it with numbers.get()",
        )

    def delete(self, number: str) -> Operation[None]:
        """Give a number back."""
        return self._api.operation("DELETE", _rented(number), nothing)

    def search(
        self,
        country_iso: str,
        *,
        limit: int | None = 20,
        offset: int | None = 0,
        type: str | None = None,
        pattern: str | None = None,
        region: str | None = None,
        services: str | None = None,
        lata: int | None = None,
        rate_center: str | None = None,
        city: str | None = None,
        eligible: bool | None = None,
        npanxx: str | None = None,
        local_calling_area: str | None = None,
        **other: str | float | bool | None,
    ) -> Operation[Page[AvailableNumber]]:
        """Numbers for rent; ``type`` is local, tollfree, mobile, national or fixed."""
        query = {
            "country_iso": country_iso,
            "limit": limit,
            "offset": offset,
            "type": type,
            "pattern": pattern,
            "region": region,
            "services": services,
            "lata": lata,
            "rate_center": rate_center,
            "city": city,
            "eligible": eligible,
            "npanxx": npanxx,
            "local_calling_area": local_calling_area,
            **passed_on(other),
        }
        return self._api.page("/PhoneNumber/", AvailableNumber, query)


class LookupResource:
    """What is known about any number. Billed per request."""

    __slots__ = ("_api",)

    def __init__(self, api: Api) -> None:
        self._api = api

    def get(self, number: str, *, type: str = "carrier") -> Operation[NumberInfo]:
        """Country, formats and carrier of a number; on the lookup service's own host."""
        return self._api.lookup(
            f"/v1/Number/{segment(number, 'number')}", NumberInfo.read, query={"type": type}
        )


def _rented(number: str) -> str:
    return f"/Number/{segment(number, 'number')}/"
