"""Scores of fitted models: a linear discriminant, Gaussian mixtures, boosted trees."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from verisimile.checks.precision_recall.scores import column_widths
from verisimile.core.arrays import Array

_COMPONENTS = (1, 2, 4, 8, 16)
_PER_PARAMETER = 5  # events
_FLOOR = 1e-4  # variance of a component, in units of the column's
_RIDGE = 1e-3
_PATIENCE = 2  # numbers of components in a row without gain
_PLACES = 2000  # events that are enough for coordinates


@dataclass(frozen=True, slots=True)
class LinearScore:
    r"""Fisher's discriminant: :math:`s(z) = z \cdot \bar\Sigma^{-1} (\bar x - \bar y)`.

    With few events in many dimensions it has the fewest parameters of all.

    References
    ----------
    R. A. Fisher, Ann. Eugenics 7 (1936) 179.
    """

    name = "linear"
    learns = True

    def score(
        self, reference: Array, generated: Array, points: Array, rng: np.random.Generator
    ) -> Array:
        """Return the projections ``(n,)``."""
        del rng
        width = column_widths(reference)
        x, y, z = (sample / width for sample in (reference, generated, points))
        covariance = 0.5 * (np.cov(x, rowvar=False) + np.cov(y, rowvar=False))
        covariance = np.atleast_2d(covariance) + _RIDGE * np.eye(x.shape[1])
        return np.asarray(z @ np.linalg.solve(covariance, x.mean(axis=0) - y.mean(axis=0)))


@dataclass(frozen=True, slots=True)
class MixtureRatio:
    r"""Ratio of two Gaussian mixtures, :math:`\log \hat p(z) - \log \hat q(z)`.

    Each by expectation maximisation, with 1, 2, 4, 8 or 16 components by the Bayesian information
    criterion, at least five events to a parameter: with one, a quadratic discriminant.

    References
    ----------
    A. P. Dempster, N. M. Laird, D. B. Rubin, J. R. Stat. Soc. B 39 (1977) 1;
    G. Schwarz, Ann. Stat. 6 (1978) 461.
    """

    name = "mixtures"
    learns = True

    def score(
        self, reference: Array, generated: Array, points: Array, rng: np.random.Generator
    ) -> Array:
        """Return the log-ratios ``(n,)``."""
        width = column_widths(reference)
        p, q = (_mixture(sample / width, rng, starts=1) for sample in (reference, generated))
        z = points / width
        return np.asarray(p.score_samples(z) - q.score_samples(z))


@dataclass(frozen=True, slots=True)
class BoostedTrees:
    """Gradient-boosted trees.

    Parameters
    ----------
    distances
        Whether to add to the columns what a tree of cuts finds hard: radius and angle around the
        mean, and distances to the nearest component of a Gaussian mixture of both samples, in the
        columns' units and in the component's own.  It makes rings and discs one cut.
    iterations, leaves
        Trees, and leaves of each, twenty events or more in a leaf.

    References
    ----------
    J. H. Friedman, Ann. Stat. 29 (2001) 1189.
    """

    distances: bool = False
    iterations: int = 60
    leaves: int = 15
    learns = True

    @property
    def name(self) -> str:
        """That of the coordinates."""
        return "trees of distances" if self.distances else "trees"

    def score(
        self, reference: Array, generated: Array, points: Array, rng: np.random.Generator
    ) -> Array:
        """Return the trees' log-odds ``(n,)``."""
        pool = np.concatenate([reference, generated])
        true = np.arange(len(pool)) < len(reference)
        if self.distances:
            features = _Distances(pool, column_widths(reference), rng)
            pool, points = features(pool), features(points)
        model = HistGradientBoostingClassifier(
            max_iter=self.iterations,
            max_leaf_nodes=self.leaves,
            l2_regularization=1.0,
            early_stopping=False,
            random_state=_seed(rng),
        )
        return np.asarray(model.fit(pool, true).decision_function(points), dtype=np.float64)


class _Distances:
    """Coordinates of a mixture of both samples, which sees no labels."""

    def __init__(self, pool: Array, width: Array, rng: np.random.Generator) -> None:
        self._mean, self._width = pool.mean(axis=0), width
        some = pool if len(pool) <= _PLACES else pool[rng.choice(len(pool), _PLACES, replace=False)]
        self._mixture = _mixture(self._scaled(some), rng, starts=2)
        self._roots = np.linalg.cholesky(self._mixture.precisions_)

    def __call__(self, x: Array) -> Array:
        """Return columns, radius, distances, density, place in the component, and angle."""
        u = self._scaled(x)
        apart = u[:, None, :] - self._mixture.means_
        own = np.sqrt((np.einsum("nkd,kde->nke", apart, self._roots) ** 2).sum(axis=2))
        at = self._mixture.predict(u)[:, None]
        found = [
            u,
            np.sqrt((u**2).sum(axis=1, keepdims=True)),
            np.sqrt((apart**2).sum(axis=2)).min(axis=1, keepdims=True),
            np.take_along_axis(own, at, axis=1),
            self._mixture.score_samples(u)[:, None],
            np.take_along_axis(apart, at[:, :, None], axis=1)[:, 0],
        ]
        if u.shape[1] > 1:
            found.append(np.arctan2(u[:, 1], u[:, 0])[:, None])
        return np.concatenate(found, axis=1)

    def _scaled(self, x: Array) -> Array:
        return np.asarray((x - self._mean) / self._width)


def _mixture(x: Array, rng: np.random.Generator, *, starts: int) -> GaussianMixture:
    n, d = x.shape
    parameters = 1 + d + d * (d + 1) // 2
    best, least, worse = None, np.inf, 0
    for k in _COMPONENTS:
        if best is not None and (k * parameters * _PER_PARAMETER > n or worse == _PATIENCE):
            break
        model = GaussianMixture(
            k,
            n_init=1 if k == 1 else starts,
            max_iter=60,
            reg_covar=_FLOOR,
            random_state=_seed(rng),
        )
        with warnings.catch_warnings():
            # An unfinished ascent, or fewer distinct events than components, is a density too.
            warnings.simplefilter("ignore", ConvergenceWarning)
            criterion = float(model.fit(x).bic(x))
        if criterion < least:
            best, least, worse = model, criterion, 0
        else:
            worse += 1
    if best is None:
        raise AssertionError("one component has a finite criterion")
    return best


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))
