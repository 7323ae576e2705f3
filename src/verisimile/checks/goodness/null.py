"""The null hypothesis as toys see it: uncertain weights, given contexts, three calibrations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
from scipy.special import logsumexp

from verisimile.core.arrays import Array, digest, frozen
from verisimile.core.canonical import JSON
from verisimile.core.errors import require
from verisimile.core.run import Run
from verisimile.data.feature import Feature
from verisimile.density.protocol import ConditionalDensity, DensityEstimator
from verisimile.mixture.discrepancy.corrected import CorrectedMixture
from verisimile.mixture.discrepancy.sampling import sample_tilted
from verisimile.mixture.kept import kept_draws
from verisimile.mixture.law import WeightLaw
from verisimile.mixture.objective import mixed_log_density
from verisimile.mixture.sampling import (
    SignedSample,
    conditional_log_densities,
    member_log_densities,
    sample_signed,
    sample_signed_at,
)

if TYPE_CHECKING:
    from verisimile.mixture.conditional import ConditionalMixture
    from verisimile.mixture.model import Mixture


class Null(Protocol):
    r"""A density :math:`p_0 = \sum_i (\hat w + L\eta)_i f_i`, with :math:`\eta \sim N(0, 1)`."""

    @property
    def weights(self) -> Array:
        """Fitted weights ``(M,)``."""

    @property
    def variations(self) -> Array:
        """L, eigen-variations of the weights ``(M, r)``: covariance = L L^T."""

    @property
    def features(self) -> tuple[Feature, ...]:
        """Names and supports of the features ``(d,)``."""

    def identity(self) -> dict[str, JSON]:
        """Return what, beside the members that a run is bound to, determines the toys."""

    def log_densities(self, x: Array) -> Array:
        """Return the members' log-densities ``(n, M)`` at events ``(n, d)``."""

    def log_prob(self, x: Array) -> Array:
        """Return the fitted log-density ``(n,)``, minus infinity where it is not positive."""

    def sample(self, truth: Array, n: int, rng: np.random.Generator) -> SignedSample:
        """Draw `n` events of the density whose weights are varied by `truth` ``(r,)``."""

    def kept(self, run: Run, n: int) -> tuple[Array, Array]:
        """Return `n` events ``(n, d)`` of the fitted density, and the log-densities there.

        What looks at the model alone, and at no data, may look at the same ones: where the run can
        keep them, they are drawn once.
        """


@dataclass(frozen=True, slots=True, eq=False)
class NullModel:
    """A fitted mixture as the null hypothesis: members, the law of their weights, content key."""

    members: tuple[DensityEstimator, ...]
    features: tuple[Feature, ...]
    fingerprint: str
    law: WeightLaw

    @classmethod
    def of(cls, mixture: Mixture) -> NullModel:
        """Return the null hypothesis that a mixture describes the data."""
        law = WeightLaw.of(mixture.fit)
        return cls(mixture.members, mixture.features, mixture.fingerprint, law)

    @property
    def weights(self) -> Array:
        """Fitted weights ``(M,)``."""
        return self.law.weights

    @property
    def variations(self) -> Array:
        """L, eigen-variations of the weights ``(M, r)``."""
        return self.law.variations

    def identity(self) -> dict[str, JSON]:
        """Return the content keys of members, weights and their law."""
        return {"mixture": self.fingerprint, "weights": self.law.digest}

    def log_densities(self, x: Array) -> Array:
        """Return the members' log-densities ``(n, M)`` at events ``(n, d)``."""
        return member_log_densities(self.members, x)

    def log_prob(self, x: Array) -> Array:
        """Return the fitted log-density ``(n,)``, minus infinity where it is not positive."""
        return mixed_log_density(self.log_densities(x), self.weights)

    def sample(self, truth: Array, n: int, rng: np.random.Generator) -> SignedSample:
        """Draw `n` events of the mixture whose weights are varied by `truth` ``(r,)``."""
        return sample_signed(self.members, self.law.varied(truth, rng), n, rng)

    def kept(self, run: Run, n: int) -> tuple[Array, Array]:
        """Return `n` events of the fitted mixture ``(n, d)`` with log-densities ``(n, M)``."""
        return kept_draws(run, self, n)

    def drawn(self, n: int, rng: np.random.Generator) -> SignedSample:
        """Draw `n` events of the fitted mixture."""
        return sample_signed(self.members, self.weights, n, rng)


