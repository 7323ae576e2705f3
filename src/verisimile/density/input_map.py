"""From features in their units to the flow's coordinates: support, scale, normal scores."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import erfcx, log_ndtr, ndtr, ndtri, ndtri_exp

from verisimile.core.arrays import Array, BoolArray, frozen
from verisimile.core.errors import NumericsError
from verisimile.core.native import library, pointer
from verisimile.core.records import Payload
from verisimile.data.events import Events
from verisimile.data.transforms import Chain, Probit, feature_transform, from_config

if TYPE_CHECKING:
    from verisimile.density.flows import rational_quadratic as rq

_ROUNDS = 100

IndexArray = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class InputMap:
    """The fixed first step of a flow, fitted on its training events.

    Bounded features are unfolded and standardised (`data.transforms`), then
    each is Gaussianised through its quantiles.  In a bootstrap ensemble each
    replica fits its own map, so that the ensemble's spread contains the
    statistical error of the quantiles too.
    """

    chain: Chain
    scores: Gaussianisation

    @classmethod
    def fit(cls, events: Events, most_bins: int) -> InputMap:
        """Return the map of these events, with at most `most_bins` bins per feature."""
        chain = feature_transform(events)
        values, _ = chain.forward(events.x)
        scores = Gaussianisation.fit(
            values,
            events.weights,
            most_bins=most_bins,
            exponential=[not isinstance(column, Probit) for column in chain.columns],
        )
        return cls(chain, scores)

    @classmethod
    def restored(cls, spec: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> InputMap:
        """Return the map that `payload` described, among other things."""
        stored = [np.asarray(arrays[key]) for key in sorted(arrays) if key.startswith("scores.")]
        return cls(from_config(spec["input_map"]), Gaussianisation.of(stored))

    def payload(self) -> Payload:
        """Return the knots of the scores, and the features' transforms as ``input_map``."""
        arrays = {f"scores.{number:05d}": a for number, a in enumerate(self.scores.arrays)}
        return Payload(arrays, {"input_map": self.chain.config()})

    def inside(self, x: Array) -> BoolArray:
        """Return which rows lie in the support ``(n,)``."""
        return self.chain.inside(x)

    def forward(self, x: Array) -> tuple[Array, Array]:
        """Return coordinates ``(n, d)`` of rows in the support, and ``log |J|`` ``(n,)``."""
        values, outer = self.chain.forward(x)
        scores, inner = self.scores.forward(values)
        return scores, outer + inner

    def rows(self, events: Events) -> tuple[Array, Array]:
        """Return what a flow is trained on: coordinates ``(n, d)`` and ``log |J|`` ``(n,)``."""
        return self.forward(events.x)

    @property
    def features(self) -> InputMap:
        """The map of x, which this is: there is no context."""
        return self

    def scores_of(self, context: Array) -> Array:
        """Return the coordinates of no context at all ``(n, 0)``, which they are."""
        return context

    def inverse(self, z: Array) -> Array:
        """Return the features ``(n, d)`` of given coordinates."""
        return self.chain.inverse(self.scores.inverse(z))

    def log_density(self, x: Array, log_q: Callable[[Array, BoolArray], Array]) -> Array:
        r"""Return :math:`\log q(z(x)) + \log |\det z'(x)|`, ``(n,)``; −inf outside the support.

        `log_q` is given the coordinates of the rows inside, and which rows these are.
        """
        inside = self.inside(x)
        out = np.full(len(x), -np.inf)
        if inside.any():
            z, log_jacobian = self.forward(x[inside])
            # Overflow far outside is an honest minus infinity.
            with np.errstate(over="ignore", under="ignore"):
                out[inside] = log_q(z, inside) + log_jacobian
        return out

    def draws_inside(self, x: Array, redraw: Callable[[IndexArray], Array], name: str) -> Array:
        """Return draws `x` with those outside the support, NaN among them, drawn again.

        Raises
        ------
        NumericsError
            If the model keeps giving events that are.
        """
        failed = np.flatnonzero(~self.inside(x))
        for _ in range(_ROUNDS):
            if not failed.size:
                return x
            x[failed] = redraw(failed)
            failed = failed[~self.inside(x[failed])]
        raise NumericsError(
            f"{name}.sample",
            got=f"{failed.size} of {len(x)} events outside the support in {_ROUNDS} rounds",
            expected="events inside the support",
            remedy="Let the transform of bounded features be 'auto', and train again.",
        )


_EVENTS_PER_BIN = 1000.0  # keeps the statistical error of a bin's density near 3 %
_FEWEST_BINS = 8
_TAIL_EVENTS = 20.0  # beyond each outer knot
_RESOLVED = 1e-9  # smallest gap of two knots in units of their range
_HUGE = 1e18  # scores are cut there: their squares still fit into float32
_ENDS = ((0, -1.0), (-1, 1.0))


