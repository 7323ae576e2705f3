"""The fitted mixture as a density: values, pointwise errors, observables, samples."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from verisimile.core.arrays import Array, as_vector, digest, frozen
from verisimile.core.canonical import JSON
from verisimile.core.errors import NumericsError, require, require_one_of
from verisimile.core.hists import EdgesLike, WeightedHistogram, as_edges, histogram_of
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Record
from verisimile.core.result import Estimate, Result, register
from verisimile.core.run import Run
from verisimile.core.tasks import Task
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.data.inputs import EventsLike, matched_values
from verisimile.data.provenance import Provenance
from verisimile.density.identity import content_key
from verisimile.density.protocol import ConditionalDensity, DensityEstimator
from verisimile.mixture.fit import WeightFit, check_converged, check_one_weight_each
from verisimile.mixture.objective import density_error, mixed_log_density
from verisimile.mixture.sampling import SignedSample, audited, member_log_densities, sample_signed
from verisimile.mixture.templates import TemplateBins, Templates, templates_of

_DRAWS = 20_000
_PROBES = 8


class Mixture:
    r"""A weighted sum of densities :math:`\hat f = \sum_i w_i f_i` with uncertain weights.

    Parameters
    ----------
    members, fit
        M normalised density estimators of the same features, their weights and covariance.
    features
        Names, units and supports, ``(d,)``; ``x0, x1, ...`` if not given.
    provenance
        Samples that the members or weights were made from.

    Raises
    ------
    InputError
        If members, weights and names do not belong together.
    NumericsError
        If the fit has not converged.

    Notes
    -----
    The covariance is that of the weights for a *given* set of members: what these miss alike,
    or a retrained ensemble would change, is not in it.  ``fit_mixture`` returns a
    :class:`~verisimile.mixture.discrepancy.corrected.CorrectedMixture`, whose errors hold it.

    Examples
    --------
    >>> import numpy as np
    >>> import verisimile as vs
    >>> from scipy import stats
    >>> members = [vs.adapt(stats.norm(mean)) for mean in (-0.5, 0.5)]
    >>> x = np.random.default_rng(1).normal(size=(400, 1))
    >>> fit = vs.fit_weights(np.column_stack([each.log_prob(x) for each in members]))
    >>> mixture = vs.Mixture(members, fit)
    >>> mixture.log_prob(np.zeros((1, 1))).round(2)
    array([-1.04])
    >>> mixture.std(np.zeros((1, 1))) < 0.05
    array([ True])
    """

    __slots__ = ("features", "fingerprint", "fit", "members", "provenance")

    def __init__(
        self,
        members: Sequence[DensityEstimator],
        fit: WeightFit,
        *,
        features: Sequence[Feature] | None = None,
        provenance: Provenance = (),
    ) -> None:
        name = "Mixture.members"
        check_one_weight_each(len(members), fit, name)
        require(
            not any(isinstance(member, ConditionalDensity) for member in members),
            name,
            got="conditional densities f(x | c)",
            expected="densities without context",
            remedy="Use ConditionalMixture.",
        )
        width = {member.n_features for member in members}
        found = f"members of {sorted(width)} features"
        require(len(width) == 1, name, got=found, expected="one number")
        check_converged(fit, "Mixture.fit")
        d = width.pop()
        self.members = tuple(members)
        self.fit = fit
        self.features = tuple(features) if features else tuple(Feature(f"x{i}") for i in range(d))
        self.provenance = provenance
        count = len(self.features)
        require(count == d, "Mixture.features", got=count, expected=f"{d} features")
        self.fingerprint = _fingerprint(self.members, fit)

    def __repr__(self) -> str:
        """Return one line: sizes and features."""
        names = ", ".join(feature.name for feature in self.features)
        return f"Mixture(M={len(self.members)}, features=({names}))"

    @property
    def n_features(self) -> int:
        """Number of features d."""
        return len(self.features)

    @property
    def weights(self) -> Array:
        """Fitted weights ``(M,)``."""
        return self.fit.weights

    def log_densities(self, x: EventsLike) -> Array:
        """Return the members' natural log-densities ``(n, M)`` in original units.

        Columns with names are matched to the features; those of an array are in their order.
        """
        return member_log_densities(self.members, matched_values(x, self.features, "x"))

    def log_prob(self, x: EventsLike) -> Array:
        r"""Return :math:`\log \max(0, \hat f(x))`, ``(n,)``, in original units.

        Minus infinity marks a density that is zero or negative there, where the
        sampler never puts an event.  The mass cut away is the audited negative mass.
        """
        return mixed_log_density(self.log_densities(x), self.weights)

    def std(self, x: EventsLike) -> Array:
        r"""Return the pointwise error of the density, ``(n,)``, in density units.

        .. math:: \sigma_{\hat f}(x) = \sqrt{f(x)^T C f(x)}

        References
        ----------
        G. Badaracco et al., eq. 3.
        """
        return density_error(self.log_densities(x), self.fit.covariance)

    def expectation(
        self, h: Callable[[Array], Array], run: Run, *, draws: int = _DRAWS
    ) -> Estimate:
        r"""Return :math:`O = \int h \hat f` with its error.

        .. math:: O = \sum_i w_i O_i, \quad
                  \sigma^2 = O^T C O + \sum_i w_i^2 \mathrm{var}(O_i)

        Parameters
        ----------
        h
            Function of events ``(n, d)`` to values ``(n,)``.
        run
            Gives the random stream and keeps the members' draws.
        draws
            Events drawn per member; the second term falls as 1 / draws.
        """
        return linear_functional(h, self.draws(run, draws), self.fit)

    def histogram(
        self, edges: EdgesLike, *, feature: str, run: Run, draws: int | None = None
    ) -> HistogramEstimate:
        """Return the content of bins ``(G + 1,)`` of one feature, with their full covariance.

        `edges` are an array, or an axis or histogram of boost-histogram or hist.  `run` and
        `draws` as for :meth:`expectation`.
        """
        return self.histograms({feature: edges}, run, draws=draws)[feature]

    def histograms(
        self, edges: Mapping[str, EdgesLike], run: Run, *, draws: int | None = None
    ) -> dict[str, HistogramEstimate]:
        """Return the same of several features, by name: the draws are looked at once."""
        bins = self._bins(edges)
        samples = self.draws(run, _DRAWS if draws is None else draws)
        found = {}
        for column, e in bins.items():
            columns = [x[:, column] for x in samples]
            spec = self.features[column]
            found[spec.name] = replace(member_histogram(columns, e, self.fit), feature=spec)
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

        .. math:: h = n P, \qquad \mathrm{Cov}(h) = n^2 P_\cdot C P_\cdot^T
                  = \sum_k v_k v_k^T

        Parameters
        ----------
        axes
            Edges by the name of a feature; bins of several features are those of their product.
        run, draws
            As for :meth:`expectation`.
        events
            n, expected events.
        filled
            Generated events that the analysis fills the bins with, whose counting error
            :math:`n \sqrt{P / n_\mathrm{filled}}` is the statistical part; None for the
            expectation itself, whose statistical error is that of the draws.
        """
        cells = TemplateBins.of(axes, self.features)
        samples = self.draws(run, _DRAWS if draws is None else draws)
        contents = np.array([cells.inside(x).mean(axis=0) for x in samples])
        sizes = np.array([len(x) for x in samples], dtype=np.float64)
        noise = (self.weights**2 / sizes) @ (contents * (1.0 - contents))
        return self._templates(
            cells,
            self.weights @ contents,
            contents.T @ self.fit.covariance @ contents,
            noise,
            (events, filled),
        )

    @staticmethod
    def _templates(
        cells: TemplateBins,
        contents: Array,
        covariance: Array,
        noise: Array,
        size: tuple[float, int | None],
    ) -> Templates:
        events, filled = size
        if filled is not None:
            require(filled > 0, "filled", got=filled, expected="a number of events above zero")
            noise = noise + contents / filled
        statistical = events * np.sqrt(noise)
        return templates_of(cells.axes, events * contents, events**2 * covariance, statistical)

    def to_pyhf(
        self,
        axes: Mapping[str, EdgesLike],
        run: Run,
        signal: Sequence[float] | Array,
        observed: Sequence[float] | Array,
        *,
        events: float,
        filled: int | None = None,
        name: str = "background",
    ) -> dict[str, JSON]:
        """Return a pyhf workspace with this density as the background of a signal.

        `axes`, `run`, `events` and `filled` as for :meth:`templates`; the rest as for
        :meth:`~verisimile.mixture.templates.Templates.to_pyhf`.
        """
        made = self.templates(axes, run, events=events, filled=filled)
        return made.to_pyhf(signal, observed, name=name)

    def _bins(self, edges: Mapping[str, EdgesLike]) -> dict[int, Array]:
        """Return edges by the number of their feature; raise unless it is known, and they rise."""
        names = [spec.name for spec in self.features]
        for feature in edges:
            require_one_of(feature, names, "feature")
        return {names.index(feature): as_edges(e, "edges") for feature, e in edges.items()}

    def draws(self, run: Run, draws: int) -> list[Array]:
        """Return `draws` events of each member, M arrays ``(draws, d)``, kept by the run."""
        return member_draws(run, self.members, draws, self.fingerprint)

    def sample(self, n: int, run: Run) -> Events:
        """Draw `n` unweighted events; the same run gives the same events."""
        return Events(self.draw(n, run).x, features=self.features)

    def draw(self, n: int, run: Run) -> SignedSample:
        """Draw `n` events with their members' log-densities and the sampler's audit."""
        seeds = run.seeds.at("sample")
        return audited(self.drawn(n, seeds.numpy()), self.members, self.weights, seeds)

    def drawn(self, n: int, rng: np.random.Generator) -> SignedSample:
        """Draw `n` events from a stream, as :meth:`draw` does, without the members' audit."""
        return sample_signed(self.members, self.weights, n, rng)


