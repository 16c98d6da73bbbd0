"""Plivo's REST API over httpx: the adapter between ``plivo_core``'s operations and the network.

Empty for now: the REST client arrives with the REST operations. The package exists already so
that its place in the wheel, its typing marker and its import contracts are checked from the start.
"""

from __future__ import annotations

__all__: list[str] = []
