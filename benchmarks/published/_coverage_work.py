"""Coverage of the published Gaussian's first moments: given members, and members made anew."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass

import numpy as np

from published._gaussian_members import FLOWS, PUBLISHED_FLOWS, TRUTH, Recipe, apart, drawn
from published.registry import Json, Size
from verisimile.checks.coverage.basis import BasisTerm, LeaveOneOut, MemberBootstrap
from verisimile.checks.coverage.conditional import PseudoDraws, coverage
from verisimile.checks.coverage.members import PooledDraws
from verisimile.checks.coverage.observables import Moment, Observable
from verisimile.checks.coverage.result import Coverage
from verisimile.checks.coverage.retrained import coverage_retrained
from verisimile.checks.coverage.truth import KnownTruth
from verisimile.core.random import Seeds
from verisimile.core.result import to_dict
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.truths import GaussianTruth
from verisimile.ensemble.fit import fit_ensemble
from verisimile.ensemble.plan import BootstrapPlan
from verisimile.mixture.bind import fit_mixture
from verisimile.mixture.discrepancy.settings import Discrepancy
from verisimile.mixture.fit import fit_weights
from verisimile.mixture.model import Mixture
from verisimile.mixture.sampling import member_log_densities

DATASETS = 284
"""As published."""
MEANS: dict[str, Observable] = {"mean x0": Moment("x0"), "mean x1": Moment("x1")}
KNOWN = KnownTruth(TRUTH, {"mean x0": TRUTH.mu[0], "mean x1": TRUTH.mu[1]})
HONEST = Discrepancy(draws=100, reference=20_000)
DRAWS = PooledDraws(share=0.02)
FEWER_DRAWS = PooledDraws(share=0.02, most=100_000)
"""Of members that are made anew: some all have nearly the same means, and would need millions."""
TERMS: dict[str, BasisTerm | None] = {
    "weights": None,
    "left out": LeaveOneOut(),
    "resampled": MemberBootstrap(20),
}
GAUSSIAN_TRAINING = 1000
_SPANNING, _SPANNING_EVENTS, _SPANNING_DRAWS = 12, 4000, 2000


@dataclass(frozen=True)
class Sizes:
    """Of the flows with given members, of those made anew, and of the grid of Gaussians."""

    flows: Recipe
    events: tuple[int, ...]
    honest_datasets: int
    retrained: Recipe
    retrained_datasets: int
    gaussian_members: tuple[int, ...]
    gaussian_events: tuple[int, ...]
    gaussian_terms: tuple[str, ...]
    gaussian_datasets: int


REDUCED = Sizes(
    flows=Recipe(8, 10_000, FLOWS),
    events=(1000, 3000, 10_000),
    honest_datasets=24,
    retrained=Recipe(6, 2500, FLOWS),
    retrained_datasets=24,
    gaussian_members=(2, 3, 5, 10, 20),
    gaussian_events=(2000,),
    gaussian_terms=("weights", "left out"),
    gaussian_datasets=200,
)
FULL = Sizes(
    flows=Recipe(60, 100_000, PUBLISHED_FLOWS),
    events=(1000, 10_000, 100_000),
    honest_datasets=DATASETS,
    retrained=Recipe(20, 10_000, FLOWS),
    retrained_datasets=DATASETS,
    gaussian_members=(2, 3, 5, 10, 20, 40),
    gaussian_events=(500, 2000, 8000),
    gaussian_terms=("weights", "left out", "resampled"),
    gaussian_datasets=1000,
)


def measure(run: Run, size: Size) -> Json:
    """Return the coverage of all cells."""
    sizes = FULL if size == "full" else REDUCED
    given = apart(run, "flows")
    ensemble = sizes.flows(given)
    weighting = drawn(given, "weighting", sizes.flows.training)
    plain = fit_mixture(given, ensemble, weighting, discrepancy=None)
    honest = fit_mixture(given, ensemble, weighting, discrepancy=HONEST)
    return {
        "sizes": asdict(sizes),
        "in span": to_dict(_in_span(run.at("span"))),
        "flows": {str(n): to_dict(_given(given, plain, n, DATASETS)) for n in sizes.events},
        "honest": to_dict(
            _given(given.at("honest"), honest, sizes.events[-1], sizes.honest_datasets)
        ),
        "retrained": {
            name: to_dict(
                _retrained(run.at("retrained", name), FlowRecipe(sizes.retrained, settings), sizes)
            )
            for name, settings in (("weights", None), ("honest", HONEST))
        },
        "gaussians": [
            {"events": n, "members": m, **_gaussians(run.at("gaussians", n, m), sizes, n, m)}
            for n in sizes.gaussian_events
            for m in sizes.gaussian_members
        ],
    }


def _given(run: Run, mixture: Mixture, n: int, datasets: int) -> Coverage:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # shares of draws are in the result
        return coverage(
            run, mixture, KNOWN, observables=MEANS, datasets=datasets, events=n, draws=DRAWS
        )


def _in_span(run: Run) -> Coverage:
    """Return the coverage with the truth among the members; the others are narrower and shifted."""
    rng = run.seeds.at("members").numpy()
    mu, sigma = np.array(TRUTH.mu), np.array(TRUTH.sigma)
    basis = [TRUTH]
    for _ in range(_SPANNING - 1):
        centre = mu + sigma * rng.uniform(-1.0, 1.0, 2)
        basis.append(GaussianTruth(tuple(centre), tuple(sigma * rng.uniform(0.5, 0.9, 2))))
    fit = fit_weights(member_log_densities(basis, TRUTH.sample(_SPANNING_EVENTS, rng)))
    mixture = Mixture(basis, fit)
    return coverage(
        run,
        mixture,
        TRUTH,
        observables=MEANS,
        datasets=DATASETS,
        pseudo=PseudoDraws(_SPANNING_DRAWS),
    )


def _retrained(run: Run, recipe: FlowRecipe, sizes: Sizes) -> Coverage:
    return coverage_retrained(
        run,
        recipe,
        KNOWN,
        observables=MEANS,
        datasets=sizes.retrained_datasets,
        events=2 * recipe.flows.training,
        draws=FEWER_DRAWS,
    )


@dataclass(frozen=True)
class FlowRecipe:
    """Flows on half of the events, weights on the other half, and what all flows miss if wanted."""

    flows: Recipe
    discrepancy: Discrepancy | None

    def __call__(self, seeds: Seeds, events: Events) -> tuple[Mixture, Events] | Mixture:
        """Return the mixture, and the events of its weight fit."""
        run = Run(seeds)
        training, weighting = events.split((0.5, 0.5), seeds.at("split"))
        plan = BootstrapPlan(members=self.flows.members)
        ensemble = fit_ensemble(run, training, plan, self.flows.trainer)
        return fit_mixture(run, ensemble, weighting, discrepancy=self.discrepancy), weighting


def _gaussians(run: Run, sizes: Sizes, n: int, members: int) -> Json:
    """Return the coverage with Gaussians as members, by what is in the errors."""
    return {
        name: to_dict(
            coverage_retrained(
                run,
                GaussianRecipe(members),
                TRUTH,
                observables=MEANS,
                datasets=sizes.gaussian_datasets,
                events=GAUSSIAN_TRAINING + n,
                basis=TERMS[name],
            )
        )
        for name in sizes.gaussian_terms
        # Resampling many members costs most, and changes nothing.
        if name != "resampled" or members <= 10
    }


@dataclass(frozen=True)
class GaussianRecipe:
    """Gaussians of bootstrap replicas of the first events, weights on the others."""

    members: int

    def __call__(self, seeds: Seeds, events: Events) -> tuple[Mixture, Events]:
        """Return the mixture and the events of its weight fit."""
        rng = seeds.numpy()
        basis = []
        for _ in range(self.members):
            x = events.x[rng.integers(GAUSSIAN_TRAINING, size=GAUSSIAN_TRAINING)]
            basis.append(GaussianTruth(tuple(x.mean(axis=0)), tuple(x.std(axis=0))))
        rest = Events(events.x[GAUSSIAN_TRAINING:])
        return Mixture(basis, fit_weights(member_log_densities(basis, rest.x))), rest
