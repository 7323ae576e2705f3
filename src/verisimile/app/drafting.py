"""What ``verisimile init`` finds out of a sample: roles, kinds and edges of columns, and sizes.

All of it is a guess from names and values, and is said to be one where it is written down.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.data.files import column_names, read_events
from verisimile.data.request import looks_like_groups, looks_like_weights

_LABELS = {"label", "labels", "class", "target", "truth", "issignal", "istrue", "category", "pid"}
_IDENTIFIERS = {"event", "eventnumber", "run", "runnumber", "lumi", "entry", "index", "id"}
_ANGLE = re.compile(r"(?i)(?:^|_|\b)(?:d(?:elta)?_?)?(?:phi|azimuth|angle)(?:_|\b|$|\d)")
_FEW = 50  # values of a discrete column
_SPIKE = 0.02  # of the events at one value
_HARD, _AT_ZERO = 4.0, 2.6  # growth of distances from an edge over a factor of ten in rank
_PROBED = 10_000  # events to tell which columns are independent
_FLAT = 1e-3  # of the largest variance
_DEPENDENT = 0.7  # dimensions that are missing
_ADDS = 0.8  # dimensions that a column adds to those before it, unless it is about their function


@dataclass(frozen=True, slots=True)
class ColumnGuess:
    """What a column seems to be.

    Attributes
    ----------
    spec
        As its file describes it.
    kind
        ``continuous``, ``discrete``, ``periodic``, ``spike`` or ``constant``.
    smallest, largest
        Of its values.
    low, high
        Edges that seem to be hard; infinite where none does.
    """

    spec: Feature
    kind: str
    smallest: float
    largest: float
    low: float = -math.inf
    high: float = math.inf

    @property
    def name(self) -> str:
        """Of the column."""
        return self.spec.name

    @property
    def bounds(self) -> Iterator[str]:
        """Its edges, as a study file says them."""
        for side, value in (("low", self.low), ("high", self.high)):
            if math.isfinite(value):
                yield f"{side} = {value!r}"

    @property
    def learnable(self) -> bool:
        """Whether it has a density."""
        return self.kind in ("continuous", "periodic")


@dataclass(frozen=True, slots=True, eq=False)
class SampleGuess:
    """What a sample seems to hold.

    Attributes
    ----------
    n, rows, dropped
        Events, rows of the file, and those without a value.
    columns
        Of numbers, in file order.
    weights, group
        The columns that seem to have these roles; None if none does.
    signed
        Whether weights are negative.
    set_aside
        Why other columns are no features, by name.
    independent
        Which of the columns with a density seem to be independent of each other.
    """

    n: int
    rows: int
    dropped: int
    columns: tuple[ColumnGuess, ...]
    weights: str | None = None
    signed: bool = False
    group: str | None = None
    set_aside: dict[str, str] = field(default_factory=dict)
    independent: tuple[str, ...] = ()

    @property
    def learnable(self) -> tuple[ColumnGuess, ...]:
        """The columns that have a density."""
        return tuple(each for each in self.columns if each.learnable)

    @property
    def learned(self) -> tuple[ColumnGuess, ...]:
        """Those of them that are no functions of others before them."""
        return tuple(each for each in self.columns if each.name in self.independent)


def guess_sample(
    uri: str, *, features: Sequence[str] | None = None, weights: str | None = None
) -> SampleGuess:
    """Return what the columns of a file seem to be.

    Parameters
    ----------
    uri
        The file.
    features
        Columns to look at; all if None.
    weights
        The column of weights; guessed by its name if None.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    aside: dict[str, str] = {}
    weighing: list[str] = []
    grouping: list[str] = []
    for name in column_names(uri):
        if name == weights or (weights is None and looks_like_weights(name)):
            weighing.append(name)
        elif looks_like_groups(name):
            grouping.append(name)
        elif (word := re.sub(r"[^a-z]", "", name.lower())) in _LABELS | _IDENTIFIERS:
            what = "a label" if word in _LABELS else "a number of events or runs"
            aside[name] = f"its name is that of {what}"
    if features is not None:
        aside = {name: why for name, why in aside.items() if name not in features}
    for name in weighing[1:]:
        aside[name] = f"its name is that of weights, as that of {weighing[0]} is"
    for name in grouping[1:]:
        aside[name] = f"its name is that of an event number, as that of {grouping[0]} is"
    chosen, group = weighing[0] if weighing else None, grouping[0] if grouping else None
    events = read_events(
        uri, features=features, weights=chosen, group=group, ignore=list(aside), missing="drop"
    )
    if group is not None and events.n_groups == events.n:
        aside[group], group = "a number of its own in every row", None
    account = events.account
    if account is not None and features is None:
        aside |= {one.name: one.reason for one in account.left_out if one.name not in aside}
    columns = tuple(guess_column(spec, events.x[:, j]) for j, spec in enumerate(events.features))
    kept = [j for j, each in enumerate(columns) if each.learnable]
    return SampleGuess(
        n=events.n,
        rows=events.n if account is None else account.rows,
        dropped=0 if account is None else account.dropped,
        columns=columns,
        weights=chosen,
        signed=events.weights is not None and bool((events.weights < 0.0).any()),
        group=group,
        set_aside=aside,
        independent=tuple(columns[kept[j]].name for j in independent_columns(_some(events, kept))),
    )


