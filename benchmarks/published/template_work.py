"""The strength of a peak above a template: from an ensemble, or from reweighted events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np
from scipy import special

import verisimile as vs
from published.search_work import ENERGY, FEATURE, LOW, FallingSpectrum, learnt
from verisimile.core.arrays import Array, frozen
from verisimile.core.random import Seeds
from verisimile.core.records import Payload
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.mixture.templates import Templates
from verisimile.repair.signal import fit_signal

EDGES = np.concatenate([np.geomspace(LOW, 5.0, 25), [6.0, ENERGY]])
WIDE_END = np.append(
    EDGES[:-2], ENERGY
)  # a surrogate that falls too fast has hardly an event there
MASSES = (2.4, 2.8, 3.2, 3.7, 4.2)
RESOLUTION = 0.035
OVERSAMPLED = 10
SLOPE = 0.3  # per TeV: how much too fast the surrogate that is reweighted falls
STRONG = 3.0  # signal events per root of the background's within a width and a half
ENSEMBLE = ("exact", "nothing", "generated", "training", "variations")
REWEIGHTED = ("exact", "as generated", "weights as known", "variations")
_FINE = 20_001


def background(edges: Array) -> Array:
    """Return the true probability of each bin ``(G,)``."""
    middle, p = _density()
    return np.asarray(np.histogram(middle, edges, weights=p)[0])


@cache
def _density() -> tuple[Array, Array]:
    grid = np.linspace(LOW, ENERGY, _FINE)
    middle = 0.5 * (grid[1:] + grid[:-1])
    p = np.exp(FallingSpectrum().log_prob(middle[:, None]))
    return frozen(middle), frozen(p / p.sum())


def signal_at(mass: float, n_data: int, edges: Array) -> Array:
    """Return the signal's events of strength one in each bin ``(G,)``."""
    shape = np.diff(special.ndtr((edges - mass) / (RESOLUTION * mass)))
    window = shape > 0.05
    return np.asarray(STRONG * np.sqrt(n_data * background(edges)[window].sum()) * shape)


def of_an_ensemble(seeds: Seeds, n_train: int, n_data: int) -> Payload:
    """Return how the fits of one ensemble's template come out, at each mass."""
    fit = learnt(seeds, n_train)
    generated = OVERSAMPLED * n_train
    counts = np.histogram(fit.drawn(generated, seeds.at("drawn").numpy()).x[:, 0], EDGES)[0]
    made = fit.templates({FEATURE.name: EDGES}, Run(seeds), events=n_data, draws=generated)
    poisson = np.sqrt(np.maximum(counts, 1.0)) * n_data / generated
    filled = replace(
        made,
        nominal=frozen(np.maximum(counts, 0.5) * n_data / generated),
        statistical=frozen(poisson),
    )
    bare = replace(filled, variations=frozen(made.variations[:0]))
    return _fitted(
        {
            "exact": _known(bare, n_data),
            "nothing": replace(bare, statistical=frozen(0.0 * poisson)),
            "generated": bare,
            "training": replace(bare, statistical=frozen(poisson * np.sqrt(OVERSAMPLED))),
            "variations": filled,
        },
        n_data,
        seeds,
    )


def of_weights(seeds: Seeds, n_train: int, n_data: int) -> Payload:
    """Return how the fits of a reweighted sample's template come out, at each mass."""
    reference = Events(
        FallingSpectrum().sample(n_train, seeds.at("training").numpy()), features=(FEATURE,)
    )
    generated = Events(_too_steep(2 * n_train, seeds.at("generated")), features=(FEATURE,))
    found = vs.reweight(Run(seeds), reference, generated, permutations=99)
    fresh = Events(_too_steep(OVERSAMPLED * n_train, seeds.at("fresh")), features=(FEATURE,))
    fresh = fresh.take(np.flatnonzero(found.inside(fresh)))
    made = found.templates(fresh, {FEATURE.name: WIDE_END}, events=n_data)
    bare = replace(made, variations=frozen(made.variations[:0]))
    counts = np.maximum(np.histogram(fresh.x[:, 0], WIDE_END)[0], 0.5)
    scale = n_data / fresh.n
    return _fitted(
        {
            "exact": _known(bare, n_data),
            "as generated": replace(
                bare, nominal=frozen(counts * scale), statistical=frozen(np.sqrt(counts) * scale)
            ),
            "weights as known": bare,
            "variations": made,
        },
        n_data,
        seeds,
    )


def _too_steep(n: int, seeds: Seeds) -> Array:
    rng, kept = seeds.numpy(), np.empty((0, 1))
    while len(kept) < n:
        x = FallingSpectrum().sample(2 * n, rng)
        kept = np.concatenate([kept, x[rng.random(len(x)) < np.exp(-SLOPE * (x[:, 0] - LOW))]])
    return kept[:n]


def _known(like: Templates, n_data: int) -> Templates:
    nominal = n_data * background(like.axes[0].edges)
    return replace(like, nominal=frozen(nominal), statistical=frozen(np.zeros(nominal.size)))


def _fitted(templates: Mapping[str, Templates], n_data: int, seeds: Seeds) -> Payload:
    """Return, by template and mass, what is fitted to one data set with a signal and one without.

    `hits` are the 68 % and 95 % intervals that hold the strength, `z` the significance of the data
    without signal.
    """
    rng, shape = seeds.at("data").numpy(), (len(templates), len(MASSES))
    hits, z = np.zeros((*shape, 2)), np.zeros(shape)
    mu, errors = np.zeros(shape), np.zeros(shape)
    edges = next(iter(templates.values())).axes[0].edges
    expected = n_data * background(edges)
    for j, mass in enumerate(MASSES):
        signal = signal_at(mass, n_data, edges)
        with_signal = rng.poisson(expected + signal).astype(np.float64)
        without = rng.poisson(expected).astype(np.float64)
        for i, each in enumerate(templates.values()):
            found = fit_signal(each, signal, with_signal)
            mu[i, j], errors[i, j] = found.mu, found.error
            for k, (low, high) in enumerate((found.interval68, found.interval95)):
                hits[i, j, k] = low <= 1.0 <= high
            z[i, j] = fit_signal(each, signal, without).z
    return Payload({"hits": hits, "z": z, "mu": mu, "errors": errors})
