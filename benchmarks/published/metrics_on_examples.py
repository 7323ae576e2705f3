"""Metrics of samples on the examples that a course teaches them with, and on its failure modes."""

from __future__ import annotations

import numpy as np
from scipy import stats

import verisimile as vs
from published import _metrics_page as page
from published._failures import FAILURES, METRICS, NEIGHBOURS, Measured, measured
from published.registry import Json, Size, Study
from verisimile.checks.known_truth import likelihood
from verisimile.checks.support import inception_score
from verisimile.checks.support.study import Balls, evaluate, expected_coverage
from verisimile.checks.twosample.statistics.frechet import frechet_distance, gaussian_frechet
from verisimile.checks.twosample.statistics.kernel_distance import kernel_distance
from verisimile.core.arrays import Array
from verisimile.data.truths import GaussianTruth
from verisimile.stats.intervals import clopper_pearson

LEVEL = 0.05
_WIDTH = 0.95
_MEMORY = 0.01

# The settings of the source's listings.
_TESTED = 1000
_MODELS = {"A": (0.0, 2.0), "B": (1.0, 0.1), "C": (-1.0, 0.1)}  # mean and variance of both columns
_CLASSES = 10
_SCENARIOS: dict[str, tuple[float, float]] = {  # mean of all columns, variance
    "good": (0.0, 1.0),
    "collapsed": (0.0, 0.3),
    "too diverse": (0.0, 3.0),
    "shifted": (5.0, 1.0),
}
_DIMENSIONS, _EVENTS, _K = 10, 200, 3


def measure(run: vs.Run, size: Size) -> Json:
    """Do the source's listings, then its failure modes, then what it says of FID."""
    full = size == "full"
    return {
        "likelihood": _likelihood(run.seeds.at("likelihood")),
        "noise": _mostly_noise(run.seeds.at("noise")),
        "inception": _inception(run.seeds.at("inception")),
        "balls": _balls(run.seeds.at("balls"), 1000 if full else 40),
        "bias": _bias(run.seeds.at("bias"), 400 if full else 30),
        "triangle": _triangle(),
        "failures": _failures(run, *((5000, 999, 200) if full else (500, 199, 30))),
    }


def _likelihood(seeds: vs.Seeds) -> Json:
    """Return log-likelihoods of the listing's three models, and where their samples lie."""
    truth = GaussianTruth((1.0, 1.0), (0.1**0.5,) * 2)
    x = truth.sample(_TESTED, seeds.at("tested").numpy())
    found = {}
    for name, (mean, variance) in _MODELS.items():
        model = GaussianTruth((mean,) * 2, (variance**0.5,) * 2)
        value = likelihood(model.log_prob(x), features=2)
        drawn = model.sample(_TESTED, seeds.at(name).numpy())
        away = np.linalg.norm(drawn - 1.0, axis=1)
        # Mean of log N(x; m, v) for x of variance 0.1 about 1, twice.
        exact = np.log(2 * np.pi * variance) + ((1.0 - mean) ** 2 + 0.1) / variance
        found[name] = {
            "log_likelihood": _pair(-value.nll.value, value.nll.error),
            "exact": -float(exact),
            "bits": _pair(value.bits_per_dimension.value, value.bits_per_dimension.error),
            "distance": _of_mean(away),
        }
    return found


def _mostly_noise(seeds: vs.Seeds) -> list[Json]:
    """Return what a model loses that draws noise in 99 of 100 events."""
    found = []
    for d in (2, 20, 200):
        truth = GaussianTruth((0.0,) * d, (1.0,) * d)
        noise = GaussianTruth((0.0,) * d, (10.0,) * d)
        x = truth.sample(_TESTED, seeds.at(d).numpy())
        own = truth.log_prob(x)
        mixed = np.logaddexp(np.log(0.01) + own, np.log(0.99) + noise.log_prob(x))
        loss = likelihood(mixed - own, features=d)
        found.append(
            {
                "features": d,
                "nats": _pair(loss.nll.value, loss.nll.error),
                "bits": _pair(loss.bits_per_dimension.value, loss.bits_per_dimension.error),
            }
        )
    return found


def _inception(seeds: vs.Seeds) -> Json:
    """Return the score of the listing's four tables of class probabilities."""
    rows = np.arange(_TESTED) % _CLASSES
    good = np.zeros((_TESTED, _CLASSES))
    good[np.arange(_TESTED), rows], good[np.arange(_TESTED), (rows + 1) % _CLASSES] = 0.9, 0.1
    collapsed = np.zeros_like(good)
    collapsed[:, 0], collapsed[:, 1] = 0.95, 0.05
    real = np.full_like(good, 0.05 / (_CLASSES - 1))
    real[np.arange(_TESTED), rows] = 0.95
    tables = {
        "confident, diverse": (good, np.log(_CLASSES) - stats.entropy([0.9, 0.1])),
        "one class": (collapsed, 0.0),
        "uncertain": (np.full_like(good, 1.0 / _CLASSES), 0.0),
        "real": (real, np.log(_CLASSES) - stats.entropy(real[0])),
    }
    found = {}
    for name, (table, exact) in tables.items():
        score = inception_score(table, seeds.at(name).numpy())
        found[name] = {
            "whole": score.whole,
            "splits": _pair(score.score.value, score.score.error),
            "exact": float(np.exp(exact)),
        }
    return found


