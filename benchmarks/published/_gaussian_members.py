"""The published two-dimensional Gaussian, and ensembles of spline flows trained on it."""

from __future__ import annotations

from dataclasses import dataclass

from verisimile.core.run import Run
from verisimile.core.store import DirectoryStore
from verisimile.data.events import Events
from verisimile.data.truths import GaussianTruth
from verisimile.density.flows.trainer import SplineFlowTrainer
from verisimile.ensemble.ensemble import Ensemble
from verisimile.ensemble.fit import fit_ensemble
from verisimile.ensemble.plan import BootstrapPlan

TRUTH = GaussianTruth.paper()
FLOWS = SplineFlowTrainer(epochs=8)
"""The default flow, for fewer epochs."""
PUBLISHED_FLOWS = SplineFlowTrainer(
    layers=4,
    blocks=16,
    hidden=128,
    bins=15,
    tail_bound=10.0,
    residual=True,
    marginal_bins=0,
    learning_rate=1e-3,
    batch=512,
    epochs=200,
    patience=10,
)
"""As published, but for the step size, which falls from 1e-3 along half a cosine."""


@dataclass(frozen=True)
class Recipe:
    """How an ensemble is made: M flows on bootstrap replicas of `training` events."""

    members: int
    training: int
    trainer: SplineFlowTrainer

    def __call__(self, run: Run) -> Ensemble:
        """Return the ensemble that the run's streams make; its store must hold no other."""
        plan = BootstrapPlan(members=self.members)
        return fit_ensemble(run, drawn(run, "training", self.training), plan, self.trainer)


def drawn(run: Run, name: str, n: int) -> Events:
    """Return `n` events of the truth from the run's stream of that name."""
    return Events(TRUTH.sample(n, run.seeds.at(name).numpy()))


def apart(run: Run, *words: str | int) -> Run:
    """Return the run at `words`, with a store of its own: a store holds one ensemble."""
    seeds, store = run.seeds.at(*words), run.store
    if not isinstance(store, DirectoryStore):
        return Run(seeds, executor=run.executor)
    folder = store.path.joinpath(*map(str, words))
    return Run(seeds, executor=run.executor, store=folder)
