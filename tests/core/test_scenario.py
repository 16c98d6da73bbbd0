"""Scenarios as text: what is read, and what an error says about what cannot be."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_core import ConfigError, ScenarioError
from plivo_core.commands import Hangup, ToolError, ToolResult, Update
from plivo_core.events import (
    AgentToolFailed,
    Dtmf,
    Error,
    ParticipantAdded,
    ParticipantRemoved,
    StreamDtmf,
    ToolCall,
    UserIdle,
    VoicemailBeep,
    VoicemailDetected,
)
from plivo_core.platform import (
    AgentSettings,
    AgentSpeaks,
    CallerPlays,
    CallerSays,
    Closes,
    Emit,
    Expect,
    Fault,
    HangUp,
    Interrupt,
    Never,
    Pause,
    RestFault,
    Scenario,
    Step,
    Until,
)

PAUSE = "[[steps]]\npause = 1\n"


def read(step: str, call: str = "", sounds: Mapping[str, bytes] | None = None) -> tuple[Step, ...]:
    """The steps that one table makes; all but the hang-up behind them."""
    text = f"[call]\n{call}\n[[steps]]\n{step}\n"
    *steps, last = Scenario.parse(text, sounds=sounds).steps
    assert last == HangUp()
    return tuple(steps)


def error_of(text: str, **options: Any) -> ScenarioError:
    with pytest.raises(ScenarioError) as caught:
        Scenario.parse(text, filename="calls/one.toml", **options)
    error = caught.value
    assert error.filename == "calls/one.toml"
    assert str(error).startswith(f"calls/one.toml, line {error.line}: ")
    assert f"found {error.found}, expected {error.expected}" in str(error)
    assert (f"did you mean {error.nearest!r}?" in str(error)) == bool(error.nearest)
    return error


# --- what is read ---------------------------------------------------------------------------------


def test_a_scenario_without_a_setting_is_a_managed_call() -> None:
    scenario = Scenario.parse(PAUSE)
    assert scenario.title == scenario.filename == "<scenario>"
    assert (scenario.mode, scenario.content_type, scenario.sample_rate) == (
        "agent",
        "audio/x-mulaw",
        8000,
    )
    assert scenario.settings == AgentSettings()
    assert scenario.steps == (Pause(1), HangUp())
    assert scenario.rest == ()


def test_the_setting_is_the_agents_configuration() -> None:
    scenario = Scenario.parse(
        """
        title = "all of it"
        [call]
        mode = "raw"
        from = "+1"
        to = "+2"
        agent_id = "a-1"
        headers = { tenant = "42" }
        format = "pcm_16k"
        seconds_per_character = 0.01
        welcome_greeting = "Hi"
        tool_call_timeout_s = 2
        events = ["vad_events"]
        [call.idle_timeout]
        no_response_timeout_s = 1.5
        max_retries = 0
        reminder_message = "Hello?"
        extended_wait_time_s = 3
        [[steps]]
        pause = 0.5
        """
    )
    assert scenario.title == "all of it"
    assert (scenario.mode, scenario.content_type, scenario.sample_rate) == (
        "raw",
        "audio/x-l16",
        16000,
    )
    assert scenario.seconds_per_character == 0.01
    assert scenario.settings == AgentSettings(
        caller="+1",
        callee="+2",
        agent_id="a-1",
        extra_headers={"tenant": "42"},
        welcome_greeting="Hi",
        no_response_timeout_s=1.5,
        max_retries=0,
        reminder_message="Hello?",
        extended_wait_time_s=3,
        tool_call_timeout_s=2,
        events=("vad_events",),
    )


def test_an_idle_time_out_has_the_platforms_defaults() -> None:
    text = f"[call]\nidle_timeout = {{ max_retries = 1 }}\n{PAUSE}"
    assert Scenario.parse(text).settings.no_response_timeout_s == 15


@pytest.mark.parametrize(
    ("step", "call", "steps"),
    [
        ('say = "hi"', "", [CallerSays("hi")]),
        (
            'say = "hi"\nlanguage = "en"\npartials = 2',
            'mode = "text"',
            [CallerSays("hi", "en", 2)],
        ),
        ('press = "1#"', "", [Emit(Dtmf(digit="1")), Emit(Dtmf(digit="#"))]),
        ('press = "1"', 'mode = "stream"', [Emit(StreamDtmf(digit="1", track="inbound"))]),
        (
            'press = "1"',
            'mode = "raw"',
            [Emit(Dtmf(digit="1")), Emit(StreamDtmf(digit="1", track="inbound"))],
        ),
        ("interrupt = true", "", [Interrupt()]),
        ('hang_up = "bored"', "", [HangUp("bored")]),
        (
            'voicemail = "human"',
            "",
            [Emit(VoicemailDetected(result="human", method="audio"))],
        ),
        ("beep = 1000.5", "", [Emit(VoicemailBeep(frequency_hz=1000.5, duration_ms=400))]),
        (
            'joins = "+1"',
            "",
            [Emit(ParticipantAdded(member_id="m-1", role="user", target="+1"))],
        ),
        ('leaves = "m-2"', "", [Emit(ParticipantRemoved(member_id="m-2", role="user"))]),
        ('speak = "hi"', "", [AgentSpeaks("hi")]),
        ('speak = "hi"\nwait = false', 'mode = "speech"', [AgentSpeaks("hi", wait=False)]),
        (
            'tool = "look_up"',
            "",
            [
                Emit(ToolCall(id="tool-1", name="look_up")),
                Expect(ToolResult, "step 1: tool.result of look_up", {"id": "tool-1"}),
            ],
        ),
        (
            """
            tool = "x"
            id = "t"
            arguments = { a = 1 }
            answer = "tool.error"
            where = { error = "no" }
            within = 5
            label = "fails"
            """,
            "",
            [
                Emit(ToolCall(id="t", name="x", arguments={"a": 1})),
                Expect(ToolError, "fails", {"id": "t", "error": "no"}, 5),
            ],
        ),
        ('tool = "x"\nanswer = "none"', "", [Emit(ToolCall(id="tool-1", name="x"))]),
        (
            'emit = "session.error"\nfields = { code = "x" }',
            "",
            [Emit(Error(code="x"))],
        ),
        ('emit = "dtmf"', 'mode = "stream"', [Emit(StreamDtmf())]),
        (
            'expect = "agent_session.update"\nwhere = { tools = [] }',
            "",
            [Expect(Update, "step 1: agent_session.update", {"tools": []})],
        ),
        (
            'never = "agent_session.hangup"\nduring = 1',
            "",
            [Never(Hangup, "step 1: no agent_session.hangup", during=1)],
        ),
        (
            'until = "user.idle"\nwhere = { retry_count = 1 }',
            "",
            [Until(UserIdle, "step 1: user.idle", {"retry_count": 1})],
        ),
        ("closes = 1000\nwithin = 1", "", [Closes("step 1: close 1000", 1000, 1)]),
        ('fault = "drop"', "", [Fault("drop", "step 1: drop")]),
        ('fault = "stall"\nseconds = 2', "", [Fault("stall", "step 1: stall", seconds=2)]),
        ('fault = "split"', "", [Fault("split", "step 1: split", size=1)]),
        ('fault = "binary"\nsize = 0', "", [Fault("binary", "step 1: binary")]),
        (
            'fault = "garbage"',
            "",
            [Fault("garbage", "step 1: garbage", text="{ no JSON")],
        ),
    ],
)
def test_a_table_is_a_step(step: str, call: str, steps: list[Step]) -> None:
    assert read(step, call) == tuple(steps)


def test_a_collector_completes_or_fails() -> None:
    done = read('collect = "collect_email"\nresult = { email_address = "a@b.c" }')
    failed = read('collect = "collect_email"\nid = "c"\nerror = "declined"')
    assert len(done) == len(failed) == 3
    assert failed[-1] == Emit(
        AgentToolFailed(agent_tool_type="collect_email", agent_tool_id="c", error="declined")
    )


@pytest.mark.parametrize(
    ("step", "call", "audio"),
    [
        ('play = "silence"\nseconds = 0.01', "", b"\xff" * 80),
        ('play = "silence"\nseconds = 0.01', 'format = "pcm_8k"', bytes(160)),
        ('play = "tone"\nseconds = 0.001\nhz = 2000', "", b"\x9f\x9f\x1f\x1f\x9f\x9f\x1f\x1f"),
        (
            'play = "tone"\nseconds = 0.00025\nhz = 9e9',
            'format = "pcm_16k"',
            bytes.fromhex("401fc0e0401fc0e0"),
        ),
        ('play = "hello"', "", b"hello"),
    ],
)
def test_sound_is_a_tone_silence_or_what_the_loader_hands_in(
    step: str, call: str, audio: bytes
) -> None:
    steps = read(step, f'mode = "stream"\n{call}', {"hello": b"hello"})
    assert steps == (CallerPlays(audio),)


def test_rest_faults_are_data_for_the_simulator() -> None:
    scenario = Scenario.parse(
        f"""
        [[rest]]
        status = 429
        times = 5
        method = "POST"
        path = "/Call/"
        retry_after = 1
        [[rest]]
        status = 503
        {PAUSE}"""
    )
    storm, failure = scenario.rest
    assert storm == RestFault(status=429, times=5, method="POST", path="/Call/", retry_after=1)
    assert failure == RestFault(status=503)
    assert storm.matches("post", "/v1/Account/MA/Call/")
    assert not storm.matches("GET", "/v1/Account/MA/Call/")
    assert not storm.matches("POST", "/v1/Account/MA/Message/")
    assert failure.matches("GET", "/")


def test_a_scenario_can_be_placed_any_number_of_times() -> None:
    scenario = Scenario.parse(PAUSE)
    assert scenario.call() is not scenario.call()


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "found", "nearest"),
    [
        (f"{PAUSE}\n[[step]]\npause = 1", 4, "'step'", "steps"),
        (f'[call]\n\nmodus = "text"\n{PAUSE}', 3, "'modus'", "mode"),
        (f'[call]\nmode = "sppech"\n{PAUSE}', 2, "'sppech'", "speech"),
        (f'[call]\nmode = "raw"\nformat = "pcm_8k"\n{PAUSE}', 3, "'pcm_8k'", "pcm_16k"),
        (f'[call]\nevents = ["vad"]\n{PAUSE}', 2, "'vad'", ""),
        (f'[call]\nevents = ["metric_events"]\n{PAUSE}', 2, "'metric_events'", "metrics_events"),
        (
            f"[call]\nidle_timeout = {{ max_retrys = 1 }}\n{PAUSE}",
            2,
            "'max_retrys'",
            "max_retries",
        ),
        (f"{PAUSE}[[steps]]\npuase = 1", 4, "'puase'", "pause"),
        (f'{PAUSE}[[steps]]\nsay = "x"\nlangauge = "en"', 5, "'langauge'", "language"),
        (f'{PAUSE}[[steps]]\nexpect = "agent_session.speek"', 4, None, "agent_session.speak"),
        (f'{PAUSE}[[steps]]\nuntil = "user.idel"', 4, "'user.idel'", "user.idle"),
        (
            f'{PAUSE}[[steps]]\nexpect = "tool.result"\nwhere = {{ reslut = 1 }}',
            5,
            "'reslut'",
            "result",
        ),
        (
            f'{PAUSE}[[steps]]\nexpect = "tool.result"\n[steps.where]\nreslut = 1',
            5,
            "'reslut'",
            "result",
        ),
        (f'{PAUSE}[[steps]]\nemit = "user.dtmf"\nfields = {{ digits = "1" }}', 5, None, "digit"),
        (f'{PAUSE}[[steps]]\nfault = "dorp"', 4, "'dorp'", "drop"),
        (f'{PAUSE}[[steps]]\nfault = "drop"\nseconds = 1', 5, "'seconds'", ""),
        (f"{PAUSE}[[rest]]\nstatsu = 500", 4, "'statsu'", "status"),
        (f'{PAUSE}[[rest]]\nstatus = 500\nmethod = "get"', 5, "'get'", ""),
        ("steps = [\n  { pause = 1 },\n  { puase = 1 },\n]", 1, "'puase'", "pause"),
        (f'note = """\n[[steps]]\n"""\n{PAUSE}', 1, "'note'", ""),
        (f'title = """\n[[steps]]\npuase = 1\n"""\n{PAUSE}puase = 1', 7, "'puase'", "pause"),
        (f'{PAUSE}[[steps]]\n"puase" = 1', 4, "'puase'", "pause"),
        (f'{PAUSE}[[steps]]\npause = 1\n"a b" = 1', 3, "'a b'", ""),  # as near as it gets
    ],
)
def test_an_unknown_word_is_named_with_its_line_and_the_nearest(
    text: str, line: int, found: str | None, nearest: str
) -> None:
    error = error_of(text)
    assert error.line == line
    assert found in (None, error.found)
    assert error.nearest == nearest
    assert "unknown" in str(error)
    assert isinstance(error, ConfigError)


@pytest.mark.parametrize(
    ("text", "line", "found", "expected"),
    [
        ("title = 1\n" + PAUSE, 1, "1", "a text"),
        ("call = 1\n" + PAUSE, 1, "1", "a table"),
        ("[call]\nheaders = { a = 1 }\n" + PAUSE, 2, "1", "a text"),
        ("[call]\nevents = [1]\n" + PAUSE, 2, "1", "a list of texts"),
        ('[call]\nevents = "vad_events"\n' + PAUSE, 2, "'vad_events'", "a list of texts"),
        ('steps = "x"', 1, "'x'", "tables under [[steps]]"),
        ("steps = [1]", 1, "1", "a table"),
        ("", 1, "no steps", "at least one [[steps]] table"),
        ("[[steps]]", 1, "no verb", None),
        ("[[steps]]\npause = true", 2, "True", "a number"),
        ("[[steps]]\npause = -1", 2, "-1", "0 to 86400"),
        ("[[steps]]\npause = nan", 2, "nan", "0 to 86400"),
        ('[[steps]]\npause = "1"', 2, "'1'", "a number"),
        ("[[steps]]\ncloses = 1", 2, "1", "1000 to 4999"),
        ("[[steps]]\ncloses = 1000.5", 2, "1000.5", "a whole number"),
        ("[[steps]]\ninterrupt = 1", 2, "1", "true or false"),
        ("[[steps]]\ninterrupt = false", 2, "false", "true"),
        ('[[steps]]\nfault = "stall"', 1, "['fault']", "a number"),
        ('[[steps]]\npress = "1x"', 2, "'1x'", "some of 0123456789*#ABCD"),
        ('[[steps]]\npress = ""', 2, "''", "some of 0123456789*#ABCD"),
        ('[[steps]]\nsay = "a"\npress = "1"', 3, "say and press", "one per step"),
        ('[[steps]]\nsay = "a"\n' + 'label = ["%s"]' % ("x" * 99), 3, None, "a text"),
        ("[[steps]]\npause = 1\nlabel = 1", 3, "1", "a text"),
        (
            '[[steps]]\ntool = "x"\narguments = { at = [1, 2024-01-01] }',
            3,
            "datetime.date(2024, 1, 1)",
            "what JSON can carry",
        ),
        ('[[steps]]\ntool = "x"\narguments = { a = -inf }', 3, "-inf", "what JSON can carry"),
        (
            '[[steps]]\nemit = "session.error"\nfields = { code = 1.5 }',
            3,
            "{'code': 1.5}",
            "those of session.error",
        ),
        (
            '[call]\nmode = "raw"\n[[steps]]\nemit = "start"\nfields = { extra_headers = 1 }',
            5,
            "{'extra_headers': 1}",
            "those of start",
        ),
        ("[[rest]]\nstatus = 200\n" + PAUSE, 2, "200", "400 to 599"),
        ("[[rest]]\nstatus = 600\n" + PAUSE, 2, "600", "400 to 599"),
        ("[[rest]]\ntimes = 2\n" + PAUSE, 1, "['times']", "a whole number"),
        ("[call\n" + PAUSE, 1, "[call", "a TOML document"),
        ('title = """\n', 1, 'title = """', "a TOML document"),
        # What would fail, or never end, in the middle of a call.
        (f"[[steps]]\npause = {10**400}", 2, None, "0 to 86400"),
        ('[call]\nmode = "raw"\n[[steps]]\nplay = "tone"\nseconds = 1e300', 5, None, "0 to 600"),
        ('[[steps]]\nfault = "oversized"\nsize = 1_000_000_000_000', 3, None, "0 to 16777216"),
        (f"[call]\nidle_timeout = {{ max_retries = {10**9} }}\n{PAUSE}", 2, None, "0 to 1000"),
        ('[call]\nmode = "text"\n[[steps]]\nsay = "x"\npartials = 1001', 5, None, "0 to 1000"),
        ('[[steps]]\nhang_up = "\ud800"', 2, 'hang_up = "\\ud800"', "no surrogates"),
        (f"{PAUSE}x = {'[' * 5000}{']' * 5000}", 1, "more than 64 levels", None),
        (f"{PAUSE}x = {'[' * 65}{']' * 65}", 1, "more than 64 levels", None),
        (f"x{'.x' * 63} = 1\n{PAUSE}", 1, "'x'", None),  # unknown, but read
        (f"x{'.x' * 64} = 1\n{PAUSE}", 1, "a key of more than 64 parts", None),
        (f"{PAUSE}x{'.x' * 2000} = 1", 3, "a key of more than 64 parts", None),
        ('title = "\u2028\x85"\n[[steps]]\npause = "1"', 3, "'1'", "a number"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(
    text: str, line: int, found: str | None, expected: str | None
) -> None:
    error = error_of(text)
    assert error.line == line
    assert found in (None, error.found)
    assert expected in (None, error.expected)


@pytest.mark.parametrize(
    "line",
    [
        "{} = 1",
        "  [{}]",
        "[[{}]]  # a table",
        "x = {{ y = 'a # \\', {} = 1 }}",
        'x = {{ y = "\\"#", {} = 1 }}',
        "[[steps]] # \n{}",
    ],
)
@pytest.mark.parametrize("part", ["x", "'x.#'", '"x\\"."', "- "])
def test_a_key_of_very_many_parts_is_refused_before_it_is_read(line: str, part: str) -> None:
    # A reader of TOML keeps every beginning of a key: the square of 30,000 fills a machine.
    text = PAUSE + line.format(".".join([part] * 30_000))
    error = error_of(text)
    assert error.line == text.count("\n") + 1
    assert error.found == "a key of more than 64 parts"


@pytest.mark.parametrize(
    "line",
    [
        f"title = '{'x.' * 100}'  # {'x.' * 100}",
        f'title = "{"x." * 100}"',
        f"title = '''{'x.' * 100}\n{'x.' * 100}\n'''",
    ],
)
def test_dots_that_are_not_in_a_key_are_as_many_as_they_like(line: str) -> None:
    assert "x.x." in Scenario.parse(f"{line}\n{PAUSE}").title


@pytest.mark.parametrize(
    ("call", "step", "found"),
    [
        ('mode = "stream"', 'say = "x"', "'say' in a call of mode 'stream'"),
        ('mode = "raw"', 'say = "x"', "'say' in a call of mode 'raw'"),
        ('mode = "text"', 'tool = "x"', "'tool' in a call of mode 'text'"),
        ('mode = "text"', 'speak = "x"', "'speak' in a call of mode 'text'"),
        ("", 'play = "tone"', "'play' in a call of mode 'agent'"),
        ('mode = "stream"', "interrupt = true", "'interrupt' in a call of mode 'stream'"),
        ("", 'until = "playedStream"', "'playedStream' in a call of mode 'agent'"),
        ('mode = "stream"', 'emit = "user.dtmf"', "'user.dtmf' in a call of mode 'stream'"),
        ("", 'collect = "x"\nerror = "x"\nresult = {}', "result and error"),
    ],
)
def test_an_impossible_step_is_refused(call: str, step: str, found: str) -> None:
    error = error_of(f"[call]\n{call}\n[[steps]]\n{step}")
    assert "step 1 is impossible" in str(error)
    assert error.found == found
    assert error.line >= 4


@pytest.mark.parametrize("end", ['hang_up = "x"', 'fault = "drop"'])
def test_nothing_can_be_done_after_the_end(end: str) -> None:
    error = error_of(f'[[steps]]\n{end}\n[[steps]]\nsay = "x"')
    assert error.line == 4
    assert error.found == "'say' after step 1, which ends the call"
    text = f'[[steps]]\n{end}\n[[steps]]\nexpect = "agent_session.speak"'
    assert isinstance(Scenario.parse(text).steps[1], Expect)


def test_half_a_sample_is_no_sound() -> None:
    text = '[call]\nmode = "stream"\nformat = "pcm_8k"\n[[steps]]\nplay = "x"'
    assert error_of(text, sounds={"x": b"123"}).found == "3 bytes"


def test_sounds_that_were_not_handed_in_are_named() -> None:
    text = '[call]\nmode = "stream"\n[[steps]]\nplay = "helo"'
    assert error_of(text, sounds={"hello": b"1"}).nearest == "hello"


@pytest.mark.parametrize("version", [(3, 10), (3, 13)])
def test_a_python_without_a_toml_reader_is_told_what_to_install(
    version: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "tomllib" if version >= (3, 11) else "tomli"
    monkeypatch.setattr(sys, "version_info", version)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=f"the package {name}") as caught:
        Scenario.parse(PAUSE)
    assert "pip install" in caught.value.hint


def test_a_python_without_tomllib_uses_tomli(monkeypatch: pytest.MonkeyPatch) -> None:
    class Tomli:
        @staticmethod
        def loads(text: str) -> dict[str, Any]:
            return {"steps": [{"pause": 2}]}

    monkeypatch.setattr(sys, "version_info", (3, 10))
    monkeypatch.setitem(sys.modules, "tomli", Tomli)
    assert Scenario.parse("").steps[0] == Pause(2)


_words = st.sampled_from(
    [
        *("[call]", "[[steps]]", "[[rest]]", "[steps.where]", "mode", "say", "expect", "fault"),
        *("=", '"', "'''", '"""', "{", "}", "[", "]", ".", ",", "#", "\n", "\n", " "),
        *("1", "-1", "nan", "1e400", "true", '"text"', '"drop"', '"tool.result"', "\u00e4", "\x00"),
    ]
)


@given(st.lists(_words).map("".join) | st.text())
def test_any_text_is_a_scenario_or_an_error_with_a_line(text: str) -> None:
    error: ScenarioError | None = None
    try:
        assert Scenario.parse(text).call()
    except ScenarioError as caught:
        error = caught
    if error is not None:
        assert 1 <= error.line <= max(1, len(text.splitlines()))
        assert error.found
        assert error.expected
