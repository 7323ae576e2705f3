"""What a metric is, and how it is asked: with copies, and with every failure counted."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from verisimile.core.arrays import Array
from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError, require, require_one_of
from verisimile.ranking.laws import identity_of
from verisimile.ranking.suite import Pair
from verisimile.stats.pvalues import PValue

Returns = Literal["p-value", "score"]
Direction = Literal["large", "small", "either"]
Function = Callable[[Array, Array], Any]

_RETURNS: tuple[Returns, ...] = ("p-value", "score")
_DIRECTIONS: tuple[Direction, ...] = ("large", "small", "either")


@dataclass(frozen=True, slots=True)
class Metric:
    """A function of two samples, and what its number means.

    Attributes
    ----------
    name
        How tables call it.
    function
        ``function(reference, generated)`` of two arrays ``(n, d)``; returns a number, or a
        `PValue`.  Workers must be able to import it; all randomness must be its own and seeded,
        or its answers cannot be repeated, which the table then says.
    returns
        ``"p-value"``, taken at its word and its size measured; or ``"score"``, calibrated on null
        pairs.
    direction
        Which scores mean different: ``"large"``, ``"small"`` or ``"either"``.
    largest
        The largest samples it is asked about, for what is too slow beyond; None for all.
    by
        Whose it is: a package with its version.

    Examples
    --------
    >>> metric = Metric("means", lambda x, y: abs(x.mean() - y.mean()), direction="large")
    >>> metric.returns, metric.sizes((100, 250))
    ('score', (100, 250))
    """

    name: str
    function: Function
    returns: Returns = "score"
    direction: Direction = "either"
    largest: int | None = None
    by: str = ""

    def __post_init__(self) -> None:
        require(
            bool(self.name.strip()) and self.name.isprintable(),
            "Metric.name",
            got=repr(self.name),
            expected="a printable name",
        )
        require(
            callable(self.function),
            f"metric {self.name!r}",
            got=f"a {type(self.function).__name__}",
            expected="a function of two arrays, reference and generated",
        )
        require_one_of(self.returns, _RETURNS, "Metric.returns")
        require_one_of(self.direction, _DIRECTIONS, "Metric.direction")

    @classmethod
    def of(cls, given: Metric | Function, name: str = "") -> Metric:
        """Return a metric: of a function, with its name and its attribute `returns` if it has one.

        Without that attribute its number is a score of which both directions count.
        """
        if isinstance(given, Metric):
            return given
        own = str(getattr(given, "__name__", type(given).__name__))
        return cls(
            name or own,
            given,
            getattr(given, "returns", "score"),
            getattr(given, "direction", "either"),
        )

    def identity(self) -> JSON:
        """Return what tells it from others, for fingerprints of kept answers."""
        return [self.name, identity_of(self.function), self.returns]

    def sizes(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        """Return the sizes that it is asked about.

        Raises
        ------
        InputError
            If there are none.
        """
        kept = tuple(n for n in sizes if self.largest is None or n <= self.largest)
        if not kept:
            raise InputError(
                f"metric {self.name!r}",
                got=f"at most {self.largest} events",
                expected=f"at least the {sizes[0]} events of the smallest samples",
            )
        return kept


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer: its number, NaN if there is none and why, and what it took in CPU seconds."""

    value: float
    failure: str
    seconds: float


def ask(metric: Metric, pair: Pair) -> Answered:
    """Return a metric's answer to copies of a pair.

    Whatever it raises, NaN, and a p-value outside [0, 1] are failures, named by their kind: the
    words of an error may hold an address, and would differ from run to run.
    """
    reference, generated = (sample.copy() for sample in pair)
    began = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            given = metric.function(reference, generated)
        value = float(given.value if isinstance(given, PValue) else given)
        failure = "not a number" if math.isnan(value) else ""
    except Exception as error:  # a stranger's function may raise anything
        value, failure = math.nan, type(error).__name__
    if metric.returns == "p-value" and not failure and not 0.0 <= value <= 1.0:
        value, failure = math.nan, "p-value outside [0, 1]"
    return Answered(value, failure, time.process_time() - began)
