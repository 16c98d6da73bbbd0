"""Plivo's REST API over httpx: the adapter between ``plivo_core``'s operations and the network.

:class:`AsyncClient` runs on asyncio and trio, :class:`Client` on plain threads. Both offer the
methods of :class:`plivo_core.rest.Account`; what is sent, read and repeated is decided there.
"""

from __future__ import annotations

from plivo_httpx_adapter._async import AsyncClient
from plivo_httpx_adapter._sync import Client

__all__ = ["AsyncClient", "Client"]
