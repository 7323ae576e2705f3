r"""A surrogate looked at every night: evidence that may be read at any time.

If reference and generated events are of one law, a pair (x, y) of them is as likely the other way
round, and for any function r that earlier nights have chosen

.. math:: E = \prod_i \frac{2}{1 + e^{-\lambda (r(x_i) - r(y_i))}}, \qquad \langle E \rangle = 1 .

r is the linear estimate of the log density ratio from the nights before, kept as sums of functions
of the events.  A stretch of nights multiplies; stretches that begin at any night s are averaged
with weights 1 / (s (s + 1)), so that a drift that begins late is not paid for with all the quiet
nights before:

.. math:: e_t = \sum_{s \le t} \pi_s \prod_{u=s}^{t} E_u + \sum_{s > t} \pi_s, \qquad
          P\big(\sup_t e_t \ge 1/\alpha\big) \le \alpha .

References
----------
J. Ville, Etude critique de la notion de collectif (1939); S. Shekhar, A. Ramdas, IEEE Trans. Inf.
Theory 70 (2024) 1178 (two samples by betting); A. Podkopaev, A. Ramdas, NeurIPS 2023 (predictive
two-sample tests); A. Ramdas et al., Stat. Sci. 38 (2023) 576.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy
from scipy.special import logsumexp, ndtri

from verisimile.core.arrays import Array, digest, frozen
from verisimile.core.canonical import JSON
from verisimile.core.durable import read_bytes, write_atomic
from verisimile.core.errors import InputError, StoreError, require
from verisimile.core.random import Seeds
from verisimile.core.result import (
    Result,
    decode,
    encode,
    from_dict,
    inline,
    register,
    to_dict,
)
from verisimile.data.events import Events, match_features
from verisimile.data.feature import Feature
from verisimile.data.inputs import EventsLike
from verisimile.data.row_hashes import RowHashes, row_hashes
from verisimile.samples.columns import comparable
from verisimile.samples.coordinates import circles, in_turns, periodic
from verisimile.stats.linalg import solve_spd
from verisimile.stats.pvalues import PValue

_KNOTS = 201
_EDGE = 2e-3  # probability beyond which a normal score does not grow
_CENTRES = np.arange(-2.5, 2.6, 0.5)
_SHRINK = np.array([1.0, 0.5, 0.25])
_HALF_LIVES = np.array([math.inf, 50.0, 8.0])  # nights after which a night counts half
_SPREAD = 0.05  # prior standard deviation of a coefficient of the log ratio
_FEWEST = 50
_CHANCE = 5.0  # standard deviations of the number of rows that come again by chance
_MINIMA = 256  # smallest hashes of a night's rows, by which events that come again are seen
_FORMAT = 1


@register("monitored-night", 1)
@dataclass(frozen=True, slots=True)
class Night(Result):
    """One look.

    Attributes
    ----------
    pairs
        Pairs of events that were compared.
    log_e
        Logarithm of the evidence of all nights so far, at its end.
    gained
        What this night added to it.
    """

    pairs: int
    log_e: float
    gained: float


@register("monitored", 1)
@dataclass(frozen=True, slots=True, eq=False)
class Monitored(Result):
    r"""What all nights say together, at any time.

    Attributes
    ----------
    nights
        All looks.
    level
        alpha of the alarm.
    p_value
        :math:`\min(1, 1 / \max_t e_t)`, valid at any time and for any number of looks.
    moved
        Features by how far their mean has moved over the nights (generated less reference, the last
        ones counting most), in standard errors.
    """

    nights: tuple[Night, ...]
    level: float
    p_value: PValue
    moved: dict[str, float]
    listed: ClassVar[tuple[str, ...]] = ("nights",)

    @property
    def alarm(self) -> bool:
        """Whether the evidence has ever been enough."""
        return self.p_value.value <= self.level

    @property
    def log_e(self) -> Array:
        """Logarithm of the evidence after each night ``(T,)``."""
        return np.array([night.log_e for night in self.nights])

    def __repr__(self) -> str:
        """Return one line."""
        return (
            f"Monitored({len(self.nights)} nights, anytime p={self.p_value.value:.3g}, "
            f"{'alarm' if self.alarm else 'no alarm'})"
        )


@dataclass(frozen=True, slots=True, eq=False)
class MonitorState:
    """Everything that is kept between two nights.

    Attributes
    ----------
    features
        Of the events.
    knots
        Quantiles of the first night's reference events ``(d, K)``.
    counts, products, sums, differences
        Of the functions of all events so far, for each half-life ``(H,)``, ``(H, P, P)``,
        ``(H, P)``, ``(H, P)``: number of pairs, sums of products, sums, reference less generated.
    log_wealth
        Of each half-life and shrinkage ``(H, L)``.
    seen
        Smallest row hashes of the samples of each night ``(2 T, 256)``.
    last
        Digest of the last night's events.
    nights, level, seed
        As of :class:`Monitored`; and of the pairing.
    """

    features: tuple[Feature, ...]
    knots: Array
    counts: Array
    products: Array
    sums: Array
    differences: Array
    log_wealth: Array
    seen: tuple[RowHashes, ...]
    last: str
    nights: tuple[Night, ...]
    level: float
    seed: int

    @property
    def result(self) -> Monitored:
        """What a reader is told."""
        best = max((night.log_e for night in self.nights), default=0.0)
        p_value = PValue.exact(math.exp(-max(0.0, best)), "at any time")
        return Monitored(self.nights, self.level, p_value, self._moved())

    def _moved(self) -> dict[str, float]:
        first = len(self.features) * _CENTRES.size
        own = slice(first, first + len(self.features))
        shortest = int(np.argmin(_HALF_LIVES))
        n = self.counts[shortest]
        mean = self.sums[shortest, own] / (2.0 * n)
        spread = np.diag(self.products[shortest])[own] / (2.0 * n) - mean**2
        z = -self.differences[shortest, own] / np.sqrt(2.0 * n * np.maximum(spread, 1e-12))
        return {spec.name: float(v) for spec, v in zip(self.features, z, strict=True)}


def monitor(
    state: str | Path,
    reference: EventsLike,
    generated: EventsLike,
    *,
    level: float = 0.05,
    seed: int = 1,
) -> Monitored:
    r"""Look at one night's events, add what they say to the evidence, and keep it in a file.

    The first night only learns what the events look like.  Each later one is judged by what the
    nights before have learnt, and then learnt from.  Surplus events of the larger sample are left
    out.  The file is replaced as a whole when the night is done: a process that is killed leaves
    that of the night before.

    Parameters
    ----------
    state
        File of the evidence; it is made by the first night.
    reference, generated
        New events of this night, independent of one another and of all earlier ones, without
        weights and groups.  Features are matched by name.
    level, seed
        alpha, and the root of the streams that pair events; those of the first night are kept.

    Raises
    ------
    InputError
        For events with weights or groups, fewer than 50, other features than the first night's,
        events of an earlier night, or another level than the first night's.
    StoreError
        For a file that is no state, or of another version.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for night in range(8):
    ...         x = rng.normal(size=(400, 2)), rng.normal(0.3, 1.0, (400, 2))
    ...         found = monitor(f"{folder}/surrogate.state", *x)
    >>> found.alarm
    True
    """
    path = Path(state)
    after = look(read_state(path), reference, generated, level=level, seed=seed)
    write_state(path, after)
    return after.result


def look(
    before: MonitorState | None,
    reference: EventsLike,
    generated: EventsLike,
    *,
    level: float,
    seed: int,
) -> MonitorState:
    """Return the state after one more night; None before the first.

    As :func:`monitor`, which keeps it in a file.
    """
    require(0.0 < level < 1.0, "level", got=level, expected="a number between 0 and 1")
    first, second = comparable(reference=reference, generated=generated)
    second = match_features(second, first.features)
    for name, events in (("reference", first), ("generated", second)):
        _check_events(name, events)
    if before is None:
        return _first(first, second, level, seed)
    require(
        before.level == level,
        "level",
        got=level,
        expected=f"{before.level}, that of the first night",
        remedy="A level that is chosen after looks have been taken is none; start a new state.",
    )
    return _next(before, first, second)


def _check_events(name: str, events: Events) -> None:
    what = "weights" if events.weights is not None else "groups" if events.group is not None else ""
    if what:
        raise InputError(
            name,
            got=f"events with {what}",
            expected="events that may change sides one by one",
            remedy="Unweight them, or take one event of each group.",
        )
    require(
        events.n >= _FEWEST,
        name,
        got=f"{events.n} events",
        expected=f"{_FEWEST} or more in a night",
    )


def _first(reference: Events, generated: Events, level: float, seed: int) -> MonitorState:
    columns = _columns(reference)
    knots = np.quantile(columns, np.linspace(0.0, 1.0, _KNOTS), axis=0).T
    size, kinds = _functions(columns[:1], knots).shape[1], _HALF_LIVES.size
    bare = MonitorState(
        features=reference.features,
        knots=frozen(knots),
        counts=np.zeros(kinds),
        products=np.zeros((kinds, size, size)),
        sums=np.zeros((kinds, size)),
        differences=np.zeros((kinds, size)),
        log_wealth=np.full((kinds, _SHRINK.size), -np.inf),
        seen=(),
        last="",
        nights=(),
        level=level,
        seed=seed,
    )
    x, y = _paired(bare, reference, generated)
    return _learnt(bare, x, y, Night(len(x), 0.0, 0.0), reference, generated)


def _next(state: MonitorState, reference: Events, generated: Events) -> MonitorState:
    require(
        reference.names == tuple(spec.name for spec in state.features),
        "reference",
        got=f"features {', '.join(reference.names)}",
        expected=f"those of the first night: {', '.join(s.name for s in state.features)}",
        remedy="Give the same columns every night, or start a new state.",
    )
    if _digest(reference, generated) == state.last:
        return state
    _check_new(state, reference, generated)
    x, y = _paired(state, reference, generated)
    wealth = _wealth(state, x, y)
    started = 1.0 - 1.0 / (len(state.nights) + 1.0)  # of the weights of all beginnings
    average = logsumexp(wealth) - math.log(wealth.size)
    log_e = float(np.logaddexp(average, math.log1p(-started)))
    before = state.nights[-1].log_e
    night = Night(len(x), log_e, log_e - before)
    return _learnt(replace(state, log_wealth=wealth), x, y, night, reference, generated)


def _wealth(state: MonitorState, x: Array, y: Array) -> Array:
    """Return the logarithm of the weighted products over all stretches, with this night's."""
    t = len(state.nights)
    fresh = -math.log(t * (t + 1.0))  # weight of the stretch that begins tonight
    out = np.empty_like(state.log_wealth)
    for h, (n, products, sums, apart) in enumerate(
        zip(state.counts, state.products, state.sums, state.differences, strict=True)
    ):
        mean = sums / (2.0 * n)
        covariance = products / (2.0 * n) - np.outer(mean, mean)
        ridge = np.eye(mean.size) * (2.0 / (n * _SPREAD**2))
        slopes = solve_spd(covariance + ridge, apart / n)
        towards = (x - y) @ slopes
        for k, shrink in enumerate(_SHRINK):
            gained = float((math.log(2.0) - np.logaddexp(0.0, -shrink * towards)).sum())
            out[h, k] = np.logaddexp(state.log_wealth[h, k], fresh) + gained
    return out


