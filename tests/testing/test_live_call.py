"""A script that is written while it plays."""

from __future__ import annotations

import pytest

from plivo_core import ConfigError
from plivo_core.events import Dtmf
from plivo_core.platform import CallerPlays, Emit, HangUp, Pause
from plivo_core.platform._live import LiveCall


def test_a_step_that_cannot_be_played_leaves_those_before_it() -> None:
    call = LiveCall()
    call.start(now=0.0)
    call.play(Pause(5.0), Emit(Dtmf(digit="1")), now=0.0)
    with pytest.raises(ConfigError, match="no"):
        call.play(HangUp(), CallerPlays(b"x"), now=1.0)
    assert call.waiting
    call.handle_timeout(now=5.0)
    assert not call.waiting
    assert not call.finished
    assert [call.next_event(), call.next_event()][1] == Dtmf(digit="1")
