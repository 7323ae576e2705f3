"""Generators that fail in known ways on the ring of eight, and what metrics say of their samples.

They stand in, in two dimensions, for the failures of image generators: discs for modes, a disc's
sharp edge for sharpness, the number of discs for structure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

import verisimile as vs
from verisimile.checks.amplification import memorisation
from verisimile.checks.support import inception_score
from verisimile.checks.support.study import Balls, evaluate
from verisimile.checks.twosample.statistics.frechet import frechet_distance
from verisimile.checks.twosample.statistics.kernel_distance import kernel_distance
from verisimile.core.arrays import Array
from verisimile.core.canonical import JSON
from verisimile.core.records import Payload, Record
from verisimile.core.tasks import Task
from verisimile.data.truths import RingOfEight

RING = RingOfEight()
NEIGHBOURS = 5
_SIDE = 6.5  # half of the square of noise and artefacts
_BLUR = 0.3
_JITTER = 0.02
_ARTEFACTS = 0.05
_RELABELINGS = 199
_NULL, _TESTED = "null", "tested"

Generator = Callable[[int, np.random.Generator, Array], Array]


@dataclass(frozen=True)
class Metric:
    """A number of a sample, and which way is worse: up (+1) or down (-1)."""

    name: str
    worse: int


METRICS = (
    Metric("IS", -1),
    Metric("FID", 1),
    Metric("KID", 1),
    Metric("precision", -1),
    Metric("recall", -1),
    Metric("F1", -1),
    Metric("density", -1),
    Metric("coverage", -1),
    Metric("energy", 1),
)


def _perfect(n: int, rng: np.random.Generator, _training: Array) -> Array:
    return RING.sample(n, rng)


def _discs(x: Array) -> Array:
    gaps = x[:, None] - RING.centres
    return np.asarray(np.square(gaps).sum(axis=2).argmin(axis=1))


def _of_discs(n: int, rng: np.random.Generator, chance: Array) -> Array:
    """Return draws whose disc is kept with the chance of it."""
    x = RING.sample(20 * n, rng)
    return np.asarray(x[rng.random(len(x)) < chance[_discs(x)]][:n])


def _every_other(n: int, rng: np.random.Generator, _training: Array) -> Array:
    return _of_discs(n, rng, np.array([1.0, 0.0] * 4))


def _adjacent(n: int, rng: np.random.Generator, _training: Array) -> Array:
    return _of_discs(n, rng, np.repeat([1.0, 0.0], 4))


def _proportions(n: int, rng: np.random.Generator, _training: Array) -> Array:
    return _of_discs(n, rng, np.array([1.0, 0.5] * 4))


def _repeated(n: int, rng: np.random.Generator, _training: Array) -> Array:
    return RING.centres[rng.integers(8, size=n)] + rng.normal(0.0, _JITTER, size=(n, 2))


def _memorised(n: int, rng: np.random.Generator, training: Array) -> Array:
    return rng.permutation(training)[:n]


def _jittered(n: int, rng: np.random.Generator, training: Array) -> Array:
    return _memorised(n, rng, training) + rng.normal(0.0, _JITTER, size=(n, 2))


def _blurred(n: int, rng: np.random.Generator, _training: Array) -> Array:
    return RING.sample(n, rng) + rng.normal(0.0, _BLUR, size=(n, 2))


def _artefacts(n: int, rng: np.random.Generator, _training: Array) -> Array:
    x = RING.sample(n, rng)
    wrong = rng.random(n) < _ARTEFACTS
    x[wrong] = rng.uniform(-_SIDE, _SIDE, size=(int(wrong.sum()), 2))
    return x


def _structure(n: int, rng: np.random.Generator, _training: Array) -> Array:
    """Return nine discs in the place of eight: parts that are right, of the wrong number."""
    x = RING.sample(n, rng)
    which = rng.integers(9, size=n)
    angles = 2.0 * np.pi * which / 9
    centres = 5.0 * np.column_stack([np.cos(angles), np.sin(angles)])
    return np.asarray(x - RING.centres[_discs(x)] + centres)


def _moments(n: int, rng: np.random.Generator, _training: Array) -> Array:
    return rng.normal(0.0, np.sqrt(12.5 + _variance()), size=(n, 2))


def _variance() -> float:
    """Return the variance of a coordinate about the centre of its disc."""
    s = float(RING.variances[0])
    kept = -np.expm1(-4.5 * s)
    return float(s * (1.0 - 4.5 * s * np.exp(-4.5 * s) / kept))


def _noise(n: int, rng: np.random.Generator, _training: Array) -> Array:
    return rng.uniform(-_SIDE, _SIDE, size=(n, 2))


FAILURES: dict[str, Generator] = {
    "perfect": _perfect,
    "every other mode": _every_other,
    "four adjacent modes": _adjacent,
    "modes 2 : 1": _proportions,
    "one event a mode": _repeated,
    "memorised": _memorised,
    "memorised, jittered": _jittered,
    "blurred": _blurred,
    "5 % artefacts": _artefacts,
    "nine modes": _structure,
    "same moments": _moments,
    "uniform noise": _noise,
}


@dataclass(frozen=True)
class Measured:
    """Metrics ``(R, K)`` of R pairs of samples, and p-values of memorisation ``(R,)``."""

    values: Array
    memorised: Array


def measured(run: vs.Run, name: str, n: int, pairs: int, *, null: bool = False) -> Measured:
    """Return the metrics of so many independent pairs of samples of n events."""
    kind = _NULL if null else _TESTED
    at = run.at("failure", name, kind)
    config: dict[str, JSON] = {"name": name, "n": n, "pairs": pairs, "kind": kind}
    task = Task(f"{kind}/{list(FAILURES).index(name):02d}", config, at.seeds, (*config.values(),))
    (record,) = run.map(_pairs, [task], label="failures")
    assert isinstance(record, Record)
    return Measured(record.arrays["values"], record.arrays["memorised"])


def _pairs(seeds: vs.Seeds, name: str, n: int, pairs: int, kind: str) -> Payload:
    values, alarms = np.empty((pairs, len(METRICS))), np.full(pairs, np.nan)
    for i in range(pairs):
        at = seeds.at(i)
        truth, training, holdout = (
            RING.sample(n, at.at(word).numpy()) for word in ("truth", "training", "holdout")
        )
        x = FAILURES[name](n, at.at("generated").numpy(), training)
        values[i] = _metrics(at, truth, x)
        if kind == _TESTED:
            found = memorisation(vs.Run(at), x, holdout, training, permutations=_RELABELINGS)
            alarms[i] = found.p_value.value
    return Payload({"values": values, "memorised": alarms}, {})


def _metrics(at: vs.Seeds, truth: Array, x: Array) -> Array:
    # Distances compare moments: of coordinates in units of the truth's own spread.
    centre, scale = truth.mean(axis=0), truth.std(axis=0)
    one, other = (truth - centre) / scale, (x - centre) / scale
    rng = at.at("halves").numpy()
    precision, recall, density, coverage, f_1 = evaluate(
        Balls.of(truth, NEIGHBOURS), Balls.of(x, NEIGHBOURS), beta=1.0
    )
    energy = vs.two_sample(vs.Run(at), truth, x, permutations=1).observed
    return np.array(
        [
            inception_score(classes(x), rng).whole,
            frechet_distance(one, other, rng).plain,
            kernel_distance(one, other, rng).value,
            precision,
            recall,
            f_1,
            density,
            coverage,
            energy,
        ]
    )


def classes(x: Array) -> Array:
    """Return the probability of each disc, as a classifier of the truth's parts would."""
    distances = np.square(x[:, None] - RING.centres).sum(axis=2)
    return np.asarray(softmax(-0.5 * distances / RING.variances, axis=1))
