"""Tools that come ready: three that the application answers, seven that the platform runs.

:class:`EndCall`, :class:`SendDtmf` and :class:`WarmTransfer` go into an agent's ``tools`` and
handle their ``tool.called`` (PROTOCOL.md 12.1-12.3). The ``Collect*`` definitions go into its
``agent_tools``; the platform carries them out (12.4).
"""

from plivo_core.agent._collect import (
    CollectAddress,
    CollectCreditCard,
    CollectDigits,
    CollectDOB,
    CollectEmail,
    CollectName,
    CollectPhone,
)
from plivo_core.agent._tools import EndCall, SendDtmf, WarmTransfer

__all__ = [
    "CollectAddress",
    "CollectCreditCard",
    "CollectDOB",
    "CollectDigits",
    "CollectEmail",
    "CollectName",
    "CollectPhone",
    "EndCall",
    "SendDtmf",
    "WarmTransfer",
]
