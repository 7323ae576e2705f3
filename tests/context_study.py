"""Pseudo-experiments of the test in bins of context whose null hypothesis is true.

Two conditional members, so that one uncertain weight shifts all bins together.
Each experiment fits the weight on its own events, tests fresh events at fresh
contexts, and throws its own toys.  A module of its own, so that worker
processes can import it.
"""

from __future__ import annotations

import numpy as np

from conditional_analytic import ConditionalBlend, conditional_events, draw_at
from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
from verisimile.checks.goodness.in_context import ContextBins, goodness_in_context
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Record
from verisimile.core.run import Run
from verisimile.core.tasks import Task
from verisimile.mixture.conditional import ConditionalMixture
from verisimile.mixture.fit import fit_weights
from verisimile.mixture.sampling import conditional_log_densities

TOYS = 39
N_WEIGHTS, N_TEST = 80, 3200
TRUTH = np.array([0.5, 0.5])
MEMBERS = (
    ConditionalBlend(),
    ConditionalBlend(share=0.7, place=1.5, drift=0.5, width=0.6),
)
BINS = ContextBins(
    "c0",
    tuple(np.linspace(-1.5, 1.5, 9)),
    alternative=GaussianKernels(count=3, width=0.5, reference=200),
)
CHUNK = 10


def p_values(run: Run, hypothesis: str, *, experiments: int) -> Array:
    """Return p-values ``(experiments, 2)`` of true nulls: of the test, and of its defective twin.

    The twin's toys have independent weights in each bin.
    """
    at = run.at("context", hypothesis)
    tasks = [
        Task(
            address=f"context/{hypothesis.replace('+', '-')}/{first:05d}",
            config={"first": first},
            seeds=at.seeds.at(first),
            args=(hypothesis,),
        )
        for first in range(0, experiments, CHUNK)
    ]
    found = at.map(_experiments, tasks, label=f"context, {hypothesis}")
    blocks = [np.asarray(record.arrays["p"]) for record in found if isinstance(record, Record)]
    return np.concatenate(blocks)[:experiments]


def _experiments(seeds: Seeds, hypothesis: str) -> Payload:
    values = [_experiment(seeds.at(i), hypothesis) for i in range(CHUNK)]
    return Payload({"p": np.array(values)}, {})


def _experiment(seeds: Seeds, hypothesis: str) -> list[float]:
    rng = seeds.numpy()
    context, x = _truth(N_WEIGHTS, rng)
    mixture = ConditionalMixture(
        MEMBERS, fit_weights(conditional_log_densities(MEMBERS, x, context))
    )
    context, x = _truth(N_TEST, rng)
    found = goodness_in_context(
        Run(seeds),
        mixture,
        conditional_events(x, context),
        bins=BINS,
        hypothesis=hypothesis,
        toys=TOYS,
    )
    assert (found.statistics >= 0).all()
    assert not (found.toys < 0).any()  # NaN is counted in the next line
    assert found.n_failed <= 1
    # Each bin's toys in an order of their own: each bin then has its own weights.
    apart = np.column_stack([rng.permutation(column) for column in found.toys.T])
    return [
        found.p_value.value,
        BINS.combination.p_value(found.statistics, apart, "twin").value,
    ]


def _truth(n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    context = rng.uniform(-1.5, 1.5, (n, 1))
    return context, draw_at(MEMBERS, TRUTH, context, rng)
