"""The verbs of answer XML, each with the attributes that the platform documents.

PROTOCOL.md 13 gives ``<Stream>``, in ``_stream.py``. It names no other verb: their attributes and
bounds are those of Plivo's public XML reference (docs.plivo.com/docs/voice/xml, read in a stored
copy). ``None`` leaves an attribute out: the platform's default holds, the value in parentheses.
"""

from __future__ import annotations

from typing import Literal

from plivo_core._redact import redact_setting
from plivo_core.errors import ConfigError
from plivo_core.webhooks._arguments import (
    KEY,
    KEYS,
    METHODS,
    Method,
    optional_bool,
    optional_characters,
    optional_choice,
    optional_text,
    optional_url,
    optional_whole,
    require_text,
    require_url,
)
from plivo_core.webhooks._xml import Verb, require_elements

__all__ = ["GetDigits", "Hangup", "Play", "Record", "Redirect", "Speak", "Wait"]


# --- what the caller hears ------------------------------------------------------------------------


class Speak(Verb):
    """Read ``text`` aloud. It is plain text: markup of speech (SSML) in it is read out, too.

    ``voice`` WOMAN or MAN (WOMAN), or a name such as Polly's; ``language`` like en-GB (en-US);
    ``loop`` times (1), 0 without end.
    """

    __slots__ = ()
    name = "Speak"

    def __init__(
        self,
        text: str,
        *,
        voice: str | None = None,
        language: str | None = None,
        loop: int | None = None,
    ) -> None:
        super().__init__(
            {
                "voice": optional_text(voice, "voice of Speak"),
                "language": optional_text(language, "language of Speak"),
                "loop": optional_whole(loop, "loop of Speak", 0),
            },
            text=require_text(text, "text of Speak"),
        )


class Play(Verb):
    """Play the MP3 or WAV at ``url``, ``loop`` times (1), 0 without end."""

    __slots__ = ()
    name = "Play"

    def __init__(self, url: str, *, loop: int | None = None) -> None:
        super().__init__(
            {"loop": optional_whole(loop, "loop of Play", 0)}, text=require_url(url, "url of Play")
        )

    def _shown_text(self) -> object:
        return redact_setting("url", self._text)


class Wait(Verb):
    """Do nothing for ``length`` s (1). As the first verb: that long before the call is answered.

    With ``silence`` (false) it ends as soon as nothing was heard for ``min_silence`` ms (2000),
    which must be shorter than ``length``; with ``beep`` (false) it looks for a voicemail's beep.
    """

    __slots__ = ()
    name = "Wait"

    def __init__(
        self,
        length: int | None = None,
        *,
        silence: bool | None = None,
        min_silence: int | None = None,
        beep: bool | None = None,
    ) -> None:
        super().__init__(
            {
                "length": optional_whole(length, "length of Wait", 1),
                "silence": optional_bool(silence, "silence of Wait"),
                "minSilence": optional_whole(min_silence, "min_silence of Wait", 1),
                "beep": optional_bool(beep, "beep of Wait"),
            }
        )
        if silence and (2000 if min_silence is None else min_silence) >= 1000 * (length or 1):
            raise ConfigError(
                "min_silence of Wait must be shorter than length",
                hint="length is seconds (1), min_silence milliseconds (2000)",
            )


# --- where the call goes --------------------------------------------------------------------------


class Hangup(Verb):
    """End the call. As the first verb it does not even answer: ``reason`` rejected or busy.

    With ``schedule`` the verbs after it are carried out, for that many seconds.
    """

    __slots__ = ()
    name = "Hangup"

    def __init__(
        self,
        *,
        reason: Literal["rejected", "busy"] | None = None,
        schedule: int | None = None,
    ) -> None:
        super().__init__(
            {
                "reason": optional_choice(reason, "reason of Hangup", ("rejected", "busy")),
                "schedule": optional_whole(schedule, "schedule of Hangup", 1),
            }
        )


class Redirect(Verb):
    """Ask ``url`` for another answer by ``method`` (POST). No verb after it is carried out."""

    __slots__ = ()
    name = "Redirect"

    def __init__(self, url: str, *, method: Method | None = None) -> None:
        super().__init__(
            {"method": optional_choice(method, "method of Redirect", METHODS)},
            text=require_url(url, "url of Redirect"),
        )

    def _shown_text(self) -> object:
        return redact_setting("url", self._text)


# --- what the caller says and presses -------------------------------------------------------------


