"""`arena`: every metric is asked the same hidden pairs, and is ranked by its size and its power."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from verisimile.core.canonical import JSON
from verisimile.core.errors import require
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Record
from verisimile.core.run import Run
from verisimile.core.tasks import Task
from verisimile.ranking.metrics import Function, Metric, ask
from verisimile.ranking.result import Arena, ArenaCosts, Standing
from verisimile.ranking.scoring import Sheet, standing
from verisimile.ranking.suite import Shown, Suite, presented

_LONGEST = 80  # letters of a metric's name in the address of its answers
_CHUNK = 50  # answers of one task: a second of most metrics
_SCHEMA = 1


def arena(
    run: Run,
    metrics: Sequence[Metric | Function] | Mapping[str, Metric | Function],
    suite: Suite | None = None,
) -> Arena:
    r"""Rank any measures of the difference of two samples by their size and their power.

    A metric is a function of two arrays, reference and generated, and returns a p-value or a score
    (:class:`~verisimile.ranking.metrics.Metric` says which).  It is asked about null pairs, both
    samples of which have one law, and about pairs with a planted defect, in a hidden order; a pair
    and the order of its rows follow from the seed of the run by a hash.

    A p-valued metric's *size* is the share of null pairs with :math:`p \le \alpha`, with the
    interval of Clopper and Pearson.  A score is calibrated on the m null pairs of the same law and
    size,

    .. math:: p = \frac{1 + \#\{i : t_i \ge t\}}{m + 1},

    which holds its size for every metric, as pairs are exchangeable.  So is a metric whose own size
    is above the level.  *Power* is the share of pairs with a defect that are called different.
    Intervals of power do not contain the scatter of that calibration, which is common to all
    pairs of a law and size.

    Some null pairs are shown again: the same bytes, rows shuffled, samples exchanged, sorted as
    a file may be, and the reference against itself.  An answer that is none (an error, NaN, a
    p-value outside [0, 1]) counts as a difference on null pairs and as none on others.

    Parameters
    ----------
    run
        Its seed is the public one; execution and storage.
    metrics
        Functions or metrics, by name or with their own.
    suite
        What is asked; :class:`~verisimile.ranking.suite.Suite` if nothing is said.

    Returns
    -------
    Arena
        The same with every executor and for every number of metrics, but for `costs` beside it.

    Raises
    ------
    InputError
        If there is no metric, or two have one name.

    Examples
    --------
    >>> def means(reference, generated):
    ...     return float(np.linalg.norm(reference.mean(axis=0) - generated.mean(axis=0)))
    >>> found = arena(Run(Seeds(1)), {"means": means}, Suite.quick().only("mixture"))
    >>> found["means"].found("shift", grade=2).share > 0.4
    True
    """
    suite = Suite() if suite is None else suite
    entered = _entered(metrics)
    at = run.at("arena")
    suite.check(at.seeds)
    jobs = {metric.name: _tasks(metric, suite, at.seeds) for metric in entered}
    tasks = [task for parts in jobs.values() for task, _ in parts]
    records = run.map(_answers, tasks, label="arena", schema=_SCHEMA, small=True)
    common = tuple(
        n for n in suite.sizes if all(n in metric.sizes(suite.sizes) for metric in entered)
    )
    standings, costs = [], []
    place = (record for record in records if isinstance(record, Record))
    for metric in entered:
        sheet, cost = _sheet(metric, suite, [(next(place), part) for _, part in jobs[metric.name]])
        standings.append(standing(sheet, common))
        costs.append(cost)
    return _ranked(run.seeds, suite, common, standings, costs)


def _entered(
    metrics: Sequence[Metric | Function] | Mapping[str, Metric | Function],
) -> list[Metric]:
    """Return the metrics, named."""
    found = (
        [
            replace(given, name=name) if isinstance(given, Metric) else Metric.of(given, name)
            for name, given in metrics.items()
        ]
        if isinstance(metrics, Mapping)
        else [Metric.of(given) for given in metrics]
    )
    names = [metric.name for metric in found]
    require(
        bool(names) and len(set(names)) == len(names),
        "metrics",
        got=names or "none",
        expected="at least one, with different names",
        remedy='Name them: vs.arena(run, {"one": f, "other": g}).',
    )
    return found


def _tasks(metric: Metric, suite: Suite, seeds: Seeds) -> list[tuple[Task, list[Shown]]]:
    """Return the tasks of a metric with what each shows, in the hidden order.

    The order is that of the whole suite, so that no number depends on which other metrics, or
    how many, are entered.
    """
    order = presented(suite, seeds, metric.sizes(suite.sizes))
    config: dict[str, JSON] = {"metric": metric.identity(), "suite": suite.digest}
    folder = "".join(letter if letter.isalnum() else "-" for letter in metric.name)
    if len(folder) > _LONGEST:  # two functions of one file differ at the end of a long path
        folder = f"{folder[:_LONGEST]}-{hashlib.sha256(metric.name.encode()).hexdigest()[:12]}"
    return [
        (
            Task(
                address=f"arena/{suite.digest[:12]}/m-{folder}/{first:06d}",
                config={**config, "first": first, "sizes": sorted({one.n for one in order})},
                seeds=seeds,
                args=(metric, suite, tuple(order[first : first + _CHUNK])),
            ),
            order[first : first + _CHUNK],
        )
        for first in range(0, len(order), _CHUNK)
    ]


def _answers(seeds: Seeds, metric: Metric, suite: Suite, showings: Sequence[Shown]) -> Payload:
    """Ask a metric about some pairs."""
    found = [ask(metric, suite.made(shown, seeds)) for shown in showings]
    return Payload(
        {"values": np.array([one.value for one in found])},
        {
            "failures": [one.failure for one in found],
            "seconds": [round(one.seconds, 6) for one in found],
        },
    )


@dataclass(frozen=True, slots=True)
class _Cost:
    total: float
    medians: dict[str, float]


def _sheet(
    metric: Metric, suite: Suite, parts: Sequence[tuple[Record, Sequence[Shown]]]
) -> tuple[Sheet, _Cost]:
    """Put the answers of all tasks together."""
    values: dict[Shown, float] = {}
    failures: list[str] = []
    seconds: dict[int, list[float]] = defaultdict(list)
    for record, showings in parts:
        for k, shown in enumerate(showings):
            values[shown] = float(record.arrays["values"][k])
            seconds[shown.n].append(float(record.meta["seconds"][k]))  # type: ignore[index, arg-type]
        failures += [str(kind) for kind in record.meta["failures"] if kind]  # type: ignore[union-attr]
    medians = {str(n): float(np.median(seconds[n])) for n in sorted(seconds)}
    cost = _Cost(sum(map(sum, seconds.values())), medians)
    return Sheet(metric, suite, values, tuple(failures)), cost


def _ranked(
    seeds: Seeds,
    suite: Suite,
    common: tuple[int, ...],
    standings: Sequence[Standing],
    costs: Sequence[_Cost],
) -> Arena:
    """Return the table, honest metrics first and by power; ties by name."""

    def rank(one: Standing) -> tuple[bool, float, str]:
        return not one.honest, -one.power.share, one.metric

    names = tuple(one.metric for one in standings)
    return Arena(
        seed=seeds.entropy,
        suite=suite.digest,
        laws=tuple(law.name for law in suite.laws),
        abouts=tuple(law.about for law in suite.laws),
        defects=tuple(defect.name for defect in suite.defects),
        units=tuple(defect.unit for defect in suite.defects),
        strengths=tuple(defect.strengths for defect in suite.defects),
        sizes=suite.sizes,
        null_pairs=suite.nulls,
        level=suite.level,
        common=common,
        standings=tuple(sorted(standings, key=rank)),
        costs=ArenaCosts(
            names,
            tuple(cost.total for cost in costs),
            {name: cost.medians for name, cost in zip(names, costs, strict=True)},
        ),
    )
