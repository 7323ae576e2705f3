"""Differential amplification by a quadratic distance: energy, MMD or Cramér–von Mises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from scipy import stats

from verisimile.checks.amplification.discrepancy_interval import (
    LandmarkFeatures,
    Realised,
    Repeated,
    Spectrum,
    mean_square,
)
from verisimile.checks.amplification.kolmogorov import refuse_weights
from verisimile.checks.amplification.result import (
    Amplification,
    Interval,
    check_plan,
)
from verisimile.core.arrays import Array, require_positive
from verisimile.core.errors import require
from verisimile.core.result import Estimate
from verisimile.core.run import Run
from verisimile.data.events import Events, match_features
from verisimile.data.inputs import EventsLike, as_events, as_samples
from verisimile.samples.columns import comparable
from verisimile.samples.coordinates import circular_events
from verisimile.samples.pair_sums import Energy, Gaussian, Kernel, PairMeans, median_distance
from verisimile.stats.intervals import ONE_SIGMA

_LANDMARKS = 100
_SQUARED = 1000
_FEWEST = 20


def quadratic(
    run: Run,
    generated: EventsLike,
    holdout: EventsLike,
    n_train: int,
    *,
    distance: DistanceOfLaws | None = None,
    most: int = 20_000,
    levels: Sequence[float] = (ONE_SIGMA, 0.95),
) -> Amplification:
    r"""Return the amplification of one given generator by a quadratic distance.

    A true sample of n events is on average :math:`(E\,k(x,x) - E\,k(x,x')) / n` from
    the truth, so that

    .. math:: \frac{1}{n_\mathrm{equiv}} = \frac{D^2_u(\text{generated}, \text{holdout})}
              {E\,k(x, x) - E\,k(x, x')}, \qquad \frac1G = \frac{n_\mathrm{train}}{n_\mathrm{equiv}}

    with the unbiased :math:`D^2_u`, free of the noise of both samples.  The intervals
    are on the distance of *this* generator, found by inverting a test with the
    estimated noise spectrum of the kernel (:class:`.Realised`); they hold near zero
    distance too.  Another training would have another distance: for what a way to train
    is worth on average see :func:`quadratic_procedure`.

    Parameters
    ----------
    run
        Seeds of the subsets, landmarks and draws.
    generated
        Events of the generator, 20 or more, without weights.
    holdout
        True events that the generator has never seen, as many.
    n_train
        Events that it was trained with.
    distance
        The distance; by default the energy distance.
    most
        Events used of each sample, random ones; time goes with its square.
    levels
        Contents of the intervals.

    References
    ----------
    VERaiPHY eqs. 22-25, for a quadratic distance.
    """
    holdout, generated = comparable(holdout=holdout, generated=generated)
    check_plan(n_train, levels)
    distance = distance or EnergyDiscrepancy()
    (drawn,), true = _used(run, [generated], holdout, most)
    means, spectrum = _spectrum(run, drawn, true, distance)
    inverse = Realised(spectrum, means.discrepancy, run.at("draws").seeds.numpy())
    scale = n_train / spectrum.total
    notes = _thinned([generated], holdout, most)
    if inverse.interval(max(levels))[1] <= 0.0:
        notes += ("nearer to the holdout than noise allows: chance, or the generator has seen it",)
    return Amplification(
        measure=distance.name,
        resolution=0,
        inverse_gain=Estimate(scale * means.discrepancy, scale * spectrum.error),
        intervals=tuple(
            Interval(level, *inverse.interval(level)).scaled(scale) for level in levels
        ),
        n_train=n_train,
        n_generated=len(drawn),
        n_holdout=len(true),
        details={
            "discrepancy": means.discrepancy,
            "spread": spectrum.total,
            "effective_dimensions": spectrum.effective_dimensions,
        },
        warnings=notes,
    )


def quadratic_procedure(
    run: Run,
    generators: Sequence[EventsLike],
    holdout: EventsLike,
    n_train: int,
    *,
    distance: DistanceOfLaws | None = None,
    most: int = 20_000,
    levels: Sequence[float] = (ONE_SIGMA, 0.95),
) -> Amplification:
    r"""Return the amplification of a way to train, from events of one or more trainings.

    The mean over trainings of 1/G of :func:`quadratic`, with intervals on its
    expectation over training samples (:class:`.Repeated`): exact in shape if the errors
    of a training have the covariance of those of a sample.  A single training varies by
    :math:`\sqrt{2 / \nu}` of itself with ν effective dimensions, of the kernel or
    of the generator's parameters if those are fewer.

    Parameters
    ----------
    run, holdout, n_train, distance, most, levels
        As for :func:`quadratic`.
    generators
        Generated events of each training, on an independent training sample each.
    """
    check_plan(n_train, levels)
    samples = as_samples(generators, "generators")
    require(samples, "generators", got="none", expected="events of at least one training")
    true_events = as_events(holdout, "holdout")
    for each in samples:
        comparable(holdout=true_events, generated=each)
    distance = distance or EnergyDiscrepancy()
    drawn, true = _used(run, samples, true_events, most)
    found = [_spectrum(run, each, true, distance) for each in drawn]
    mean = float(np.mean([means.discrepancy for means, _ in found]))
    spread = float(np.mean([spectrum.total for _, spectrum in found]))
    sizes, first = (len(drawn[0]), len(true)), found[0][1]
    inverse = Repeated(first, sizes, len(found), run.at("draws").seeds.numpy())
    scale = n_train / spread
    return Amplification(
        measure=f"{distance.name} of the procedure",
        resolution=0,
        inverse_gain=Estimate(scale * mean, scale * inverse.error(max(0.0, mean / spread))),
        intervals=tuple(
            Interval(level, *inverse.interval(mean, level)).scaled(n_train) for level in levels
        ),
        n_train=n_train,
        n_generated=sizes[0],
        n_holdout=sizes[1],
        details={
            "discrepancy": mean,
            "spread": spread,
            "effective_dimensions": first.effective_dimensions,
            "trainings": float(len(found)),
        },
        warnings=_thinned(samples, true_events, most),
    )


def _spectrum(
    run: Run, generated: Array, holdout: Array, distance: DistanceOfLaws
) -> tuple[PairMeans, Spectrum]:
    """Return mean kernels and noise spectrum, from landmarks and other events of the pool."""
    first, second = distance.coordinates(generated, holdout)
    kernel = distance.kernel(second)
    means = PairMeans.of(first, second, kernel)
    pool = np.concatenate([first, second])
    pool = pool[run.at("landmarks").seeds.numpy().permutation(len(pool))]
    landmarks = min(_LANDMARKS, len(pool) // 3)
    others = pool[landmarks : landmarks + 2 * _SQUARED]
    square = mean_square(others[::2], others[1::2], kernel)
    features = LandmarkFeatures.of(pool[:landmarks], kernel)
    return means, Spectrum.of(first, second, features, kernel.diagonal - means.second, square)


def check_samples(generators: Sequence[Events], holdout: Events, most: int = _FEWEST) -> None:
    """Raise unless there are enough unweighted events; at most so many of each are used."""
    refuse_weights(holdout=holdout, **{f"generated[{i}]": e for i, e in enumerate(generators)})
    fewest = min(holdout.n, most, *(each.n for each in generators))
    expected = f"at least {_FEWEST} of each sample"
    require(fewest >= _FEWEST, "events", got=fewest, expected=expected)


def _used(
    run: Run, generators: Sequence[Events], holdout: Events, most: int
) -> tuple[list[Array], Array]:
    """Return random subsets of the same size of each generator, and one of the holdout."""
    check_samples(generators, holdout, most)
    size = min(most, *(each.n for each in generators))
    holdout, *generators = circular_events((holdout, *generators))
    subsets = [
        _subset(run.at("generated", index), match_features(each, holdout.features), size)
        for index, each in enumerate(generators)
    ]
    return subsets, _subset(run.at("holdout"), holdout, most)


def _subset(run: Run, events: Events, most: int) -> Array:
    if events.n <= most:
        return events.x
    return events.x[run.seeds.numpy().choice(events.n, size=most, replace=False)]


def _thinned(generators: Sequence[Events], holdout: Events, most: int) -> tuple[str, ...]:
    largest = max(holdout.n, *(each.n for each in generators), 0)
    return (f"{most} random events of each sample were used",) if largest > most else ()


_PROBES = 1000  # events whose distances give the median


class DistanceOfLaws(Protocol):
    """A quadratic distance of two laws: a kernel and the coordinates that it is taken in."""

    @property
    def name(self) -> str:
        """What it is called in results."""
        ...

    def coordinates(self, generated: Array, holdout: Array) -> tuple[Array, Array]:
        """Return both samples ``(n, d)``, ``(m, d)`` in common coordinates of order one."""
        ...

    def kernel(self, holdout: Array) -> Kernel:
        """Return the kernel, given true events in the coordinates."""
        ...


@dataclass(frozen=True, slots=True)
class EnergyDiscrepancy:
    r"""The energy distance, each feature in units of the holdout's standard deviation.

    .. math:: D^2 = 2 E\|X - Y\| - E\|X - X'\| - E\|Y - Y'\|

    References
    ----------
    G. J. Székely, M. L. Rizzo, J. Stat. Plan. Inference 143 (2013) 1249, eq. 2.5.
    """

    name: ClassVar[str] = "energy"

    def coordinates(self, generated: Array, holdout: Array) -> tuple[Array, Array]:
        """Return both samples standardised."""
        return _standardised(generated, holdout)

    def kernel(self, holdout: Array) -> Kernel:  # noqa: ARG002  (this one has no scale)
        """Return the negative distance."""
        return Energy()


@dataclass(frozen=True, slots=True)
class GaussianMMD:
    r"""Maximum mean discrepancy, :math:`k = \exp(-\|x - y\|^2 / 2 h^2)`.

    The narrower the kernel, the finer the resolution, and the larger is G.

    Attributes
    ----------
    bandwidth
        h in units of the holdout's standard deviation of each feature; None for the
        median distance of its events.

    References
    ----------
    A. Gretton et al., J. Mach. Learn. Res. 13 (2012) 723, eq. 3.
    """

    name: ClassVar[str] = "mmd"
    bandwidth: float | None = None

    def __post_init__(self) -> None:
        if self.bandwidth is not None:
            require_positive(self.bandwidth, "bandwidth")

    def coordinates(self, generated: Array, holdout: Array) -> tuple[Array, Array]:
        """Return both samples standardised."""
        return _standardised(generated, holdout)

    def kernel(self, holdout: Array) -> Kernel:
        """Return the Gaussian."""
        return Gaussian(self.bandwidth or median_distance(holdout[:_PROBES]))


@dataclass(frozen=True, slots=True)
class CramerVonMisesDiscrepancy:
    r"""The mean squared difference of two distribution functions, of one feature.

    .. math:: D^2 = 2 \int (F - G)^2 \, dH

    with the pooled distribution H: the energy distance of ranks.

    References
    ----------
    T. W. Anderson, Ann. Math. Statist. 33 (1962) 1148, eq. 2.
    """

    name: ClassVar[str] = "cramer-von-mises"

    def coordinates(self, generated: Array, holdout: Array) -> tuple[Array, Array]:
        """Return both samples as ranks in the pool of both, over its size."""
        require(
            holdout.shape[1] == 1,
            "features",
            got=f"{holdout.shape[1]} of them",
            expected="one",
            remedy="Use events.select, or the energy distance.",
        )
        pool = np.concatenate([generated, holdout])
        ranks = stats.rankdata(pool, axis=0) / len(pool)
        return ranks[: len(generated)], ranks[len(generated) :]

    def kernel(self, holdout: Array) -> Kernel:  # noqa: ARG002  (ranks have their scale)
        """Return the negative distance."""
        return Energy()


def _standardised(x: Array, reference: Array) -> tuple[Array, Array]:
    """Return both in units of the mean and standard deviation of the reference's features."""
    centre, scale = reference.mean(axis=0), reference.std(axis=0)
    scale = np.where(scale > 0.0, scale, 1.0)
    return (x - centre) / scale, (reference - centre) / scale