class GetDigits(Verb):
    """Collect key presses while ``prompts`` are spoken or played; ``action`` gets them.

    It waits ``timeout`` s for the first (5), ``digit_timeout`` s for each further (2), up to
    ``num_digits`` (99) or ``finish_on_key`` (#; "none" for no key), ``retries`` times (1). What
    ``action`` answers is carried out; with ``redirect`` False (true) it is only told. Set ``log``
    False (true) for what is secret. After the prompts comes a beep with ``play_beep`` (false), a
    key outside ``valid_digits`` is answered with ``invalid_digits_sound``.
    """

    __slots__ = ()
    name = "GetDigits"

    def __init__(
        self,
        *prompts: Speak | Play,
        action: str | None = None,
        method: Method | None = None,
        timeout: int | None = None,
        digit_timeout: int | None = None,
        finish_on_key: str | None = None,
        num_digits: int | None = None,
        retries: int | None = None,
        redirect: bool | None = None,
        play_beep: bool | None = None,
        valid_digits: str | None = None,
        invalid_digits_sound: str | None = None,
        log: bool | None = None,
    ) -> None:
        sound = optional_url(invalid_digits_sound, "invalid_digits_sound of GetDigits")
        finish = ("none", *KEYS)
        super().__init__(
            {
                "action": optional_url(action, "action of GetDigits"),
                "method": optional_choice(method, "method of GetDigits", METHODS),
                "timeout": optional_whole(timeout, "timeout of GetDigits", 1),
                "digitTimeout": optional_whole(digit_timeout, "digit_timeout of GetDigits", 1),
                "finishOnKey": optional_choice(finish_on_key, "finish_on_key of GetDigits", finish),
                "numDigits": optional_whole(num_digits, "num_digits of GetDigits", 1),
                "retries": optional_whole(retries, "retries of GetDigits", 1),
                "redirect": optional_bool(redirect, "redirect of GetDigits"),
                "playBeep": optional_bool(play_beep, "play_beep of GetDigits"),
                "validDigits": optional_characters(
                    valid_digits, "valid_digits of GetDigits", KEYS, KEY
                ),
                "invalidDigitsSound": sound,
                "log": optional_bool(log, "log of GetDigits"),
            },
            children=require_elements(prompts, "GetDigits", (Speak, Play)),
        )


class Record(Verb):
    """Record what the caller says, or with ``record_session`` the whole call in the background.

    With ``start_on_dial_answer`` it begins when the called party of a Dial answers. Otherwise it
    ends after ``timeout`` s of silence (15), ``max_length`` s (60) or one of ``finish_on_key``
    (#; "none" for no key). ``action`` then gets the URL and is asked for XML, or only told with
    ``redirect`` False (true); ``callback_url`` hears when the file can be fetched,
    ``transcription_url`` when its text can. ``record_channel_type`` (stereo), ``file_format``
    (mp3).
    """

    __slots__ = ()
    name = "Record"

    def __init__(
        self,
        *,
        action: str | None = None,
        method: Method | None = None,
        file_format: Literal["mp3", "wav"] | None = None,
        redirect: bool | None = None,
        timeout: int | None = None,
        max_length: int | None = None,
        play_beep: bool | None = None,
        finish_on_key: str | None = None,
        record_session: bool | None = None,
        start_on_dial_answer: bool | None = None,
        record_channel_type: Literal["mono", "stereo"] | None = None,
        transcription_type: Literal["auto"] | None = None,
        transcription_url: str | None = None,
        callback_url: str | None = None,
        callback_method: Method | None = None,
    ) -> None:
        finish = finish_on_key
        if finish != "none":
            finish = optional_characters(finish_on_key, "finish_on_key of Record", KEYS, KEY)
        channels = optional_choice(
            record_channel_type, "record_channel_type of Record", ("mono", "stereo")
        )
        super().__init__(
            {
                "action": optional_url(action, "action of Record"),
                "method": optional_choice(method, "method of Record", METHODS),
                "fileFormat": optional_choice(file_format, "file_format of Record", ("mp3", "wav")),
                "redirect": optional_bool(redirect, "redirect of Record"),
                "timeout": optional_whole(timeout, "timeout of Record", 1),
                "maxLength": optional_whole(max_length, "max_length of Record", 2),
                "playBeep": optional_bool(play_beep, "play_beep of Record"),
                "finishOnKey": finish,
                "recordSession": optional_bool(record_session, "record_session of Record"),
                "startOnDialAnswer": optional_bool(
                    start_on_dial_answer, "start_on_dial_answer of Record"
                ),
                "recordChannelType": channels,
                "transcriptionType": optional_choice(
                    transcription_type, "transcription_type of Record", ("auto",)
                ),
                "transcriptionUrl": optional_url(transcription_url, "transcription_url of Record"),
                "callbackUrl": optional_url(callback_url, "callback_url of Record"),
                "callbackMethod": optional_choice(
                    callback_method, "callback_method of Record", METHODS
                ),
            }
        )
