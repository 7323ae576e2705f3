"""Five laws, and ensembles of trained flows for each: what the errors of a mixture must cover."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.core.store import DirectoryStore
from verisimile.data.events import Events
from verisimile.data.example import load_example
from verisimile.data.feature import Feature
from verisimile.data.files import read_events
from verisimile.data.truths import GaussianTruth, RingOfEight
from verisimile.density.flows.trainer import SplineFlowTrainer
from verisimile.ensemble.ensemble import Ensemble
from verisimile.ensemble.fit import fit_ensemble
from verisimile.ensemble.plan import BootstrapPlan

ENSEMBLES, MEMBERS = 4, 8
FOLDER = "VERISIMILE_EVENTS"
"""Names a folder with larger files of the real processes, for a truth with less noise."""

_HERE = Path(__file__).parent
_STORE = _HERE.parent / "build" / "honest"
_TOY_EVENTS, _TRUTH_EVENTS = 300_000, 2_000_000
_FILES = {"Z": "zmumu", "W": "wmunu"}
_GAUSSIAN = GaussianTruth.paper()
_Z = (
    Feature("m_ll", unit="GeV", low=60.0, high=120.0),
    Feature("pt_ll", unit="GeV", low=0.0),
    Feature("y_ll", low=-2.5, high=2.5),
    Feature("cos_theta_cs", low=-1.0, high=1.0),
)
_W = (
    Feature("mu_pt", unit="GeV", low=25.0),
    Feature("mu_eta", low=-2.4, high=2.4),
    Feature("mt", unit="GeV", low=0.0),
    Feature("dphi_mu_met", unit="rad", kind="periodic", low=-math.pi, high=math.pi),
)


@dataclass(frozen=True)
class Process:
    """A law: how many of its events train an ensemble, and how many fit its weights."""

    name: str
    features: tuple[Feature, ...]
    n_train: int
    n_fit: int

    def events(self) -> Array:
        """Return all events that there are ``(N, d)``; the first ones train the ensembles."""
        if self.name == "Z":
            return np.asarray(load_example()["truth"].x)
        if self.name == "W":
            return np.asarray(read_events(_HERE / "data" / "wmunu.parquet").x)
        return self.law(_TOY_EVENTS, Seeds(11).at(self.name, "events").numpy())

    def truth(self) -> Array:
        """Return a sample ``(N, d)`` whose means stand for the truth's, as large as there is."""
        folder = os.environ.get(FOLDER, "")
        if self.name not in _FILES:
            return self.law(_TRUTH_EVENTS, Seeds(12).at(self.name, "truth").numpy())
        if not folder:
            return self.events()
        names = [feature.name for feature in self.features]
        files = [Path(folder) / f"{_FILES[self.name]}_truth_{letter}.parquet" for letter in "ab"]
        return np.vstack([read_events(file, features=names).x for file in files])

    def law(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` fresh events of a law that is known."""
        if self.name == "five":
            return _five(n, rng)
        return RingOfEight().sample(n, rng) if self.name == "ring" else _GAUSSIAN.sample(n, rng)

    def ensemble(self, k: int) -> Ensemble:
        """Return flows that were trained on part k of the events; kept once they are made."""
        x = self.events()[k * self.n_train : (k + 1) * self.n_train]
        run = Run(Seeds(100 + k), store=DirectoryStore(_STORE / f"{self.name}-{k}"))
        training = Events(x, features=self.features)
        return fit_ensemble(run, training, BootstrapPlan(members=MEMBERS), SplineFlowTrainer())


def _names(d: int) -> tuple[Feature, ...]:
    return tuple(Feature(f"x{j}") for j in range(d))


PROCESSES = {
    each.name: each
    for each in (
        Process("Z", _Z, 12_000, 4000),
        Process("W", _W, 8000, 3000),
        Process("ring", _names(2), 10_000, 4000),
        Process("five", _names(5), 12_000, 4000),
        Process("Gaussian", _names(2), 10_000, 4000),
    )
}


def _five(n: int, rng: np.random.Generator) -> Array:
    """Two clusters in five dimensions, with Student tails and one skewed, curved dependence."""
    second = rng.random(n) < 0.35
    heavy = rng.standard_normal((n, 5)) / np.sqrt(rng.chisquare(4.0, (n, 1)) / 4.0)
    x = np.where(second[:, None], 0.6 * heavy + np.array([2.0, -1.0, 0.5, 0.0, 1.5]), heavy)
    x[:, 4] += 0.4 * x[:, 0] ** 2 / (1.0 + 0.1 * x[:, 0] ** 2)
    x[:, 3] = np.where(second, x[:, 3], rng.gamma(2.0, 1.0, n) - 2.0)
    return np.asarray(x)


if __name__ == "__main__":  # trains all that the studies need
    for number in range(ENSEMBLES):
        for process in PROCESSES.values():
            process.ensemble(number)
