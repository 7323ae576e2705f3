"""Events that the model calls impossible end in the smallest p-value, whatever is looked for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from analytic import Blend, draw, family, log_densities
from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
from verisimile.checks.goodness.alternatives.tilt import ExponentialTilt
from verisimile.checks.goodness.likelihood_ratio import compare_hypotheses, goodness_of_fit
from verisimile.checks.goodness.null import (
    Calibration,
    FluctuatedCentre,
    NullModel,
    PlugIn,
    Predictive,
)
from verisimile.checks.goodness.search import Alternative, Search, Surprise, surprises
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, NumericsError
from verisimile.core.random import Seeds
from verisimile.core.result import from_dict, to_dict
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.mixture.fit import fit_weights, single_weight
from verisimile.mixture.model import Mixture

KERNELS = GaussianKernels(count=8, width=0.7, reference=200)
TILT = ExponentialTilt(count=8, width=0.7, reference=1000)
FORMS = {"kernels": KERNELS, "tilt": TILT}
HYPOTHESES = ("single", "ensemble", "ensemble+uncertainty")


def _normal(*means: tuple[float, float]) -> Blend:
    mu = np.array(means)
    return Blend(mu, np.ones_like(mu), np.full(len(mu), 1.0 / len(mu)))


ONE = Mixture([_normal((0.0, 0.0))], single_weight())
BLENDED = Mixture([_normal((0.0, 0.0), (1.0, 1.0))], single_weight())


def _far(n: int, k: int, place: float, mixture: Mixture = ONE) -> Array:
    x = mixture.members[0].sample(n, np.random.default_rng(61))
    x[:k, 0] += place
    return x


CASES: dict[str, tuple[Mixture, Array, int]] = {
    "a tenth at 15": (ONE, _far(400, 40, 15.0), 60),
    "half at 30": (ONE, _far(400, 200, 30.0), 60),
    "one at 60 of 200, a blend": (BLENDED, _far(200, 1, 60.0, BLENDED), 60),
    "one at 30 of ten thousand": (ONE, _far(10_000, 1, 30.0), 39),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(("mixture", "x", "toys"), CASES.values(), ids=CASES)
def test_impossible_events_have_the_smallest_p(
    mixture: Mixture, x: Array, toys: int, form: Alternative
) -> None:
    search = Search((form,), placements=1)
    found = goodness_of_fit(Run(Seeds(1)), mixture, Events(x), alternative=search, toys=toys)
    assert found.p_value.value == 1 / (toys + 1)
    assert found.surprise is not None
    assert found.surprise.p_values[1].value == 1 / (toys + 1)


def test_without_surprise_a_bounded_alternative_is_blind() -> None:
    # What the surprise is for: one event among many is no more to a tilt than any other.
    x, toys = _far(10_000, 1, 30.0), 39
    blind = Search((TILT,), placements=1, surprise=None)
    found = goodness_of_fit(Run(Seeds(1)), ONE, Events(x), alternative=blind, toys=toys)
    assert found.p_value.value > 0.1
    assert found.surprise is None


@pytest.mark.parametrize("null", [Predictive(), FluctuatedCentre(), PlugIn()])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_shifted_sample_is_seen_under_every_hypothesis_and_null(
    form: Alternative, null: Calibration
) -> None:
    members = family(2)
    rng = np.random.default_rng(62)
    mixture = Mixture(
        members, fit_weights(log_densities(members, draw(members, np.full(2, 0.5), 500, rng)))
    )
    x = draw(members, np.full(2, 0.5), 50, rng) + [30.0, 0.0]
    for found in compare_hypotheses(
        Run(Seeds(2)),
        mixture,
        Events(x),
        alternative=Search((form,), placements=1),
        hypotheses=HYPOTHESES,
        null=null,
        toys=20,
    ):
        assert found.p_value.value == 1 / 21, found.hypothesis


class Uniform:
    """The uniform density on the unit square: no density outside."""

    n_features = 2

    def log_prob(self, x: Array) -> Array:
        inside = ((x >= 0.0) & (x <= 1.0)).all(axis=1)
        return np.where(inside, 0.0, -np.inf)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        return rng.random((n, 2))


@pytest.mark.parametrize("outside", [1, 100])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_an_event_of_zero_density_is_no_error(form: Alternative, outside: int) -> None:
    mixture = Mixture([Uniform()], single_weight())
    x = np.random.default_rng(63).random((100, 2))
    x[:outside] += 5.0
    search = Search((form,), placements=1)
    found = goodness_of_fit(Run(Seeds(3)), mixture, Events(x), alternative=search, toys=20)
    assert found.p_value.value == 1 / 21
    assert found.leading.statistic == np.inf
    assert found.surprise is not None
    assert found.surprise.impossible == outside
    assert found.surprise.largest == np.inf
    assert np.isnan(found.ratio(x)[:outside]).all()
    again = from_dict(to_dict(found))
    assert again.surprise.p_values == found.surprise.p_values  # type: ignore[attr-defined]


def test_the_threshold_is_the_level_that_one_event_exceeds() -> None:
    # -log f of N(0, 1)^2 is log 2 pi plus half a chi-square of two: q = log 2 pi + log n.
    n, run = 500, Run(Seeds(4))
    placed = Surprise(draws=200_000).place(run, NullModel.of(ONE), events=n)
    # 400 draws lie beyond: the error of a logarithm of a rate is 1 / sqrt(400).
    assert placed.threshold == pytest.approx(np.log(2 * np.pi) + np.log(n), abs=5 / 20)
    rng = np.random.default_rng(64)
    toys = np.array(
        [
            placed.statistics(ONE.log_densities(rng.standard_normal((n, 2))), np.empty(0))
            for _ in range(300)
        ]
    )
    assert toys[:, 0].mean() == pytest.approx(np.log(2 * np.pi) + 1, abs=5 / np.sqrt(300 * n))
    # No event beyond the threshold: a Poisson number of mean one is zero.
    rate = n * np.exp(np.log(2 * np.pi) - placed.threshold)
    low, high = stats.binom.interval(1 - 1e-6, 300, np.exp(-rate))
    assert low <= (toys[:, 1] == 0.0).sum() <= high


def test_what_cancels_is_held_at_a_thousandth_of_the_positive_part() -> None:
    logf = np.log(np.array([[0.5, 0.25], [0.5, 0.5]]))
    weights = np.array([2.0, -1.0])
    assert surprises(logf, weights) == pytest.approx([-np.log(0.75), -np.log(0.5)])
    assert surprises(logf, np.array([1.0, -2.0])) == pytest.approx(
        [-np.log(0.5e-3), -np.log(0.5e-3)]
    )
    assert surprises(np.full((1, 2), -np.inf), weights).tolist() == [np.inf]
    with pytest.raises(NumericsError, match="NaN"):
        surprises(np.array([[0.0, np.nan]]), weights)


@pytest.mark.parametrize(
    "settings", [lambda: Surprise(draws=0), lambda: Search(placements=0)], ids=["draws", "places"]
)
def test_bad_settings_are_refused(settings: Callable[[], object]) -> None:
    with pytest.raises(InputError, match="at least one"):
        settings()
