"""Posteriors that are exact, and conditional generators and densities that are right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression

import verisimile as vs
from conditional_analytic import conditional_events, draw_at
from context_study import BINS, MEMBERS, TRUTH
from gauntlet.claims import Claim, P, p_or_refused
from gauntlet.registry import bench
from posterior_study import conjugate
from verisimile.checks.posterior.uniformity import UniformTest
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.mixture.sampling import conditional_log_densities

CLASSIFIER = LogisticRegression()


@dataclass(frozen=True)
class Posterior:
    """n simulations of d parameters with S draws each."""

    n: int
    draws: int = 50
    d: int = 2

    @property
    def label(self) -> str:
        """All numbers."""
        return f"n = {self.n}, S = {self.draws}, d = {self.d}"

    @property
    def ordinary(self) -> bool:
        """A hundred simulations of few parameters."""
        return self.n >= 100 and self.d <= 6


POSTERIORS = (
    Posterior(30),
    Posterior(200),
    Posterior(200, 5),
    Posterior(200, d=1),
    Posterior(200, d=6),
    Posterior(1000, 20),
)


def _checked(setting: Posterior, seeds: Seeds, width: float) -> dict[str, Claim]:
    rng = seeds.at("simulations").numpy()
    draws, truths, contexts = conjugate(setting.n, setting.draws, rng, width=width, d=setting.d)
    run, by_toys = vs.Run(seeds), UniformTest(toys=99)
    exact = UniformTest(statistic="kolmogorov", toys=99)
    return {
        "SBC": P(vs.sbc(run, draws, truths, test=by_toys).p_value.value),
        "SBC: Kolmogorov": P(vs.sbc(run, draws, truths, test=exact).p_value.value),
        "TARP": P(vs.tarp(run, draws, truths, contexts, test=exact).p_value.value),
    }


@bench(
    "Posteriors",
    POSTERIORS,
    covers=("sbc", "tarp", "Sbc", "Tarp", "Uniformity"),
    repetitions=300,
)
def posterior(setting: Posterior, seeds: Seeds) -> Mapping[str, Claim]:
    """An exact posterior."""
    return _checked(setting, seeds, 1.0)


@bench(
    "Posteriors that are too narrow",
    (Posterior(1000, 20),),
    repetitions=60,
    defect="draws have three quarters of the posterior's width",
)
def too_narrow(setting: Posterior, seeds: Seeds) -> Mapping[str, Claim]:
    """What an overconfident network gives."""
    claims = _checked(setting, seeds, 0.75)
    return {f"{name}, narrow": claim for name, claim in claims.items()}


@bench(
    "Posteriors at given contexts",
    (Posterior(60, 50, 1), Posterior(200)),
    covers=("local_posterior_test", "LocalTest"),
    repetitions=100,
)
def local(setting: Posterior, seeds: Seeds) -> Mapping[str, Claim]:
    """The local classifier test at two contexts."""
    rng = seeds.at("simulations").numpy()
    draws, truths, contexts = conjugate(setting.n, setting.draws, rng, d=setting.d)
    places = contexts[:2]
    at = vs.posterior.PosteriorPoints(places, draws[:2])
    found = vs.posterior.local_posterior_test(
        vs.Run(seeds), draws[2:], truths[2:], contexts[2:], at=at, permutations=99
    )
    return {"local posterior": P(found.p_value.value), "local, one point": P(found.points[0].value)}


@dataclass(frozen=True)
class Contexts:
    """How contexts of truth and generated events relate."""

    kind: str

    @property
    def label(self) -> str:
        """Their kind."""
        return self.kind

    @property
    def ordinary(self) -> bool:
        """All are."""
        return True

    def draw(self, rng: np.random.Generator) -> tuple[vs.Events, vs.Events]:
        """Return truth and generated events of the same conditional law."""
        if self.kind == "pairs":
            c = rng.normal(size=100)
            return _given(c, rng), _given(c, rng)
        if self.kind == "three contexts":
            odds = ((0.5, 0.3, 0.2), (0.2, 0.3, 0.5))
            first, second = (rng.choice(3, 120, p=each).astype(np.float64) for each in odds)
            return _given(first, rng), _given(second, rng)
        return _given(rng.normal(size=300), rng), _given(rng.normal(size=300) + 0.5, rng)


def _given(c: Array, rng: np.random.Generator) -> vs.Events:
    return vs.Events(np.stack([c + rng.normal(size=c.size), c], axis=1), names=("x", "c"))


@bench(
    "Conditional generators",
    tuple(Contexts(kind) for kind in ("pairs", "three contexts", "unlike contexts")),
    covers=("diagnose_conditional", "ConditionalDiagnosis"),
    repetitions=200,
)
def conditional(setting: Contexts, seeds: Seeds) -> Mapping[str, Claim]:
    """The classifier with contexts given."""
    truth, generated = setting.draw(seeds.at("samples").numpy())
    found = vs.classifier.diagnose_conditional(
        vs.Run(seeds), truth, generated, ["c"], learner=CLASSIFIER, folds=2, permutations=99
    )
    return {"conditional classifier": p_or_refused(found.p_value.value)}


@dataclass(frozen=True)
class Bins:
    """A test in bins of context under a hypothesis."""

    hypothesis: str
    n_weights: int = 40
    n_test: int = 1600

    @property
    def label(self) -> str:
        """Hypothesis and sizes."""
        return f"{self.hypothesis}, n_w = {self.n_weights}, n_D = {self.n_test}"

    @property
    def ordinary(self) -> bool:
        """Two members need few events."""
        return True


@bench(
    "Goodness of fit in bins of context",
    (Bins("ensemble"), Bins("ensemble+uncertainty"), Bins("ensemble+uncertainty", 400, 1600)),
    covers=("goodness_in_context", "ContextGoodness"),
    repetitions=80,
)
def bins_of_context(setting: Bins, seeds: Seeds) -> Mapping[str, Claim]:
    """Two conditional members, one uncertain weight."""
    rng = seeds.at("events").numpy()
    context, x = _truth(setting.n_weights, rng)
    fit = vs.fit_weights(conditional_log_densities(MEMBERS, x, context))
    context, x = _truth(setting.n_test, rng)
    found = vs.goodness_in_context(
        vs.Run(seeds),
        vs.ConditionalMixture(MEMBERS, fit),
        conditional_events(x, context),
        bins=BINS,
        hypothesis=setting.hypothesis,
        toys=19,  # of p-values k/20 the twin's halves miss at 32 % in 60 %
    )
    return {"goodness in context": P(found.p_value.value)}


def _truth(n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    context = rng.uniform(-1.5, 1.5, (n, 1))
    return context, draw_at(MEMBERS, TRUTH, context, rng)