@dataclass(frozen=True, slots=True, eq=False)
class ScoreSpline:
    """The map of one feature: a spline between knots, exponential tails beyond them.

    `knots` ``(3, K + 1)`` holds abscissae, ordinates and slopes; `rates` ``(2,)``
    the rates of the exponential tails below and above, zero for a tangent.
    """

    knots: Array
    rates: Array

    def forward(self, values: Array) -> tuple[Array, Array]:
        """Return scores and log-slopes, both ``(n,)``."""
        score, log_slope = self._scores(values)
        for end, sign in _ENDS:
            rows = sign * (values - self.knots[0, end]) > 0.0
            if self.rates[end] > 0.0 and rows.any():
                excess = sign * (values[rows] - self.knots[0, end])
                tail, log_slope[rows] = score_of(excess, self.rates[end], self._share(end))
                score[rows] = sign * tail
        return score, log_slope

    def inverse(self, scores: Array) -> Array:
        """Return the values ``(n,)`` of given scores."""
        values = self._values(scores)
        for end, sign in _ENDS:
            rows = sign * (scores - self.knots[1, end]) > 0.0
            if self.rates[end] > 0.0 and rows.any():
                excess = excess_of(sign * scores[rows], self.rates[end], self._share(end))
                values[rows] = self.knots[0, end] + sign * excess
        return values

    def _scores(self, values: Array) -> tuple[Array, Array]:
        compiled = library()
        if compiled is None:
            return _torch_scores(self.knots, values)
        score, log_slope = np.empty(len(values)), np.empty(len(values))
        compiled.vs_knots_evaluate(*self._given(values), pointer(score), pointer(log_slope))
        return score, log_slope

    def _values(self, scores: Array) -> Array:
        compiled = library()
        if compiled is None:
            return _torch_values(self.knots, scores)
        values = np.empty(len(scores))
        compiled.vs_knots_invert(*self._given(scores), pointer(values))
        return values

    def _given(self, values: Array) -> tuple[ctypes.c_void_p | ctypes.c_int64, ...]:
        bins, n = self.knots.shape[1] - 1, len(values)
        sizes = [ctypes.c_int64(size) for size in (bins, n)]
        return pointer(self.knots), sizes[0], pointer(values), sizes[1]

    def _share(self, end: int) -> float:
        return float(ndtr(-abs(self.knots[1, end])))


# Without compiled code, torch does it; where there is some, tests need not wait for its import.


def _torch_scores(knots: Array, values: Array) -> tuple[Array, Array]:
    import torch  # noqa: PLC0415

    from verisimile.density.flows import rational_quadratic as rq  # noqa: PLC0415

    score, log_slope = rq.evaluate(torch.from_numpy(values), _bins(knots, values, 0))
    return score.numpy(), log_slope.numpy()


def _torch_values(knots: Array, scores: Array) -> Array:
    import torch  # noqa: PLC0415

    from verisimile.density.flows import rational_quadratic as rq  # noqa: PLC0415

    values: Array = rq.invert(torch.from_numpy(scores), _bins(knots, scores, 1)).numpy()
    return values


def _bins(knots: Array, values: Array, axis: int) -> rq.Bins:
    import torch  # noqa: PLC0415

    from verisimile.density.flows import rational_quadratic as rq  # noqa: PLC0415

    index = np.searchsorted(knots[axis, 1:-1], values, side="right")
    x, y, slope = (torch.from_numpy(part) for part in knots[:, index])
    right, top, high_slope = (torch.from_numpy(part) for part in knots[:, index + 1])
    return rq.Bins(x, right - x, y, top - y, slope, high_slope)


@dataclass(frozen=True, slots=True, eq=False)
class Gaussianisation:
    """One map for each of d features; no columns at all: the identity."""

    columns: tuple[ScoreSpline, ...]

    @classmethod
    def fit(
        cls, values: Array, weights: Array | None, *, most_bins: int, exponential: Sequence[bool]
    ) -> Gaussianisation:
        """Return the map that makes each column of `values` ``(n, d)`` standard normal.

        The `weights` ``(n,)`` are not negative; small samples get fewer bins than `most_bins`,
        and none, the identity, if it is zero.  The tails of an `exponential` feature are
        continued as exponentials (right for power laws in a logarithm, safe for unknown
        tails), those of another by their tangents (right for an edge seen through the probit).
        """
        if most_bins == 0:
            return cls(())
        return cls(
            tuple(
                _fit(column, weights, most_bins, tails)
                for column, tails in zip(values.T, exponential, strict=True)
            )
        )

    @classmethod
    def of(cls, arrays: Sequence[Array]) -> Gaussianisation:
        """Return the map whose `arrays` are given."""
        parts = [frozen(values) for values in arrays]
        columns = zip(parts[0::2], parts[1::2], strict=True)
        return cls(tuple(ScoreSpline(knots, rates) for knots, rates in columns))

    @property
    def arrays(self) -> list[Array]:
        """Knots and tail rates of the first feature, of the second, ..."""
        return [part for column in self.columns for part in (column.knots, column.rates)]

    def forward(self, values: Array) -> tuple[Array, Array]:
        """Return scores ``(n, d)``, cut at 1e18, and the log-Jacobian ``(n,)``."""
        scores, total = values.copy(), np.zeros(len(values))
        for j, column in enumerate(self.columns):
            # A copy: torch warns of read-only memory, which a single column would share.
            scores[:, j], log_slope = column.forward(np.array(values[:, j]))
            total += log_slope
        return np.clip(scores, -_HUGE, _HUGE), total

    def inverse(self, scores: Array) -> Array:
        """Return the values ``(n, d)`` of given scores."""
        values = scores.copy()
        for j, column in enumerate(self.columns):
            values[:, j] = column.inverse(np.array(scores[:, j]))
        return values