def _some(events: Events, columns: list[int]) -> Array:
    step = max(1, events.n // _PROBED)
    return np.asarray(events.x[::step][:_PROBED][:, columns])


def guess_column(spec: Feature, values: Array) -> ColumnGuess:
    """Return what one column seems to be, by its name and its values ``(n,)``."""
    smallest, largest = float(values.min()), float(values.max())
    found, counts = np.unique(values, return_counts=True)

    def guess(kind: str, low: float = -math.inf, high: float = math.inf) -> ColumnGuess:
        return ColumnGuess(spec, kind, smallest, largest, low, high)

    if found.size == 1:
        return guess("constant")
    if found.size <= _FEW and bool(np.all(found == np.round(found))):
        return guess("discrete")
    if counts.max() >= max(_SPIKE * values.size, 5):
        return guess("spike")
    turn = _turn(spec, smallest, largest)
    if turn is not None:
        return guess("periodic", *turn)
    return guess("continuous", hard_edge(values), -hard_edge(-values))


def _turn(spec: Feature, smallest: float, largest: float) -> tuple[float, float] | None:
    """Return the period of an angle in radians, None if it is not one by name and range."""
    if not (_ANGLE.search(spec.name) or spec.kind == "periodic"):
        return None
    for low in (-math.pi, 0.0):
        high = low + 2.0 * math.pi
        slack = 0.02 * math.pi
        if abs(smallest - low) < slack and abs(largest - high) < slack:
            # A float32 at the end of the period is a little beyond that of a double.
            return (
                math.floor(min(low, smallest) * 1e7) / 1e7,
                math.ceil(max(high, largest) * 1e7) / 1e7,
            )
    return None


def hard_edge(values: Array) -> float:
    """Return a round lower bound at which the density of values ``(n,)`` ends, or -inf.

    At an edge with a density that does not vanish, the distance of the k-th smallest value from the
    smallest grows as k; of ten times as many it is ten times as far.  In a tail it grows as a
    logarithm.  At zero a density that vanishes linearly ends too: three times as far.
    """
    n = values.size
    k = max(20, n // 2000)
    if n < 25 * k:
        return -math.inf
    ordered = np.sort(values)
    near, far = float(ordered[k] - ordered[0]), float(ordered[10 * k] - ordered[0])
    growth = far / near if near > 0.0 else math.inf
    if growth > _HARD:
        return _round_below(float(ordered[0]), 5.0 * near / k)
    if growth > _AT_ZERO and 0.0 <= ordered[0] < near:
        return 0.0
    return -math.inf


def _round_below(smallest: float, slack: float) -> float:
    """Return the roundest number at or below the smallest value, no more than `slack` away.

    Examples
    --------
    >>> _round_below(60.0003, 0.2), _round_below(-0.9998, 0.01), _round_below(24.987, 0.002)
    (60.0, -1.0, 24.987)
    """
    power = math.ceil(math.log10(max(abs(smallest), slack, 1e-300))) + 1
    for digits in range(-power, -power + 20):
        number = math.floor(round(smallest * 10.0**digits, 6)) / 10.0**digits
        if number <= smallest and smallest - number <= slack:
            return float(f"{number:.12g}")
    return smallest


def independent_columns(x: Array) -> tuple[int, ...]:
    """Return which columns of `x` ``(n, d)`` seem to be independent of those before them.

    The dimension of a set of columns is what the distances to the first and second neighbours tell
    (Facco and others, Scientific Reports 7, 2017, 12140), in whitened normal scores, over that of
    the same columns after each was shuffled by itself, times their number.  All columns, unless two
    thirds of a dimension or more are missing: then some are about functions of others, and there is
    no density of all.  One after the other is then taken if it adds most of a dimension.
    """
    n, d = len(x), int(x.shape[1])
    if d < 2 or n < 100 or _dimension(x) > d - _DEPENDENT:
        return tuple(range(d))
    taken, found = [0], 1.0
    for column in range(1, d):
        wider = _dimension(x[:, [*taken, column]])
        if wider > found + _ADDS:
            taken.append(column)
            found = wider
    return tuple(taken)


def _dimension(x: Array) -> float:
    rng = Seeds(0).at("independent columns").numpy()
    scores = _whitened(_normal_scores(x))
    shuffled = _normal_scores(np.column_stack([rng.permutation(column) for column in x.T]))
    return _two_neighbours(scores) / _two_neighbours(shuffled) * int(x.shape[1])


def _normal_scores(x: Array) -> Array:
    from scipy.special import ndtri
    from scipy.stats import rankdata

    ranks: Array = rankdata(x, axis=0)
    return np.asarray(ndtri((ranks - 0.5) / len(x)))


def _whitened(scores: Array) -> Array:
    centred = scores - scores.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(centred.T))
    there = values > _FLAT * values.max()  # a linear function of others has no width of its own
    return np.asarray(centred @ vectors[:, there] / np.sqrt(values[there]))


def _two_neighbours(x: Array) -> float:
    """Return the maximum-likelihood dimension of points by ratios of neighbours' distances."""
    from scipy.spatial import KDTree

    distances: Array = KDTree(x).query(x, k=3)[0]
    first, second = distances[:, 1], distances[:, 2]
    apart = first > 0.0
    logs = np.log(second[apart] / first[apart])
    return float(apart.sum() / logs.sum()) if logs.sum() > 0.0 else float(x.shape[1])