def _balls(seeds: vs.Seeds, repeats: int) -> Json:
    """Return precision, recall, density and coverage of the listing's scenarios."""
    found = {}
    for name, (mean, variance) in _SCENARIOS.items():
        values = np.empty((repeats, 4))
        for i in range(repeats):
            at = seeds.at(name, i)
            real = at.at("real").numpy().normal(size=(_EVENTS, _DIMENSIONS))
            made = at.at("made").numpy().normal(mean, variance**0.5, size=real.shape)
            values[i] = evaluate(Balls.of(real, _K), Balls.of(made, _K), beta=1.0)[:4]
        found[name] = {
            metric: _of_mean(values[:, j])
            for j, metric in enumerate(("precision", "recall", "density", "coverage"))
        }
    covered = expected_coverage(_EVENTS, _EVENTS, _K)
    return {"repeats": repeats, "scenarios": found, "coverage": covered}


def _bias(seeds: vs.Seeds, repeats: int) -> list[Json]:
    """Return plain and extrapolated Fréchet and kernel distances of five Gaussian features."""
    found = []
    for shift in (0.0, 0.3):
        for n in (100, 200, 400, 800):
            values = np.empty((repeats, 3))
            for i in range(repeats):
                at = seeds.at(n, i)  # the same events for both shifts
                one, other = (at.at(word).numpy().normal(size=(n, 5)) for word in ("x", "y"))
                other[:, 0] += shift
                distance = frechet_distance(one, other, at.at("halves").numpy())
                kernel = kernel_distance(one, other, at.at("halves").numpy())
                values[i] = distance.plain, distance.extrapolated.value, kernel.value
            names = ("plain", "extrapolated", "kernel")
            means = {name: _of_mean(values[:, j]) for j, name in enumerate(names)}
            # Leading order, for unit covariances: (1/n + 1/m) (d + d (d + 1) / 4).
            predicted = 2.0 / n * (5 + 5 * 6 / 4)
            found.append({"true": shift**2, "n": n, "predicted": predicted} | means)
    return found


def _triangle() -> Json:
    """Return squared Fréchet distances of unit normals at 0, 1 and 2."""
    means, one = np.array([[0.0], [1.0], [2.0]]), np.ones((1, 1, 1))
    step, whole = (
        float(gaussian_frechet(means[:1], one, means[i : i + 1], one)[0]) for i in (1, 2)
    )
    return {"step": step, "whole": whole}


def _failures(run: vs.Run, n: int, null: int, pairs: int) -> Json:
    perfect = measured(run, "perfect", n, null, null=True)
    rows = {name: _row(measured(run, name, n, pairs), perfect.values, pairs) for name in FAILURES}
    return {
        "n": n,
        "null": null,
        "pairs": pairs,
        "neighbours": NEIGHBOURS,
        "perfect": {
            each.name: [float(q) for q in np.quantile(perfect.values[:, j], [0.025, 0.5, 0.975])]
            for j, each in enumerate(METRICS)
        },
        "rows": rows,
    }


def _row(found: Measured, null: Array, pairs: int) -> Json:
    row: Json = {}
    for j, metric in enumerate(METRICS):
        worse, better = (
            _rejected(sign * found.values[:, j], sign * null[:, j])
            for sign in (metric.worse, -metric.worse)
        )
        row[metric.name] = {
            "mean": _of_mean(found.values[:, j]),
            "worse": _share(worse, pairs),
            "better": _share(better, pairs),
        }
    alarms = int((found.memorised <= _MEMORY).sum())
    return row | {"memorisation": {"worse": _share(alarms, pairs)}}


def _rejected(values: Array, null: Array) -> int:
    """Return how many values have an add-one p-value of at most 5 % among the null's."""
    above = (null >= values[:, None]).sum(axis=1)
    return int(((1 + above) / (1 + null.size) <= LEVEL).sum())


def _share(count: int, trials: int) -> list[float]:
    low, high = clopper_pearson(count, trials, level=_WIDTH)
    return [count / trials, low, high]


def _pair(value: float, error: float) -> list[float]:
    return [float(value), float(error)]


def _of_mean(values: Array) -> list[float]:
    """Return a mean and its error."""
    return _pair(values.mean(), values.std(ddof=1) / values.size**0.5)


STUDY = Study(
    name="metrics-on-examples",
    letter="h",
    title="Metrics of samples on a course's own examples",
    question="What do likelihood, Inception score, FID, KID, precision, recall, density and "
    "coverage see, and what do they miss, of the failures that they are taught with?",
    source="the course page *Evaluating generative models*: its three listings, its table of "
    "failure modes, and what it says of each metric",
    measure=measure,
    words=page.words,
    takeaway=page.takeaway,
    figures={"seen": page.seen, "bias": page.bias},
)