def _fit(column: Array, weights: Array | None, most_bins: int, exponential: bool) -> ScoreSpline:  # noqa: FBT001
    n = float(len(column)) if weights is None else float(weights.sum() ** 2 / (weights**2).sum())
    bins = int(np.clip(n / _EVENTS_PER_BIN, min(_FEWEST_BINS, most_bins), most_bins))
    edge = -float(ndtri(min(max(_TAIL_EVENTS / n, 1e-4), 0.1)))
    scores = np.linspace(-edge, edge, bins + 1)
    method: Literal["hazen", "inverted_cdf"] = "hazen" if weights is None else "inverted_cdf"
    quantiles = np.asarray(np.quantile(column, ndtr(scores), weights=weights, method=method))
    kept = _distinct(quantiles)
    if len(kept) < 2:
        return ScoreSpline(frozen([[0.0, 1.0], [0.0, 1.0], [1.0, 1.0]]), frozen([0.0, 0.0]))
    x, y = quantiles[kept], scores[kept]
    slope, rates = _slopes(x, y), np.zeros(2)
    for end, sign in _ENDS:
        rates[end] = _rate(sign * (column - x[end]), weights) if exponential else 0.0
        if rates[end] > 0.0:
            slope[end] = slope_at(sign * y[end], rates[end])
    return ScoreSpline(frozen([x, y, slope]), frozen(rates))


def _distinct(quantiles: Array) -> list[int]:
    """Return the numbers of knots that lie apart: ties make quantiles coincide."""
    gap = _RESOLVED * float(quantiles[-1] - quantiles[0])
    kept = [0]
    for k in range(1, len(quantiles)):
        if quantiles[k] - quantiles[kept[-1]] > gap:
            kept.append(k)
    return kept


def _rate(excess: Array, weights: Array | None) -> float:
    """Return one over the mean positive excess, the likeliest rate; zero if there is none."""
    rows = excess > 0.0
    total = float(rows.sum() if weights is None else weights[rows].sum())
    if total == 0.0:
        return 0.0
    mean = float(np.average(excess[rows], weights=None if weights is None else weights[rows]))
    return 1.0 / mean if np.isfinite(1.0 / mean) else 0.0


def _slopes(x: Array, y: Array) -> Array:
    """Return the weighted harmonic means of neighbouring secants, the secants at the ends."""
    width = np.diff(x)
    secant = np.diff(y) / width
    left, right = width[:-1] + 2 * width[1:], 2 * width[:-1] + width[1:]
    inner = (left + right) / (right / secant[:-1] + left / secant[1:])
    return np.concatenate([secant[:1], inner, secant[-1:]])


_SQRT_HALF = math.sqrt(0.5)
_SQRT_HALF_PI = math.sqrt(0.5 * math.pi)


def score_of(excess: Array, rate: float, share: float) -> tuple[Array, Array]:
    r"""Return :math:`z` and :math:`\log dz/dy` at the distances `excess` beyond the knot."""
    with np.errstate(over="ignore"):
        log_share = np.clip(math.log(share) - rate * excess, -np.finfo(np.float64).max, None)
    score = -ndtri_exp(log_share)
    return score, math.log(rate) + np.log(_mills_ratio(score))


def excess_of(score: Array, rate: float, share: float) -> Array:
    """Return the distance beyond the knot of given scores."""
    return np.asarray((math.log(share) - log_ndtr(-score)) / rate)


def slope_at(score: float, rate: float) -> float:
    r"""Return :math:`dz/dy` at a given score, for a spline to join smoothly."""
    return rate * float(_mills_ratio(np.float64(score)))


def _mills_ratio(score: Array | np.float64) -> Array:
    """Return (1 − Φ(z)) / φ(z), without cancellation however large z is."""
    return np.asarray(_SQRT_HALF_PI * erfcx(_SQRT_HALF * score))
