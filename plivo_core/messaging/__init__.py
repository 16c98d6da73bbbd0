"""What a WhatsApp message is made of: templates, interactive messages, locations (PROTOCOL.md 6).

Each builder *is* the object that travels, a dict for ``messages.create``, and is checked against
the documented limits when it is made; :class:`~plivo_core.errors.ConfigError` (a ValueError) names
the argument and its limit. Nothing is sent from here, and what is given is copied, never changed.

    Template("order", language="de").add_body_param("Ann")
    InteractiveMessage.button("Shall we call?", [{"id": "y", "title": "Yes"}])
    Location(37.44, -122.16, name="Depot")

Sources disagree on the shape (D-14). ``dialect="classic"`` is that of the classic SDKs and manuals,
``"agentstack"`` that of the agent SDKs.
"""

from plivo_core.messaging._built import Dialect
from plivo_core.messaging._interactive import InteractiveMessage
from plivo_core.messaging._location import Location
from plivo_core.messaging._template import Template

__all__ = ["Dialect", "InteractiveMessage", "Location", "Template"]
