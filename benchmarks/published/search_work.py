"""A falling mass spectrum, ensembles that learn it, and the search for an excess in its tail."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

import verisimile as vs
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.records import Payload
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.density.protocol import DensityEstimator
from verisimile.mixture.discrepancy.corrected import CorrectedMixture
from verisimile.mixture.model import Mixture

LOW, ENERGY = 2.0, 13.0  # TeV: threshold of the trigger, collision energy
POWERS = (9.0, 5.0)
FEATURE = Feature("m_jj", unit="TeV", low=LOW)
EDGES = np.concatenate([np.geomspace(LOW, 5.0, 31), [5.5, 6.5, ENERGY]])
MASS, WIDTH = 4.2, 0.14
MEMBERS = 8
SHARE = 0.75  # of the training events train the members, the others fit weights and discrepancy
_ORDER = 16  # nodes per bin
_ITERATIONS, _HALVINGS, _KEPT, _LEAST = 60, 12, 1e-6, 0.01

Template = tuple[Array, Array]
"""Contents of the bins ``(G,)`` and the relative variations of their uncertainty ``(G, r)``."""


@dataclass(frozen=True)
class FallingSpectrum:
    r"""Masses of jet pairs, :math:`p(m) \propto (1 - x)^{a} x^{-b}` with x = m / 13 TeV."""

    n_features: int = 1

    def log_prob(self, x: Array) -> Array:
        """Return the log-density ``(n,)``."""
        inside = (x[:, 0] >= LOW) & (x[:, 0] < ENERGY)
        m = np.where(inside, x[:, 0], LOW)
        return np.where(inside, _falling(m) - self._log_norm, -np.inf)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw masses ``(n, 1)``."""
        grid, cumulated = self._table
        return np.asarray(np.interp(rng.random(n), cumulated, grid)[:, None])

    @cached_property
    def _log_norm(self) -> float:
        grid = np.linspace(LOW, ENERGY, 200_001)
        return float(np.log(np.trapezoid(np.exp(_falling(grid)), grid)))

    @cached_property
    def _table(self) -> tuple[Array, Array]:
        grid = np.linspace(LOW, ENERGY, 200_001)
        steps = np.exp(_falling(0.5 * (grid[1:] + grid[:-1])))
        cumulated = np.concatenate([[0.0], np.cumsum(steps)])
        return grid, cumulated / cumulated[-1]


def _falling(m: Array) -> Array:
    x = np.minimum(m / ENERGY, 1.0 - 1e-12)
    return np.asarray(POWERS[0] * np.log1p(-x) - POWERS[1] * np.log(x))


def signal_contents() -> Array:
    """Return the share of the signal in each bin ``(G,)``: normal, of resolution's width."""
    return np.diff(special.ndtr((EDGES - MASS) / WIDTH))


def contents_of(model: DensityEstimator) -> Array:
    """Return the probability of each bin ``(G,)``."""
    nodes, weights = _nodes()
    return np.asarray((np.exp(model.log_prob(nodes)) * weights).reshape(EDGES.size - 1, -1).sum(1))


def _nodes() -> tuple[Array, Array]:
    t, w = np.polynomial.legendre.leggauss(_ORDER)
    half = 0.5 * np.diff(EDGES)
    middle = 0.5 * (EDGES[1:] + EDGES[:-1])
    return (middle[:, None] + half[:, None] * t).reshape(-1, 1), (half[:, None] * w).ravel()


def templates(fit: CorrectedMixture) -> dict[str, Template]:
    """Return the background as each method has it, by name.

    `single`, `frozen` and `frozen, corrected` claim no error; `weights` has that of the weights,
    `honest` that of weights and discrepancy together.
    """
    plain = fit.uncorrected
    members = np.array([contents_of(each) for each in plain.members])
    weights = members.T @ plain.fit.covariance @ members
    mixed = _positive(plain.weights @ members, weights)
    corrected, both = _corrected(fit)
    corrected = _positive(corrected, both)
    nothing = np.zeros((mixed.size, 0))
    return {
        "exact": (contents_of(FallingSpectrum()), nothing),
        "single": (members[0], nothing),
        "frozen": (mixed, nothing),
        "frozen, corrected": (corrected, nothing),
        "weights": (mixed, variations(mixed, weights)),
        "honest": (corrected, variations(corrected, both)),
    }


def _positive(contents: Array, covariance: Array) -> Array:
    """Return contents ``(G,)``, of which those that are hardly positive are their own errors.

    A signed mixture may be negative in a bin where its members have had hardly an event.
    """
    errors = np.sqrt(np.diag(covariance))
    return np.where(contents > _LEAST * errors, contents, errors)


def _corrected(fit: CorrectedMixture) -> Template:
    r"""Return :math:`P_i = \int_i p` and their covariance; :math:`\partial P_i = \int_i p v`."""
    nodes, weights = _nodes()
    logf = fit.log_densities(nodes)
    rows = fit.discrepancy.functions.at(nodes, logf) - fit.discrepancy.means
    p = np.exp(fit.log_prob(nodes)) * weights
    gradient = (p[:, None] * rows).reshape(EDGES.size - 1, _ORDER, -1).sum(axis=1)
    contents = p.reshape(EDGES.size - 1, _ORDER).sum(axis=1)
    return contents, gradient @ fit.discrepancy.covariance @ gradient.T


def variations(contents: Array, covariance: Array) -> Array:
    """Return the eigen-variations of the contents, relative to them ``(G, r)``."""
    values, vectors = np.linalg.eigh(covariance / np.outer(contents, contents))
    kept = values > _KEPT * values[-1]
    return np.asarray(vectors[:, kept] * np.sqrt(values[kept]))


