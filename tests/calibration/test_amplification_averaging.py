"""Intervals of the averaging measure cover, and what a bootstrap ensemble estimates is measured.

The generator is the five-parameter maximum-likelihood fit of the camel to 1000 events, whose
amplification is known.  Members of independent training samples are what the intervals are for:
they must cover at 68 and 95 per cent within the binomial error of the study, for 10 to 50
members, and not less for 5.
Bootstrap replicas of *one* training sample are what there is in practice: their spread is that of
the fitted camel and not of the true one, and how far this moves the answer is asserted.  A
memoriser, which redraws its training events, is worth them once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from camel_fits import EXACT_GAIN, camel_draws, camel_edges, fit_camels, replicas
from statistical import assert_rate, assert_within
from verisimile.checks.amplification.averaging import averaging_of_counts
from verisimile.checks.amplification.member_counts import (
    MemberCounts,
    Pooled,
    member_counts,
    pool_regions,
    spread,
)
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds

Show = Callable[[str], None]

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(1800)]

N_TRAIN, FITS, ENSEMBLES = 1000, 30_000, 600
SAMPLES, REPLICAS = 300, 30
LEVELS = (0.68, 0.95)
ALPHA = 5e-4  # of each rate
REGIONS = (10, 20, 50)
WIDER = {5: 0.09}  # how much more than nominal is allowed: the jackknife of five errs upwards


def _rng(*words: str | int) -> np.random.Generator:
    return Seeds(20261204).at(*words).numpy()


@pytest.fixture(scope="module")
def independent() -> dict[int, Array]:
    """Region contents of fits to independent training samples, by number of regions."""
    fits = fit_camels(camel_draws((FITS, N_TRAIN), _rng("independent")))
    return {count: fits.contents(camel_edges(count)) for count in REGIONS}


@pytest.fixture(scope="module")
def bootstrap() -> dict[int, Array]:
    """Region contents ``(samples, replicas, K)`` of fits to bootstrap replicas."""
    rng = _rng("bootstrap")
    parts = []
    for _ in range(SAMPLES):
        fits = fit_camels(*replicas(camel_draws((N_TRAIN,), rng), REPLICAS, rng))
        parts.append([fits.contents(camel_edges(count)) for count in REGIONS])
    return {count: np.array([part[i] for part in parts]) for i, count in enumerate(REGIONS)}


def _inverse_size(contents: Array) -> float:
    """Return one over the equivalent events of the true law of the members."""
    mean = contents.mean(axis=0)
    return float(contents.var(axis=0, ddof=1).sum() / (mean * (1 - mean)).sum())


def _ensembles(contents: Array, members: int, n: int, rng: np.random.Generator) -> list[Pooled]:
    parts = contents[: min(len(contents) // members, ENSEMBLES) * members]
    tables = rng.multinomial(n, parts).reshape(-1, members, contents.shape[1])
    return [_pooled(member_counts(table)) for table in tables]


def _pooled(counts: MemberCounts) -> Pooled:
    return pool_regions(counts, spread(counts))


def _covered(found: list[Pooled], truth: float, level: float) -> int:
    limits = [each.limits(level) for each in found]
    return sum(each.low <= truth <= each.high for each in limits)


def _assert_coverage(found: list[Pooled], truth: float, *, wider: float = 0.0) -> list[float]:
    rates = []
    for level in LEVELS:
        inside = _covered(found, truth, level)
        rates.append(inside / len(found))
        if rates[-1] > level and wider:
            assert rates[-1] < level + wider
        else:
            assert_rate(inside, len(found), level, alpha=ALPHA)
    return rates


@pytest.mark.parametrize("count", REGIONS)
def test_the_pool_has_the_exact_amplification(independent: dict[int, Array], count: int) -> None:
    gain = 1 / _inverse_size(independent[count]) / N_TRAIN
    # The exact value is asymptotic; (2 / (5 x 30 000))^1/2 is the error of the pool.
    assert abs(gain / EXACT_GAIN[count] - 1) < 0.015 + 5 * 0.0037


@pytest.mark.parametrize("members", [5, 10, 30, 50])
@pytest.mark.parametrize("count", REGIONS)
@pytest.mark.parametrize("n", [5000, 200_000])
def test_intervals_cover_for_independent_training(
    independent: dict[int, Array], count: int, members: int, n: int, show: Show
) -> None:
    truth = _inverse_size(independent[count])
    found = _ensembles(independent[count], members, n, _rng("cover", count, members, n))
    rates = _assert_coverage(found, truth, wider=WIDER.get(members, 0.0))
    gain = 1 / np.mean([each.inverse_size for each in found]) / N_TRAIN
    show(
        f"K={count} J={members} n={n}: covered {rates[0]:.3f} {rates[1]:.3f}, "
        f"G of the mean 1/G {gain:.3f} ({len(found)} ensembles)"
    )
    values = np.array([each.inverse_size for each in found])
    assert_within(values.mean(), truth, values.std(ddof=1) / np.sqrt(len(found)))


def test_without_subtraction_the_coverage_fails(independent: dict[int, Array], show: Show) -> None:
    truth = _inverse_size(independent[10])
    found = _ensembles(independent[10], 50, 10_000, _rng("no subtraction"))
    _assert_coverage(found, truth)
    twins = [replace(each, noise=0.0) for each in found]
    show(f"twin, no subtraction: covered {_covered(twins, truth, 0.95) / len(twins):.3f}")
    with pytest.raises(AssertionError, match="outside"):
        _assert_coverage(twins, truth)


def test_the_mean_of_ratios_is_another_number(independent: dict[int, Array], show: Show) -> None:
    contents, rng = independent[10], _rng("ratios")
    truth = _inverse_size(contents)
    parts = contents[: 300 * 30].reshape(300, 30, 10)
    tables = [member_counts(rng.multinomial(200_000, part)) for part in parts]
    found = [_pooled(table) for table in tables]
    _assert_coverage(found, truth)
    means = np.array([_mean_of_ratios(table) for table in tables])
    show(f"twin, mean of ratios: G = {means.mean() / N_TRAIN:.3f} for {1 / truth / N_TRAIN:.3f}")
    # The same relative interval around the other estimate.
    twins = [
        replace(each, noise=0.0, scale=each.total * mean)
        for each, mean in zip(found, means, strict=True)
    ]
    with pytest.raises(AssertionError, match="outside"):
        _assert_coverage(twins, truth)


def _mean_of_ratios(table: MemberCounts) -> float:
    moments = spread(table)
    return float((moments.scale / moments.between).mean())


@pytest.mark.parametrize("members", [5, 10])
def test_gains_of_regions_need_the_correction(
    independent: dict[int, Array], members: int, show: Show
) -> None:
    contents, rng = independent[10], _rng("gains", members)
    mean = contents.mean(axis=0)
    truth = mean * (1 - mean) / contents.var(axis=0, ddof=1) / N_TRAIN
    tables = rng.multinomial(10**7, contents).reshape(-1, members, 10)
    gains = np.array(
        [averaging_of_counts(member_counts(t), rng, n_train=N_TRAIN).regions.gain for t in tables]
    )
    ratio, error = _average(gains / truth)
    plain, plain_error = _average(gains / truth * (members - 1) / (members - 3))
    show(f"J={members}: mean G_i / truth {ratio:.3f} ± {error:.3f}; twin, plain {plain:.3f}")
    assert_within(ratio, 1.0, error)
    with pytest.raises(AssertionError, match="off by"):
        assert_within(plain, 1.0, plain_error)


def _average(ratios: Array) -> tuple[float, float]:
    """Return the mean over ensembles and regions; regions of one ensemble move together."""
    each = ratios.mean(axis=1)
    return float(each.mean()), float(each.std(ddof=1) / np.sqrt(each.size))


@pytest.mark.parametrize("members", [10, 30])
@pytest.mark.parametrize("count", REGIONS)
def test_what_a_bootstrap_ensemble_estimates(
    independent: dict[int, Array],
    bootstrap: dict[int, Array],
    count: int,
    members: int,
    show: Show,
) -> None:
    truth = _inverse_size(independent[count])
    contents = bootstrap[count][:, :members].reshape(-1, count)
    found = _ensembles(contents, members, 200_000, _rng("bootstrap", count, members))
    ratios = np.array([each.inverse_size for each in found]) / truth
    rates = [_covered(found, truth, level) / len(found) for level in LEVELS]
    show(
        f"bootstrap K={count} J={members}: (1/G) / true {ratios.mean():.3f} ± "
        f"{ratios.std(ddof=1) / np.sqrt(ratios.size):.3f}, spread {ratios.std(ddof=1):.3f}, "
        f"covered {rates[0]:.3f} {rates[1]:.3f} ({len(found)} samples)"
    )
    assert_within(ratios.mean(), 1.0, ratios.std(ddof=1) / np.sqrt(ratios.size) + 0.004)
    assert rates[0] > 0.68 - 0.08
    assert rates[1] > 0.95 - 0.05


@pytest.mark.parametrize("members", [5, 30])
@pytest.mark.parametrize("count", REGIONS)
def test_a_memoriser_is_worth_its_training_sample(count: int, members: int, show: Show) -> None:
    rng = _rng("memoriser", count, members)
    training = rng.multinomial(N_TRAIN, np.full(count, 1.0 / count), size=ENSEMBLES)
    copies = [rng.multinomial(N_TRAIN, each / N_TRAIN, size=members) for each in training]
    contents = np.concatenate(copies) / N_TRAIN
    found = _ensembles(contents, members, 20_000, rng)
    rates = _assert_coverage(found, 1 / N_TRAIN, wider=WIDER.get(members, 0.0))
    values = N_TRAIN * np.array([each.inverse_size for each in found])
    show(
        f"memoriser K={count} J={members}: 1/G = {values.mean():.4f}, covered "
        f"{rates[0]:.3f} {rates[1]:.3f}"
    )
    assert_within(values.mean(), 1.0, values.std(ddof=1) / np.sqrt(values.size))
