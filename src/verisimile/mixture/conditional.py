"""The fitted mixture of conditional densities: values, pointwise errors, samples at contexts."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, BoolArray, as_matrix, as_vector, digest
from verisimile.core.errors import VerisimileWarning, require
from verisimile.core.run import Run
from verisimile.data.events import Events, match_features
from verisimile.data.feature import Feature, unique
from verisimile.data.held import plain_array
from verisimile.data.inputs import EventsLike, as_events
from verisimile.data.provenance import Provenance
from verisimile.data.sources import is_table
from verisimile.density.identity import content_key
from verisimile.density.protocol import AtContext, ConditionalDensity, as_pair
from verisimile.mixture.fit import WeightFit, check_converged, check_one_weight_each
from verisimile.mixture.model import Mixture
from verisimile.mixture.objective import density_error, mixed_log_density
from verisimile.mixture.sampling import SignedSample, conditional_log_densities, sample_signed_at

_PROBES = 8
_TOLERATED = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class ContextColumns:
    """The C columns that are given, and where the members have seen them.

    Attributes
    ----------
    span
        Smallest and largest training context ``(2, C)``, or None if unknown.
    places
        Numbers of these columns among those of the events, ``(C,)``; empty:
        behind the features.
    """

    features: tuple[Feature, ...]
    span: Array | None = None
    places: tuple[int, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(feature.name for feature in self.features)

    def outside(self, context: Array) -> BoolArray:
        """Return which contexts ``(n,)`` lie outside of the span."""
        if self.span is None:
            return np.zeros(len(context), dtype=np.bool_)
        return np.asarray(((context < self.span[0]) | (context > self.span[1])).any(axis=1))

    def warn_outside(self, context: Array, role: str) -> tuple[str, ...]:
        """Return a warning if more than 1 % of contexts lie outside of the span, and issue it.

        Of a sample as large as the training sample about two events do per column.
        """
        count = int(self.outside(context).sum())
        if count <= _TOLERATED * len(context):
            return ()
        message = (
            f"{count} of {len(context)} {role} contexts ({', '.join(self.names)}) lie outside "
            "of the training range: the density there is an extrapolation. Remove these events."
        )
        warnings.warn(message, VerisimileWarning, stacklevel=3)
        return (message,)


class ConditionalMixture:
    r"""A weighted sum of conditional densities with uncertain weights.

    .. math:: \hat f(x \mid c) = \sum_i w_i f_i(x \mid c), \qquad \sum_i w_i = 1

    The weights do not depend on c, so that the sum is normalised over x for
    every context.

    Parameters
    ----------
    members, fit
        M conditional densities of the same features and context, their weights and covariance.
    features
        Names, units and supports of x, ``(d,)``; ``x0, x1, ...`` if not given.
    context
        The same of c, with the trained range; ``c0, c1, ...`` if not given.
    provenance
        Samples that the members or weights were made from.

    Raises
    ------
    InputError
        If members, weights and names do not belong together.
    NumericsError
        If the fit has not converged.
    """

    __slots__ = ("context", "features", "fingerprint", "fit", "members", "provenance")

    def __init__(
        self,
        members: Sequence[ConditionalDensity],
        fit: WeightFit,
        *,
        features: Sequence[Feature] | None = None,
        context: ContextColumns | None = None,
        provenance: Provenance = (),
    ) -> None:
        d, c = _sizes(members, fit)
        check_converged(fit, "ConditionalMixture.fit")
        self.members = tuple(members)
        self.fit = fit
        self.features = tuple(features) if features else tuple(Feature(f"x{i}") for i in range(d))
        self.context = context or ContextColumns(tuple(Feature(f"c{i}") for i in range(c)))
        self.provenance = provenance
        require(
            (self.n_features, self.n_context) == (d, c),
            "ConditionalMixture",
            got=f"{self.n_features} features, {self.n_context} context columns",
            expected=f"{d} features and {c} context columns, as the members have",
        )
        unique([feature.name for feature in self.columns], "ConditionalMixture")
        self.fingerprint = _fingerprint(self)

    def __repr__(self) -> str:
        """Return one line: sizes, features and context."""
        names = ", ".join(feature.name for feature in self.features)
        given = ", ".join(self.context.names)
        return f"ConditionalMixture(M={len(self.members)}, {names} | {given})"

    @property
    def n_features(self) -> int:
        """Number of features d of x."""
        return len(self.features)

    @property
    def n_context(self) -> int:
        """Number of context columns C."""
        return len(self.context.features)

    @property
    def columns(self) -> tuple[Feature, ...]:
        """Features and context, in the order of the events that the members were trained on."""
        both = (*self.features, *self.context.features)
        return tuple(both[j] for j in np.argsort(self._places()))

    @property
    def weights(self) -> Array:
        """Fitted weights ``(M,)``."""
        return self.fit.weights

    def divide(self, events: EventsLike) -> tuple[Array, Array]:
        """Return x ``(n, d)`` and c ``(n, C)`` of events, matched by name."""
        matched = match_features(as_events(events, "events"), self.columns)
        names = [feature.name for feature in self.features]
        return matched.select(names).x, matched.select(self.context.names).x

    def log_densities(self, x: npt.ArrayLike, context: npt.ArrayLike) -> Array:
        """Return the members' natural log-densities ``(n, M)`` of x given c."""
        pair = as_pair(x, context, shape=(self.n_features, self.n_context))
        return conditional_log_densities(self.members, *pair)

    def log_prob(self, x: npt.ArrayLike, context: npt.ArrayLike) -> Array:
        r"""Return :math:`\log \max(0, \hat f(x \mid c))`, ``(n,)``, in original units of x."""
        return mixed_log_density(self.log_densities(x, context), self.weights)

    def std(self, x: npt.ArrayLike, context: npt.ArrayLike) -> Array:
        """Return the pointwise error of the density, ``(n,)``, in density units."""
        return density_error(self.log_densities(x, context), self.fit.covariance)

    def at(self, context: npt.ArrayLike) -> Mixture:
        """Return the ordinary mixture at one context ``(C,)``, with histograms and samples."""
        row = as_vector(context, "context", length=self.n_context)
        return Mixture([AtContext(m, row) for m in self.members], self.fit, features=self.features)

    def sample(self, context: EventsLike, run: Run) -> Events:
        """Draw one event for each context; the same run gives the same events.

        Contexts are a matrix ``(n, C)``, or columns of events.  Features and context are
        returned in their order, with a warning if they leave the training range.
        """
        rows = self.contexts(context)
        self.context.warn_outside(rows, "sampled")
        x = self.draw(rows, run.seeds.at("sample").numpy()).x
        both = np.hstack([x, rows])[:, np.argsort(self._places())]
        return Events(both, features=self.columns)

    def draw(self, context: Array, rng: np.random.Generator) -> SignedSample:
        """Draw one event for each row of `context` ``(n, C)``, with log-densities and audit."""
        return sample_signed_at(self.members, self.weights, context, rng)

    def _places(self) -> list[int]:
        """Return the place among the events' columns of each feature, then of each context."""
        size = self.n_features + self.n_context
        given = self.context.places or tuple(range(self.n_features, size))
        return [*(j for j in range(size) if j not in given), *given]

    def contexts(self, source: EventsLike) -> Array:
        """Return the contexts ``(n, C)`` of events, or of a matrix that holds nothing else."""
        if isinstance(source, Events) or is_table(source):
            return as_events(source, "context").select(self.context.names).x
        return as_matrix(plain_array(source, "context"), "context", columns=self.n_context)


def _sizes(members: Sequence[ConditionalDensity], fit: WeightFit) -> tuple[int, int]:
    name = "ConditionalMixture.members"
    check_one_weight_each(len(members), fit, name)
    require(
        all(isinstance(member, ConditionalDensity) for member in members),
        name,
        got="members without context",
        expected="conditional densities with n_context, log_prob(x, c), sample(c, rng)",
        remedy="Use Mixture for densities without context.",
    )
    sizes = {(member.n_features, member.n_context) for member in members}
    require(
        len(sizes) == 1,
        name,
        got=f"members of (features, context) {sorted(sizes)}",
        expected="one number of features and of context columns",
    )
    return sizes.pop()


def _fingerprint(mixture: ConditionalMixture) -> str:
    span = mixture.context.span
    context = np.zeros(mixture.n_context) if span is None else span.mean(axis=0)
    fit = mixture.fit
    kept = [part for part in (fit.draws, fit.boundary, fit.unbounded) if part is not None]
    sha = hashlib.sha256(digest(fit.weights, fit.covariance, *kept).encode())
    for member in mixture.members:
        sha.update(content_key(member, _PROBES, context).encode())
    return sha.hexdigest()
