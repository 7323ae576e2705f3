"""A mixture with its discrepancy: density, errors, observables and samples of the corrected law."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping

import numpy as np

from verisimile.core.arrays import Array, as_vector, frozen
from verisimile.core.errors import NumericsError, require
from verisimile.core.hists import EdgesLike
from verisimile.core.result import Estimate
from verisimile.core.run import Run
from verisimile.data.events import Events, match_features
from verisimile.data.inputs import EventsLike, as_events, matched_values
from verisimile.data.provenance import Provenance
from verisimile.ensemble.cross import ROLE as CROSS
from verisimile.mixture.discrepancy.fit import Discrepancy, Reference, fit_discrepancy
from verisimile.mixture.discrepancy.posterior import DiscrepancyFit
from verisimile.mixture.discrepancy.sampling import REPEATED, sample_tilted
from verisimile.mixture.discrepancy.settings import check_discrepancy
from verisimile.mixture.kept import kept_draws
from verisimile.mixture.law import WeightLaw
from verisimile.mixture.model import HistogramEstimate, Mixture
from verisimile.mixture.objective import mixed_log_density
from verisimile.mixture.sampling import SignedSample, audited, member_log_densities, sample_signed
from verisimile.mixture.templates import TemplateBins, Templates

_REPETITIONS = 1.0  # expected in a sample, at most


class CorrectedMixture(Mixture):
    r"""A mixture corrected by what its members miss alike, with the error that this leaves.

    .. math:: p(x) = \hat f(x)\, e^{s(x)\cdot\hat\eta + \varphi(x)\cdot\hat b} / Z

    s are the relative eigen-variations of the weights, phi bumps in the features' normal scores
    (:class:`~verisimile.mixture.discrepancy.basis.DiscrepancyBasis`).  Errors are those of weights
    and correction together: they hold what no weight can undo.

    Parameters
    ----------
    mixture
        Members with fitted weights.
    discrepancy
        The correction, and the covariance of weights and correction together.
    draws
        Those of the fit ``(R, d)`` with their log-densities ``(R, M)``: errors are best known
        with them.  Without, a run draws others.

    Raises
    ------
    InputError
        If the discrepancy is that of another mixture.

    References
    ----------
    M. Kennedy, A. O'Hagan, J. R. Stat. Soc. B 63 (2001) 425 (model discrepancy).
    """

    __slots__ = ("_draws", "discrepancy", "uncorrected")

    def __init__(
        self,
        mixture: Mixture,
        discrepancy: DiscrepancyFit,
        *,
        draws: tuple[Array, Array] | None = None,
    ) -> None:
        same = np.array_equal(mixture.weights, discrepancy.functions.weights)
        require(
            same,
            "CorrectedMixture.discrepancy",
            got="the correction of another mixture",
            expected="one that was fitted for these weights",
        )
        self.members = mixture.members
        self.fit = mixture.fit
        self.features = mixture.features
        self.provenance = mixture.provenance
        self.uncorrected = mixture
        self.discrepancy = discrepancy
        self._draws = draws
        both = f"{mixture.fingerprint}{discrepancy.digest}"
        self.fingerprint = hashlib.sha256(both.encode()).hexdigest()

    def __repr__(self) -> str:
        """Return one line: sizes, features, and how much of the discrepancy was learnt."""
        names = ", ".join(feature.name for feature in self.features)
        r = self.discrepancy.record
        learnt = f"{r.effective:.0f} of {r.n_functions}"
        return f"CorrectedMixture(M={len(self.members)}, features=({names}), discrepancy={learnt})"

    def log_prob(self, x: EventsLike) -> Array:
        r"""Return :math:`\log p(x)`, ``(n,)``, in original units."""
        return self._evaluated(x)[0]

    def std(self, x: EventsLike) -> Array:
        r"""Return the pointwise error of the density, ``(n,)``, in density units.

        .. math:: \sigma_p = p \sqrt{v^T \Sigma v}, \qquad
                  v = (s, \varphi) - \langle (s, \varphi) \rangle_p
        """
        log_p, rows = self._evaluated(x)
        return np.asarray(np.exp(log_p) * self.discrepancy.relative_error(rows))

    def expectation(
        self, h: Callable[[Array], Array], run: Run, *, draws: int | None = None
    ) -> Estimate:
        r"""Return :math:`O = \int h p` with its error, from weighted draws of the mixture.

        .. math:: \sigma^2 = g^T \Sigma g + \sigma^2_\mathrm{draws}, \qquad
                  g = \mathrm{Cov}_p((s, \varphi), h)

        Parameters
        ----------
        h
            Function of events ``(n, d)`` to values ``(n,)``.
        run
            Gives the random stream and keeps the draws.
        draws
            Events drawn of the mixture, None for those of the correction's fit; the second term
            falls as 1 / draws.
        """
        x, rows = self.weighted_draws(run, draws)
        values = as_vector(h(x), "h(x)", length=len(x))
        mean, covariance, _ = self.discrepancy.moments(values[:, None], x, rows)
        spread = float(covariance[0, 0])
        if not np.isfinite(spread):
            raise NumericsError("expectation", got="a non-finite error", expected="a finite one")
        return Estimate(float(mean[0]), math.sqrt(max(spread, 0.0)))

    def histograms(
        self, edges: Mapping[str, EdgesLike], run: Run, *, draws: int | None = None
    ) -> dict[str, HistogramEstimate]:
        """Return the contents of bins of several features by name, with their covariances.

        `run` and `draws` as for :meth:`expectation`.
        """
        bins = self._bins(edges)
        x, rows = self.weighted_draws(run, draws)
        inside = [_inside(x[:, column], e) for column, e in bins.items()]
        content, covariance, _ = self.discrepancy.moments(np.hstack(inside), x, rows)
        found, start = {}, 0
        for column, e in bins.items():
            own = slice(start, start + e.size - 1)
            start = own.stop
            spec = self.features[column]
            found[spec.name] = HistogramEstimate(
                e, frozen(content[own]), frozen(covariance[own, own]), spec
            )
        return found

    def templates(
        self,
        axes: Mapping[str, EdgesLike],
        run: Run,
        *,
        events: float = 1.0,
        filled: int | None = None,
        draws: int | None = None,
    ) -> Templates:
        r"""Return a histogram with its errors as independent variations, for an analysis.

        .. math:: h = n P, \qquad \mathrm{Cov}(h) = n^2 G^T \Sigma G = \sum_k v_k v_k^T

        with G as in :meth:`expectation`; arguments as of
        :meth:`~verisimile.mixture.model.Mixture.templates`.
        """
        cells = TemplateBins.of(axes, self.features)
        x, rows = self.weighted_draws(run, draws)
        contents, covariance, noise = self.discrepancy.moments(cells.inside(x), x, rows)
        # The noise of the draws is in the covariance that is returned.
        return self._templates(
            cells, contents, covariance - noise, np.diag(noise), (events, filled)
        )

    def draw(self, n: int, run: Run) -> SignedSample:
        """Draw `n` events with their members' log-densities and the sampler's audit.

        Events of the mixture are kept in proportion to the ratio of the densities, up to the
        bound that the audit records: see
        :func:`~verisimile.mixture.discrepancy.sampling.sample_tilted`.
        """
        seeds = run.seeds.at("sample", "corrected")
        return audited(self.drawn(n, seeds.numpy()), self.members, self.weights, seeds)

    def drawn(self, n: int, rng: np.random.Generator) -> SignedSample:
        """Draw `n` events from a stream, as :meth:`draw` does, without the members' audit."""
        theta = self.discrepancy.coefficients
        return self.draw_at(theta, n, rng, excess=min(REPEATED, _REPETITIONS / n))

    def draw_at(
        self, theta: Array, n: int, rng: np.random.Generator, *, excess: float = REPEATED
    ) -> SignedSample:
        """Draw `n` events of the law with other coefficients ``(r + P,)`` than the fitted ones."""
        functions = self.discrepancy.functions

        def propose(size: int, stream: np.random.Generator) -> tuple[SignedSample, Array]:
            drawn = sample_signed(self.members, self.weights, size, stream)
            return drawn, functions.along(theta[:, None], drawn.x, drawn.log_densities)[:, 0]

        return sample_tilted(propose, n, rng, excess=excess)

    def weighted_draws(self, run: Run, draws: int | None = None) -> tuple[Array, Array]:
        """Return draws of the *uncorrected* mixture ``(n, d)`` and their functions.

        Each counts by ``discrepancy.shares(rows)``.  They are those of the fit, if these are
        known and no number is given; else made once per run and kept in its store.
        """
        x, logf = self.plain_draws(run, draws)
        return x, self.discrepancy.functions.at(x, logf)

    def plain_draws(self, run: Run, draws: int | None = None) -> tuple[Array, Array]:
        """Return the same draws with the members' log-densities ``(n, M)`` there."""
        if draws is None and self._draws is not None:
            return self._draws
        size = draws or self.discrepancy.record.reference
        return kept_draws(run, self.uncorrected, size)

    def _evaluated(self, x: EventsLike) -> tuple[Array, Array]:
        """Return log p ``(n,)`` and the functions ``(n, r + P)``; these are NaN where p is zero."""
        values = matched_values(x, self.features, "x")
        logf = member_log_densities(self.members, values)
        found = mixed_log_density(logf, self.weights)
        rows = np.full((len(values), self.discrepancy.coefficients.size), np.nan)
        possible = found > -np.inf
        functions = self.discrepancy.functions
        rows[possible] = functions.at(values[possible], logf[possible])
        found[possible] += self.discrepancy.log_ratio(rows[possible])
        rows[~possible] = self.discrepancy.means
        return found, rows


