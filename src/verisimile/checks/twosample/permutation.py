"""Two-sample tests: draw the null of the pooled events, keep what no draw changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from verisimile.checks.twosample.result import TwoSample, Values, judge
from verisimile.checks.twosample.statistics.energy import EnergyDistance
from verisimile.checks.twosample.statistics.protocol import (
    AroundCircles,
    Demanding,
    Detailed,
    Formed,
    OfMasses,
    Prepared,
    Statistic,
    Tabulated,
    Thinned,
)
from verisimile.core.arrays import Array
from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError, require
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Record
from verisimile.core.run import Run
from verisimile.core.tasks import Task
from verisimile.data.inputs import EventsLike
from verisimile.samples.columns import comparable
from verisimile.samples.coordinates import Coordinates, Standardised
from verisimile.samples.pool import Labels, MassRows, Pool, pool_samples
from verisimile.stats.pvalues import matches

_BLOCK = 500  # relabelings of a record: one product for all, memory 8 N bytes for each
_FIRST_LOOK = 100  # relabelings between looks at whether enough of them are extreme
_LABELS = 512 * 2**20  # one byte for each event and relabeling of a block
_FEWEST_ROWS = 64  # relabelings that compiled walks make at once
_ENTRIES = 8_000_000  # 64 MiB for each of a few arrays of masses at a time
_SCHEMA = 2  # of stored values
_KINDS = ("none", "positive", "signed")


@dataclass(frozen=True, slots=True)
class Exchangeable:
    """The declaration that one law made the weights of both samples.

    Events are then relabeled with their weights, which is exact.  Weights of different
    laws, such as those of one sample only, make a true null be rejected far too often.

    Attributes
    ----------
    permutations
        B.
    """

    permutations: int = 999


def two_sample(
    run: Run,
    reference: EventsLike,
    generated: EventsLike,
    *,
    statistic: Statistic | None = None,
    permutations: int | Exchangeable = 999,
    stop_after: int | None = None,
) -> TwoSample:
    """Test whether two samples are of one distribution, by one statistic.

    The energy distance unless another is given; :func:`permutation_test` of it alone, which
    says how, and makes several tests on the same draws.

    Raises
    ------
    InputError
        As :func:`permutation_test`.

    Examples
    --------
    >>> x = np.random.default_rng(1).normal(size=(400, 2))
    >>> two_sample(Run(Seeds(1)), x[:200], x[200:] + 1.0).p_value.value
    0.001
    """
    chosen = EnergyDistance() if statistic is None else statistic
    (found,) = permutation_test(
        run, reference, generated, [chosen], permutations=permutations, stop_after=stop_after
    )
    return found


def permutation_test(
    run: Run,
    reference: EventsLike,
    generated: EventsLike,
    statistics: Sequence[Statistic],
    *,
    permutations: int | Exchangeable = 999,
    stop_after: int | None = None,
    coordinates: Coordinates = Standardised(),  # noqa: B008  (frozen)
) -> tuple[TwoSample, ...]:
    r"""Test whether two samples are of one distribution, with every statistic given.

    Both samples are pooled, and B relabelings draw which events (or whole groups) are
    called the first sample.  Without weights these are exchangeable, the observed
    value is one more draw from the relabelings', and

    .. math:: p = \frac{1 + \#\{b : t_b \ge t\}}{B + 1}

    has :math:`P(p \le \alpha) \le \alpha` at every size of the samples.

    Weights of different laws are not exchangeable.  With weights, statistics are functions
    of the samples' masses :math:`a_i = u_i / \sum u`, :math:`b_j = w_j / \sum w`, and the
    null draws multiply their fluctuations with random signs, one for each event or group:

    .. math:: a^* = p + \delta^*_1, \quad b^* = p + \delta^*_2, \qquad
              \delta^*_i = a_i \Big(\xi_i c_i - \sum_j \xi_j c_j a_j\Big)

    about the pooled masses p (:func:`~verisimile.samples.pool.multiplier_draws`), so that each
    side keeps its own variance.  That p-value is right for many effective events, not
    exact; where one side has too few, `refusal` of the result says so.

    All statistics see the same draws.  Draw b has a random stream of its
    own, so that no number depends on how they are split into blocks, and more of
    them extend what is there.  A statistic that takes a limited number of events gets
    random ones of each sample, mostly of the larger, and relabelings of these alone.

    Parameters
    ----------
    run
        Random streams, execution and storage.
    reference, generated
        The samples, features matched by name.  Weights are scaled to mean one in
        each sample, then belong to their events.
    statistics
        What to compare; names must differ.
    permutations
        B, or the most of them with `stop_after`; or :class:`Exchangeable`, the declaration
        that events may be relabeled with their weights.
    stop_after
        End after so many extreme relabelings, with the p-value of
        :func:`~verisimile.stats.pvalues.besag_clifford`; None for all B.
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
    B. Phipson, G. K. Smyth, Stat. Appl. Genet. Mol. Biol. 9 (2010) 39 (relabelings);
    A. W. van der Vaart, J. A. Wellner, Weak Convergence and Empirical Processes (1996),
    ch. 2.9 and 3.6 (multipliers).

    Examples
    --------
    >>> from verisimile.checks.twosample.statistics.energy import EnergyDistance
    >>> x = np.random.default_rng(1).normal(size=(400, 2))
    >>> run = Run(Seeds(1))
    >>> found, = permutation_test(run, x[:200], x[200:] + 1.0, [EnergyDistance()])
    >>> found.p_value.value
    0.001
    """
    reference, generated = comparable(reference=reference, generated=generated)
    exchangeable = isinstance(permutations, Exchangeable)
    count = permutations.permutations if isinstance(permutations, Exchangeable) else permutations
    _check(statistics, count, stop_after)
    pool = pool_samples(reference, generated, coordinates, exchangeable_weights=exchangeable)
    return permute_pool(run, pool, statistics, permutations=count, stop_after=stop_after)


def permute_pool(
    run: Run,
    pool: Pool,
    statistics: Sequence[Statistic],
    *,
    permutations: int,
    stop_after: int | None = None,
) -> tuple[TwoSample, ...]:
    """Make the tests of :func:`permutation_test` on samples that are pooled already."""
    for statistic in statistics:
        accepts(statistic, pool)
    at = run.at("two-sample")
    jobs = [Job(pool, statistic, at.seeds) for statistic in statistics]
    for job in jobs:
        if pool.null == "multipliers":
            job.of_masses()
    return tuple(
        judge(
            job.statistic.name,
            job.events,
            null_values(at, job, permutations, stop_after),
            permutations=permutations,
            stop_after=stop_after,
            whole=pool,
        )
        for job in jobs
    )


def accepts(statistic: Statistic, pool: Pool) -> None:
    """Raise unless the statistic can take the weights of this pool.

    Raises
    ------
    InputError
        With the reason.
    """
    relabels = pool.null == "relabelings"
    if not relabels and isinstance(statistic, Demanding):
        worth = min(pool.n_effective)
        if worth < statistic.fewest_effective:
            raise InputError(
                f"statistic {statistic.name!r}",
                got=f"weights that leave {worth:.3g} effective events",
                expected=f"at least {statistic.fewest_effective:.0f}: few heavy events make it",
                remedy="Take more events, or a statistic of lower moments.",
            )
    if relabels and _KINDS.index(pool.kind) > _KINDS.index(statistic.weights):
        raise InputError(
            f"statistic {statistic.name!r}",
            got=f"events with {pool.kind} weights",
            expected={"none": "unweighted events", "positive": "weights that are not negative"}[
                statistic.weights
            ],
            remedy="Use a statistic for such weights (energy, MMD, or those of distribution"
            " functions), or events unweighted by accept and reject.",
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

    __slots__ = ("_events", "_prepared", "pool", "seeds", "statistic", "thinned")

    def __init__(self, pool: Pool, statistic: Statistic, seeds: Seeds) -> None:
        self.pool, self.statistic, self.seeds = pool, statistic, seeds
        self._prepared: Prepared | None = None
        self._events: Pool | None = None
        self.thinned = isinstance(statistic, Thinned) and len(pool.x) > statistic.thinned_to

    def __reduce__(self) -> tuple[object, ...]:
        # A kernel of 400 MB is made again sooner than sent, and so are events not to be used.
        return (_job_of, (self.events, self.statistic, self.seeds, self.thinned))

    def fresh(self) -> Job:
        """Return the same job of the events that the statistic takes, with nothing prepared."""
        return _job_of(self.events, self.statistic, self.seeds, self.thinned)

    @property
    def events(self) -> Pool:
        """The events that the statistic takes: of the pool, thinned if it must be."""
        if self._events is None:
            self._events = self.pool
            if isinstance(self.statistic, Thinned) and self.thinned:
                most = self.statistic.thinned_to
                rng = self.seeds.at("thin", most).numpy()
                self._events = self.pool.thinned(most, rng)
        return self._events

    @property
    def prepared(self) -> Prepared:
        """The prepared statistic."""
        if self._prepared is None:
            rng = self.seeds.at("prepare", self.statistic.name).numpy()
            x, weights, angles = self.events.x, self.events.weights, self.events.angles
            self._prepared = (
                self.statistic.prepare_around(x, weights, angles)
                if angles and isinstance(self.statistic, AroundCircles)
                else self.statistic.prepare(x, weights, rng)
            )
        return self._prepared

    def of_masses(self) -> OfMasses:
        """Return the prepared statistic as a function of masses.

        Raises
        ------
        InputError
            If it is none.
        """
        prepared = self.prepared
        if isinstance(prepared, OfMasses):
            return prepared
        raise InputError(
            f"statistic {self.statistic.name!r}",
            got="events with weights",
            expected="unweighted events: it is no function of masses (`of_masses`)",
            remedy="If one law made the weights of both samples, declare it: Exchangeable().",
        )

    def massed(self, rows: MassRows) -> Array:
        """Return the statistic of pairs of mass rows ``(R, J)``."""
        return self.of_masses().of_masses(rows).reshape(len(rows.first), -1)

    def relabeled(self, labels: Labels) -> Array:
        """Return the statistic of relabelings ``(R, J)``."""
        prepared = self.prepared
        if isinstance(prepared, Tabulated):
            return prepared.table(labels)
        return prepared.values(labels)[:, None]

    @property
    def draws(self) -> Seeds:
        """Root of the streams of null draws, the same for all statistics of these events."""
        if self.pool.null == "multipliers":
            return self.seeds.at("multiply")
        at = self.seeds.at("relabel")
        return at.at("thinned", *self.events.sizes) if self.thinned else at

    @property
    def address(self) -> str:
        """Where its records are kept."""
        kind = "relabel" if self.pool.null == "relabelings" else "multiply"
        return f"{kind}/{self.pool.key[:16]}/{record_name(self.statistic)}"

    def task(self, first: int, last: int) -> Task:
        """Return the task that values draws from `first` to before `last`."""
        said = repr(self.statistic)
        config: dict[str, JSON] = {"pool": self.pool.key, "statistic": said}
        if self.pool.null == "multipliers":
            config["null"] = self.pool.null
        return Task(
            address=f"{self.address}/{first:06d}-{last:06d}",
            config={**config, "first": first, "last": last},
            seeds=self.seeds,
            args=(self, first, last),
        )


def _job_of(events: Pool, statistic: Statistic, seeds: Seeds, thinned: bool) -> Job:  # noqa: FBT001
    """Return the job of events that are thinned already, which stand for its pool."""
    job = Job(events, statistic, seeds)
    job.thinned, job._events = thinned, events
    return job


@dataclass(frozen=True, slots=True)
class _Piece:
    table: Array
    columns: tuple[str, ...]
    details: Mapping[str, float]
    form: str


def null_values(run: Run, job: Job, permutations: int, stop_after: int | None) -> Values:
    """Return the observed values and those of the relabelings, all or until enough are extreme.

    What `run` keeps is not computed again.
    """
    tasks = [
        job.task(start, _end(start, permutations, stop_after))
        for start in range(0, permutations, _size(stop_after))
    ]
    if stop_after is None or run.shard:  # a shard cannot tell when there are enough
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
    return Values(table[0], table[1:], head.columns, head.details, head.form)


def _pieces(run: Run, tasks: Sequence[Task]) -> list[_Piece]:
    records = run.map(_draw, tasks, label="relabelings", schema=_SCHEMA, small=True)
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
            str(record.meta.get("form", "")),
        )
        for record in records
        if isinstance(record, Record)
    ]


def _draw(seeds: Seeds, job: Job, first: int, last: int) -> Payload:  # noqa: ARG001  (task)
    prepared = job.prepared
    columns: list[JSON] = [*prepared.columns] if isinstance(prepared, Tabulated) else []
    values = (_relabel if job.pool.null == "relabelings" else _multiply)(job, first, last)
    multiplies = job.pool.null == "multipliers"
    form = prepared.form if multiplies and isinstance(prepared, Formed) else ""
    details: Mapping[str, float] = {}
    if first == 0 and isinstance(prepared, Detailed):
        details = prepared.details(job.events.observed())
    return Payload(
        {"values": values, "details": np.array(list(details.values()), dtype=np.float64)},
        {"columns": columns, "details": list(details), "form": form},
    )


def _relabel(job: Job, first: int, last: int) -> Array:
    """Return the values of relabelings ``(R, J)``, the first block's after the observed."""
    events = job.events
    step = max(_FEWEST_ROWS, _LABELS // len(events.x))
    found = []
    for start in range(first, last, step):
        count = min(step, last - start)
        found.append(job.relabeled(events.relabeled(job.draws, start, count, observed=start == 0)))
    return np.concatenate(found)


def _multiply(job: Job, first: int, last: int) -> Array:
    """Return the values of multiplied masses ``(R, J)``, the first block's after the observed."""
    events = job.events
    step = max(1, _ENTRIES // len(events.x))
    blocks = [
        job.massed(events.multiplied(job.draws, start, min(step, last - start)))
        for start in range(first, last, step)
    ]
    if first == 0:
        blocks.insert(0, job.massed(events.observed_masses()))
    return np.concatenate(blocks)


def _names(record: Record, key: str) -> tuple[str, ...]:
    names = record.meta[key]
    return tuple(str(name) for name in names) if isinstance(names, list | tuple) else ()


def _extreme(values: Values) -> int:
    return int(matches(values.observed[0], values.relabeled[:, 0]).sum())


def _size(stop_after: int | None) -> int:
    return _BLOCK if stop_after is None else _FIRST_LOOK


def _end(start: int, permutations: int, stop_after: int | None) -> int:
    return min(start + _size(stop_after), permutations)


def record_name(statistic: Statistic) -> str:
    """Return what the folder of a statistic's records is called."""
    return "".join(letter if letter.isalnum() else "-" for letter in statistic.name.lower())


def _check(statistics: Sequence[Statistic], permutations: int, stop_after: int | None) -> None:
    require(
        isinstance(statistics, Sequence),
        "statistics",
        got=f"one {type(statistics).__name__}",
        expected="a sequence of statistics",
        remedy="two_sample takes one.",
    )
    other = next((each for each in statistics if not hasattr(each, "prepare")), None)
    require(
        other is None,
        "statistic",
        got=repr(other),
        expected="a statistic, such as EnergyDistance()",
    )
    names = [statistic.name for statistic in statistics]
    if not names or len(set(names)) < len(names):
        raise InputError("statistics", got=names, expected="one or more, with different names")
    if permutations < 1 or (stop_after is not None and stop_after < 1):
        raise InputError(
            "permutations",
            got=f"permutations = {permutations}, stop_after = {stop_after}",
            expected="at least one",
            remedy="999 resolve p-values down to 0.001.",
        )
