"""What an agent is made of: its configuration, and tools that come ready.

:class:`Pipeline` and its parts (:class:`Stt`, :class:`Llm`, :class:`Tts`, :class:`S2s`,
:class:`IdleTimeout`, ...) are dicts that check themselves and go into ``agent.agents.create``
(PROTOCOL.md 5); :func:`expand_semantic_vad` is what it does to ``semantic_vad`` (5.6).

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
from plivo_core.agent._pipeline import (
    BackgroundAudio,
    Callback,
    Callbacks,
    Events,
    IdleTimeout,
    McpHttp,
    McpStdio,
    Pipeline,
    Stream,
)
from plivo_core.agent._providers import Llm, S2s, Stt, Tts
from plivo_core.agent._semantic_vad import PRESETS, expand_semantic_vad
from plivo_core.agent._tools import EndCall, SendDtmf, WarmTransfer

__all__ = [
    "PRESETS",
    "BackgroundAudio",
    "Callback",
    "Callbacks",
    "CollectAddress",
    "CollectCreditCard",
    "CollectDOB",
    "CollectDigits",
    "CollectEmail",
    "CollectName",
    "CollectPhone",
    "EndCall",
    "Events",
    "IdleTimeout",
    "Llm",
    "McpHttp",
    "McpStdio",
    "Pipeline",
    "S2s",
    "SendDtmf",
    "Stream",
    "Stt",
    "Tts",
    "WarmTransfer",
    "expand_semantic_vad",
]
