"""The law of the weights around their fit: normal, inside of positive densities, or refits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from verisimile.core.arrays import Array, digest
from verisimile.mixture.fit import WeightFit
from verisimile.stats.linalg import whitening
from verisimile.stats.restricted_normal import restricted_normal


@dataclass(frozen=True, slots=True, eq=False)
class WeightLaw:
    r"""What the true weights may be, given their fit: :math:`\hat w + L \eta`.

    :math:`\eta \sim N(m, 1)`, restricted to weights whose density is positive at the
    pseudo-events, :math:`1 + G\eta > 0`: the events' likelihood to second order, with every
    positive density as likely as any other beforehand.  A truth is positive everywhere; where
    positivity has stopped the fit, the likelihood alone has its maximum beyond, at
    :math:`\hat w + L m`.

    Attributes
    ----------
    weights
        :math:`\hat w`, ``(M,)``.
    variations
        L, eigen-variations ``(M, r)``: covariance = L L^T.
    walls
        G, relative change of the density at pseudo-events along the variations ``(K, r)``.
    refits
        Weights of the refits of a bootstrap ``(B, M)``, which then are the law; or ``(0, M)``.
    centre
        m, ``(r,)``; zero where positivity does not bind.
    """

    weights: Array
    variations: Array
    walls: Array
    refits: Array
    centre: Array

    @classmethod
    def of(cls, fit: WeightFit) -> WeightLaw:
        """Return the law that a fit claims."""
        members = fit.weights.size
        none = np.empty((0, members))
        variations = whitening(fit.covariance)
        boundary = none if fit.boundary is None else fit.boundary
        refits = none if fit.draws is None else fit.draws
        centre = np.zeros(variations.shape[1])
        if fit.unbounded is not None:
            centre = (fit.unbounded - fit.weights) @ variations / (variations**2).sum(axis=0)
        return cls(fit.weights, variations, boundary @ variations, refits, centre)

    @property
    def digest(self) -> str:
        """Content key."""
        return digest(self.weights, self.variations, self.walls, self.refits, self.centre)

    def varied(self, truth: Array, rng: np.random.Generator) -> Array:
        r"""Return the weights ``(M,)`` that a standard normal vector ``(r,)`` stands for.

        :math:`\hat w + L (m + \mathrm{truth})` if they are allowed, else another draw of
        the law; of a bootstrap the refit of number
        :math:`\lfloor B\,\Phi(\mathrm{truth}_1)\rfloor`.  Zero is the fit itself.
        """
        if not truth.any():
            return self.weights
        if self.refits.size:
            number = int(self.refits.shape[0] * float(ndtr(truth[0])))
            return np.asarray(self.refits[min(number, self.refits.shape[0] - 1)])
        shifted = self.centre + truth
        if float((self.walls @ shifted).min(initial=0.0)) <= -1.0:
            shifted = restricted_normal(self.walls, rng, centre=self.centre)
        return np.asarray(self.weights + self.variations @ shifted)
