"""Find a number, look at its price, rent it and give it to an agent.

PLIVO_AUTH_ID=... PLIVO_AUTH_TOKEN=... python examples/buy_number.py US AGENT_UUID

Renting costs money from the moment it succeeds; nothing here rents twice.
"""

from __future__ import annotations

import sys

from plivo_httpx_adapter import Client


def main(country: str, agent_uuid: str) -> None:
    with Client() as client:
        offers = client.numbers.search(country, type="local", services="voice", limit=5)
        if not offers.objects:
            sys.exit(f"no local voice numbers in {country}")
        number = offers.objects[0]
        print(f"{number.number}: {number.monthly_rental_rate} a month")
        bought = client.numbers.buy(number.number)
        print(f"status: {bought.status}")
        assigned = client.agent.numbers.assign(agent_uuid, number=f"+{number.number.lstrip('+')}")
        print(f"{assigned.number} now reaches agent {assigned.agent_uuid}")
        for rented in client.iterate(client.account.numbers.list(type="local")):
            print(f"rented: {rented.number}")


if __name__ == "__main__":
    main(*sys.argv[1:])
