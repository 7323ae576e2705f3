"""Pseudo-experiments of the goodness-of-fit test whose null hypothesis is true.

Each fits the weights on its own events, tests fresh events of the same truth, and
throws its own toys.  A module of its own, so that worker processes can import it.
"""

from __future__ import annotations

import numpy as np

from analytic import Blend, draw, family, log_densities
from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
from verisimile.checks.goodness.likelihood_ratio import compare_hypotheses
from verisimile.checks.goodness.null import Calibration
from verisimile.checks.goodness.profile import HYPOTHESES
from verisimile.checks.goodness.result import Goodness
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Record
from verisimile.core.run import Run
from verisimile.core.tasks import Task
from verisimile.data.events import Events
from verisimile.mixture.fit import Pseudo, fit_weights
from verisimile.mixture.model import Mixture

N_WEIGHTS, TOYS = 500, 99
TRUTH = np.array([0.35, 0.25, 0.15, 0.15, 0.10])
KERNELS = GaussianKernels(count=12, width=0.7, reference=400)
CHUNK = 20


def p_values(run: Run, null: Calibration, *, n_test: int, experiments: int) -> Array:
    """Return the p-values ``(experiments, hypotheses)`` of true nulls.

    ``single`` gets events of its member, the others events of the whole truth.
    """
    at = run.at("size", null.name, n_test)
    tasks = [
        Task(
            address=f"size/{null.name}/{n_test}/{first:05d}",
            config={"first": first},
            seeds=at.seeds.at(first),
            args=(null, n_test),
        )
        for first in range(0, experiments, CHUNK)
    ]
    found = at.map(_experiments, tasks, label=f"{null.name}, n = {n_test}")
    blocks = [np.asarray(record.arrays["p"]) for record in found if isinstance(record, Record)]
    return np.concatenate(blocks)[:experiments]


def _experiments(seeds: Seeds, null: Calibration, n_test: int) -> Payload:
    return Payload(
        {"p": np.array([_experiment(seeds.at(i), null, n_test) for i in range(CHUNK)])}, {}
    )


def _experiment(seeds: Seeds, null: Calibration, n_test: int) -> list[float]:
    members = family(TRUTH.size)
    rng = seeds.numpy()
    mixture = _mixture(members, rng)
    alone = Events(members[0].sample(n_test, rng))
    joint = Events(draw(members, TRUTH, n_test, rng))
    found: list[Goodness] = []
    for events, hypotheses in ((alone, ["single"]), (joint, list(HYPOTHESES)[1:])):
        found += compare_hypotheses(
            Run(seeds),
            mixture,
            events,
            alternative=KERNELS,
            hypotheses=hypotheses,
            null=null,
            toys=TOYS,
        )
    return [_checked(goodness) for goodness in found]


def _checked(goodness: Goodness) -> float:
    # No fit may end below its start, in the data or in any toy.  A fluctuated
    # centre may forbid an event: infinite, and counted as extreme.
    assert goodness.statistic >= 0
    assert (goodness.toys >= 0).all()
    assert goodness.n_failed <= 1 + 0.01 * TOYS
    return goodness.p_value.value


def _mixture(members: list[Blend], rng: np.random.Generator) -> Mixture:
    data = draw(members, TRUTH, N_WEIGHTS, rng)
    pseudo = draw(members, np.full(TRUTH.size, 1 / TRUTH.size), 500, rng)
    fit = fit_weights(log_densities(members, data), pseudo=Pseudo(log_densities(members, pseudo)))
    return Mixture(members, fit)
