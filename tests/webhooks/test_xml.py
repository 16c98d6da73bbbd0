"""Answer XML: what is written, what is escaped, what is refused. Read back with another parser."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_core import ConfigError, MediaFormat
from plivo_core.webhooks import (
    MAX_ANSWER_XML,
    XML_CONTENT_TYPE,
    AnswerXml,
    Dial,
    Element,
    GetDigits,
    Hangup,
    Number,
    Play,
    Record,
    Redirect,
    Speak,
    Stream,
    User,
    Verb,
    Wait,
)

URL = "https://example.com/next"
WSS = "wss://example.com/call"
HEAD = '<?xml version="1.0" encoding="UTF-8"?>'


def read(*verbs: Verb) -> list[ElementTree.Element]:
    """The verbs of an answer, as an XML parser sees them."""
    root = ElementTree.fromstring(bytes(AnswerXml(*verbs)))
    assert root.tag == "Response"
    assert root.attrib == {}
    return list(root)


def only(verb: Verb) -> ElementTree.Element:
    [element] = read(verb)
    return element


# --- the document ---------------------------------------------------------------------------------


def test_an_answer_is_a_response_of_verbs_in_their_order() -> None:
    answer = AnswerXml(Speak("Hello"), Wait(2), Play(URL, loop=0), Hangup())
    assert str(answer) == (
        f'{HEAD}<Response><Speak>Hello</Speak><Wait length="2"/>'
        f'<Play loop="0">{URL}</Play><Hangup/></Response>'
    )
    assert bytes(answer) == str(answer).encode()
    assert XML_CONTENT_TYPE == "application/xml"
    assert [type(verb) for verb in answer.verbs] == [Speak, Wait, Play, Hangup]


def test_an_answer_without_verbs_is_valid() -> None:
    assert str(AnswerXml()) == f"{HEAD}<Response></Response>"
    assert read() == []


def test_answers_and_verbs_are_values() -> None:
    assert AnswerXml(Speak("a")) == AnswerXml(Speak("a")) != AnswerXml(Speak("b"))
    assert AnswerXml() != "x"
    assert {AnswerXml(Wait(1)), AnswerXml(Wait(1))} == {AnswerXml(Wait(1))}
    assert {Speak("a"), Speak("a"), Speak("a", loop=2)} == {Speak("a"), Speak("a", loop=2)}
    assert Redirect(URL) != Play(URL)
    assert Speak("a") != "a"
    dial = Dial(Number("+14155550101"), timeout=5)
    assert (dial.text, dict(dial.attributes)) == ("", {"timeout": "5"})
    assert [child.text for child in dial.children] == ["+14155550101"]
    with pytest.raises(TypeError):
        dial.attributes["timeout"] = "6"  # type: ignore[index]


def test_an_answer_has_at_most_100_kb() -> None:
    room = MAX_ANSWER_XML - len(bytes(AnswerXml(Speak("a")))) + 1
    assert len(bytes(AnswerXml(Speak("a" * room)))) == MAX_ANSWER_XML
    with pytest.raises(ConfigError, match=f"at most {MAX_ANSWER_XML} bytes, not 100001"):
        AnswerXml(Speak("a" * (room - 1) + "ä"))


@pytest.mark.parametrize("stranger", ["Hello", None, Number("1"), Speak], ids=repr)
def test_only_a_verb_stands_in_an_answer(stranger: Any) -> None:
    with pytest.raises(ConfigError, match="element 2 of Response must be a Verb, not"):
        AnswerXml(Hangup(), stranger)


# --- escaping -------------------------------------------------------------------------------------

TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
    | st.sampled_from("\t\n\r<>&\"'\x7f\x85\u2028]")
)
SAID = TEXT.filter(str.strip)


@given(SAID, SAID)
def test_any_text_and_attribute_survives(text: str, attribute: str) -> None:
    element = only(Speak(text, voice=attribute))
    assert element.text == text
    assert element.attrib == {"voice": attribute}
    assert list(element) == []


@pytest.mark.parametrize(
    "attack",
    [
        "</Speak><Hangup/><Speak>",
        '"/><Dial><Number>1</Number></Dial><Speak voice="',
        "' onclick='",
        "<![CDATA[<Hangup/>]]>",
        "]]>",
        "<!-- -->",
        "<?xml version='1.0'?>",
        "&lt;Hangup/&gt;",
        "&amp;",
        '<!DOCTYPE x [<!ENTITY e "e">]>&e;',
        "&#60;Hangup/&#62;",
    ],
    ids=lambda text: re.sub(r"\W+", "-", text)[:20],
)
def test_an_injection_stays_text(attack: str) -> None:
    dial = Dial(Number(attack), User(attack, sip_auth_username=attack, sip_auth_password=attack))
    speak, dialled = read(Speak(attack, voice=attack, language=attack), dial)
    assert (speak.text, speak.attrib) == (attack, {"voice": attack, "language": attack})
    assert [child.text for child in dialled] == [attack, attack]
    assert dialled[1].attrib == {"sipAuthUsername": attack, "sipAuthPassword": attack}


@pytest.mark.parametrize(
    "code", [0x0, 0x8, 0xB, 0xC, 0xE, 0x1B, 0x1F, 0xD800, 0xDFFF, 0xFFFE, 0xFFFF], ids=hex
)
def test_a_character_that_xml_cannot_carry_is_refused_by_name(code: int) -> None:
    secret = f"ab{chr(code)}"
    for make, argument in (
        (lambda: Speak(secret), "the text of Speak"),
        (lambda: Speak("a", voice=secret), "voice of Speak"),
        (lambda: User("sip:a", sip_auth_username="a", sip_auth_password=secret), "sipAuthPassword"),
    ):
        with pytest.raises(ConfigError, match=f"character 3 of {argument}") as caught:
            make()
        assert f"is U+{code:04X}" in str(caught.value)


def test_a_verb_that_is_missing_here_is_a_subclass() -> None:
    class PreAnswer(Verb):
        name = "PreAnswer"

        def __init__(self, *verbs: Verb, **attributes: str) -> None:
            super().__init__(attributes, children=verbs)

    assert only(PreAnswer(Speak("a<b"), x='"'))[0].text == "a<b"
    with pytest.raises(ConfigError, match=r"attribute 'x><y' of PreAnswer must be letters"):
        PreAnswer(**{"x><y": "1"})
    with pytest.raises(ConfigError, match="name of Element must be letters"):
        Element({})


# --- every attribute ------------------------------------------------------------------------------

EVERY = [
    (
        Speak("Hi", voice="MAN", language="en-GB", loop=0),
        {"voice": "MAN", "language": "en-GB", "loop": "0"},
    ),
    (Play(URL, loop=3), {"loop": "3"}),
    (
        Wait(10, silence=True, min_silence=3000, beep=False),
        {"length": "10", "silence": "true", "minSilence": "3000", "beep": "false"},
    ),
    (Hangup(reason="busy", schedule=60), {"reason": "busy", "schedule": "60"}),
    (Redirect(URL, method="GET"), {"method": "GET"}),
    (
        GetDigits(
            action=URL, method="POST", timeout=10, digit_timeout=3, finish_on_key="*",
            num_digits=4, retries=2, redirect=False, play_beep=True, valid_digits="123*",
            invalid_digits_sound=URL, log=False,
        ),
        {
            "action": URL, "method": "POST", "timeout": "10", "digitTimeout": "3",
            "finishOnKey": "*", "numDigits": "4", "retries": "2", "redirect": "false",
            "playBeep": "true", "validDigits": "123*", "invalidDigitsSound": URL, "log": "false",
        },
    ),
    (
        Record(
            action=URL, method="GET", file_format="wav", redirect=True, timeout=5, max_length=2,
            play_beep=False, finish_on_key="1#", record_session=True, start_on_dial_answer=True,
            record_channel_type="mono", transcription_type="auto", transcription_url=URL,
            callback_url=URL, callback_method="GET",
        ),
        {
            "action": URL, "method": "GET", "fileFormat": "wav", "redirect": "true",
            "timeout": "5", "maxLength": "2", "playBeep": "false", "finishOnKey": "1#",
            "recordSession": "true", "startOnDialAnswer": "true", "recordChannelType": "mono",
            "transcriptionType": "auto", "transcriptionUrl": URL, "callbackUrl": URL,
            "callbackMethod": "GET",
        },
    ),
    (
        Dial(
            Number("1"), action=URL, method="GET", timeout=20, time_limit=60, caller_id="+1",
            caller_name="Ann", hangup_on_star=True, redirect=False, callback_url=URL,
            callback_method="POST", confirm_sound=URL, confirm_key="#", confirm_timeout=9,
            dial_music="real", digits_match="1,2", digits_match_b_leg="9",
            sip_headers={"a": "1", "b": "2"},
        ),
        {
            "action": URL, "method": "GET", "timeout": "20", "timeLimit": "60", "callerId": "+1",
            "callerName": "Ann", "hangupOnStar": "true", "redirect": "false", "callbackUrl": URL,
            "callbackMethod": "POST", "confirmSound": URL, "confirmKey": "#",
            "confirmTimeout": "9", "dialMusic": "real", "digitsMatch": "1,2",
            "digitsMatchBLeg": "9", "sipHeaders": "a=1,b=2",
        },
    ),
    (
        Stream(
            WSS, bidirectional=True, audio_track="inbound",
            media_format=MediaFormat("audio/x-l16", 16000), extra_headers={"tenant": "42"},
            keep_call_alive=True, stream_timeout=600, status_callback_url=URL,
            status_callback_method="GET", noise_cancellation=True, noise_cancellation_level=60,
        ),
        {
            "bidirectional": "true", "audioTrack": "inbound",
            "contentType": "audio/x-l16;rate=16000", "extraHeaders": "tenant=42",
            "keepCallAlive": "true", "streamTimeout": "600", "statusCallbackUrl": URL,
            "statusCallbackMethod": "GET", "noiseCancellation": "true",
            "noiseCancellationLevel": "60",
        },
    ),
]  # fmt: skip


@pytest.mark.parametrize(("verb", "expected"), EVERY, ids=[verb.name for verb, _ in EVERY])
def test_every_attribute_is_written_under_its_wire_name(
    verb: Verb, expected: dict[str, str]
) -> None:
    element = only(verb)
    assert element.tag == verb.name == type(verb).__name__
    assert list(element.attrib.items()) == list(expected.items())


@pytest.mark.parametrize(
    ("verb", "attributes"),
    [
        (Speak("Hi"), {}),
        (Play(URL), {}),
        (Wait(), {}),
        (Hangup(), {}),
        (Redirect(URL), {}),
        (GetDigits(), {}),
        (Record(), {}),
        (Dial(Number("1")), {}),
        (Stream(WSS), {"contentType": "audio/x-mulaw;rate=8000"}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_what_is_not_given_is_left_to_the_platform(verb: Verb, attributes: dict[str, str]) -> None:
    assert only(verb).attrib == attributes


def test_dial_holds_numbers_and_users_in_their_order() -> None:
    user = User(
        "sip:desk@example.com",
        send_digits="9",
        send_on_preanswer=False,
        sip_headers={"k": "v"},
        sip_auth_username="u",
        sip_auth_password="p",
    )
    dial = only(Dial(Number("1", send_digits="ww2", send_on_preanswer=True), user, Number("3")))
    assert [(child.tag, child.text) for child in dial] == [
        ("Number", "1"),
        ("User", "sip:desk@example.com"),
        ("Number", "3"),
    ]
    assert dial[0].attrib == {"sendDigits": "ww2", "sendOnPreanswer": "true"}
    assert dial[1].attrib == {
        "sendDigits": "9",
        "sendOnPreanswer": "false",
        "sipHeaders": "k=v",
        "sipAuthUsername": "u",
        "sipAuthPassword": "p",
    }


def test_getdigits_holds_its_prompts_in_their_order() -> None:
    element = only(GetDigits(Speak("Press 1"), Play(URL), Speak("or 2"), num_digits=1))
    assert [(child.tag, child.text) for child in element] == [
        ("Speak", "Press 1"),
        ("Play", URL),
        ("Speak", "or 2"),
    ]


@pytest.mark.parametrize(
    ("content_type", "rate", "written"),
    [
        ("audio/x-mulaw", 8000, "audio/x-mulaw;rate=8000"),
        ("audio/x-l16", 8000.0, "audio/x-l16;rate=8000"),
        ("audio/x-l16", 16000, "audio/x-l16;rate=16000"),
    ],
    ids=["mulaw", "l16-8", "l16-16"],
)
def test_a_stream_is_asked_for_in_the_format_of_a_session(
    content_type: str, rate: float, written: str
) -> None:
    stream = Stream(WSS, media_format=MediaFormat(content_type, rate))
    assert only(stream).attrib == {"contentType": written}
    assert only(stream).text == WSS


def test_a_finish_key_may_be_none() -> None:
    assert only(GetDigits(finish_on_key="none")).attrib == {"finishOnKey": "none"}
    assert only(Record(finish_on_key="none")).attrib == {"finishOnKey": "none"}


def test_dial_music_may_be_an_address() -> None:
    assert only(Dial(Number("1"), dial_music=URL)).attrib == {"dialMusic": URL}


# --- what is refused ------------------------------------------------------------------------------

# Untyped on purpose: what a type checker would refuse must be refused without one, too.
speak: Any = Speak
play: Any = Play
wait: Any = Wait
hangup: Any = Hangup
redirect: Any = Redirect
number: Any = Number
user: Any = User
dial: Any = Dial
getdigits: Any = GetDigits
record: Any = Record
stream: Any = Stream
ONE = Number("1")

REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: speak(5), "text of Speak must be a str, not int"),
    (lambda: speak(" \n"), "text of Speak is blank"),
    (lambda: speak("a", voice=""), "voice of Speak is blank"),
    (lambda: speak("a", language=1), "language of Speak must be a str, not int"),
    (lambda: speak("a", loop=-1), "loop of Speak must be at least 0"),
    (lambda: speak("a", loop=True), "loop of Speak must be an int, not bool"),
    (lambda: speak("a", loop="2"), "loop of Speak must be an int, not str"),
    (lambda: play("hello.mp3"), "url of Play must be an absolute http or https URL"),
    (lambda: play(URL, loop=-1), "loop of Play must be at least 0"),
    (lambda: wait(0), "length of Wait must be at least 1"),
    (lambda: wait(1.5), "length of Wait must be an int, not float"),
    (lambda: wait(1, silence="true"), "silence of Wait must be a bool, not str"),
    (lambda: wait(1, min_silence=0), "min_silence of Wait must be at least 1"),
    (lambda: wait(2, silence=True), "min_silence of Wait must be shorter than length"),
    (lambda: wait(3, silence=True, min_silence=3000), "min_silence of Wait must be shorter"),
    (lambda: wait(silence=True, min_silence=1000), "min_silence of Wait must be shorter"),
    (lambda: wait(beep=1), "beep of Wait must be a bool"),
    (lambda: hangup(reason="tired"), "reason of Hangup must be one of 'rejected', 'busy'"),
    (lambda: hangup(schedule=0), "schedule of Hangup must be at least 1"),
    (lambda: redirect("ftp://example.com"), "url of Redirect must be an absolute http"),
    (lambda: redirect(URL, method="PUT"), "method of Redirect must be one of 'GET', 'POST'"),
    (lambda: redirect(URL, method=["GET"]), "method of Redirect must be one of 'GET', 'POST'"),
    (lambda: number(""), "number of Number is blank"),
    (lambda: number(14155550101), "number of Number must be a str, not int"),
    (lambda: number("1", send_digits="1W"), "character 2 of send_digits of Number must be a digit"),
    (lambda: number("1", send_on_preanswer=1), "send_on_preanswer of Number must be a bool"),
    (lambda: user(" "), "address of User is blank"),
    (lambda: user("sip:a", send_digits="#"), "character 1 of send_digits of User must be"),
    (lambda: user("sip:a", send_on_preanswer=""), "send_on_preanswer of User must be a bool"),
    (lambda: user("sip:a", sip_headers={"a-b": "c"}), "name or value 1 of sip_headers of User"),
    (lambda: user("sip:a", sip_auth_username="a"), "sip_auth_username and sip_auth_password"),
    (lambda: user("sip:a", sip_auth_password="a"), "sip_auth_username and sip_auth_password"),
    (dial, "Dial has no target"),
    (lambda: dial("+14155550101"), "element 1 of Dial must be Number or User, not str"),
    (lambda: dial(ONE, Speak("a")), "element 2 of Dial must be Number or User, not Speak"),
    (lambda: dial(ONE, action="/next"), "action of Dial must be an absolute"),
    (lambda: dial(ONE, method="get"), "method of Dial must be one of"),
    (lambda: dial(ONE, timeout=0), "timeout of Dial must be at least 1"),
    (lambda: dial(ONE, time_limit=0), "time_limit of Dial must be at least 1"),
    (lambda: dial(ONE, caller_id=""), "caller_id of Dial is blank"),
    (lambda: dial(ONE, caller_name="a" * 51), "caller_name of Dial must have at most 50 char"),
    (lambda: dial(ONE, hangup_on_star=0), "hangup_on_star of Dial must be a bool"),
    (lambda: dial(ONE, redirect="no"), "redirect of Dial must be a bool"),
    (lambda: dial(ONE, callback_url="x"), "callback_url of Dial must be an absolute"),
    (lambda: dial(ONE, callback_method="x"), "callback_method of Dial must be one of"),
    (lambda: dial(ONE, confirm_sound="x"), "confirm_sound of Dial must be an absolute"),
    (lambda: dial(ONE, confirm_key="12"), "confirm_key of Dial must be one of '0', '1'"),
    (lambda: dial(ONE, confirm_timeout=0), "confirm_timeout of Dial must be at least 1"),
    (lambda: dial(ONE, dial_music="jazz"), "dial_music of Dial must be an absolute"),
    (lambda: dial(ONE, digits_match=1), "digits_match of Dial must be a str"),
    (lambda: dial(ONE, digits_match_b_leg=1), "digits_match_b_leg of Dial must be a str"),
    (lambda: dial(ONE, sip_headers="a=b"), "sip_headers of Dial must be a mapping, not str"),
    (lambda: dial(ONE, sip_headers={}), "sip_headers of Dial is empty"),
    (lambda: getdigits("Press 1"), "element 1 of GetDigits must be Speak or Play, not str"),
    (lambda: getdigits(Wait(1)), "element 1 of GetDigits must be Speak or Play, not Wait"),
    (lambda: getdigits(action=1), "action of GetDigits must be a str"),
    (lambda: getdigits(method=""), "method of GetDigits must be one of"),
    (lambda: getdigits(timeout=0), "timeout of GetDigits must be at least 1"),
    (lambda: getdigits(digit_timeout=0), "digit_timeout of GetDigits must be at least 1"),
    (lambda: getdigits(finish_on_key="##"), "finish_on_key of GetDigits must be one of 'none'"),
    (lambda: getdigits(num_digits=0), "num_digits of GetDigits must be at least 1"),
    (lambda: getdigits(retries=0), "retries of GetDigits must be at least 1"),
    (lambda: getdigits(redirect=0), "redirect of GetDigits must be a bool"),
    (lambda: getdigits(play_beep=0), "play_beep of GetDigits must be a bool"),
    (lambda: getdigits(valid_digits="1a"), "character 2 of valid_digits of GetDigits must be one"),
    (lambda: getdigits(invalid_digits_sound="x"), "invalid_digits_sound of GetDigits must be"),
    (lambda: getdigits(log="no"), "log of GetDigits must be a bool"),
    (lambda: record(action=""), "action of Record is blank"),
    (lambda: record(method="x"), "method of Record must be one of"),
    (lambda: record(file_format="ogg"), "file_format of Record must be one of 'mp3', 'wav'"),
    (lambda: record(redirect=1), "redirect of Record must be a bool"),
    (lambda: record(timeout=0), "timeout of Record must be at least 1"),
    (lambda: record(max_length=1), "max_length of Record must be at least 2"),
    (lambda: record(play_beep=1), "play_beep of Record must be a bool"),
    (lambda: record(finish_on_key="x"), "character 1 of finish_on_key of Record must be one of"),
    (lambda: record(record_session=1), "record_session of Record must be a bool"),
    (lambda: record(start_on_dial_answer=1), "start_on_dial_answer of Record must be a bool"),
    (lambda: record(record_channel_type="both"), "record_channel_type of Record must be one of"),
    (lambda: record(transcription_type="x"), "transcription_type of Record must be one of 'auto'"),
    (lambda: record(transcription_url="x"), "transcription_url of Record must be an absolute"),
    (lambda: record(callback_url="x"), "callback_url of Record must be an absolute"),
    (lambda: record(callback_method="x"), "callback_method of Record must be one of"),
    (lambda: stream(URL), "url of Stream must be an absolute ws or wss URL"),
    (lambda: stream(WSS + "/" * 2048), "url of Stream must have at most 2048 characters, not"),
    (lambda: stream(WSS, bidirectional=1), "bidirectional of Stream must be a bool"),
    (lambda: stream(WSS, audio_track="all"), "audio_track of Stream must be one of 'inbound'"),
    (
        lambda: stream(WSS, bidirectional=True, audio_track="both"),
        "audio_track of Stream must be 'inbound' when it is bidirectional",
    ),
    (lambda: stream(WSS, media_format=None), "media_format of Stream must be a MediaFormat"),
    (lambda: stream(WSS, media_format="audio/x-l16"), "media_format of Stream must be a MediaF"),
    (
        lambda: stream(WSS, media_format=MediaFormat("audio/x-l16", 24000)),
        "media_format of Stream must be audio/x-mulaw at 8000 Hz, or audio/x-l16 at 8000 or 16000",
    ),
    (lambda: stream(WSS, extra_headers={"a": "b c"}), "name or value 1 of extra_headers of Stream"),
    (lambda: stream(WSS, extra_headers={"a": "b", "c": 1}), "name or value 2 of extra_headers"),
    (
        lambda: stream(WSS, extra_headers={"a": "b" * 511}),
        "extra_headers of Stream must have at most 512 bytes, not 513",
    ),
    (lambda: stream(WSS, keep_call_alive=1), "keep_call_alive of Stream must be a bool"),
    (lambda: stream(WSS, stream_timeout=0), "stream_timeout of Stream must be at least 1"),
    (lambda: stream(WSS, status_callback_url=WSS), "status_callback_url of Stream must be an ab"),
    (lambda: stream(WSS, status_callback_method=0), "status_callback_method of Stream must be"),
    (lambda: stream(WSS, noise_cancellation="true"), "noise_cancellation of Stream must be a bool"),
    (
        lambda: stream(WSS, noise_cancellation=True, noise_cancellation_level=59),
        "noise_cancellation_level of Stream must be between 60 and 100",
    ),
    (
        lambda: stream(WSS, noise_cancellation=True, noise_cancellation_level=101),
        "noise_cancellation_level of Stream must be between 60 and 100",
    ),
    (
        lambda: stream(WSS, noise_cancellation_level=85),
        "noise_cancellation_level of Stream has no effect without noise_cancellation",
    ),
]


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=range(len(REFUSED)))
def test_what_the_platform_would_refuse_names_its_argument(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        make()


def test_the_bounds_themselves_are_allowed() -> None:
    assert only(Stream(WSS, extra_headers={"a": "b" * 510})).get("extraHeaders", "")[:3] == "a=b"
    assert only(Stream(WSS + "/" * (2048 - len(WSS)))).text is not None
    assert only(Dial(ONE, caller_name="a" * 50)).get("callerName") == "a" * 50
    high = Stream(WSS, noise_cancellation=True, noise_cancellation_level=100)
    assert only(high).get("noiseCancellationLevel") == "100"
    assert only(Wait(3, silence=True, min_silence=2999)).get("minSilence") == "2999"


@pytest.mark.parametrize(
    "url",
    [
        "example.com/next",
        "//example.com/next",
        "https:///next",
        "https://",
        "https:example.com",
        "https://exa mple.com",
        "https://example.com/a b",
        "https://example.com/a\nb",
        "https://example.com/\x7f",
        "https://example.com/ä",
        "https://example.com\\@evil.example",
        "https://example.com/\\",
        "javascript:alert(1)",
    ],
    ids=range(13),
)
def test_what_is_no_absolute_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="url of Redirect must be an absolute"):
        Redirect(url)


@pytest.mark.parametrize(
    "url",
    [
        "HTTPS://example.com",
        "http://[::1]:8000?x",
        "https://u:p@example.com/a?b=c&d=%20#ct=100",
        "https://example.com/?'\"<>",
    ],
    ids=range(4),
)
def test_an_absolute_url_goes_through_unchanged(url: str) -> None:
    assert only(Redirect(url)).text == url


# --- what a repr shows ----------------------------------------------------------------------------


def test_a_repr_tells_the_structure_and_no_secret() -> None:
    answer = AnswerXml(
        Speak("Your code is 4711", voice="MAN"),
        Dial(
            Number("+14155550101", send_digits="4711"),
            User("sip:+14155550123@x", sip_auth_username="ann", sip_auth_password="4711"),
            caller_id="+14155550199",
            caller_name="Ann",
            action="https://example.com/next?pin=4711",
            timeout=20,
        ),
        Redirect("https://example.com/4711"),
        Play("https://example.com/4711"),
        Stream("wss://example.com/4711", extra_headers={"token": "4711"}),
        Hangup(),
    )
    shown = repr(answer)
    assert "4711" not in shown
    assert "ann" not in shown.lower()
    assert "5555" not in shown
    assert shown.startswith("AnswerXml(Speak(<17 characters>, voice='MAN'), Dial(Number(")
    assert "'***0101'" in shown
    assert "timeout='20'" in shown
    assert "wss://example.com/..." in shown
    assert shown.endswith("Hangup())")
