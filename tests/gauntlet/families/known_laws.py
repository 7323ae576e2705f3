"""Samples against a law that is known; intervals on counts; p-values made of toys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

import verisimile as vs
from analytic import Blend
from gauntlet.claims import Claim, Interval, P
from gauntlet.registry import bench
from verisimile.checks.physics.constraints import violations_of
from verisimile.checks.physics.selections import efficiencies
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.stats.aggregate import correct_looks, fisher, holm, min_p
from verisimile.stats.intervals import ONE_SIGMA, clopper_pearson, garwood
from verisimile.stats.pvalues import Empirical, add_one, besag_clifford, inverse_binomial


@dataclass(frozen=True)
class Sample:
    """n events of d features of a known law."""

    n: int
    d: int = 1
    kind: str = "normal"

    @property
    def label(self) -> str:
        """Size and law."""
        return f"n = {self.n}, d = {self.d}, {self.kind}"

    @property
    def ordinary(self) -> bool:
        """A hundred events of few features."""
        return self.n >= 100 and self.d <= 6 and self.kind != "lattice"


_LAWS = {
    "normal": stats.norm(),
    "cauchy": stats.cauchy(),
    "exponential": stats.expon(),
    "lattice": stats.poisson(4.0),
}


@bench(
    "A known distribution function",
    tuple(Sample(n) for n in (5, 25, 60, 300, 5000))
    + tuple(Sample(300, kind=kind) for kind in ("cauchy", "exponential", "lattice")),
    covers=("one_sample_tests", "OneSample"),
    repetitions=2000,
)
def known_cdf(setting: Sample, seeds: Seeds) -> Mapping[str, Claim]:
    """Kolmogorov-Smirnov and Cramer-von Mises."""
    law = _LAWS[setting.kind]
    x = law.rvs(size=(setting.n, 1), random_state=seeds.numpy())
    found = vs.known_truth.one_sample_tests(vs.Events(x, names=("x",)), {"x": law.cdf})
    return {f"known cdf: {each.statistic}": P(each.p_value.value) for each in found}


@bench(
    "A known density",
    tuple(Sample(n, d) for n, d in ((25, 1), (60, 2), (300, 1), (300, 6), (300, 20), (3000, 2))),
    covers=("likelihood_test", "LikelihoodTest"),
    repetitions=400,
)
def known_density(setting: Sample, seeds: Seeds) -> Mapping[str, Claim]:
    """Mean log-likelihood, two-sided, and the ranks of densities."""
    means = np.vstack([np.zeros(setting.d), np.full(setting.d, 1.5)])
    model = Blend(means, np.ones_like(means), np.array([0.7, 0.3]))
    events = vs.Events(model.sample(setting.n, seeds.at("events").numpy()))
    found = vs.known_truth.likelihood_test(vs.Run(seeds), model, events, toys=99, draws=5000)
    return {
        "likelihood: mean": P(found.p_value.value),
        "likelihood: ranks": P(found.rank_p_value.value),
    }


@dataclass(frozen=True)
class Rate:
    """A binomial rate, or a Poisson mean of trials times rate."""

    trials: int
    rate: float

    @property
    def label(self) -> str:
        """Both numbers."""
        return f"{self.trials} trials, rate {self.rate:g}"

    @property
    def ordinary(self) -> bool:
        """Always."""
        return True


@bench(
    "Counts",
    tuple(Rate(n, p) for n, p in ((1, 0.3), (10, 0.05), (10, 0.5), (100, 0.01), (1000, 0.32))),
    covers=("clopper_pearson", "garwood", "inverse_binomial", "PValue"),
    repetitions=4000,
)
def counts(setting: Rate, seeds: Seeds) -> Mapping[str, Claim]:
    """Intervals on a rate from a fixed number of trials or successes, and on a mean."""
    rng = seeds.numpy()
    passed = int(rng.binomial(setting.trials, setting.rate))
    seen = int(rng.poisson(setting.trials * setting.rate))
    needed = 1 + int(rng.negative_binomial(1, setting.rate))
    levels = {0.05: 0.95, 0.32: ONE_SIGMA}
    return {
        "Clopper-Pearson": Interval(
            setting.rate,
            {m: clopper_pearson(passed, setting.trials, level=c) for m, c in levels.items()},
        ),
        "Garwood": Interval(
            setting.trials * setting.rate, {m: garwood(seen, level=c) for m, c in levels.items()}
        ),
        "inverse binomial": Interval(
            setting.rate, {m: inverse_binomial(1, needed, level=c) for m, c in levels.items()}
        ),
    }


@dataclass(frozen=True)
class Selected:
    """Weighted events of which a selection keeps a known share."""

    n: int
    weights: str = "none"
    share: float = 0.3

    @property
    def label(self) -> str:
        """All of them."""
        return f"n = {self.n}, weights {self.weights}, share {self.share:g}"

    @property
    def ordinary(self) -> bool:
        """Worth fifty events."""
        return self.n >= 300


SELECTED = (
    Selected(25),
    Selected(300),
    Selected(300, share=0.01),
    Selected(60, "wide"),
    Selected(300, "wide"),
    Selected(1000, "signed"),
    Selected(1000, "signed", 0.05),
)


@bench(
    "Efficiencies and violations",
    SELECTED,
    covers=("Efficiency", "Violations"),
    repetitions=1000,
)
def selected(setting: Selected, seeds: Seeds) -> Mapping[str, Claim]:
    """Intervals on the share of weight that a selection keeps, and of events beyond a law."""
    rng = seeds.numpy()
    weights = {
        "none": None,
        "wide": np.exp(rng.normal(size=setting.n)),
        "signed": np.where(rng.random(setting.n) < 0.15, -1.0, 1.0),
    }[setting.weights]
    events = vs.Events(rng.random((setting.n, 1)), weights, names=("u",))
    below = vs.data.Condition(f"u < {setting.share}")
    (kept,) = efficiencies(events, events, {"kept": below})
    beyond = violations_of(events, vs.data.Condition(f"u > {setting.share}"))
    ends = {
        "efficiency": (kept.reference.low, kept.reference.high),
        "violations": (beyond.low, beyond.high),
    }
    return {name: Interval(setting.share, {0.32: each}) for name, each in ends.items()}


@dataclass(frozen=True)
class Toys:
    """B toys of J statistics, continuous or with ties."""

    toys: int
    columns: int = 3
    ties: bool = False

    @property
    def label(self) -> str:
        """Numbers, and ties."""
        return f"B = {self.toys}, J = {self.columns}{', ties' if self.ties else ''}"

    @property
    def ordinary(self) -> bool:
        """Always."""
        return True

    def table(self, seeds: Seeds) -> Array:
        """Return correlated statistics ``(B + 1, J)``, all of one law."""
        rng = seeds.numpy()
        shape = (self.toys + 1, self.columns)
        table = 0.6 * rng.normal(size=(shape[0], 1)) + 0.8 * rng.normal(size=shape)
        return np.rint(2.0 * table) if self.ties else table


TOYS = (Toys(19), Toys(99), Toys(999), Toys(99, 12), Toys(99, ties=True))


@bench(
    "P-values made of toys",
    TOYS,
    covers=("min_p", "holm", "besag_clifford", "add_one", "fisher", "corrected", "Combined"),
    repetitions=2000,
)
def toy_p_values(setting: Toys, seeds: Seeds) -> Mapping[str, Claim]:
    """Add-one, sequential, combined and corrected p-values of exchangeable rows."""
    first, *rest = setting.table(seeds)
    rows = np.array(rest)
    single = [
        Empirical(row, "toys").p_value(value) for value, row in zip(first, rows.T, strict=True)
    ]
    other, *_ = Toys(setting.toys, 1, setting.ties).table(seeds.at("second look"))
    fresh = Toys(setting.toys, 1, setting.ties).table(seeds.at("its toys"))[1:, 0]
    again = add_one(int((fresh >= other[0]).sum()), setting.toys, null="toys")
    early = besag_clifford(float(first[0]), rows[:, 0], stop_after=5, maximum=setting.toys)
    return {
        "toys: add-one": P(single[0].value),
        "toys: sequential": P(early.value),
        "toys: min-p": P(min_p(first, rows).p_value.value),
        "toys: Fisher": P(fisher(first, rows).p_value.value),
        "toys: Holm": P(float(holm([p.value for p in single]).min())),
        "toys: two looks": P(correct_looks([single[0], again]).value),
    }


@bench(
    "P-values k / B",
    TOYS,
    repetitions=2000,
    defect="the observation is not counted among the toys",
)
def without_the_one(setting: Toys, seeds: Seeds) -> Mapping[str, Claim]:
    """The smallest k / B of all columns, which is zero too often."""
    first, *rest = setting.table(seeds)
    p = (np.array(rest) > first).mean(axis=0)
    return {"toys: add-one, smallest k / B": P(float(p.min()))}
