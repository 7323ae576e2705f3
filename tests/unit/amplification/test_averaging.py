"""The scatter of members gives the amplification that is known, and says what is wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest

from camel_fits import EXACT_GAIN, Edges, camel_draws, camel_edges, fit_camels
from statistical import assert_within
from verisimile.checks.amplification.averaging import Averaging, averaging, averaging_of_counts
from verisimile.checks.amplification.member_counts import (
    Draws,
    MemberCounts,
    count_members,
    member_counts,
    pool_regions,
    spread,
)
from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import from_dict, to_dict
from verisimile.core.run import Run
from verisimile.data.events import Events

N_TRAIN, MEMBERS = 1000, 2000


def _rng(*words: str | int) -> np.random.Generator:
    return Seeds(20261201).at(*words).numpy()


@pytest.fixture(scope="module")
def contents() -> Array:
    """Region contents of independent fits ``(2000, 10)``."""
    fits = fit_camels(camel_draws((MEMBERS, N_TRAIN), _rng("fits")))
    return fits.contents(camel_edges(10))


def _measured(contents: Array, n: int, rng: np.random.Generator) -> Averaging:
    return averaging_of_counts(member_counts(rng.multinomial(n, contents)), rng, n_train=N_TRAIN)


def test_independent_fits_have_the_exact_amplification(contents: Array) -> None:
    found = _measured(contents, 10_000, _rng("exact")).amplification
    # The exact value is that of many training events; 1000 differ from it by about one per cent.
    exact = 1 / EXACT_GAIN[10]
    error = math.hypot(found.inverse_gain.error, 0.01 * exact)
    assert_within(found.inverse_gain.value, exact, error)
    low, high = found.gain_interval(0.95)
    assert low < EXACT_GAIN[10] * 1.02 < high * 1.03
    assert found.resolution == 10
    assert found.n_generated == 10_000
    assert found.details["members"] == MEMBERS
    assert found.warnings == ()


def test_without_the_binomial_noise_subtracted_it_is_not(contents: Array) -> None:
    # Defective twin: the noise of 2000 events is not small against 1000 / 2.4 equivalent ones.
    rng = _rng("twin")
    counts = member_counts(rng.multinomial(2000, contents))
    found = pool_regions(counts, spread(counts))
    exact = 1 / EXACT_GAIN[10]
    value, error = N_TRAIN * found.inverse_size, N_TRAIN * found.error / found.scale
    assert_within(value, exact, math.hypot(error, 0.01 * exact))
    plain = N_TRAIN * found.total / found.scale
    with pytest.raises(AssertionError, match="off by"):
        assert_within(plain, exact, math.hypot(error, 0.01 * exact))


def test_unequal_samples_leave_no_bias(contents: Array) -> None:
    rng = _rng("unequal")
    totals = np.where(np.arange(MEMBERS) % 2, 500, 50_000)
    counts = np.array([rng.multinomial(n, p) for n, p in zip(totals, contents, strict=True)])
    table = member_counts(counts)
    found = pool_regions(table, spread(table))
    truth = contents.var(axis=0, ddof=1).sum()
    # The members are the same, so that only the binomial noise and its cross term scatter.
    assert_within(found.total - found.noise, truth, found.error)
    naive = found.total - found.scale / (totals.mean() - 1)
    with pytest.raises(AssertionError, match="off by"):
        assert_within(naive, truth, found.error)


def test_the_error_is_that_of_repetition(contents: Array) -> None:
    rng = _rng("error")
    parts = [_measured(part, 5000, rng) for part in np.split(contents, 100)]
    values = np.array([part.amplification.inverse_gain.value for part in parts])
    claimed = np.array([part.amplification.inverse_gain.error for part in parts])
    degrees = np.mean([part.amplification.details["effective_degrees"] for part in parts])
    assert_within(np.log(values.std(ddof=1) / np.sqrt((claimed**2).mean())), 0.0, 0.1)
    assert 19 < degrees < 19 * 9


def test_region_by_region(contents: Array) -> None:
    rng = _rng("regions")
    truth = contents.var(axis=0, ddof=1)
    gain = (contents.mean(axis=0) * (1 - contents.mean(axis=0))) / (N_TRAIN * truth)
    maps = [_measured(part, 1_000_000, rng).regions for part in np.split(contents, 200)]
    inside = np.array([(m.low <= truth) & (truth <= m.high) for m in maps])
    rate = inside.mean()
    # Ten regions of one ensemble are nearly one witness: the error is that of 200 ensembles.
    assert_within(rate, 0.68, inside.mean(axis=1).std(ddof=1) / math.sqrt(200))
    gains = np.array([m.gain for m in maps])
    error = gains.std(axis=0, ddof=1) / math.sqrt(200)
    # The noise is below one per cent of the variance here, and the correction is for none.
    assert_within(gains.mean(axis=0), gain, np.hypot(error, 0.02 * gain))
    with pytest.raises(AssertionError, match="off by"):
        assert_within((gains * 9 / 7).mean(axis=0), gain, np.hypot(error, 0.02 * gain))
    assert ((maps[0].gain_low < maps[0].gain) & (maps[0].gain < maps[0].gain_high)).all()


def test_the_spread_crosses_the_falling_line(contents: Array) -> None:
    found = _measured(contents[:500], 20_000, _rng("crossing")).crossing
    assert found.sizes[0] == 20
    assert found.sizes[-1] == 20_000
    assert found.spread.shape == found.sampling.shape == (8, 10)
    truth = np.sqrt(contents.var(axis=0, ddof=1) + found.sampling**2)
    assert_within(found.spread / truth, 1.0, math.sqrt(0.5 / 500))


def test_samplers_and_events_give_the_same_law() -> None:
    edges = camel_edges(4)
    run = Run(Seeds(3))

    def source(n: int, rng: np.random.Generator) -> Array:
        return camel_draws((n, 1), rng)

    drawn = count_members(run, [Draws(source, 200_000)] * 3, edges)
    again = count_members(run, [Draws(source, 200_000)] * 4, edges)
    held = count_members(run, [Events(source(150_000, _rng("held", i))) for i in range(3)], edges)
    assert (again.counts[:3] == drawn.counts).all()
    assert (drawn.counts[0] != drawn.counts[1]).any()
    for found in (drawn, held):
        assert (found.counts.sum(axis=1) == found.totals).all()
        assert_within(found.fractions, 0.25, math.sqrt(0.25 * 0.75 / 150_000))


def test_the_whole_call_and_its_round_trip() -> None:
    samples = [Events(camel_draws((3000, 1), _rng("whole", i))) for i in range(12)]
    found = averaging(Run(Seeds(4)), samples, n_train=100, regions=camel_edges(20))
    # Members that are fresh truth samples have no spread of their own.
    assert_within(
        found.amplification.inverse_gain.value, 0.0, found.amplification.inverse_gain.error
    )
    assert math.isinf(found.amplification.gain_interval(0.95)[1])
    assert any("generate more" in text for text in found.amplification.warnings)
    again = from_dict(to_dict(found))
    assert isinstance(again, Averaging)
    assert repr(again) == repr(found)
    assert "initialisation" in again.cannot_see


def test_members_with_a_common_seed_are_noticed() -> None:
    samples = [Events(camel_draws((3000, 1), _rng("same"))) for _ in range(5)]
    with pytest.raises(InputError, match="random seed"):
        averaging(Run(Seeds(4)), samples, n_train=100, regions=camel_edges(20))
    table = np.full((12, 10), 1000) + np.arange(12)[:, None] % 2 * np.tile([1, -1], 5)
    found = averaging_of_counts(member_counts(table), _rng("less"), n_train=100)
    assert any("share random" in text for text in found.amplification.warnings)


def test_one_member_far_from_the_others_is_named(contents: Array) -> None:
    odd = contents[:30].copy()
    odd[17] += 6.0 * (odd[17] - contents.mean(axis=0))
    table = member_counts(_rng("odd").multinomial(100_000, odd))
    found = averaging_of_counts(table, _rng("odd"), n_train=N_TRAIN).amplification
    assert any("Member 17 alone" in text for text in found.warnings)
    assert found.details["farthest_member"] == 17
    assert _measured(contents[:30], 100_000, _rng("even")).amplification.warnings == ()


class _Bad(Edges):
    def of(self, x: Array) -> IntArray:
        return super().of(x) + 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"member_samples": [Events(np.ones((5, 1)))] * 2}, "three or more"),
        ({"member_samples": [Events(np.ones((5, 1)), np.ones(5))] * 3}, "unweighted"),
        ({"member_samples": [Draws(lambda n, rng: rng.random(n), 5)] * 3}, "rows of features"),
        ({"regions": _Bad(np.array([0.0]))}, r"from -1 to 1"),
        ({"n_train": 0}, "n_train"),
        ({"levels": (0.68, 1.0)}, "levels"),
    ],
)
def test_what_cannot_be_is_named(change: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {
        "member_samples": [Events(_rng(i).normal(size=(50, 1))) for i in range(3)],
        "n_train": 10,
        "regions": Edges(np.array([0.0])),
    }
    with pytest.raises(InputError, match=message):
        averaging(Run(Seeds(1)), **(arguments | change))  # type: ignore[arg-type]


def test_counts_outside_all_regions_are_kept() -> None:
    found = member_counts([[1, 2], [3, 4], [5, 6]], [10, 10, 20])
    assert isinstance(found, MemberCounts)
    assert found.fractions.sum() == pytest.approx(0.3 + 0.7 + 0.55)
    with pytest.raises(InputError, match="at least as many"):
        member_counts([[1, 2], [3, 4], [5, 6]], [10, 10, 10])
    with pytest.raises(InputError, match="whole numbers"):
        member_counts([[1.5, 2.0]] * 3)