def _fingerprint(members: tuple[DensityEstimator, ...], fit: WeightFit) -> str:
    kept = [part for part in (fit.draws, fit.boundary, fit.unbounded) if part is not None]
    sha = hashlib.sha256(digest(fit.weights, fit.covariance, *kept).encode())
    for member in members:
        sha.update(content_key(member, _PROBES).encode())
    return sha.hexdigest()


@register("histogram-estimate", 1)
@dataclass(frozen=True, slots=True, eq=False)
class HistogramEstimate(Result):
    """Bin probabilities ``(G,)`` of a marginal, which sum to one when the edges span the support.

    Their covariance ``(G, G)`` is that of the weights plus the Monte-Carlo error of the
    members' contents.  `feature` is that of the marginal, None where it is not known.
    """

    edges: Array
    values: Array
    covariance: Array
    feature: Feature | None = None
    listed: ClassVar[tuple[str, ...]] = ("edges", "values", "errors")

    def to_hist(self) -> WeightedHistogram:
        """Return bin probabilities and variances as a histogram of boost-histogram."""
        name, label = ("", "") if self.feature is None else (self.feature.name, self.feature.title)
        return histogram_of(self.edges, self.values, self.errors**2, name=name, label=label)

    @property
    def errors(self) -> Array:
        """Standard deviations of the bin probabilities ``(G,)``."""
        return np.sqrt(np.clip(np.diag(self.covariance), 0.0, None))


