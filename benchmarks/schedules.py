"""Which schedule buys the best ensemble for its time: mixture's held-out likelihood, CPU seconds.

    python benchmarks/schedules.py [--members 8]

Members of the default architecture, trained by compiled code on bootstrap replicas of the example's
40 000 training events; weights of the mixture fitted on 16 000 others, its mean negative
log-likelihood on 24 000 more, against the first row.  The error is that of
the mean difference, event by event; what initial weights and shuffling add to it is seen in the
rows with other seeds.

Half a cosine is the default's fall of the step size; "one cycle" rises linearly for the first
tenth and falls along half a cosine; "average" takes the mean of the parameters after each of
the last epochs of a constant, then falling step size.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass

import numpy as np

import verisimile as vs
from verisimile.core.arrays import Array
from verisimile.data.example import load_example
from verisimile.density.flows.compiled import CompiledEpochs, compiles
from verisimile.density.flows.epochs import AdamState
from verisimile.density.flows.nflows import build, export
from verisimile.density.flows.packed import Floats, PackedLayout
from verisimile.density.flows.trainer import SplineFlowTrainer
from verisimile.density.torch_scope import seed_scope
from verisimile.density.training import prepare
from verisimile.ensemble.plan import BootstrapPlan


@dataclass(frozen=True)
class Recipe:
    """A schedule to be tried."""

    epochs: int
    batch: int
    rate: float
    form: str = "cosine"
    averaged: int = 0
    stream: str = ""

    def rates(self, steps: int) -> Array:
        """Return the step size of each step."""
        at = np.arange(steps) / steps
        if self.form == "one cycle":
            rise = 0.1
            fall = 0.5 * (1 + np.cos(math.pi * (at - rise) / (1 - rise)))
            return self.rate * np.where(at < rise, 0.04 + 0.96 * at / rise, fall)
        if self.form == "average":
            start = 1 - self.averaged / self.epochs
            fall = 0.1 + 0.9 * 0.5 * (1 + np.cos(math.pi * np.minimum(at / start, 1)))
            return self.rate * fall
        return self.rate * 0.5 * (1 + np.cos(math.pi * at))

    def __str__(self) -> str:
        """Return the row's name."""
        more = f", last {self.averaged}" if self.averaged else ""
        other = ", other seeds" if self.stream else ""
        return f"{self.form}{more}, {self.epochs} epochs, batch {self.batch}, {self.rate:g}{other}"


RECIPES = (
    Recipe(20, 256, 1e-2),
    Recipe(20, 256, 1e-2, stream="again"),
    Recipe(20, 256, 1e-2, stream="once more"),
    Recipe(10, 256, 1e-2),
    Recipe(5, 256, 1e-2),
    Recipe(3, 256, 1e-2),
    Recipe(20, 512, 1e-2),
    Recipe(10, 512, 1e-2),
    Recipe(10, 512, 2e-2),
    Recipe(10, 1024, 2e-2),
    Recipe(20, 1024, 2e-2),
    Recipe(10, 256, 5e-3),
    Recipe(10, 128, 5e-3),
    Recipe(20, 256, 1e-2, "one cycle"),
    Recipe(10, 256, 1e-2, "one cycle"),
    Recipe(10, 512, 2e-2, "one cycle"),
    Recipe(5, 256, 2e-2, "one cycle"),
    Recipe(10, 256, 1e-2, "average", 3),
    Recipe(5, 256, 1e-2, "average", 2),
)


class Problem:
    """The example's events, and the members' replicas of them in coordinates."""

    def __init__(self, members: int) -> None:
        self.trainer = SplineFlowTrainer()
        seeds = vs.Seeds(2026)
        training, self.weighting, self.held_out = load_example()["truth"].split(
            (0.5, 0.2, 0.3), seeds
        )
        plan = BootstrapPlan(members=members)
        parts = [plan.split(training, m, seeds) for m in range(members)]
        pairs = [
            prepare(*part, seeds.at("member", m), self.trainer.input_map)
            for m, part in enumerate(parts)
        ]
        self.maps = [input_map for input_map, _ in pairs]
        self.students = [student for _, student in pairs]
        self.shape = self.trainer.stack(training.d)
        self.layout = PackedLayout(self.shape)

    def trained(self, recipe: Recipe) -> tuple[list[Floats], float]:
        """Return each member's parameters at its best epoch, and CPU seconds for all."""
        started = time.process_time()
        return [self._member(recipe, m) for m in range(len(self.students))], (
            time.process_time() - started
        )

    def _member(self, recipe: Recipe, member: int) -> Floats:
        student = self.students[member]
        seeds = student.seeds.at(recipe.stream) if recipe.stream else student.seeds
        with seed_scope(seeds.at("initial")):
            start = self.layout.pack(export(build(self.shape)))
        state = AdamState.fresh(start[None].copy())
        epochs = CompiledEpochs(self.layout, state, [student], [recipe.batch], 5.0)
        n = len(student.training.z)
        steps = math.ceil(n / recipe.batch)
        rates = recipe.rates(steps * recipe.epochs)
        rng = seeds.at("order").numpy()
        best, kept, mean = math.inf, start, np.zeros_like(start)
        for epoch in range(recipe.epochs):
            epochs.epoch([0], [rng.permutation(n)], [rates[epoch * steps : (epoch + 1) * steps]])
            loss = float(epochs.losses([0])[0])
            if loss < best:
                best, kept = loss, state.parameters[0].copy()
            if epoch >= recipe.epochs - recipe.averaged:
                mean += state.parameters[0] / recipe.averaged
        return mean if recipe.averaged else kept

    def log_likelihood(self, parameters: list[Floats]) -> tuple[Array, float]:
        """Return the mixture's log-density of the held-out events, and the members' mean one."""
        flows = [
            self.trainer.model(self.shape, self.layout.unpack(p), input_map)
            for p, input_map in zip(parameters, self.maps, strict=True)
        ]
        weighting, held_out = (
            np.stack([flow.log_prob(events.x) for flow in flows], axis=1)
            for events in (self.weighting, self.held_out)
        )
        weights = vs.fit_weights(weighting).weights
        top = held_out.max(axis=1)
        mixed = top + np.log(np.exp(held_out - top[:, None]) @ weights)
        return mixed, float(held_out.mean())


def main() -> None:
    """Print one row per schedule."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--members", type=int, default=8)
    problem = Problem(parser.parse_args().members)
    if not compiles(problem.shape):
        print("not run: no compiled library here")
        return
    print(f"{'schedule':48} {'CPU s/member':>12} {'mixture NLL - first':>24} {'members':>9}")
    first: Array | None = None
    lone = 0.0
    for recipe in RECIPES:
        parameters, seconds = problem.trained(recipe)
        mixed, members = problem.log_likelihood(parameters)
        if first is None:
            first, lone = mixed, members
        worse = first - mixed
        error = worse.std() / math.sqrt(len(worse))
        print(
            f"{recipe!s:48} {seconds / len(parameters):12.2f} {worse.mean():+14.5f} ± {error:.5f}"
            f" {lone - members:+9.4f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
