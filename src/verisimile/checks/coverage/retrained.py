"""Coverage of the whole procedure: members and weights are made anew in every data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from verisimile.checks.coverage.bound import Columns, Drawn
from verisimile.checks.coverage.experiments import check_sizes, run_experiments
from verisimile.checks.coverage.members import draws_for, pilot_columns
from verisimile.checks.coverage.observables import Observable, bind_all
from verisimile.checks.coverage.responses import Propagated
from verisimile.checks.coverage.result import RETRAINED, Coverage
from verisimile.checks.coverage.summary import summarise
from verisimile.checks.coverage.truth import draw_truth, true_values, truth_key
from verisimile.core.arrays import Array
from verisimile.core.canonical import JSON
from verisimile.core.errors import NumericsError
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.density.protocol import Sampler
from verisimile.mixture.model import Mixture
from verisimile.stats.intervals import ONE_SIGMA

__all__ = ["coverage_retrained"]

MakeMixture = Callable[[Seeds, Events], Mixture]


def coverage_retrained(
    run: Run,
    make_mixture: MakeMixture,
    truth: Sampler,
    *,
    observables: Mapping[str, Observable],
    level: float = ONE_SIGMA,
    datasets: int = 300,
    events: int,
) -> Coverage:
    """Count how often intervals contain the truth when everything is made anew.

    Parameters
    ----------
    run
        Random streams, execution and storage.
    make_mixture
        ``make_mixture(seeds, events)`` trains members and fits weights on one
        data set; it splits the events as it likes.  It is identified by its
        name: after a change, use ``run.at("another word")``.
    truth, observables, level, datasets
        As for :func:`~verisimile.checks.coverage.conditional.coverage`; features
        have the names ``x0, x1, ...`` that :class:`Events` gives them.
    events
        Events per data set, for training and weights together.

    Returns
    -------
    Coverage
        With mode ``"retrained"``.

    Raises
    ------
    InputError
        For impossible sizes, unknown features or observables.
    NumericsError
        If more than a tenth of the data sets end in another error than a failed fit.
    """
    check_sizes(level=level, datasets=datasets, events=events)
    pilot = draw_truth(truth, 1000, run.seeds.at("coverage", "pilot").numpy())
    columns = Columns(tuple(Events(pilot).names), pilot)
    bound = dict(zip(observables, bind_all(observables, columns), strict=True))
    identity: dict[str, JSON] = {
        "mode": RETRAINED,
        "recipe": _name(make_mixture),
        "truth": truth_key(truth),
        "observables": [item.key for item in bound.values()],
        "events": events,
    }
    outcomes = run_experiments(
        run,
        _Retrain(truth, make_mixture, dict(observables), events),
        identity,
        datasets=datasets,
        observables=len(bound),
        chunk=1,
    )
    truths = true_values(truth, bound, run.seeds.at("coverage", "truth"))
    return summarise(
        outcomes, list(observables), truths, mode=RETRAINED, level=level, n_events=events
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Retrain:
    """One pseudo-experiment from its events to its observables."""

    truth: Sampler
    make_mixture: MakeMixture
    observables: Mapping[str, Observable]
    events: int

    def __call__(self, seeds: Seeds) -> list[Propagated]:
        """Draw, train, fit, and return all observables."""
        x = draw_truth(self.truth, self.events, seeds.at("events").numpy())
        mixture = self.make_mixture(seeds.at("mixture"), Events(x))
        if not mixture.fit.record.converged:
            raise NumericsError("weight fit", got="no convergence", expected="an optimum")
        return _estimates(mixture, self.observables, seeds, self.events)


def _estimates(
    mixture: Mixture, observables: Mapping[str, Observable], seeds: Seeds, events: int
) -> list[Propagated]:
    bound = bind_all(observables, pilot_columns(mixture, seeds))
    draws = draws_for(events, mixture.weights, least=20_000, most=200_000)
    rows: list[list[tuple[Array, Array]]] = []
    for i, member in enumerate(mixture.members):
        drawn = Drawn(member, member.sample(draws, seeds.at("draws", i).numpy()))
        rows.append([item.respond(drawn) for item in bound])
    return [
        item.collect(*_stacked([row[k] for row in rows])).estimate(mixture.fit)
        for k, item in enumerate(bound)
    ]


def _stacked(rows: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    return np.array([mean for mean, _ in rows]), np.array([variance for _, variance in rows])


def _name(function: MakeMixture) -> str:
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"
