"""Who listens, thinks and speaks: the components of a pipeline (PROTOCOL.md 5.2, 5.3).

Every component may have an ``api_key`` (checked by the service when the agent is created) and a
``base_url`` (an endpoint of your own); on Azure also ``azure_deployment``, ``azure_endpoint`` and
``api_version``. Names of providers are compared without case and sent as given; the first in each
list is the platform's default. A component may stand in a fallback list too.
"""

# No `from __future__ import annotations` here: Section reads the annotations as values.

from typing import Annotated, Literal, TypeAlias

from plivo_core.agent._fields import (
    Flag,
    Number,
    Section,
    Text,
    Tools,
    Whole,
    between,
    choice,
)

__all__ = ["Llm", "S2s", "Stt", "Tts"]

_SttProvider: TypeAlias = Literal["deepgram", "google", "azure", "assemblyai", "groq", "openai"]
_LlmProvider: TypeAlias = Literal[
    "openai",
    "anthropic",
    "groq",
    "google",
    "azure",
    "together",
    "fireworks",
    "perplexity",
    "mistral",
]
_TtsProvider: TypeAlias = Literal["elevenlabs", "cartesia", "google", "azure", "openai", "deepgram"]
_S2sProvider: TypeAlias = Literal["openai_realtime", "gemini_live", "azure_openai"]
_Effort: TypeAlias = Literal["low", "medium", "high"]
_Region: TypeAlias = Literal["us", "in"]


class Stt(Section, path="stt."):
    """Speech to text.

    ``language`` is BCP 47. Defaults of the platform: ``encoding`` linear16, ``sample_rate``
    16000 Hz, ``endpointing`` 25 ms; on: ``interim_results``, ``punctuate``, ``no_delay``,
    ``filler_words``; off: ``smart_format``, ``profanity_filter``. (PROTOCOL.md 5.3)
    """

    __slots__ = ()

    def __init__(
        self,
        provider: Annotated[_SttProvider | str | None, choice(_SttProvider, any_case=True)] = None,
        *,
        model: Text = None,
        language: Text = None,
        api_key: Text = None,
        base_url: Text = None,
        encoding: Text = None,
        sample_rate: Whole = None,
        endpointing: Whole = None,
        interim_results: Flag = None,
        smart_format: Flag = None,
        punctuate: Flag = None,
        profanity_filter: Flag = None,
        no_delay: Flag = None,
        filler_words: Flag = None,
        azure_deployment: Text = None,
        azure_endpoint: Text = None,
        api_version: Text = None,
        **unknown: object,
    ) -> None:
        self._take(locals())


class Llm(Section, path="llm."):
    """The language model.

    ``temperature`` 0 to 2 (0.2). ``tools`` are ``{"name", "description", "parameters"}`` (JSON
    Schema) or prebuilt ones such as :class:`EndCall`. (PROTOCOL.md 5.3)
    """

    __slots__ = ()

    def __init__(
        self,
        provider: Annotated[_LlmProvider | str | None, choice(_LlmProvider, any_case=True)] = None,
        *,
        model: Text = None,
        api_key: Text = None,
        base_url: Text = None,
        system_prompt: Text = None,
        temperature: Annotated[float | None, between(0, 2)] = None,
        max_tokens: Whole = None,
        reasoning_effort: Annotated[_Effort | None, choice(_Effort)] = None,
        tools: Tools = None,
        azure_deployment: Text = None,
        azure_endpoint: Text = None,
        api_version: Text = None,
        **unknown: object,
    ) -> None:
        self._take(locals())


class Tts(Section, path="tts."):
    """Text to speech.

    ``voice_id`` and ``model_id`` are Cartesia's, ``region`` ("us" is the default, or "in") is
    ElevenLabs'. ``output_format`` is pcm_16000 or mp3_44100, ``sample_rate`` in Hz. ``stability``
    and ``similarity_boost`` 0 to 1, ``speed`` 0.1 to 4. (PROTOCOL.md 5.3)
    """

    __slots__ = ()

    def __init__(
        self,
        provider: Annotated[_TtsProvider | str | None, choice(_TtsProvider, any_case=True)] = None,
        *,
        voice: Text = None,
        voice_id: Text = None,
        model: Text = None,
        model_id: Text = None,
        language: Text = None,
        api_key: Text = None,
        base_url: Text = None,
        region: Annotated[_Region | None, choice(_Region)] = None,
        output_format: Text = None,
        sample_rate: Whole = None,
        stability: Annotated[float | None, between(0, 1)] = None,
        similarity_boost: Annotated[float | None, between(0, 1)] = None,
        style: Number = None,
        use_speaker_boost: Flag = None,
        speed: Annotated[float | None, between(0.1, 4)] = None,
        azure_deployment: Text = None,
        azure_endpoint: Text = None,
        api_version: Text = None,
        **unknown: object,
    ) -> None:
        self._take(locals())


class S2s(Section, path="s2s."):
    """Speech to speech: one model in place of the other three.

    Voices of the OpenAI kind: alloy, echo, fable, onyx, nova, shimmer. ``tools`` as in
    :class:`Llm`. (PROTOCOL.md 5.3)
    """

    __slots__ = ()

    def __init__(
        self,
        provider: Annotated[_S2sProvider | str | None, choice(_S2sProvider, any_case=True)] = None,
        *,
        model: Text = None,
        voice: Text = None,
        api_key: Text = None,
        base_url: Text = None,
        system_prompt: Text = None,
        tools: Tools = None,
        azure_deployment: Text = None,
        azure_endpoint: Text = None,
        api_version: Text = None,
        **unknown: object,
    ) -> None:
        self._take(locals())