_STEP = 1e-3
_ROWS = 20_000  # events at a time, of which each has hundreds of densities


@dataclass(frozen=True, slots=True, eq=False)
class CorrectedNull:
    r"""A mixture with its discrepancy as the null hypothesis of a test of n events.

    The posterior covariance of weights and correction is rotated to directions L, ordered by what
    a test of n events can see of them, and each direction becomes a density,

    .. math:: f_k = \hat p\, e^{\epsilon\, v(x) \cdot L_k}, \qquad
              v = (s, \varphi) - \langle (s, \varphi) \rangle_{\hat p}, \qquad \epsilon = 10^{-3},

    so that :math:`\hat p + \sum_k \eta_k (f_k - \hat p)
    / \epsilon`, with :math:`\eta \sim N(0, 1)`, is a mixture like any other: eigenvector
    densities, as parton densities have them.  The fits profile the directions that matter; toys
    are drawn from the exponential law itself, varied along all of them.

    References
    ----------
    J. Pumplin et al., Phys. Rev. D 65 (2001) 014013 (eigenvector basis sets).
    """

    mixture: CorrectedMixture
    directions: Array
    rest: Array

    @classmethod
    def of(cls, mixture: CorrectedMixture, events: int) -> CorrectedNull:
        """Return the null hypothesis that a corrected mixture describes so many events."""
        whole = mixture.discrepancy.whole()
        kept = mixture.discrepancy.directions(events).shape[1]
        # Every chunk of toys is handed the mixture: without the draws of its fit.
        bare = CorrectedMixture(mixture.uncorrected, mixture.discrepancy)
        return cls(bare, frozen(whole[:, :kept]), frozen(whole[:, kept:]))

    @property
    def features(self) -> tuple[Feature, ...]:
        """Names and supports of the features ``(d,)``."""
        return self.mixture.features

    @property
    def weights(self) -> Array:
        """One for the corrected mixture, zero for the others ``(1 + r,)``."""
        return np.asarray(np.eye(1 + self.directions.shape[1])[0])

    @property
    def variations(self) -> Array:
        """Eigen-variations ``(1 + r, r)``: of the k-th density less the corrected mixture."""
        rank = self.directions.shape[1]
        return np.vstack([np.full(rank, -1.0), np.eye(rank)]) / _STEP

    def identity(self) -> dict[str, JSON]:
        """Return the content keys of the mixture and of the directions."""
        return {"mixture": self.mixture.fingerprint, "directions": digest(self.directions)}

    def log_densities(self, x: Array) -> Array:
        """Return the eigenvector densities' logarithms ``(n, 1 + r)`` at events ``(n, d)``."""
        return self._spread(x, member_log_densities(self.mixture.members, x))

    def log_prob(self, x: Array) -> Array:
        """Return the corrected log-density ``(n,)``, minus infinity where it is not positive."""
        return self.mixture.log_prob(x)

    def sample(self, truth: Array, n: int, rng: np.random.Generator) -> SignedSample:
        """Draw `n` events of the law varied by `truth` ``(r,)``, and along the rest at random."""
        fit, mixture = self.mixture.discrepancy, self.mixture
        theta = fit.coefficients
        if truth.any():
            theta = theta + self.directions @ truth
            theta = theta + self.rest @ rng.standard_normal(self.rest.shape[1])

        def propose(size: int, stream: np.random.Generator) -> tuple[SignedSample, Array]:
            # The functions of an event are dear and hundreds of numbers: all that is asked of
            # them, its log-ratio too, is taken at once.
            drawn = sample_signed(mixture.members, mixture.weights, size, stream)
            table = self._table(drawn.x, drawn.log_densities, theta)
            return replace(drawn, log_densities=table[:, :-1]), table[:, -1]

        return sample_tilted(propose, n, rng)

    def kept(self, run: Run, n: int) -> tuple[Array, Array]:
        """Return `n` events of the corrected mixture ``(n, d)``, with those ``(n, 1 + r)``."""
        x, logf = kept_draws(run, self.mixture, n)
        return x, self._spread(x, logf)

    def _spread(self, x: Array, logf: Array) -> Array:
        """Return the logarithms ``(n, 1 + r)`` from the members' own ``(n, M)``."""
        theta = self.mixture.discrepancy.coefficients
        out = np.empty((len(x), self.weights.size))
        for start in range(0, len(x), _ROWS):
            rows = slice(start, start + _ROWS)
            out[rows] = self._table(x[rows], logf[rows], theta)[:, :-1]
        return out

    def _table(self, x: Array, logf: Array, theta: Array) -> Array:
        r"""Return these, and the exponent :math:`v \cdot \theta` as the last column ``(n, 2 + r)``.

        In blocks of events: their functions ``(n, r + P)`` would take ten times as much.
        """
        fit, rank = self.mixture.discrepancy, self.directions.shape[1]
        out = np.full((len(x), 2 + rank), -np.inf)
        plain = mixed_log_density(logf, self.mixture.weights)
        possible = np.flatnonzero(plain > -np.inf)
        across = np.column_stack([fit.coefficients, _STEP * self.directions, theta])
        shift = np.concatenate([[fit.log_norm], _STEP * (fit.means @ self.directions), [0.0]])
        along = fit.functions.along(across, x[possible], logf[possible]) - shift
        along[:, 0] += plain[possible]
        along[:, 1:-1] += along[:, :1]
        out[possible] = along
        return out


