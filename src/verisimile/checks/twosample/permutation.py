"""The permutation test: relabel the pooled events, keep what no relabeling changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from verisimile.checks.twosample.coordinates import Coordinates, Standardised
from verisimile.checks.twosample.outcome import Values, judged
from verisimile.checks.twosample.pool import Pool, accepts, pooled
from verisimile.checks.twosample.result import TwoSample
from verisimile.checks.twosample.statistic import Detailed, Prepared, Statistic, Tabulated
from verisimile.core.arrays import Array
from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.run import Run, Task
from verisimile.core.store import Payload, Record
from verisimile.data.events import Events
from verisimile.stats.nulls import matches

__all__ = ["Job", "permutation_test", "record_name", "valued"]

_BLOCK = 500  # relabelings of a record: one product for all, memory 8 N bytes for each
_FIRST_LOOK = 100  # relabelings between looks at whether enough of them are extreme


def permutation_test(
    run: Run,
    first: Events,
    second: Events,
    statistics: Sequence[Statistic],
    *,
    relabelings: int = 999,
    stop_after: int | None = None,
    coordinates: Coordinates = Standardised(),  # noqa: B008  (frozen)
) -> tuple[TwoSample, ...]:
    r"""Test whether two samples are of one distribution, with every statistic given.

    Both samples are pooled, and B relabelings draw which events are called the
    first sample.  If events (with their weights) are exchangeable, the observed
    value is one more draw from the relabelings', and

    .. math:: p = \frac{1 + \#\{b : t_b \ge t\}}{B + 1}

    has :math:`P(p \le \alpha) \le \alpha` at every size of the samples.  All
    statistics see the same relabelings.  Relabeling b has a random stream of its
    own, so that no number depends on how they are split into blocks, and more of
    them extend what is there.

    Parameters
    ----------
    run
        Random streams, execution and storage.
    first, second
        The samples, features matched by name.  Weights are scaled to mean one in
        each sample, then belong to their events.
    statistics
        What to compare; names must differ.
    relabelings
        B, or the most of them with `stop_after`.
    stop_after
        End after so many extreme relabelings, with the p-value of
        :func:`~verisimile.stats.sequential.besag_clifford`; None for all B.
        A statistic combined by min-p needs all of them and ignores it.
    coordinates
        Coordinates of the pooled events.

    Returns
    -------
    tuple of TwoSample
        In the order of `statistics`.

    Raises
    ------
    InputError
        If the features differ, a sample has fewer than two events, no feature
        varies, a statistic cannot take the weights, or a count is not positive.

    References
    ----------
    B. Phipson, G. K. Smyth, Stat. Appl. Genet. Mol. Biol. 9 (2010) 39.

    Examples
    --------
    >>> from verisimile.checks.twosample.energy import EnergyDistance
    >>> x = np.random.default_rng(1).normal(size=(400, 2))
    >>> run = Run(Seeds(1))
    >>> found, = permutation_test(run, Events(x[:200]), Events(x[200:] + 1.0), [EnergyDistance()])
    >>> found.p_value.value
    0.001
    """
    _check(statistics, relabelings, stop_after)
    pool = pooled(first, second, coordinates)
    for statistic in statistics:
        accepts(statistic, pool.kind)
    at = run.at("two-sample")
    return tuple(
        judged(
            statistic.name,
            pool,
            valued(at, Job(pool, statistic, at.seeds), relabelings, stop_after),
            relabelings=relabelings,
            stop_after=stop_after,
        )
        for statistic in statistics
    )


class Job:
    """A statistic of one pool, prepared when first used and never sent to another process.

    Parameters
    ----------
    pool
        The events.
    statistic
        What is computed.
    seeds
        Root of the random streams.
    """

    __slots__ = ("_prepared", "pool", "seeds", "statistic")

    def __init__(self, pool: Pool, statistic: Statistic, seeds: Seeds) -> None:
        self.pool, self.statistic, self.seeds = pool, statistic, seeds
        self._prepared: Prepared | None = None

    def __reduce__(self) -> tuple[object, ...]:
        # A kernel of 400 MB is made again sooner than sent.
        return (Job, (self.pool, self.statistic, self.seeds))

    @property
    def prepared(self) -> Prepared:
        """The prepared statistic."""
        if self._prepared is None:
            rng = self.seeds.at("prepare", self.statistic.name).numpy()
            self._prepared = self.statistic.prepare(self.pool.x, self.pool.weights, rng)
        return self._prepared

    @property
    def address(self) -> str:
        """Where its records are kept."""
        return f"relabel/{self.pool.key[:16]}/{record_name(self.statistic)}"

    def task(self, first: int, last: int) -> Task:
        """Return the task that values relabelings from `first` to before `last`."""
        said = repr(self.statistic)
        return Task(
            address=f"{self.address}/{first:06d}-{last:06d}",
            config={"pool": self.pool.key, "statistic": said, "first": first, "last": last},
            seeds=self.seeds,
            args=(self, first, last),
        )


@dataclass(frozen=True, slots=True)
class _Piece:
    table: Array
    columns: tuple[str, ...]
    details: Mapping[str, float]


def valued(run: Run, job: Job, relabelings: int, stop_after: int | None) -> Values:
    """Return the observed values and those of the relabelings, all or until enough are extreme.

    What `run` keeps is not computed again.
    """
    tasks = [
        job.task(start, _end(start, relabelings, stop_after))
        for start in range(0, relabelings, _size(stop_after))
    ]
    if stop_after is None:
        return _joined(_pieces(run, tasks))
    pieces = _pieces(run, tasks[:1])
    if pieces[0].columns:  # ranked all at once
        return _joined([*pieces, *_pieces(run, tasks[1:])])
    for task in tasks[1:]:
        if _extreme(_joined(pieces)) >= stop_after:
            break
        pieces += _pieces(run, [task])
    return _joined(pieces)


def _joined(pieces: Sequence[_Piece]) -> Values:
    table, head = np.concatenate([piece.table for piece in pieces]), pieces[0]
    return Values(table[0], table[1:], head.columns, head.details)


def _pieces(run: Run, tasks: Sequence[Task]) -> list[_Piece]:
    records = run.map(_relabel, tasks, label="relabelings")
    return [
        _Piece(
            np.asarray(record.arrays["values"]),
            _names(record, "columns"),
            dict(
                zip(
                    _names(record, "details"),
                    np.asarray(record.arrays["details"]).tolist(),
                    strict=True,
                )
            ),
        )
        for record in records
        if isinstance(record, Record)
    ]


def _relabel(seeds: Seeds, job: Job, first: int, last: int) -> Payload:
    # The first block also holds the observed labels, as its first row.
    labels = job.pool.relabeled(seeds.at("relabel"), first, last - first)
    observed = job.pool.observed()
    if first == 0:
        labels = np.concatenate([observed, labels])
    prepared = job.prepared
    columns: list[JSON] = []
    if isinstance(prepared, Tabulated):
        columns += prepared.columns
        values = prepared.table(labels)
    else:
        values = prepared.values(labels)[:, None]
    details = prepared.details(observed) if first == 0 and isinstance(prepared, Detailed) else {}
    return Payload(
        {"values": values, "details": np.array(list(details.values()), dtype=np.float64)},
        {"columns": columns, "details": list(details)},
    )


def _names(record: Record, key: str) -> tuple[str, ...]:
    names = record.meta[key]
    return tuple(str(name) for name in names) if isinstance(names, list | tuple) else ()


def _extreme(values: Values) -> int:
    return int(matches(values.observed[0], values.relabeled[:, 0]).sum())


def _size(stop_after: int | None) -> int:
    return _BLOCK if stop_after is None else _FIRST_LOOK


def _end(start: int, relabelings: int, stop_after: int | None) -> int:
    return min(start + _size(stop_after), relabelings)


def record_name(statistic: Statistic) -> str:
    """Return what the folder of a statistic's records is called."""
    return "".join(letter if letter.isalnum() else "-" for letter in statistic.name.lower())


def _check(statistics: Sequence[Statistic], relabelings: int, stop_after: int | None) -> None:
    names = [statistic.name for statistic in statistics]
    if not names or len(set(names)) < len(names):
        raise InputError("statistics", got=names, expected="one or more, with different names")
    if relabelings < 1 or (stop_after is not None and stop_after < 1):
        raise InputError(
            "relabelings",
            got=f"relabelings = {relabelings}, stop_after = {stop_after}",
            expected="at least one",
            remedy="999 resolve p-values down to 0.001.",
        )