def _learnt(
    state: MonitorState, x: Array, y: Array, night: Night, reference: Events, generated: Events
) -> MonitorState:
    kept = 0.5 ** (1.0 / _HALF_LIVES)
    both, apart = x.sum(axis=0) + y.sum(axis=0), x.sum(axis=0) - y.sum(axis=0)
    gram = x.T @ x + y.T @ y
    return replace(
        state,
        counts=state.counts * kept + len(x),
        products=state.products * kept[:, None, None] + gram,
        sums=state.sums * kept[:, None] + both,
        differences=state.differences * kept[:, None] + apart,
        seen=(*state.seen, _minima(reference), _minima(generated)),
        last=_digest(reference, generated),
        nights=(*state.nights, night),
    )


def _paired(state: MonitorState, reference: Events, generated: Events) -> tuple[Array, Array]:
    """Return functions of as many events of either sample, in random order."""
    seeds = Seeds(state.seed).at("night", len(state.nights))
    n = min(reference.n, generated.n)
    rows = [
        seeds.at(side).numpy().permutation(events.n)[:n]
        for side, events in (("reference", reference), ("generated", generated))
    ]
    x, y = (
        _functions(_columns(events)[order], state.knots)
        for events, order in zip((reference, generated), rows, strict=True)
    )
    return x, y


