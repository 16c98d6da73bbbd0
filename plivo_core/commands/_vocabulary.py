"""Everything an application can say to a call, once, in terms of one method ``send``.

The core session, the adapters' sessions and test recorders inherit :class:`SessionCommands` and
supply ``send``. The mixin keeps no state and changes nothing it is given.

Every method may raise :class:`~plivo_core.errors.InvalidCommandError`, naming the argument, when
one has the wrong type or the platform would reject it (PROTOCOL.md 11, D-26); nothing was sent
then. What else is raised, and when, is up to ``send``.
"""

from __future__ import annotations

import abc
from binascii import b2a_base64
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from plivo_core.commands._checks import require_mapping, require_text
from plivo_core.commands._types import (
    Checkpoint,
    ClearAudio,
    Command,
    DialMode,
    ExtendWait,
    Hangup,
    Inject,
    Play,
    PlayAudio,
    PlayBackground,
    RawCommand,
    SendDtmf,
    SendStreamDtmf,
    Speak,
    StopBackground,
    Text,
    ToolError,
    ToolResult,
    Transfer,
    Update,
)
from plivo_core.errors import InvalidCommandError

__all__ = ["SessionCommands"]


class SessionCommands(abc.ABC):
    """The session vocabulary of PROTOCOL.md 11 as a mixin; subclasses supply :meth:`send`."""

    __slots__ = ()

    @abc.abstractmethod
    def send(self, command: Command, *, now: float | None = None) -> None:
        """Queue ``command``. ``now`` (seconds, the caller's clock) is for drivers that have one."""

    # --- tools ---

    def send_tool_result(self, tool_call_id: str, result: object) -> None:
        """Answer a ToolCall with any JSON value; None goes out as null.

        Each call wants exactly one answer, a result or an error, within the agent's
        tool_call_timeout_s (30 s unless configured).
        """
        require_text(tool_call_id, "tool_call_id")
        self.send(ToolResult(tool_call_id, result))

    def send_tool_error(self, tool_call_id: str, error: str) -> None:
        """Answer a ToolCall with the reason of its failure, in words for the model."""
        require_text(tool_call_id, "tool_call_id")
        self.send(ToolError(tool_call_id, error))

    # --- conversation ---

    def send_text(self, token: str, *, last: bool = False) -> None:
        """Stream a piece of the answer in text mode; the piece with ``last`` ends the turn.

        Blanks are kept: tokens are joined as they come. The last may be empty.
        """
        self.send(Text(token, last=last))

    def extend_wait(self) -> None:
        """Ask the platform to wait longer for the caller before it calls them idle."""
        self.send(ExtendWait())

    def update(self, /, **fields: object) -> None:
        """Change the running agent.

        Fields: ``events`` (opt in to vad_events, turn_events, metrics_events), ``system_prompt``,
        ``tools`` (a list; an empty one removes all), ``llm``, ``tts``, ``stt``, ``semantic_vad``;
        others pass through. None goes out as null; presets are not expanded. A field cannot be
        called ``type``.
        """
        self.send(Update(fields))

    def inject(self, content: str) -> None:
        """Tell the model something without a word to the caller."""
        self.send(Inject(content))

    def handoff(
        self,
        system_prompt: str,
        tools: Sequence[Mapping[str, object]] | None = None,
        llm: Mapping[str, object] | None = None,
        summary: str | None = None,
    ) -> None:
        """Give the call another persona: an update, then ``summary`` (unless empty) injected.

        ``tools`` and ``llm`` stay as they are when None; an empty list removes all tools. The
        platform answers with ``agent.handoff``.
        """
        # All is checked before the first message leaves: half a handoff would be a persona
        # without the conversation so far.
        require_text(system_prompt, "system_prompt")
        fields: dict[str, object] = {"system_prompt": system_prompt}
        if tools is not None:
            fields["tools"] = _tool_list(tools)
        if llm is not None:
            require_mapping(llm, "llm")
            fields["llm"] = dict(llm)
        if summary is not None:
            require_text(summary, "summary")
        self.send(Update(fields))
        if summary:
            self.send(Inject(summary))

    def speak(self, text: str) -> None:
        """Have the agent say ``text`` word for word."""
        self.send(Speak(text))

    def play(self, audio: bytes | str, *, allow_interruption: bool = True) -> None:
        """Play a recording to the caller; ``play.completed`` follows.

        ``audio`` is the content of a WAV file (16-bit PCM, any rate; the platform resamples to
        16 kHz mono), or the same as base64 text. It is not inspected.
        """
        self.send(Play(_as_base64(audio), allow_interruption=allow_interruption))

    def play_background(self, sound: str, volume: float = 0.5, *, loop: bool = True) -> None:
        """Mix one of the platform's sounds under the call, such as "office" or "typing".

        ``volume`` is a share of full scale, 0 to 1.
        """
        self.send(PlayBackground(sound, volume=volume, loop=loop))

    def stop_background(self) -> None:
        """Switch the mixing of background sound off."""
        self.send(StopBackground())

    # --- call control ---

    def transfer(
        self,
        destination: str | Iterable[str],
        dial_mode: DialMode = "parallel",
        timeout: float = 30,
        caller_id: str | None = None,
    ) -> None:
        """Hand the caller over to one or more numbers or SIP addresses.

        ``dial_mode`` rings them together ("parallel") or in turn ("sequential"); ``timeout`` is in
        seconds, above 0. A blank destination is refused; an empty ``caller_id`` counts as None.
        The platform answers with ``call.transferred``.
        """
        self.send(Transfer(destination, dial_mode=dial_mode, timeout=timeout, caller_id=caller_id))

    def send_dtmf(self, digits: str) -> None:
        """Press keys in an agent's call: 0-9, ``*``, ``#``, A-D; ``w`` and ``W`` pause.

        The platform answers with ``dtmf.sent``.
        """
        self.send(SendDtmf(digits))

    def hangup(self) -> None:
        """End an agent's call; ``session.ended`` follows. A plain stream is hung up by REST."""
        self.send(Hangup())

    # --- audio streams ---

    def send_media(
        self, payload_b64: str, content_type: str = "audio/x-mulaw", sample_rate: int = 8000
    ) -> None:
        """Queue audio for the caller: base64 of mono samples, ``sample_rate`` in Hz.

        Type and rate must be those of the stream, "audio/x-mulaw" at 8000 or "audio/x-l16"
        (signed, little-endian) at 8000 or 16000. 20 ms a message is usual, 16 KB the most that
        is recommended; the platform queues about 40 s. Not inspected (PROTOCOL.md 13).
        """
        require_text(payload_b64, "payload_b64")
        self.send(PlayAudio(payload_b64, content_type=content_type, sample_rate=sample_rate))

    def send_checkpoint(self, name: str) -> None:
        """Mark the end of the audio sent so far.

        ``playedStream`` echoes ``name`` once all of it was played; never, if it is cleared.
        """
        self.send(Checkpoint(name))

    def clear_audio(self) -> None:
        """Silence what is queued at the platform; ``clearedAudio`` answers."""
        self.send(ClearAudio())

    def send_stream_dtmf(self, digits: str) -> None:
        """Press keys in a plain audio stream's call; the alphabet is that of :meth:`send_dtmf`."""
        self.send(SendStreamDtmf(digits))

    # --- anything else ---

    def send_raw(self, msg: Mapping[str, object]) -> None:
        """Send a message of your own making, unchecked but for being a JSON object.

        One that spells a known command is tracked as that one is: tool answers, audio, checkpoints
        and ``clearAudio``, the last two also without a streamId. It leaves as it is.
        """
        require_mapping(msg, "msg")
        self.send(RawCommand(msg))


def _tool_list(tools: object) -> list[object]:
    if isinstance(tools, Sequence) and not isinstance(tools, (str, bytes)):
        return list(cast("Sequence[object]", tools))
    raise InvalidCommandError(f"tools must be a list, not {type(tools).__name__}", argument="tools")


def _as_base64(audio: object) -> str:
    if isinstance(audio, str):
        return audio
    if isinstance(audio, (bytes, bytearray, memoryview)):
        return b2a_base64(cast("bytes", audio), newline=False).decode("ascii")
    raise InvalidCommandError(
        f"audio must be bytes or base64 text, not {type(audio).__name__}", argument="audio"
    )