def _inside(column: Array, edges: Array) -> Array:
    """Return which bin each value lies in ``(n, G)``; the last holds its upper edge."""
    inside = (column[:, None] >= edges[:-1]) & (column[:, None] < edges[1:])
    inside[:, -1] |= column == edges[-1]
    return inside.astype(np.float64)


def correct_mixture(
    run: Run,
    mixture: Mixture,
    events: EventsLike,
    discrepancy: Discrepancy = Discrepancy(),  # noqa: B008  (a frozen value)
) -> CorrectedMixture:
    """Learn from the events of the weight fit what all members miss alike.

    Parameters
    ----------
    run
        Random streams (``"draws"``, ``"discrepancy"``) and storage of the draws.
    mixture
        Members with weights that were fitted to `events`.
    events
        The events of the weight fit ``(n, d)``, with their weights.
    discrepancy
        Settings.

    Raises
    ------
    InputError
        If these are not the events of the weight fit, or the members have seen them.
    NumericsError
        If the fit has no certified optimum.

    Examples
    --------
    >>> import numpy as np
    >>> import verisimile as vs
    >>> from scipy import stats
    >>> members = [vs.adapt(stats.norm(mean)) for mean in (-0.5, 0.5)]
    >>> x = np.random.default_rng(1).normal(size=(400, 1))
    >>> fit = vs.fit_weights(np.column_stack([each.log_prob(x) for each in members]))
    >>> mixture = vs.Mixture(members, fit)
    >>> corrected = vs.correct_mixture(vs.Run(vs.Seeds(1)), mixture, x, vs.Discrepancy(draws=50))
    >>> corrected.n_features
    1
    """
    require_unseen(mixture.provenance)
    check_discrepancy(discrepancy, needed=True)
    matched = match_features(as_events(events, "events"), mixture.features)
    known = [seen.digest for seen in mixture.provenance if seen.role == "weight-fit"]
    require(
        not known or matched.digest in known,
        "events",
        got="a sample that the weights were not fitted to",
        expected="the events of the weight fit: weights and correction are fitted together",
    )
    plain = mixture.uncorrected if isinstance(mixture, CorrectedMixture) else mixture
    return corrected_by(run, plain, matched, plain.log_densities(matched), discrepancy)


def require_unseen(provenance: Provenance) -> None:
    """Raise if members were trained on the events of the weight fit."""
    require(
        all(seen.role != CROSS for seen in provenance),
        "mixture",
        got="members that were trained on the events of the weight fit",
        expected="members that have not seen them",
        remedy="Use fit_cross_mixture(run, ensemble, events), which knows who has seen what.",
    )


def corrected_by(
    run: Run,
    mixture: Mixture,
    events: Events,
    logf: Array,
    settings: Discrepancy,
    *,
    inflation: float = 1.0,
) -> CorrectedMixture:
    """Return a mixture with the discrepancy of events with log-densities `logf` ``(n, M)``.

    `inflation` multiplies the covariance.
    """
    size = settings.reference_size(events.n, events.d)
    x, at_draws = kept_draws(run, mixture, size)
    law = WeightLaw.of(mixture.fit)
    reference = Reference.of(law, mixture.features, x, at_draws, settings.cap)
    fit = fit_discrepancy(
        reference,
        events.x,
        logf,
        events.weights,
        settings,
        run.seeds.at("discrepancy"),
        inflation=inflation,
    )
    return CorrectedMixture(mixture, fit, draws=(x, at_draws))
