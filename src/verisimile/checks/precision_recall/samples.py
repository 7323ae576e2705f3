"""True and generated events, those that are not finite among the generated ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.data.events import Events, match_features
from verisimile.samples.coordinates import on_circles

_FEWEST = 8


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Finite events ``(n - missed, d)`` and the number of events that are not finite."""

    x: Array
    missed: int

    @property
    def n(self) -> int:
        """Number of events, missed ones included."""
        return len(self.x) + self.missed

    def parts(self, rng: np.random.Generator, count: int) -> list[Sample]:
        """Return disjoint random parts, the missed events divided at random like all others."""
        order = rng.permutation(self.n)
        edges = self.n * np.arange(count + 1) // count
        return [self.of(order[i:j]) for i, j in zip(edges[:-1], edges[1:], strict=True)]

    def of(self, rows: npt.NDArray[np.int64]) -> Sample:
        """Return the part of these rows, those from the number of finite events on missed."""
        finite = rows[rows < len(self.x)]
        return Sample(self.x[finite], len(rows) - len(finite))


def true_sample(reference: Events) -> Sample:
    """Return the reference, periodic features as cosine and sine.

    Raises
    ------
    InputError
        If it has weights or fewer than eight events.
    """
    _unweighted(reference, "reference")
    return _enough(Sample(on_circles(reference.x, reference), 0), "reference")


def generated_sample(generated: Events | npt.ArrayLike, reference: Events) -> Sample:
    """Return generated events with the reference's columns, periodic ones as in `true_sample`.

    Raises
    ------
    InputError
        If features differ, or it has weights or fewer than eight finite events.
    """
    if isinstance(generated, Events):
        _unweighted(generated, "generated")
        own = match_features(generated, reference.features).x
        return _enough(Sample(on_circles(own, reference), 0), "generated")
    x = np.asarray(generated, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] != reference.d:
        raise InputError(
            "generated",
            got=f"an array of shape {x.shape}",
            expected=f"events of shape (n, {reference.d})",
        )
    finite = np.isfinite(x).all(axis=1)
    return _enough(Sample(on_circles(x[finite], reference), int((~finite).sum())), "generated")


def _unweighted(events: Events, name: str) -> None:
    if events.weights is not None:
        raise InputError(
            name,
            got="events with weights",
            expected="events without: neighbours are counted",
            remedy="Draw events in proportion to their weights.",
        )


def _enough(sample: Sample, name: str) -> Sample:
    if len(sample.x) < _FEWEST:
        raise InputError(name, got=f"{len(sample.x)} finite events", expected=f"at least {_FEWEST}")
    return sample
