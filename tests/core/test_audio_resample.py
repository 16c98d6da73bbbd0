"""The resampler keeps time, tones and loudness, wherever its input is cut."""

from __future__ import annotations

import math
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_core import AudioError
from plivo_core.audio import PCM_8K, PCM_16K, Resampler
from plivo_core.audio._resample import _Filter, _filter
from tests.core._audio import cut, cuts, pcm, samples, tone

RATES = (8000, 16000, 24000)
PAIRS = [(source, target) for source in RATES for target in RATES]
CHANGES = [pair for pair in PAIRS if pair[0] != pair[1]]

pairs = st.sampled_from(PAIRS)


def resample(data: bytes, source: int, target: int) -> list[int]:
    resampler = Resampler(source, target)
    return samples(resampler.feed(data) + resampler.flush())


def decibels(signal: list[float], reference: list[float]) -> float:
    ratio = sum(value * value for value in signal) / sum(value * value for value in reference)
    return 10 * math.log10(max(ratio, 1e-12))


def settled(values: list[float] | list[int]) -> list[float]:
    """Without the ends, where the silence around the sound is heard."""
    return [float(value) for value in values[100:-100]]


def filter_of(source: int, target: int) -> _Filter:
    common = math.gcd(source, target)
    return _filter(target // common, source // common)


# --- tones ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("source", "target"), CHANGES)
@pytest.mark.parametrize("part", [0.02, 0.1, 0.25, 0.35, 0.4, 0.425])
def test_a_tone_in_the_pass_band_comes_out_in_time_and_60_db_clean(
    source: int, target: int, part: float
) -> None:
    hertz = part * min(source, target)
    heard = resample(pcm(*map(round, tone(hertz, source, source // 5))), source, target)
    wanted = tone(hertz, target, target // 5)
    assert len(heard) == len(wanted)
    # Sample by sample: a delay of one fiftieth of a sample would be noise of -40 dB and more.
    noise = [ours - exact for ours, exact in zip(heard, wanted, strict=True)]
    assert decibels(settled(noise), settled(wanted)) < -60


@pytest.mark.parametrize(("source", "target"), [pair for pair in CHANGES if pair[0] > pair[1]])
@pytest.mark.parametrize("part", [0.575, 0.6, 0.65, 0.7, 0.74])
def test_a_tone_above_the_new_band_is_65_db_down(source: int, target: int, part: float) -> None:
    hertz = part * target
    heard = resample(pcm(*map(round, tone(hertz, source, source // 5))), source, target)
    assert decibels(settled(heard), settled(tone(hertz, target, target // 5))) < -65


@pytest.mark.parametrize(("source", "target"), CHANGES)
@pytest.mark.parametrize("level", [-32768, -1, 1, 12345, 32767])
def test_a_constant_stays_exactly_what_it_is(source: int, target: int, level: int) -> None:
    heard = resample(pcm(*[level] * 600), source, target)
    assert set(heard[70:-70]) == {level}


def test_doubling_the_rate_keeps_every_sample() -> None:
    values = [-32768, 32767, 5, -7, 1, 0, 300, 32767, 32767, -32768] * 7
    assert resample(pcm(*values), 8000, 16000)[::2] == values


# --- the sums of products, one by one -------------------------------------------------------------


def by_hand(values: list[int], source: int, target: int) -> list[int]:
    """The same coefficients, added up sample by sample; a sum is rounded, then saturates."""
    taps = filter_of(source, target)
    rows = [taps._coefficients(phase) for phase in range(taps.up)]
    blocks = -(-len(values) // taps.down)
    around = [0] * taps.before + values + [0] * (taps.window + taps.down)
    output = []
    for start in range(0, blocks * taps.down, taps.down):
        for row in rows:
            total = sum(a * b for a, b in zip(row, around[start:], strict=False))
            output.append(min(max(total + (1 << 13) >> 14, -32768), 32767))
    return output[: -(-len(values) * target // source)]


@given(st.lists(st.integers(-32768, 32767), max_size=200), st.sampled_from(CHANGES))
def test_every_output_is_the_sum_of_its_products(values: list[int], pair: tuple[int, int]) -> None:
    assert resample(pcm(*values), *pair) == by_hand(values, *pair)


@given(st.lists(st.sampled_from([-32768, 32767]), max_size=200), st.sampled_from(CHANGES))
def test_the_loudest_input_saturates(values: list[int], pair: tuple[int, int]) -> None:
    assert resample(pcm(*values), *pair) == by_hand(values, *pair)


@pytest.mark.parametrize(("source", "target"), CHANGES)
@pytest.mark.parametrize("sign", [1, -1])
def test_the_worst_input_neither_wraps_nor_spoils_its_neighbours(
    source: int, target: int, sign: int
) -> None:
    taps = filter_of(source, target)
    rows = [taps._coefficients(phase) for phase in range(taps.up)]
    high, low = (32767, -32768)[::sign]
    worst = [high if factor > 0 else low for factor in chain(*rows)]
    heard = resample(pcm(*worst), source, target)
    assert heard == by_hand(worst, source, target)
    assert high in heard


@pytest.mark.parametrize(("source", "target"), CHANGES)
def test_the_coefficients_keep_the_bounds_that_the_slots_rely_on(source: int, target: int) -> None:
    taps = filter_of(source, target)
    for row in (taps._coefficients(phase) for phase in range(taps.up)):
        assert len(row) == taps.window
        assert sum(row) == 1 << 14
        assert sum(factor for factor in row if factor < 0) > -(1 << 14)


# --- pieces ---------------------------------------------------------------------------------------


@given(st.binary(max_size=3000), cuts(), pairs)
def test_where_the_input_is_cut_makes_no_difference(
    data: bytes, lengths: list[int], pair: tuple[int, int]
) -> None:
    data = data[: len(data) & ~1]
    resampler = Resampler(*pair)
    output = b"".join(map(resampler.feed, cut(data, lengths))) + resampler.flush()
    assert samples(output) == resample(data, *pair)


@given(st.integers(0, 400), pairs)
def test_the_output_is_as_long_as_the_input(count: int, pair: tuple[int, int]) -> None:
    source, target = pair
    assert len(resample(bytes(2 * count), source, target)) == math.ceil(count * target / source)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_ten_seconds_at_once_are_ten_seconds_in_packets(source: int, target: int) -> None:
    packet = pcm(*map(round, tone(440, source, source // 50)))
    resampler = Resampler(source, target)
    pieces = [resampler.feed(packet) for _ in range(500)]
    assert samples(b"".join(pieces) + resampler.flush()) == resample(packet * 500, source, target)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_feed_lags_by_sixteen_samples_of_the_lower_rate(source: int, target: int) -> None:
    resampler = Resampler(source, target)
    given = len(resampler.feed(bytes(2 * source))) / 2 / target
    lag = 0 if source == target else 16 / min(source, target)
    # Whole blocks only, of at most three samples on either side.
    assert lag <= 1 - given <= lag + 3 / min(source, target) * (lag > 0)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_after_flush_or_reset_a_resampler_is_as_new(source: int, target: int) -> None:
    sound = pcm(*map(round, tone(300, source, 500)))
    resampler = Resampler(source, target)
    first = resampler.feed(sound) + resampler.flush()
    assert resampler.flush() == b""
    resampler.feed(sound[:333])
    resampler.reset()
    assert resampler.feed(sound) + resampler.flush() == first


@pytest.mark.parametrize("target", [8000, 16000])
def test_half_a_sample_at_the_end_is_an_error_and_not_lost(target: int) -> None:
    resampler = Resampler(8000, target)
    output = resampler.feed(pcm(1, 2)[:3], PCM_8K)
    with pytest.raises(AudioError, match="rest of the input has 1 bytes: expected whole samples"):
        resampler.flush()
    output += resampler.feed(bytearray(pcm(1, 2)[3:])) + resampler.flush()
    assert samples(output) == resample(pcm(1, 2), 8000, target)


@pytest.mark.parametrize("pair", [(8000, 11025), (44100, 8000), (8000, 0)])
def test_other_rates_are_refused(pair: tuple[int, int]) -> None:
    with pytest.raises(AudioError, match="expected 8000, 16000 or 24000 Hz"):
        Resampler(*pair)


def test_a_resampler_names_its_formats() -> None:
    resampler = Resampler(8000, 16000)
    assert (resampler.source, resampler.target) == (PCM_8K, PCM_16K)
