r"""From features in their units to standardised ones without edges, with the Jacobian.

A transform of one feature unfolds its support to the whole line.  Values on a bound have no
finite image.  They are nudged inwards, and only they: interior values are transformed exactly,
so densities stay normalised.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt
from scipy.special import expit, ndtr, ndtri

from verisimile.core.arrays import Array, BoolArray, as_matrix, frozen
from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError, SupportError, require
from verisimile.data.events import Events
from verisimile.data.feature import Feature

NUDGE = 2.0**-25
"""Relative distance from a two-sided bound at which values on it are taken to lie:
half the spacing of float32 numbers just below one."""

_LARGEST = float(np.finfo(np.float64).max)
_RESOLVED = 2.0**-50
_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)


class ColumnTransform(Protocol):
    """A monotone map of one feature from ``[low, high]`` to the line.

    ``forward`` returns ``y`` and ``log |dy/dx|``, both ``(n,)`` and finite for
    every finite ``x`` of the support.  ``inverse`` of any number lies in the
    support.
    """

    @property
    def low(self) -> float:
        """Lower end of the support."""

    @property
    def high(self) -> float:
        """Upper end of the support."""

    def forward(self, x: Array) -> tuple[Array, Array]:
        """Return the image and its log-Jacobian."""

    def inverse(self, y: Array) -> Array:
        """Return the preimage."""


@dataclass(frozen=True, slots=True)
class Identity:
    """No transform: the bounds are recorded, not enforced by `inverse`."""

    low: float = -math.inf
    high: float = math.inf

    def forward(self, x: Array) -> tuple[Array, Array]:
        """Return ``x`` and zero."""
        return x, np.zeros_like(x)

    def inverse(self, y: Array) -> Array:
        """Return ``y``."""
        return np.clip(y, -_LARGEST, _LARGEST)


@dataclass(frozen=True, slots=True)
class Log:
    r"""``y = log(x − low)``, or ``y = −log(high − x)`` for an upper bound.

    A value on the bound is taken to lie at the distance `nudge`.  No relative
    distance is natural beside one bound, so `feature_transform` takes half the
    smallest interior distance of the sample: zeros that come from rounding then
    sit where rounding moved them from, not in a far tail.
    """

    low: float = -math.inf
    high: float = math.inf
    nudge: float = NUDGE

    def forward(self, x: Array) -> tuple[Array, Array]:
        """Return the image and ``−log`` of the distance to the bound."""
        log_distance = np.log(_off_bound(self.distance(x), self.nudge))
        return (log_distance if self._from_below else -log_distance), -log_distance

    def inverse(self, y: Array) -> Array:
        """Return the bound plus or minus the exponential, at most the largest double."""
        with np.errstate(over="ignore", under="ignore"):
            distance = np.exp(y if self._from_below else -y)
        return np.clip(
            self.low + distance if self._from_below else self.high - distance, -_LARGEST, _LARGEST
        )

    def distance(self, x: Array) -> Array:
        """Return the distance to the bound."""
        return x - self.low if self._from_below else self.high - x

    @property
    def _from_below(self) -> bool:
        return math.isfinite(self.low)


@dataclass(frozen=True, slots=True)
class Logit:
    r"""``y = log(u / (1 − u))`` with ``u = (x − low) / (high − low)``.

    Values on a bound are taken to lie `NUDGE` of the range inside.
    """

    low: float
    high: float

    def forward(self, x: Array) -> tuple[Array, Array]:
        """Return the image and ``−log u − log(1 − u) − log(high − low)``."""
        below, above = (np.log(u) for u in _fractions(x, self.low, self.high))
        return below - above, -below - above - math.log(self.high - self.low)

    def inverse(self, y: Array) -> Array:
        """Return the preimage, computed from the nearer bound."""
        return _from_nearer_bound(expit(-np.abs(y)), y, self.low, self.high)


@dataclass(frozen=True, slots=True)
class Probit:
    r"""``y = Φ⁻¹(u)`` with ``u = (x − low) / (high − low)``.

    A density that does not vanish at the bounds gets Gaussian tails, those of a
    flow's base; the logit would give it exponential ones.  Values on a bound
    are taken to lie `NUDGE` of the range inside, at ``|y| = 5.42``.
    """

    low: float
    high: float

    def forward(self, x: Array) -> tuple[Array, Array]:
        """Return the image and ``y²/2 + log √(2π) − log(high − low)``."""
        below, above = _fractions(x, self.low, self.high)
        y = np.where(below <= above, 1.0, -1.0) * ndtri(np.minimum(below, above))
        return y, 0.5 * y**2 + _LOG_SQRT_2PI - math.log(self.high - self.low)

    def inverse(self, y: Array) -> Array:
        """Return the preimage, computed from the nearer bound."""
        return _from_nearer_bound(ndtr(-np.abs(y)), y, self.low, self.high)


def _off_bound(distance: Array, nudge: float) -> Array:
    return np.where(distance == 0.0, nudge, distance)


def _fractions(x: Array, low: float, high: float) -> tuple[Array, Array]:
    """Return the distances to both bounds in units of the range, each accurate near its own."""
    with np.errstate(under="ignore"):
        below, above = (x - low) / (high - low), (high - x) / (high - low)
    return _off_bound(below, NUDGE), _off_bound(above, NUDGE)


def _from_nearer_bound(fraction: Array, y: Array, low: float, high: float) -> Array:
    with np.errstate(under="ignore"):
        distance = fraction * (high - low)
    # Rounding may step over the far bound when the range is tiny beside its ends.
    return np.clip(np.where(y < 0, low + distance, high - distance), low, high)


_KINDS: dict[str, type[Identity] | type[Log] | type[Logit] | type[Probit]] = {
    "identity": Identity,
    "log": Log,
    "logit": Logit,
    "probit": Probit,
}


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    r"""One transform per feature, then standardisation.

    .. math:: y_j = (t_j(x_j) - \mu_j) / \sigma_j, \qquad
              \log |J| = \sum_j \log |t_j'(x_j)| - \log \sigma_j

    Parameters
    ----------
    names
        Feature names, length d.
    columns
        The transforms :math:`t_j`.
    shift, scale
        :math:`\mu` and :math:`\sigma`, ``(d,)``.
    """

    names: tuple[str, ...]
    columns: tuple[ColumnTransform, ...]
    shift: Array
    scale: Array

    @property
    def d(self) -> int:
        """Return the number of features."""
        return len(self.columns)

    def inside(self, x: npt.ArrayLike) -> BoolArray:
        """Return which rows lie in the closed support, ``(n,)``; false for NaN."""
        matrix = _shaped(x, self.d)
        low = np.array([column.low for column in self.columns])
        high = np.array([column.high for column in self.columns])
        return np.asarray(((matrix >= low) & (matrix <= high)).all(axis=1))

    def forward(self, x: npt.ArrayLike) -> tuple[Array, Array]:
        """Return ``y`` ``(n, d)`` and the log-Jacobian ``(n,)``, finite for every finite row.

        An image beyond the largest double saturates there.  A SupportError names a row
        outside the support: select with `inside` first.
        """
        matrix = as_matrix(x, "x", columns=self.d)
        inside = self.inside(matrix)
        if not inside.all():
            row = int(np.flatnonzero(~inside)[0])
            values = dict(zip(self.names, matrix[row].tolist(), strict=True))
            raise SupportError(
                "x",
                got=f"{int((~inside).sum())} rows outside the support, the first {values}",
                expected=f"rows inside {[(t.low, t.high) for t in self.columns]}",
                remedy="Select with transform.inside(x) first.",
            )
        y = np.empty_like(matrix)
        log_jacobian = np.full(len(matrix), -float(np.log(self.scale).sum()))
        for j, column in enumerate(self.columns):
            y[:, j], slope = column.forward(matrix[:, j])
            log_jacobian += slope
        with np.errstate(over="ignore", under="ignore"):
            return np.clip((y - self.shift) / self.scale, -_LARGEST, _LARGEST), log_jacobian

    def inverse(self, y: npt.ArrayLike) -> Array:
        """Return ``x`` ``(n, d)``: in the support, save where an identity keeps no bounds.

        NaN stays NaN, so that a failed sampler can be counted.
        """
        with np.errstate(over="ignore", under="ignore"):
            raw = np.clip(_shaped(y, self.d) * self.scale + self.shift, -_LARGEST, _LARGEST)
        return np.column_stack([t.inverse(raw[:, j]) for j, t in enumerate(self.columns)])

    def config(self) -> dict[str, JSON]:
        """Return strict JSON that `from_config` turns into an equal chain."""
        return {
            "names": list(self.names),
            "columns": [_described(column) for column in self.columns],
            "shift": [float(value) for value in self.shift],
            "scale": [float(value) for value in self.scale],
        }


def feature_transform(events: Events) -> Chain:
    """Return the transform that unfolds the support of each feature and standardises.

    A feature's ``transform`` decides; ``auto`` means probit between two bounds,
    log beside one, identity without bounds and for discrete features.  A
    periodic feature with two bounds is unfolded like any other: its density
    need not agree at the two ends.  Mean and standard deviation are those of
    the transformed sample; the weights enter if none is negative.  A constant feature,
    or fewer events than features, is an InputError.
    """
    require(
        events.n >= events.d,
        "events",
        got=f"{events.n} events with {events.d} features",
        expected="at least as many events as features",
    )
    weights = None if events.signed else events.weights
    columns = tuple(_column(f, x) for f, x in zip(events.features, events.x.T, strict=True))
    moments = [
        _moments(feature.name, column.forward(x)[0], weights)
        for feature, column, x in zip(events.features, columns, events.x.T, strict=True)
    ]
    shift, scale = (frozen(values) for values in zip(*moments, strict=True))
    return Chain(events.names, columns, shift, scale)


def from_config(config: Mapping[str, JSON]) -> Chain:
    """Return the chain that `Chain.config` described, equal bit by bit."""
    # The shape of stored JSON is only known once it has been used.
    loose = cast(Mapping[str, Any], config)
    try:
        columns = tuple(
            _KINDS[column["kind"]](**{key: column[key] for key in column if key != "kind"})
            for column in loose["columns"]
        )
        return Chain(tuple(loose["names"]), columns, frozen(loose["shift"]), frozen(loose["scale"]))
    except (KeyError, TypeError) as error:
        raise InputError(
            "transform",
            got=f"a description without {error}",
            expected="the output of Chain.config()",
        ) from None


def _described(column: Any) -> dict[str, JSON]:  # noqa: ANN401  (a dataclass of this file)
    kind = next(name for name, kind in _KINDS.items() if isinstance(column, kind))
    arguments = {field.name: getattr(column, field.name) for field in fields(column)}
    return {"kind": kind, **{k: value for k, value in arguments.items() if math.isfinite(value)}}


def _column(feature: Feature, x: Array) -> ColumnTransform:
    name: str = feature.transform
    if name == "auto":
        by_bounds = ("identity", "log", "probit")
        name = "identity" if feature.kind == "discrete" else by_bounds[feature.bounds]
    return _log(feature, x) if name == "log" else _KINDS[name](feature.low, feature.high)


def _log(feature: Feature, x: Array) -> Log:
    distance = Log(feature.low, feature.high).distance(x)
    interior = distance[distance > 0]
    if not interior.size:
        raise _constant(feature.name)
    # Half of the smallest double would be zero.
    nudge = max(0.5 * float(interior.min()), np.finfo(np.float64).smallest_subnormal)
    return Log(feature.low, feature.high, float(nudge))


def _moments(name: str, y: Array, weights: Array | None) -> tuple[float, float]:
    # A power of two makes the values small without rounding them: no overflow of squares.
    largest = float(np.abs(y).max())
    exponent = int(np.frexp(largest)[1])
    scaled = np.ldexp(y, -exponent)
    mean = float(np.average(scaled, weights=weights))
    std = float(np.sqrt(np.average((scaled - mean) ** 2, weights=weights)))
    if not std > _RESOLVED * float(np.abs(scaled).max()):
        raise _constant(name)
    return float(np.ldexp(mean, exponent)), float(np.ldexp(std, exponent))


def _constant(name: str) -> InputError:
    return InputError(
        f"events.x, column {name!r}",
        got="a constant",
        expected="values that vary",
        remedy="Leave the column out, e.g. with events.select([...]).",
    )


def _shaped(values: npt.ArrayLike, d: int) -> Array:
    matrix = np.asarray(values, dtype=np.float64)
    fits = matrix.ndim == 2 and matrix.shape[1] == d
    require(fits, "values", got=f"shape {matrix.shape}", expected=f"shape (n, {d})")
    return matrix
