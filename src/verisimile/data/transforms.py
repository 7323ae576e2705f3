r"""From features in their units to standardised ones without edges, with the Jacobian."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, BoolArray, as_matrix, frozen
from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError, SupportError
from verisimile.data.columns import ColumnTransform, Identity, Log, Logit, Probit
from verisimile.data.events import Events
from verisimile.data.feature import Feature

_KINDS: dict[str, type[Identity] | type[Log] | type[Logit] | type[Probit]] = {
    "identity": Identity,
    "log": Log,
    "logit": Logit,
    "probit": Probit,
}
_LARGEST = float(np.finfo(np.float64).max)
_RESOLVED = 2.0**-50


class Transform(Protocol):
    """An invertible map of feature space with its Jacobian."""

    def forward(self, x: npt.ArrayLike) -> tuple[Array, Array]:
        """Return ``y`` ``(n, d)`` and ``log |det dy/dx|`` ``(n,)``."""

    def inverse(self, y: npt.ArrayLike) -> Array:
        """Return ``x`` ``(n, d)``."""

    def config(self) -> dict[str, JSON]:
        """Return JSON from which `from_config` rebuilds the map."""


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

        An image beyond the largest double saturates there.

        Raises
        ------
        InputError
            If a value is not finite, or the number of columns is not d.
        SupportError
            If a row lies outside the support: select with `inside` first.
        """
        matrix = as_matrix(x, "x", columns=self.d)
        self._check_inside(matrix)
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
            "columns": [{"kind": _kind(t), **t.config()} for t in self.columns],
            "shift": [float(value) for value in self.shift],
            "scale": [float(value) for value in self.scale],
        }

    def _check_inside(self, matrix: Array) -> None:
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


def feature_transform(events: Events) -> Chain:
    """Return the transform that unfolds the support of each feature and standardises.

    A feature's ``transform`` decides; ``auto`` means probit between two bounds,
    log beside one, identity without bounds and for discrete features.  A
    periodic feature with two bounds is unfolded like any other: its density
    need not agree at the two ends.  Mean and standard deviation are those of
    the transformed sample; the weights enter if none is negative.

    Raises
    ------
    InputError
        If there are fewer events than features, or a feature is constant.
    """
    if events.n < events.d:
        raise InputError(
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
    """Return the chain that `Chain.config` described, equal bit by bit.

    Raises
    ------
    InputError
        If the description is incomplete or names an unknown transform.
    """
    # The shape of stored JSON is only known once it has been used.
    loose = cast(Mapping[str, Any], config)
    try:
        columns = tuple(_described(column) for column in loose["columns"])
        return Chain(tuple(loose["names"]), columns, frozen(loose["shift"]), frozen(loose["scale"]))
    except (KeyError, TypeError) as error:
        raise InputError(
            "transform",
            got=f"a description without {error}",
            expected="the output of Chain.config()",
        ) from None


def _described(column: Mapping[str, Any]) -> ColumnTransform:
    arguments = dict(column)
    return _KINDS[arguments.pop("kind")](**arguments)


def _kind(column: ColumnTransform) -> str:
    return next(name for name, kind in _KINDS.items() if isinstance(column, kind))


def _column(feature: Feature, x: Array) -> ColumnTransform:
    name = _automatic(feature) if feature.transform == "auto" else feature.transform
    if name == "log":
        return _log(feature, x)
    return _KINDS[name](feature.low, feature.high)


def _automatic(feature: Feature) -> str:
    if feature.kind == "discrete":
        return "identity"
    return ("identity", "log", "probit")[feature.bounds]


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
    if matrix.ndim != 2 or matrix.shape[1] != d:
        raise InputError("values", got=f"shape {matrix.shape}", expected=f"shape (n, {d})")
    return matrix