def member_draws(
    run: Run, members: Sequence[DensityEstimator], draws: int, fingerprint: str
) -> list[Array]:
    """Return `draws` events of every member, made once per run and kept in its store."""
    require(draws >= 2, "draws", got=draws, expected="at least two events per member")
    tasks = [
        Task(
            address=f"draws/{fingerprint[:16]}/{draws}/{i:04d}",
            config={"mixture": fingerprint, "member": i, "draws": draws},
            seeds=run.seeds.at("draws", i),
            args=(member, draws),
        )
        for i, member in enumerate(members)
    ]
    records = run.map(_draw, tasks, label="draws", everywhere=True)
    # With no failures allowed, every outcome is a record.
    return [record.arrays["x"] for record in records if isinstance(record, Record)]


def _draw(seeds: Seeds, member: DensityEstimator, draws: int) -> Payload:
    return Payload({"x": member.sample(draws, seeds.numpy())}, {})


def linear_functional(
    h: Callable[[Array], Array], samples: Sequence[Array], fit: WeightFit
) -> Estimate:
    """Return the expectation of `h` under the mixture, from draws of each member."""
    values = [as_vector(h(x), "h(x)", length=x.shape[0]) for x in samples]
    means = np.array([v.mean() for v in values])
    variances = np.array([v.var(ddof=1) / v.size for v in values])
    spread = means @ fit.covariance @ means + (fit.weights**2) @ variances
    if not np.isfinite(spread):
        raise NumericsError("expectation", got="a non-finite error", expected="a finite variance")
    return Estimate(float(fit.weights @ means), float(np.sqrt(max(spread, 0.0))))


def member_histogram(columns: Sequence[Array], edges: Array, fit: WeightFit) -> HistogramEstimate:
    r"""Return bin probabilities of the mixture from one column of each member's draws.

    .. math:: P = \sum_i w_i P_i, \quad
              V = P_\cdot C P_\cdot^T + \sum_i w_i^2
              (\mathrm{diag}(P_i) - P_i P_i^T) / n_i
    """
    contents = np.array([np.histogram(column, edges)[0] / column.size for column in columns])
    covariance = contents.T @ fit.covariance @ contents
    for weight, content, column in zip(fit.weights, contents, columns, strict=True):
        scatter = np.diag(content) - np.outer(content, content)
        covariance += weight**2 / column.size * scatter
    return HistogramEstimate(
        edges=edges, values=frozen(fit.weights @ contents), covariance=frozen(covariance)
    )