def _columns(events: Events) -> Array:
    """Return the events with periodic features on circles ``(n, d')``."""
    around = periodic(events.features)
    return circles(in_turns(events.x, events.features), around).x if around.any() else events.x


def _functions(x: Array, knots: Array) -> Array:
    """Return bumps, normal scores, their squares and products, of events ``(n, d)``."""
    shares = np.linspace(0.0, 1.0, _KNOTS)
    u = np.stack(
        [
            ndtri(np.clip(np.interp(column, own, shares), _EDGE, 1.0 - _EDGE))
            for column, own in zip(x.T, knots, strict=True)
        ],
        axis=1,
    )
    width = _CENTRES[1] - _CENTRES[0]
    bumps = np.exp(-0.5 * ((u[:, :, None] - _CENTRES) / width) ** 2).reshape(len(x), -1)
    i, j = np.tril_indices(u.shape[1])
    return np.hstack([bumps, u, u[:, i] * u[:, j]])


def _minima(events: Events) -> RowHashes:
    return np.unique(row_hashes(events.x))[:_MINIMA]


def _digest(reference: Events, generated: Events) -> str:
    return f"{digest(reference.x)} {digest(generated.x)}"


def _check_new(state: MonitorState, reference: Events, generated: Events) -> None:
    """Refuse events that an earlier night has looked at: by the smallest of their hashes.

    Of discrete features some rows come again by chance: about as many of these as there are rows
    that come more than once tonight.
    """
    everything = np.concatenate(state.seen)
    for name, events in (("reference", reference), ("generated", generated)):
        mine, counts = np.unique(row_hashes(events.x), return_counts=True)
        mine, counts = mine[:_MINIMA], counts[:_MINIMA]
        chance = min(int(counts[counts > 1].sum()), mine.size)
        most = 1 + chance + _CHANCE * math.sqrt(chance)
        places = np.minimum(np.searchsorted(mine, everything), mine.size - 1)
        if (mine[places] == everything).sum() <= most:
            continue
        for k, seen in enumerate(state.seen):
            shared = int(np.isin(mine, seen).sum())
            if shared > most:
                raise InputError(
                    name,
                    got=f"events of night {k // 2 + 1} again ({shared} of {mine.size} looked at)",
                    expected="new events every night",
                    remedy="Evidence multiplies over independent events only: simulate new ones.",
                )


