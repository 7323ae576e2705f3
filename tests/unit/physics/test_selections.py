"""Efficiencies: exact intervals, SciPy's p-values, size with weights, and twins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from physics_samples import draw
from statistical import assert_rate, assert_within
from verisimile.checks.physics.selections import EfficiencyComparison, efficiencies
from verisimile.core.errors import InputError
from verisimile.core.result import from_dict, to_dict
from verisimile.data.derived import functions_of
from verisimile.data.events import Events
from verisimile.data.expressions import Condition

CUT = Condition("a > 0.5 and b > 0")


def _of(first: Events, second: Events, cut: Condition = CUT) -> EfficiencyComparison:
    return efficiencies(first, second, {"cut": cut})[0]


def test_counts_intervals_and_p_value_are_scipys(rng: np.random.Generator) -> None:
    first, second = draw(rng, 700), draw(rng, 300)
    found = _of(first, second)
    kept = [int(((e.x[:, 0] > 0.5) & (e.x[:, 1] > 0)).sum()) for e in (first, second)]
    assert (found.reference.passed, found.generated.passed) == tuple(kept)
    exact = stats.binomtest(kept[0], 700).proportion_ci(0.6826894921370859, method="exact")
    assert (found.reference.low, found.reference.high) == pytest.approx((exact.low, exact.high))
    assert found.reference.error == pytest.approx(
        np.sqrt(kept[0] / 700 * (1 - kept[0] / 700) / 700)
    )
    table = [[kept[0], 700 - kept[0]], [kept[1], 300 - kept[1]]]
    assert found.p_value == pytest.approx(stats.fisher_exact(table).pvalue)
    assert found.method == "Fisher's exact test"
    assert found.condition == "a > 0.5 and b > 0"


def test_weighted_efficiency_is_a_ratio_of_sums(rng: np.random.Generator) -> None:
    first, second = draw(rng, 2000, "signed"), draw(rng, 2000, "gamma")
    found = _of(first, second)
    for events, one in ((first, found.reference), (second, found.generated)):
        kept = CUT.of(events)
        assert events.weights is not None
        assert one.value == pytest.approx(events.weights[kept].sum() / events.weights.sum())
        assert one.high - one.value == pytest.approx(one.error)
    assert found.method == "normal law"


@pytest.mark.calibration
@pytest.mark.parametrize(
    "kinds", [("gamma", "gamma"), ("signed", "signed"), ("none", "signed"), ("steep", "steep")]
)
def test_size_with_weights(rng: np.random.Generator, kinds: tuple[str, str]) -> None:
    p = [_of(draw(rng, 1500, kinds[0]), draw(rng, 800, kinds[1])).p_value for _ in range(500)]
    assert_rate(int((np.array(p) <= 0.05).sum()), 500, 0.05)


def test_binomial_errors_of_weighted_events_lose_the_size(rng: np.random.Generator) -> None:
    # Defective twin: sqrt(e (1 - e) / n) of the weighted efficiency.
    z = []
    for _ in range(500):
        one = _of(draw(rng, 1500, "signed"), draw(rng, 800, "signed"))
        parts = [e.value * (1 - e.value) / e.total for e in (one.reference, one.generated)]
        z.append(one.difference.value / np.sqrt(sum(parts)))
    with pytest.raises(AssertionError, match="outside"):
        assert_rate(int((np.abs(z) > 1.96).sum()), 500, 0.05)


def test_exact_p_value_never_exceeds_its_level(rng: np.random.Generator) -> None:
    rejected = 0
    for _ in range(500):
        first, second = draw(rng, 120), draw(rng, 60)
        rejected += _of(first, second, Condition("a > 1")).p_value <= 0.05
    assert stats.binom.cdf(rejected, 500, 0.05) < 1 - 2.9e-7
    assert rejected > 0


def test_weighted_intervals_cover(rng: np.random.Generator) -> None:
    truth = 1 - stats.norm.cdf(0.5)
    found = [_of(draw(rng, 1000, "signed"), draw(rng, 2), Condition("a > 0.5")).reference
             for _ in range(500)]  # fmt: skip
    pulls = np.array([(one.value - truth) / one.error for one in found])
    assert_within(pulls.std(ddof=1), 1.0, 1 / np.sqrt(1000))
    assert_within(pulls.mean(), 0.0, 1 / np.sqrt(500))


def test_nothing_or_everything_passes(rng: np.random.Generator) -> None:
    plain, weighted = draw(rng, 100), draw(rng, 100, "gamma")
    none = _of(plain, weighted, Condition("a > 99"))
    assert (none.reference.low, none.generated.low) == (0.0, 0.0)
    assert none.reference.high == pytest.approx(1 - 0.15865525**0.01, rel=1e-5)
    assert none.generated.high > none.reference.high  # fewer effective events
    assert np.isnan(none.p_value)
    assert np.isnan(none.z)
    assert none.method == "normal law, too few events"
    every = _of(plain, weighted, Condition("a < 99"))
    assert (every.reference.high, every.generated.high) == (1.0, 1.0)
    assert every.generated.low < every.reference.low < 1.0
    assert _of(plain, draw(rng, 50), Condition("a < 99")).p_value == 1.0


def test_far_efficiencies_have_a_p_value_above_zero() -> None:
    first, second = Events(np.zeros((90_000, 1))), Events(np.ones((90_000, 1)))
    assert 0.0 < _of(first, second, Condition("x0 > 0.5")).p_value < 1e-300


def test_functions_of_a_file_select_as_well(rng: np.random.Generator, tmp_path: Path) -> None:
    path = tmp_path / "cuts.py"
    path.write_text("def hard(a, b):\n    return (a > 0.5) & (b > 0)\n")
    first, second = draw(rng, 500), draw(rng, 400)
    (found,) = efficiencies(first, second, {"hard": functions_of(path)["hard"]})
    assert found.p_value == _of(first, second).p_value
    assert found.condition.endswith("hard")


def test_undefined_selections_are_refused(rng: np.random.Generator) -> None:
    events = draw(rng, 50)
    with pytest.raises(InputError, match="no finite value for"):
        _of(events, events, Condition("sqrt(a) > 1"))


def test_results_survive_a_round_trip(rng: np.random.Generator) -> None:
    found = _of(draw(rng, 50), draw(rng, 60, "gamma"))
    assert from_dict(to_dict(found)) == found
    assert repr(found).startswith("EfficiencyComparison(cut: 0.")
