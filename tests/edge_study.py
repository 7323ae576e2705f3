"""Weight fits of few events whose truth is known, where positivity bounds the weights.

Six unit Gaussians two apart in y and one apart in x are nearly collinear, so that
the weights of 25 to 400 events run into the boundary of positive densities.  Twenty
Gaussians fitted to bootstrap replicas span what four numbers can do, and hold the
truth nearly.  A module of its own, so that worker processes can import it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
from verisimile.checks.goodness.likelihood_ratio import goodness_of_fit
from verisimile.checks.goodness.null import Predictive
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Record
from verisimile.core.run import Run
from verisimile.core.tasks import Task
from verisimile.data.events import Events
from verisimile.data.truths import GaussianTruth
from verisimile.mixture.fit import Pseudo, WeightFit, fit_weights
from verisimile.mixture.model import Mixture
from verisimile.mixture.sampling import member_log_densities
from verisimile.stats.linalg import symmetrise, tangent_basis

TOYS, CHUNK, PSEUDO = 39, 10, 1998
PAPER = GaussianTruth.paper()
SIX = np.array([[x, y] for x in (-1.0, 0.0, 1.0) for y in (-1.0, 1.0)])


@dataclass(frozen=True)
class Edge:
    """Sizes of the weight-fit and the test sample, and which members there are."""

    family: str
    n_weights: int
    n_test: int


def six() -> list[GaussianTruth]:
    """Return six unit Gaussians."""
    return [GaussianTruth((x, y), (1.0, 1.0)) for x, y in SIX]


def twenty(rng: np.random.Generator) -> list[GaussianTruth]:
    """Return twenty Gaussians fitted to bootstrap replicas of 500 events."""
    train = PAPER.sample(500, rng)
    replicas = [train[rng.integers(500, size=500)] for _ in range(20)]
    return [GaussianTruth(tuple(x.mean(axis=0)), tuple(x.std(axis=0))) for x in replicas]


def blend(n: int, rng: np.random.Generator) -> Array:
    """Return `n` events of the six Gaussians in equal shares."""
    return np.asarray(SIX[rng.integers(6, size=n)] + rng.standard_normal((n, 2)))


def fit_of(members: list[GaussianTruth], x: Array, rng: np.random.Generator) -> WeightFit:
    """Return the fit as ``fit_mixture`` makes it at its defaults."""
    z = np.concatenate([m.sample(PSEUDO // len(members), rng) for m in members])
    pseudo = Pseudo(member_log_densities(members, z))
    return fit_weights(member_log_densities(members, x), pseudo=pseudo)


def six_fit(n: int, rng: np.random.Generator) -> WeightFit:
    """Return the fit of the six Gaussians to `n` events of their equal mixture."""
    return fit_of(six(), blend(n, rng), rng)


def squared_pulls(fits: list[WeightFit]) -> Array:
    r"""Return :math:`\Delta w^T C^{-1} \Delta w` of fits whose true weights are equal, ``(B,)``."""
    tangent = tangent_basis(6)
    found = []
    for fit in fits:
        pull = tangent.T @ (fit.weights - 1.0 / 6.0)
        spread = symmetrise(tangent.T @ fit.covariance @ tangent)
        values, vectors = np.linalg.eigh(spread)
        # A variance that is rounding noise is no variance.
        found.append(float(((vectors.T @ pull) ** 2 / np.maximum(values, 1e-300)).sum()))
    return np.array(found)


def collapsed(fit: WeightFit) -> WeightFit:
    """Return the defective twin: curvature with pseudo-events, scatter without.

    The sandwich as it was: H^-1 (I) H^-1 with I the inverse of the fit's own covariance
    and H with the unbounded curvature of pseudo-events.
    """
    tangent = tangent_basis(fit.weights.size)
    inner = tangent.T @ fit.covariance @ tangent
    bread = tangent.T @ fit.inverse_hessian @ tangent
    middle = bread @ np.linalg.pinv(inner, hermitian=True) @ bread
    return replace(fit, covariance=symmetrise(tangent @ middle @ tangent.T))


def edge_p_values(run: Run, edge: Edge, *, experiments: int, twin: bool) -> Array:
    """Return p-values of true nulls ``(experiments,)``, predictive toys, default kernels."""
    word = "twin" if twin else "fit"
    at = run.at("edge", edge.family, edge.n_weights, edge.n_test)
    tasks = [
        Task(
            address=f"edge/{word}/{edge.family}/{edge.n_weights}-{edge.n_test}/{first:05d}",
            config={"first": first, "twin": twin},
            seeds=at.seeds.at(first),
            args=(edge, twin),
        )
        for first in range(0, experiments, CHUNK)
    ]
    found = at.map(_experiments, tasks, label=f"{edge}")
    blocks = [np.asarray(record.arrays["p"]) for record in found if isinstance(record, Record)]
    return np.concatenate(blocks)[:experiments]


def _experiments(seeds: Seeds, edge: Edge, twin: bool) -> Payload:
    p = [_experiment(seeds.at(i), edge, twin=twin) for i in range(CHUNK)]
    return Payload({"p": np.array(p)}, {})


def _experiment(seeds: Seeds, edge: Edge, *, twin: bool) -> float:
    rng = seeds.numpy()
    members = six() if edge.family == "six" else twenty(rng)
    draw = blend if edge.family == "six" else PAPER.sample
    fit = fit_of(members, draw(edge.n_weights, rng), rng)
    mixture = Mixture(members, collapsed(fit) if twin else fit)
    found = goodness_of_fit(
        Run(seeds),
        mixture,
        Events(draw(edge.n_test, rng)),
        alternative=GaussianKernels(),
        null=Predictive(),
        toys=TOYS,
    )
    return found.p_value.value