def significance(counts: Array, template: Template, signal: Array) -> tuple[Array, Array]:
    r"""Return Z of an excess in each data set ``(B,)``, and the fitted signal events.

    .. math:: n_i \sim \mathrm{Poisson}\big(N P_i\, e^{(R\eta)_i} + s S_i\big), \qquad
              \eta \sim N(0, 1), \qquad Z = \sqrt{2 (\ell(\hat s) - \ell(0))}

    with N, eta and s >= 0 fitted in the numerator, N and eta in the denominator.

    References
    ----------
    G. Cowan et al., Eur. Phys. J. C 71 (2011) 1554, eq. 12.
    """
    nothing, _ = _fitted(counts, template, np.zeros_like(signal))
    something, fitted = _fitted(counts, template, signal)
    return np.sqrt(2.0 * np.maximum(nothing - something, 0.0)), fitted


def _fitted(counts: Array, template: Template, signal: Array) -> tuple[Array, Array]:
    """Return the smallest negative log-likelihood ``(B,)``, and the signal there; by scoring."""
    contents, relative = template
    design = np.column_stack([np.ones(contents.size), relative])
    size = design.shape[1]
    theta = np.zeros((len(counts), size + 1))
    theta[:, 0] = np.log(counts.sum(axis=1) / contents.sum())
    theta[:, -1] = 1.0 if signal.any() else 0.0
    prior = np.diag([0.0, *np.ones(size - 1), 0.0 if signal.any() else 1.0])

    def value(at: Array) -> tuple[Array, Array, Array]:
        background = contents * np.exp(at[:, :-1] @ design.T)
        mean = background + at[:, -1:] * signal
        loss = (mean - counts * np.log(mean)).sum(axis=1)
        return loss + 0.5 * (at[:, 1:-1] ** 2).sum(axis=1), background, mean

    loss, background, mean = value(theta)
    for _ in range(_ITERATIONS):
        slopes = np.concatenate(
            [
                background[:, :, None] * design,
                np.broadcast_to(signal[None, :, None], (*background.shape, 1)),
            ],
            axis=2,
        )
        gradient = np.einsum("bg,bgp->bp", 1.0 - counts / mean, slopes) + theta @ prior
        # At the border a signal that would be negative stays where it is.
        held = (theta[:, -1] <= 0.0) & (gradient[:, -1] > 0.0)
        slopes[held, :, -1] = 0.0
        gradient[held, -1] = 0.0
        hessian = np.einsum("bgp,bg,bgq->bpq", slopes, 1.0 / mean, slopes, optimize=True) + prior
        hessian[held, -1, -1] += 1.0
        step = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
        if (np.abs((gradient * step).sum(axis=1)) < 1e-9).all():
            break
        scale = np.ones(len(counts))
        for _ in range(_HALVINGS):
            tried = theta - scale[:, None] * step
            tried[:, -1] = np.maximum(tried[:, -1], 0.0)
            found = value(tried)
            worse = ~(found[0] <= loss)
            if not worse.any():
                break
            scale[worse] *= 0.5
        better = found[0] <= loss
        theta[better] = tried[better]
        loss, background, mean = value(theta)
    return loss, theta[:, -1]


def learnt(seeds: Seeds, n_train: int) -> CorrectedMixture:
    """Return an ensemble of flows of background events, its weights and its discrepancy."""
    run = Run(seeds)
    x = FallingSpectrum().sample(n_train, seeds.at("training").numpy())
    events = Events(x, features=(FEATURE,))
    training, weight_fit = events.split((SHARE, 1.0 - SHARE), seeds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plan = vs.BootstrapPlan(members=MEMBERS)
        ensemble = vs.fit_ensemble(run, training, plan, vs.SplineFlowTrainer())
        fit: Mixture = vs.fit_mixture(run, ensemble, weight_fit)
    assert isinstance(fit, CorrectedMixture)
    return fit


def searched(
    seeds: Seeds,
    n_train: int,
    sizes: tuple[int, ...],
    injected: tuple[float, ...],
    datasets: tuple[int, int],
) -> Payload:
    """Return Z of every method in many data sets: of background alone, and with a signal.

    `sizes` are the expected events of data sets of background alone, the last of them those of
    data sets with a signal too; `datasets` are the numbers of these and of those.
    """
    known = templates(learnt(seeds, n_train))
    background, signal = contents_of(FallingSpectrum()), signal_contents()
    rng = seeds.at("data").numpy()

    def found(mean: Array, size: int) -> Array:
        counts = rng.poisson(mean, (size, mean.size)).astype(np.float64)
        return np.array([significance(counts, each, signal)[0] for each in known.values()])

    arrays = {f"null {n}": found(n * background, datasets[0]) for n in sizes}
    for strength in injected:
        mean = sizes[-1] * background + strength * signal
        arrays[f"signal {strength:g}"] = found(mean, datasets[1])
    return Payload({**arrays, **_errors(known, background)})


def _errors(known: Mapping[str, Template], background: Array) -> dict[str, Array]:
    """Return by how much each method is off in the signal's bins, and the error that it claims."""
    window = signal_contents() > 0.02
    off, claimed = [], []
    for contents, relative in known.values():
        # Data fix the norm: what counts is the share in the window relative to the rest.
        off.append(contents[window].sum() / contents.sum() / background[window].sum() - 1.0)
        along = (contents[window, None] * relative[window]).sum(axis=0) / contents[window].sum()
        claimed.append(np.sqrt((along**2).sum()))
    return {"off": np.array(off), "claimed": np.array(claimed)}
