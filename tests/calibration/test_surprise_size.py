"""With placements and surprise the p-value of a true null has its size, for heavy tails too.

Every experiment fits weights on its own events and throws 39 toys, so that p = k / 40 rejects
at 5 and at 32.5 % in exactly that share of true nulls.  Members are blends of normals, or
Student t with one to three degrees of freedom, whose most surprising event has no scale.

The twin takes the threshold, and the mean that is expected, from the test data instead of
from toys: it counts the events beyond q as Poisson and the mean as normal with the sample's own
spread, as if the model were exact.  The same checks reject it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy import stats

from analytic import family
from statistical import assert_rate
from verisimile.checks.goodness.alternatives.tilt import ExponentialTilt
from verisimile.checks.goodness.null import Calibration, FluctuatedCentre, NullModel, Predictive
from verisimile.checks.goodness.profile import HYPOTHESES
from verisimile.checks.goodness.search import PlacedSurprise, Search, Surprise
from verisimile.checks.goodness.toys import Contest, throw_toys
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.density.protocol import DensityEstimator
from verisimile.mixture.fit import Pseudo, fit_weights
from verisimile.mixture.model import Mixture
from verisimile.mixture.sampling import member_log_densities
from verisimile.stats.aggregate import min_p

Show = Callable[[str], None]

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(7200)]

EXPERIMENTS, TOYS, N_WEIGHTS, N_TEST = 400, 39, 500, 500
LEVELS = (0.05, 0.325)
ALPHA = 0.05 / 8  # two members, two nulls, two levels
TILT = ExponentialTilt(count=8, width=0.7, reference=2500)


@dataclass(frozen=True)
class Student:
    """Independent Student t in two features."""

    dof: float
    mean: float
    scale: float
    n_features: int = 2

    def log_prob(self, x: Array) -> Array:
        return np.asarray(stats.t.logpdf(x, self.dof, self.mean, self.scale).sum(axis=1))

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        return np.asarray(self.mean + self.scale * rng.standard_t(self.dof, (n, 2)))


MEMBERS: dict[str, Sequence[DensityEstimator]] = {
    "normal": family(3),
    "student": [Student(1.0, 0.0, 1.0), Student(2.0, 0.5, 1.2), Student(3.0, -0.5, 0.8)],
}
TRUTH = np.array([0.4, 0.3, 0.3])


def _draw(
    members: Sequence[DensityEstimator], shares: Array, n: int, rng: np.random.Generator
) -> Array:
    counts = rng.multinomial(n, shares)
    parts = [m.sample(int(k), rng) for m, k in zip(members, counts, strict=True)]
    return np.asarray(np.concatenate(parts)[rng.permutation(n)])


def _null(members: Sequence[DensityEstimator], rng: np.random.Generator) -> NullModel:
    data = _draw(members, TRUTH, N_WEIGHTS, rng)
    pseudo = _draw(members, np.full(3, 1 / 3), N_WEIGHTS, rng)
    fit = fit_weights(
        member_log_densities(members, data), pseudo=Pseudo(member_log_densities(members, pseudo))
    )
    return NullModel.of(Mixture(members, fit))


def _experiment(name: str, null: Calibration, seeds: Seeds) -> tuple[float, float]:
    """Return the p-value of tilt and surprise together, and the twin's."""
    members, rng = MEMBERS[name], seeds.numpy()
    model = _null(members, rng)
    run, search = Run(seeds.at("test")), Search((TILT,), placements=2)
    (setups,) = search.place(run, model, events=N_TEST)
    placed = Surprise().place(run, model, events=N_TEST)
    hypothesis = HYPOTHESES["ensemble+uncertainty"]
    contest = Contest(model, setups, null, (hypothesis,), N_TEST, placed)
    toys = throw_toys(run, contest, TOYS)
    x = _draw(members, TRUTH, N_TEST, rng)
    logf = member_log_densities(members, x)
    centre = np.zeros(model.variations.shape[1])
    t = [setup.observe(x, logf).profile(hypothesis, centre).statistic for setup in setups]
    observed = np.concatenate([[np.mean(t)], placed.statistics(logf, centre)])
    table = np.column_stack([toys.statistic[:, :, 0].mean(axis=1), toys.surprise])
    return min_p(observed, table).p_value.value, _twin(placed, logf, centre, model, rng)


def _twin(
    placed: PlacedSurprise,
    logf: Array,
    centre: Array,
    model: NullModel,
    rng: np.random.Generator,
) -> float:
    """Return the smaller p-value of mean and count without toys, corrected for two."""
    seen = placed.of(logf, centre)
    drawn = placed.of(model.sample(centre, 20 * N_TEST, rng).log_densities, centre)
    z = (seen.mean() - drawn.mean()) / (seen.std() / np.sqrt(N_TEST))
    beyond = int((seen > np.sort(seen)[-2]).sum())  # the data's own 1/n tail
    return float(min(1.0, 2.0 * min(stats.norm.sf(z), stats.poisson.sf(beyond - 1, 1.0))))


@pytest.mark.parametrize("null", [Predictive(), FluctuatedCentre()], ids=lambda null: null.name)
@pytest.mark.parametrize("name", MEMBERS)
def test_the_size_is_right_and_that_of_fixed_weights_is_not(
    name: str, null: Calibration, show: Show
) -> None:
    seeds = Seeds(20261201).at("surprise", name, null.name)
    found = np.array([_experiment(name, null, seeds.at(e)) for e in range(EXPERIMENTS)])
    for column, label in enumerate(("toys", "twin")):
        rates = "  ".join(f"{a:.1%}: {(found[:, column] <= a + 1e-9).mean():.3f}" for a in LEVELS)
        show(f"{name:8s} {null.name:17s} {label:5s} rejects at {rates}")
    _check(found[:, 0])
    with pytest.raises(AssertionError, match="outside"):
        _check(found[:, 1])


def test_toys_of_moved_fits_are_compared_with_what_their_models_expect(show: Show) -> None:
    seeds = Seeds(5).at("student")
    found = np.array([_surprised(seeds.at(e)) for e in range(EXPERIMENTS)])
    for column, label in enumerate(("toys", "twin")):
        rates = "  ".join(f"{a:.1%}: {(found[:, column] <= a + 1e-9).mean():.3f}" for a in LEVELS)
        show(f"surprise alone, fluctuated centre, {label:5s} rejects at {rates}")
    _check(found[:, 0])
    with pytest.raises(AssertionError, match="outside"):
        _check(found[:, 1])


def _surprised(seeds: Seeds) -> tuple[float, float]:
    """Return p-values of the surprise alone; the twin forgets that the entropy moves."""
    members, rng = MEMBERS["student"], seeds.numpy()
    model = _null(members, rng)
    placed = Surprise().place(Run(seeds.at("t")), model, events=N_TEST)
    twin = replace(placed, slope=np.zeros_like(placed.slope))
    logf = member_log_densities(members, _draw(members, TRUTH, N_TEST, rng))
    still = np.zeros(model.variations.shape[1])
    toys = [
        (model.sample(still, N_TEST, rng).log_densities, rng.standard_normal(still.size))
        for _ in range(TOYS)
    ]
    right, wrong = (
        min_p(each.statistics(logf, still), np.array([each.statistics(*toy) for toy in toys]))
        for each in (placed, twin)
    )
    return right.p_value.value, wrong.p_value.value


def _check(p: Array) -> None:
    for level in LEVELS:
        assert_rate(int((p <= level + 1e-9).sum()), p.size, level, alpha=ALPHA)
