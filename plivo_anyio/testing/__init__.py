"""What :mod:`plivo_anyio.pytest_plugin` gives to tests: an agent, and somebody to call it.

For other test frameworks, too: :class:`Platform` and :class:`Server` are context managers. Needs
nothing but anyio. Every call stands in an event loop of its own thread.
"""

from plivo_anyio.testing._call import ACall, Call
from plivo_anyio.testing._stage import Platform, Server

__all__ = ["ACall", "Call", "Platform", "Server"]
