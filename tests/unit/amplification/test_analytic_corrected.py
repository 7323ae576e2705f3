"""What a mixture with its discrepancy is worth is what its honest errors say."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from biased_ensemble import corrected, fitted, members, truth
from statistical import assert_within
from verisimile.checks.amplification.analytic import LEAVES_OUT, analytic, analytic_observables
from verisimile.checks.amplification.regions import QuantileRegions
from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.mixture.discrepancy.corrected import CorrectedMixture
from verisimile.mixture.discrepancy.fit import Discrepancy

EVENTS = 1000
RUN = Run(Seeds(1))
EDGES = np.array([0.7, 1.4, 2.3, 3.6])


class _OfTheFirst:
    """Intervals of the first feature."""

    count = EDGES.size + 1

    def of(self, x: Array) -> IntArray:
        return QuantileRegions(EDGES).of(x[:, :1])


@pytest.fixture(scope="module")
def mixture() -> CorrectedMixture:
    rng = np.random.default_rng(3)
    events = Events(truth(EVENTS, rng), names=("a", "b"))
    settings = Discrepancy(reference=10_000, draws=60)
    return corrected(fitted(members(4, 3000, rng), events), events, 1, settings)


def test_the_worth_is_that_of_the_honest_error(mixture: CorrectedMixture) -> None:
    observables: dict[str, Callable[[Array], Array]] = {
        "a": lambda x: x[:, 0],
        "box": lambda x: np.where((x[:, 0] < 1.5) & (x[:, 1] > 0.5), 1.0, 0.0),
        "square": lambda x: x[:, 1] ** 2,
    }
    found = analytic_observables(RUN, mixture, observables)
    plain = analytic_observables(RUN, mixture.uncorrected, observables)
    x, rows = mixture.weighted_draws(RUN)
    for item, other, h in zip(
        found.observables, plain.observables, observables.values(), strict=True
    ):
        expected = mixture.expectation(h, RUN)
        _, _, drawn = mixture.discrepancy.moments(h(x)[:, None], x, rows)
        without = expected.error**2 - float(drawn[0, 0])
        assert item.mean == pytest.approx(expected.value, rel=1e-3)
        if item.name != "square":  # of a heavy tail, which 10 000 draws do not know well
            assert item.error**2 == pytest.approx(without, rel=0.05)
        assert_within(item.inverse_size.value, without / item.deviation**2, item.inverse_size.error)
        # About what the events of the fit are worth; the weights alone claim many times that.
        assert 0.5 * EVENTS < item.n_equivalent < 4 * EVENTS
        assert other.n_equivalent > 5 * EVENTS
    assert found.warnings == ()
    assert plain.warnings == (LEAVES_OUT,)


def test_regions_are_pooled_with_the_errors_of_the_histogram(mixture: CorrectedMixture) -> None:
    found = analytic(RUN, mixture, _OfTheFirst(), n_train=EVENTS)
    x, rows = mixture.weighted_draws(RUN)
    inside = np.asarray(_OfTheFirst().of(x)[:, None] == np.arange(5), dtype=np.float64)
    content, whole, drawn = mixture.discrepancy.moments(inside, x, rows)
    expected = EVENTS * np.trace(whole - drawn) / (content * (1.0 - content)).sum()
    assert_within(found.inverse_gain.value, expected, found.inverse_gain.error)
    assert found.inverse_gain.error < 0.1 * expected
    assert found.n_generated == 10_000
    assert found.warnings == ()
    plain = analytic(RUN, mixture.uncorrected, _OfTheFirst(), n_train=EVENTS)
    assert plain.inverse_gain.value < 0.2 * expected


def test_few_draws_leave_little_bias(mixture: CorrectedMixture) -> None:
    whole = analytic(RUN, mixture, _OfTheFirst(), n_train=EVENTS).inverse_gain
    few = [
        analytic(Run(Seeds(seed)), mixture, _OfTheFirst(), n_train=EVENTS, draws=2000)
        for seed in range(20)
    ]
    values = np.array([each.inverse_gain.value for each in few])
    error = np.hypot(values.std(ddof=1) / np.sqrt(20), whole.error)
    assert_within(values.mean(), whole.value, error)


def test_another_covariance_would_count_twice(mixture: CorrectedMixture) -> None:
    def doubled(first: Array) -> Array:
        return np.asarray(2.0 * first.T @ mixture.fit.covariance @ first)

    with pytest.raises(InputError, match="covariance: got"):
        analytic(RUN, mixture, _OfTheFirst(), n_train=EVENTS, covariance=doubled)
    with pytest.raises(InputError, match="covariance: got"):
        analytic_observables(RUN, mixture, {"a": lambda x: x[:, 0]}, covariance=doubled)
    with pytest.raises(InputError, match="20 or more"):
        analytic(RUN, mixture, _OfTheFirst(), n_train=EVENTS, draws=19)