def read_state(path: Path) -> MonitorState | None:
    """Return the state in a file, None if there is none.

    Raises
    ------
    StoreError
        If it is no state, or of another version.
    """
    data = read_bytes(path)
    if data is None:
        return None
    try:
        arrays = safetensors.numpy.load(data)
        with safetensors.safe_open(str(path), framework="numpy") as opened:
            said = json.loads((opened.metadata() or {})["monitor"])
        if said["format"] != _FORMAT:
            raise KeyError(said["format"])
        result = cast(Monitored, from_dict(said["result"]))
        features = decode(said["features"], tuple[Feature, ...], "features", _no_array)
        seen = tuple(np.split(arrays["seen"], np.cumsum(arrays["seen_sizes"])[:-1]))
        return MonitorState(
            features=features,
            seen=seen,
            last=str(said["last"]),
            nights=result.nights,
            level=result.level,
            seed=int(said["seed"]),
            **{name: arrays[name] for name in _ARRAYS},
        )
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(
            str(path),
            got=f"no state of a monitor ({type(error).__name__}: {error})",
            expected=f"a file of `verisimile validate --monitor`, format {_FORMAT}",
            remedy="Give another name; the first night makes the file.",
        ) from error


def _no_array(key: str) -> npt.NDArray[Any]:
    raise KeyError(key)


_ARRAYS = ("knots", "counts", "products", "sums", "differences", "log_wealth")


def write_state(path: Path, state: MonitorState) -> None:
    """Replace the file of a state as a whole."""
    said: dict[str, JSON] = {
        "format": _FORMAT,
        "seed": state.seed,
        "last": state.last,
        "features": [encode(spec, "features", inline) for spec in state.features],
        "result": to_dict(state.result),
    }
    arrays = {name: np.ascontiguousarray(getattr(state, name)) for name in _ARRAYS}
    arrays["seen"] = np.concatenate(state.seen)
    arrays["seen_sizes"] = np.array([hashes.size for hashes in state.seen])
    data = safetensors.numpy.save(arrays, metadata={"monitor": json.dumps(said)})
    write_atomic(path, data)
