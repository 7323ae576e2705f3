"""Truths to draw data sets from, and their true values: given, exact, or from a large sample."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from verisimile.checks.coverage.observables import BoundObservable
from verisimile.core.arrays import Array, as_matrix, digest
from verisimile.core.errors import require
from verisimile.core.random import Seeds
from verisimile.core.result import Estimate
from verisimile.data.events import match_features
from verisimile.data.feature import Feature
from verisimile.data.held import described
from verisimile.data.inputs import EventsLike, as_events
from verisimile.density.protocol import DensityEstimator, Sampler
from verisimile.mixture.discrepancy.corrected import CorrectedMixture
from verisimile.mixture.model import Mixture
from verisimile.mixture.sampling import member_log_densities, sample_signed

_SAMPLE = 1_000_000
_PROBES = 64
_BLOCK = 20_000  # events that are drawn at a time
_NOTICEABLE = 0.03  # standard deviations


@dataclass(frozen=True, slots=True, eq=False)
class KnownTruth:
    """A truth with exactly known values of some observables.

    Parameters
    ----------
    sampler
        Draws events; used also for the observables without a value.
    values
        True values by the observables' names.

    Examples
    --------
    >>> import verisimile as vs
    >>> from scipy import stats
    >>> truth = vs.KnownTruth(vs.adapt(stats.norm()), {"mean": 0.0})
    >>> truth.values["mean"]
    0.0
    """

    sampler: Sampler
    values: Mapping[str, float]

    def __post_init__(self) -> None:
        object.__setattr__(self, "sampler", truth_of(self.sampler))

    @property
    def n_features(self) -> int:
        """Number of features d."""
        return self.sampler.n_features

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` events ``(n, d)``."""
        return self.sampler.sample(n, rng)