def null_of(mixture: Mixture, events: int) -> Null:
    """Return the null hypothesis that a mixture describes a test sample of `events` events."""
    if isinstance(mixture, CorrectedMixture):
        return CorrectedNull.of(mixture, events)
    return NullModel.of(mixture)


@dataclass(frozen=True, slots=True, eq=False)
class ConditionalNull:
    r"""A density of x for each of n given contexts ``(n, C)``.

    .. math:: p_0(x_n \mid c_n) = \sum_i (\hat w + L\eta)_i f_i(x_n \mid c_n)

    A sample has one event per context, in their order: contexts are ancillary,
    toys keep those of the test sample.  One draw of :math:`\eta` serves all
    contexts, as one fit of the weights does.
    """

    members: tuple[ConditionalDensity, ...]
    features: tuple[Feature, ...]
    context: Array
    fingerprint: str
    law: WeightLaw

    @classmethod
    def of(cls, mixture: ConditionalMixture, context: Array) -> ConditionalNull:
        """Return the null hypothesis that a mixture describes events at `context`."""
        law = WeightLaw.of(mixture.fit)
        return cls(mixture.members, mixture.features, context, mixture.fingerprint, law)

    @property
    def weights(self) -> Array:
        """Fitted weights ``(M,)``."""
        return self.law.weights

    @property
    def variations(self) -> Array:
        """L, eigen-variations of the weights ``(M, r)``."""
        return self.law.variations

    def identity(self) -> dict[str, JSON]:
        """Return the content keys of the model and of the contexts."""
        weights = self.law.digest
        return {"mixture": self.fingerprint, "weights": weights, "context": digest(self.context)}

    def log_densities(self, x: Array) -> Array:
        """Return the members' log-densities ``(n, M)``, one event at each context."""
        self._one_each(len(x))
        return conditional_log_densities(self.members, x, self.context)

    def log_prob(self, x: Array) -> Array:
        """Return the fitted log-density ``(n,)``, one event at each context."""
        return mixed_log_density(self.log_densities(x), self.weights)

    def sample(self, truth: Array, n: int, rng: np.random.Generator) -> SignedSample:
        """Draw one event at each context, with weights varied by `truth` ``(r,)``."""
        self._one_each(n)
        return sample_signed_at(self.members, self.law.varied(truth, rng), self.context, rng)

    def kept(self, run: Run, n: int) -> tuple[Array, Array]:
        """Return whole samples, of `n` events together, drawn anew: they have their contexts."""
        rng, fitted = run.seeds.at("draws").numpy(), np.zeros(self.variations.shape[1])
        size = len(self.context)
        drawn = [self.sample(fitted, min(size, n - first), rng) for first in range(0, n, size)]
        x, logf = zip(*((each.x, each.log_densities) for each in drawn), strict=True)
        return np.concatenate(x), np.concatenate(logf)

    def _one_each(self, n: int) -> None:
        require(
            n == len(self.context),
            "ConditionalNull",
            got=f"{n} events for {len(self.context)} contexts",
            expected="one event for each context",
        )


