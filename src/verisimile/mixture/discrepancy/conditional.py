"""A conditional mixture with its discrepancy: density, errors and samples at given contexts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, IntArray, as_vector, frozen
from verisimile.core.errors import require
from verisimile.core.run import Run
from verisimile.data.events import match_features
from verisimile.data.inputs import EventsLike, as_events
from verisimile.density.protocol import as_pair
from verisimile.mixture.conditional import ConditionalMixture
from verisimile.mixture.discrepancy.bands import feature_bands
from verisimile.mixture.discrepancy.basis import DiscrepancyBasis
from verisimile.mixture.discrepancy.corrected import CorrectedMixture
from verisimile.mixture.discrepancy.fit import Discrepancy
from verisimile.mixture.discrepancy.functions import Functions
from verisimile.mixture.discrepancy.matched import (
    ConditionalDiscrepancyFit,
    draws_each,
    fit_matched,
)
from verisimile.mixture.discrepancy.posterior import DiscrepancyFit
from verisimile.mixture.discrepancy.sampling import sample_tilted_at
from verisimile.mixture.law import WeightLaw
from verisimile.mixture.objective import mixed_log_density
from verisimile.mixture.sampling import SignedSample
from verisimile.mixture.tilt_fit import covariance_at, log_partition
from verisimile.stats.linalg import whitening

_NORM = 128  # draws at each context, for log Z and the means there
_AT_ONE = 20_000  # the same at the one context of an ordinary mixture
_ROWS = 16_384  # draws at a time


class CorrectedConditionalMixture(ConditionalMixture):
    r"""A conditional mixture corrected by what its members miss alike, with the error of this.

    .. math:: p(x \mid c) = \hat f(x \mid c)\, e^{s(x, c)\cdot\hat\eta + \varphi(x, c)\cdot\hat b}
              / Z(c)

    s are the relative eigen-variations of the weights, phi bumps in the normal scores of the
    features, and products of these with one another's and with the context's.

    Z and the means of (s, phi) at a context are averages over `norm` draws of the mixture there,
    from a stream that belongs to the mixture: the same contexts have the same Z.  The noise of
    these draws is part of the pointwise error.

    Parameters
    ----------
    mixture
        Conditional members with fitted weights.
    discrepancy
        The correction, and the covariance of weights and correction together.
    norm
        K, draws at each different context.

    Raises
    ------
    InputError
        If the discrepancy is that of another mixture, or there are fewer than two draws.

    References
    ----------
    M. Kennedy, A. O'Hagan, J. R. Stat. Soc. B 63 (2001) 425 (model discrepancy).
    """

    __slots__ = ("discrepancy", "norm", "uncorrected")

    def __init__(
        self,
        mixture: ConditionalMixture,
        discrepancy: ConditionalDiscrepancyFit,
        *,
        norm: int = _NORM,
    ) -> None:
        name = "CorrectedConditionalMixture"
        require(
            np.array_equal(mixture.weights, discrepancy.functions.weights),
            f"{name}.discrepancy",
            got="the correction of another mixture",
            expected="one that was fitted for these weights",
        )
        require(norm >= 2, f"{name}.norm", got=norm, expected="at least two draws")
        self.members = mixture.members
        self.fit = mixture.fit
        self.features = mixture.features
        self.context = mixture.context
        self.provenance = mixture.provenance
        self.uncorrected = mixture
        self.discrepancy = discrepancy
        self.norm = norm
        both = f"{mixture.fingerprint}{discrepancy.digest}{norm}"
        self.fingerprint = hashlib.sha256(both.encode()).hexdigest()

    def __repr__(self) -> str:
        """Return one line: sizes, features and context, and how much was learnt."""
        names = ", ".join(feature.name for feature in self.features)
        given = ", ".join(self.context.names)
        r = self.discrepancy.record
        learnt = f"{r.effective:.0f} of {r.n_functions}"
        return (
            f"CorrectedConditionalMixture(M={len(self.members)}, {names} | {given}, "
            f"discrepancy={learnt})"
        )

    def log_prob(self, x: npt.ArrayLike, context: npt.ArrayLike) -> Array:
        r"""Return :math:`\log p(x \mid c)`, ``(n,)``, in original units of x."""
        return self._evaluated(x, context)[0]

    def std(self, x: npt.ArrayLike, context: npt.ArrayLike) -> Array:
        r"""Return the pointwise error of the density, ``(n,)``, in density units.

        .. math:: \sigma_p = p \sqrt{v^T \Sigma v + \mathrm{var} \log Z}, \qquad
                  v = (s, \varphi) - \langle (s, \varphi) \rangle_{p(\cdot \mid c)}
        """
        log_p, varied, noise = self._evaluated(x, context)
        along = varied @ whitening(self.discrepancy.covariance)
        return np.asarray(np.exp(log_p) * np.sqrt((along * along).sum(axis=1) + noise))

    def at(self, context: npt.ArrayLike) -> CorrectedMixture:
        """Return the ordinary corrected mixture at one context ``(C,)``, with honest errors.

        Norm and means are those of 20 000 draws there.  Its bands compare with the counting error
        of as many events, at this context, as there were in the fit at all contexts.
        """
        row = as_vector(context, "context", length=self.n_context)
        own = self.discrepancy
        functions = replace(own.functions, basis=own.functions.basis.fixed(frozen(row)))
        drawn = self.uncorrected.draw(np.tile(row, (_AT_ONE, 1)), self._stream())
        rows = functions.at(drawn.x, drawn.log_densities)
        log_norm = log_partition(rows, own.coefficients)
        share = np.exp(rows @ own.coefficients - log_norm)
        share /= share.sum()
        fit = DiscrepancyFit(
            functions=functions,
            coefficients=own.coefficients,
            covariance=own.covariance,
            means=frozen(share @ rows),
            information=frozen(covariance_at(rows, share)),
            log_norm=log_norm,
            scales=own.scales,
            reference="",  # no draws at one context have the means that the events were fitted to
            bands=(),
            settings=own.settings,
            record=replace(own.record, reference=_AT_ONE),
        )
        whole = replace(fit, bands=feature_bands(fit, drawn.x, rows))
        return CorrectedMixture(self.uncorrected.at(row), whole)

    def draw(self, context: Array, rng: np.random.Generator) -> SignedSample:
        """Draw one event for each row of `context` ``(n, C)``, with log-densities and audit.

        See :func:`~verisimile.mixture.discrepancy.sampling.sample_tilted_at`.
        """
        functions, theta = self.discrepancy.functions, self.discrepancy.coefficients

        def log_ratio(drawn: SignedSample, rows: Array) -> Array:
            both = np.hstack([drawn.x, rows])
            return np.asarray(functions.at(both, drawn.log_densities) @ theta)

        return sample_tilted_at(self.uncorrected.draw, log_ratio, context, rng)

    def _evaluated(self, x: npt.ArrayLike, context: npt.ArrayLike) -> tuple[Array, Array, Array]:
        """Return log p ``(n,)``, centred functions ``(n, r + P)`` and the variance of log Z."""
        values, rows = as_pair(x, context, shape=(self.n_features, self.n_context))
        own = self.discrepancy
        logf = self.uncorrected.log_densities(values, rows)
        log_p = mixed_log_density(logf, self.weights)
        possible = log_p > -np.inf
        varied = np.zeros((len(values), own.coefficients.size))
        noise = np.zeros(len(values))
        if not possible.any():
            return log_p, varied, noise
        different, which = np.unique(rows[possible], axis=0, return_inverse=True)
        local = self._local(different).at(which.reshape(-1))
        both = np.hstack([values, rows])[possible]
        functions = own.functions.at(both, logf[possible])
        log_p[possible] += functions @ own.coefficients - local.log_norm
        varied[possible] = functions - local.means
        noise[possible] = local.noise
        return log_p, varied, noise

    def _local(self, contexts: Array) -> ContextMoments:
        """Return the norm and the means at different contexts ``(U, C)``."""
        rng = self._stream()
        parts = [self._block(block, rng) for block in _blocks(contexts, self.norm)]
        return ContextMoments(*(np.concatenate(each) for each in zip(*parts, strict=True)))

    def _block(self, contexts: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        own, size = self.discrepancy, self.norm
        repeated = np.repeat(contexts, size, axis=0)
        drawn = self.uncorrected.draw(repeated, rng)
        rows = own.functions.at(np.hstack([drawn.x, repeated]), drawn.log_densities)
        logits = (rows @ own.coefficients).reshape(-1, size)
        top = logits.max(axis=1, keepdims=True)
        ratio = np.exp(logits - top)
        mean = ratio.mean(axis=1)
        noise = ratio.var(axis=1, ddof=1) / (size * mean**2)
        share = ratio / ratio.sum(axis=1, keepdims=True)
        means = np.einsum("uk,ukp->up", share, rows.reshape(*share.shape, -1))
        return np.log(mean) + top[:, 0], noise, means

    def _stream(self) -> np.random.Generator:
        return np.random.default_rng(int(self.fingerprint[:16], 16))


@dataclass(frozen=True, slots=True, eq=False)
class ContextMoments:
    """At U contexts: log Z, the variance of this estimate ``(U,)``, means of the functions."""

    log_norm: Array
    noise: Array
    means: Array

    def at(self, which: IntArray) -> ContextMoments:
        """Return those at contexts of given numbers."""
        return ContextMoments(self.log_norm[which], self.noise[which], self.means[which])


def _blocks(contexts: Array, draws: int) -> Iterator[Array]:
    size = max(1, _ROWS // draws)
    for start in range(0, len(contexts), size):
        yield contexts[start : start + size]


def correct_conditional_mixture(
    run: Run,
    mixture: ConditionalMixture,
    events: EventsLike,
    discrepancy: Discrepancy = Discrepancy(),  # noqa: B008  (a frozen value)
) -> CorrectedConditionalMixture:
    """Learn from the events of the weight fit what all conditional members miss alike.

    Parameters
    ----------
    run
        Random streams (``"discrepancy"``).
    mixture
        Members with weights that were fitted to `events`.
    events
        The events of the weight fit, features and context, with their weights.
    discrepancy
        Settings; ``reference`` is not used: there are up to ten draws at each event's context.

    Raises
    ------
    InputError
        If these are not the events of the weight fit.
    NumericsError
        If the fit has no certified optimum.
    """
    matched = match_features(as_events(events, "events"), mixture.columns)
    known = [seen.digest for seen in mixture.provenance if seen.role == "weight-fit"]
    require(
        not known or matched.digest in known,
        "events",
        got="a sample that the weights were not fitted to",
        expected="the events of the weight fit: weights and correction are fitted together",
    )
    plain = mixture.uncorrected if isinstance(mixture, CorrectedConditionalMixture) else mixture
    x, context = plain.divide(matched)
    seeds = run.seeds.at("discrepancy")
    rng = seeds.at("draws").numpy()
    first = plain.draw(context, rng)
    columns = (*plain.features, *plain.context.features)
    law = WeightLaw.of(plain.fit)
    log_f = mixed_log_density(first.log_densities, plain.weights)
    both = np.hstack([first.x, context])
    basis = DiscrepancyBasis.of(columns, both, log_f, given=plain.n_context)
    functions = Functions(frozen(law.weights), frozen(law.variations), discrepancy.cap, basis)
    count = draws_each(len(x), functions.groups.size)
    drawn = np.empty((len(x), count, functions.groups.size))
    for j in range(count):
        sample = first if j == 0 else plain.draw(context, rng)
        drawn[:, j] = functions.at(np.hstack([sample.x, context]), sample.log_densities)
    seen = functions.at(np.hstack([x, context]), plain.log_densities(x, context))
    fit = fit_matched(functions, seen, drawn, matched.weights, discrepancy, seeds)
    return CorrectedConditionalMixture(plain, fit)