class SampledTruth:
    r"""A large sample that *is* the truth: N events, drawn without replacement in a data set.

    True values are those of the sample, without error, and a data set of n of
    its events lies closer to them than fresh events would: variances are
    :math:`1 - n / N` of those of the law behind the sample, and so are errors
    taken before they are compared (finite-population correction; in conditional
    mode only: with retrained members use a sample of a hundred times their events).

    Parameters
    ----------
    x
        Events without weights; columns with names are matched to those of a mixture.
    """

    __slots__ = ("events",)

    def __init__(self, x: EventsLike) -> None:
        self.events = as_events(x, "x")
        require(
            self.events.weights is None,
            "SampledTruth",
            got="events with weights",
            expected="events that each count once",
            remedy="Draw events in proportion to their weights.",
        )

    @property
    def x(self) -> Array:
        """The events' values ``(N, d)``."""
        return self.events.x

    def ordered(self, features: Sequence[Feature]) -> SampledTruth:
        """Return the truth with columns in the order of `features`, if they have names."""
        if self.events.nameless:
            return self
        return SampledTruth(match_features(self.events, features))

    @property
    def n_features(self) -> int:
        """Number of features d."""
        return int(self.x.shape[1])

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` different events ``(n, d)``, fewer than the sample has."""
        require(
            n < self.x.shape[0],
            "truth",
            got=f"{self.x.shape[0]} events",
            expected=f"more than the {n} of a data set",
            remedy="Use smaller data sets or a larger sample, ten times theirs or more.",
        )
        return self.x[rng.choice(self.x.shape[0], size=n, replace=False)]


def truth_of(truth: Sampler | EventsLike, features: Sequence[Feature] | None = None) -> Sampler:
    """Return something that draws events; a sample is the truth itself, its columns by name."""
    if isinstance(truth, KnownTruth):
        return replace(truth, sampler=truth_of(truth.sampler, features))
    if isinstance(truth, SampledTruth):
        return truth if features is None else truth.ordered(features)
    if isinstance(truth, Sampler):
        return truth
    require(
        not callable(truth),
        "truth",
        got=described(truth),
        expected="a sampler with n_features and sample(n, rng), or a sample of events",
        remedy="vs.SampledTruth(events) is a truth made of events.",
    )
    return truth_of(SampledTruth(as_events(truth, "truth")), features)


@dataclass(frozen=True, slots=True, eq=False)
class MixtureTruth:
    """Draws from the positive part of a fitted mixture, with its discrepancy if it has one."""

    mixture: Mixture

    @property
    def n_features(self) -> int:
        """Number of features d."""
        return self.mixture.n_features

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` events ``(n, d)``."""
        return self.draw(n, rng)[0]

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return `n` events ``(n, d)`` with their members' log-densities ``(n, M)``."""
        mixture = self.mixture
        if not isinstance(mixture, CorrectedMixture):
            drawn = sample_signed(mixture.members, mixture.weights, n, rng)
            return drawn.x, drawn.log_densities
        # The functions of the discrepancy are some hundred numbers per proposal.
        theta, sizes = mixture.discrepancy.coefficients, [_BLOCK] * (n // _BLOCK)
        sizes += [n % _BLOCK] if n % _BLOCK else []
        parts = [mixture.draw_at(theta, size, rng) for size in sizes]
        logf = np.concatenate([part.log_densities for part in parts])
        return np.concatenate([part.x for part in parts]), logf

    def log_prob(self, x: Array) -> Array:
        """Return log-densities ``(n,)``."""
        return self.mixture.log_prob(x)


def true_values(
    truth: Sampler,
    observables: Mapping[str, BoundObservable],
    seeds: Seeds,
    *,
    sample: int = _SAMPLE,
) -> dict[str, Estimate]:
    """Return the true values by name; those that are neither given nor exact have an error.

    That is the error of at most `sample` events of the truth.
    """
    known = truth.values if isinstance(truth, KnownTruth) else {}
    unknown = sorted(set(known) - set(observables))
    got, expected = f"values of {unknown}", f"of {list(observables)}"
    require(not unknown, "KnownTruth.values", got=got, expected=expected)
    source, whole = _source(truth), _whole(truth)
    # A sample that is the whole truth has values without error.
    scale = 1.0 if whole is None else 0.0
    size = min(_SAMPLE, sample) if set(observables) != set(known) else 1
    x = draw_truth(source, size, seeds.numpy()) if whole is None else whole

    def value(name: str, item: BoundObservable) -> Estimate:
        if name in known:
            return Estimate(float(known[name]), 0.0)
        found = item.true_value(source, x)
        return Estimate(found.value, scale * found.error)

    return {name: value(name, item) for name, item in observables.items()}


def _source(truth: Sampler) -> Sampler:
    return truth.sampler if isinstance(truth, KnownTruth) else truth


def _whole(truth: Sampler) -> Array | None:
    """Return the sample that is the truth, if one is."""
    source = _source(truth)
    return source.x if isinstance(source, SampledTruth) else None


def remaining(truth: Sampler, n: int) -> float:
    """Return the part of the variance that `n` events of the truth have: 1 if it is a law."""
    whole = _whole(truth)
    return 1.0 if whole is None else 1.0 - n / len(whole)


def truth_notes(truth: Sampler, n: int, datasets: int) -> tuple[str, ...]:
    """Return a warning if the data sets have more events than a sampled truth."""
    whole = _whole(truth)
    if whole is None or n * datasets <= len(whole):
        return ()
    return (
        f"{datasets} data sets of {n} events share the {len(whole)} events of the truth's sample: "
        "the rates are those for this sample as the truth, and another sample would give others.",
    )


def closure_notes(mixture: Mixture, events: int) -> tuple[str, ...]:
    r"""Return a warning if the negative mass, which no event can show, shifts the estimates.

    Of the order of :math:`N_- \sqrt{n}` standard deviations.  With a discrepancy there is none:
    its refits take the moments of the mixture from events too.
    """
    if isinstance(mixture, CorrectedMixture):
        return ()
    shift = mixture.fit.record.negative_mass * math.sqrt(events)
    if not shift > _NOTICEABLE:
        return ()
    return (
        f"closure: the mixture has a negative mass of {mixture.fit.record.negative_mass:.2g}, "
        f"which sampling cuts away: with {events} events estimates are off by about "
        f"{shift:.2g} standard deviations.",
    )


def draw_truth(truth: Sampler, n: int, rng: np.random.Generator) -> Array:
    """Return `n` events of the truth, checked."""
    return as_matrix(truth.sample(n, rng), "truth.sample", columns=truth.n_features)


def draw_with_densities(
    truth: Sampler, members: Sequence[DensityEstimator], n: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return `n` events of the truth ``(n, d)`` and the members' log-densities ``(n, M)``.

    A mixture of the same members knows them from its sampling.
    """
    if isinstance(truth, MixtureTruth) and truth.mixture.members == tuple(members):
        return truth.draw(n, rng)
    x = draw_truth(truth, n, rng)
    return x, member_log_densities(members, x)


def truth_key(truth: Sampler) -> str:
    """Return a content key: a truth has no identity of its own, so some of its events stand in."""
    whole = _whole(truth)
    return digest(draw_truth(truth, _PROBES, np.random.default_rng(0)) if whole is None else whole)