@dataclass(frozen=True, slots=True, eq=False)
class AveragedNull:
    r"""The same model, averaged over the contexts of a bin: where an alternative is placed.

    .. math:: \bar f_i(x) = \frac1S \sum_s f_i(x \mid c_s)

    The nodes ``(S, C)`` are some of the contexts of the bin.
    """

    model: ConditionalNull
    nodes: Array

    @property
    def weights(self) -> Array:
        """Fitted weights ``(M,)``."""
        return self.model.weights

    @property
    def variations(self) -> Array:
        """L, eigen-variations of the weights ``(M, r)``."""
        return self.model.variations

    @property
    def features(self) -> tuple[Feature, ...]:
        """Names and supports of x, ``(d,)``."""
        return self.model.features

    def identity(self) -> dict[str, JSON]:
        """Return the content keys of the model and of the contexts."""
        return {**self.model.identity(), "nodes": digest(self.nodes)}

    def log_densities(self, x: Array) -> Array:
        """Return the members' averaged log-densities ``(n, M)``."""
        at_nodes = np.stack(
            [
                conditional_log_densities(self.model.members, x, np.tile(node, (len(x), 1)))
                for node in self.nodes
            ]
        )
        with np.errstate(divide="ignore"):
            return np.asarray(logsumexp(at_nodes, axis=0) - np.log(len(self.nodes)))

    def log_prob(self, x: Array) -> Array:
        """Return the fitted, averaged log-density ``(n,)``."""
        return mixed_log_density(self.log_densities(x), self.weights)

    def sample(self, truth: Array, n: int, rng: np.random.Generator) -> SignedSample:
        """Draw `n` events at contexts drawn with replacement; densities are those given c."""
        model = self.model
        context = model.context[rng.integers(len(model.context), size=n)]
        return sample_signed_at(model.members, model.law.varied(truth, rng), context, rng)

    def kept(self, run: Run, n: int) -> tuple[Array, Array]:
        """Return `n` events at contexts drawn with replacement, drawn anew."""
        rng = run.seeds.at("draws").numpy()
        drawn = self.sample(np.zeros(self.variations.shape[1]), n, rng)
        return drawn.x, drawn.log_densities


class Calibration(Protocol):
    """Draws what is uncertain in a toy, in units of the eigen-variations.

    With C = L L^T, a toy's truth has weights w + L truth, and its fit is
    constrained around w + L centre.
    """

    @property
    def name(self) -> str:
        """Name that is recorded with the p-value."""

    def draw(self, rank: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return (truth, centre), each ``(r,)``."""


@dataclass(frozen=True, slots=True)
class Predictive:
    r"""Toys from :math:`f(x; w^*)`, :math:`w^* \sim N(\hat w, C)`; the constraint stays at w-hat.

    The fitted weights miss the truth by one draw of their covariance in the
    data, and so they do in these toys.  The default.

    References
    ----------
    D. B. Rubin, Ann. Statist. 12 (1984) 1151 (predictive checks).

    Examples
    --------
    >>> import verisimile as vs
    >>> vs.Predictive().name
    'predictive'
    """

    name: ClassVar[str] = "predictive"

    def draw(self, rank: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return a fluctuated truth and the fitted centre."""
        return rng.standard_normal(rank), np.zeros(rank)


@dataclass(frozen=True, slots=True)
class FluctuatedCentre:
    r"""Toys from :math:`f(x; \hat w)`; the constraint's centre fluctuates, as LHC toys do.

    References
    ----------
    G. Cowan et al., Eur. Phys. J. C 71 (2011) 1554, sec. 2 (auxiliary measurements).

    Examples
    --------
    >>> import verisimile as vs
    >>> vs.FluctuatedCentre().name
    'fluctuated-centre'
    """

    name: ClassVar[str] = "fluctuated-centre"

    def draw(self, rank: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return the fitted truth and a fluctuated centre."""
        return np.zeros(rank), rng.standard_normal(rank)


@dataclass(frozen=True, slots=True)
class PlugIn:
    """Toys from the fitted weights with the constraint at the fitted weights.

    The published recipe.  It gives toys a perfect constraint, which no data
    set has, and rejects true nulls too often whenever the weights are uncertain.

    References
    ----------
    G. Badaracco et al., sec. 2 (last paragraph of step 4).

    Examples
    --------
    >>> import verisimile as vs
    >>> vs.PlugIn().name
    'plug-in'
    """

    name: ClassVar[str] = "plug-in"

    def draw(self, rank: int, rng: np.random.Generator) -> tuple[Array, Array]:  # noqa: ARG002
        """Return the fitted truth and the fitted centre."""
        return np.zeros(rank), np.zeros(rank)
