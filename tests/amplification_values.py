"""Studies of amplification made of plain values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from verisimile.checks.amplification.averaging import Averaging, averaging_of_counts
from verisimile.checks.amplification.conditional import ConditionalAmplification
from verisimile.checks.amplification.member_counts import member_counts
from verisimile.checks.amplification.memorisation import Memorisation
from verisimile.checks.amplification.result import Amplification, AmplificationCurve, Interval
from verisimile.checks.amplification.study import LEVELS, AmplificationStudy, entropy_label
from verisimile.core.result import Estimate
from verisimile.stats.pvalues import Empirical

N_TRAIN, N_GENERATED, N_HOLDOUT = 1000, 200_000, 5000
_ERRORS_OF = dict(zip(LEVELS, (0.99, 1.96), strict=True))


def make_point(
    resolution: int,
    value: float,
    error: float,
    *,
    measure: str = "quantile",
    warnings: tuple[str, ...] = (),
) -> Amplification:
    """Return a point whose intervals are those of a normal number, cut at zero."""
    ends = {level: (value - k * error, value + k * error) for level, k in _ERRORS_OF.items()}
    return Amplification(
        measure=measure,
        resolution=resolution,
        inverse_gain=Estimate(value, error),
        intervals=tuple(
            Interval(level, max(low, 0.0), max(high, 0.0)) for level, (low, high) in ends.items()
        ),
        n_train=N_TRAIN,
        n_generated=N_GENERATED,
        n_holdout=N_HOLDOUT,
        details={},
        warnings=warnings,
    )


def make_memorisation(share: float, *, copies: int = 0) -> Memorisation:
    """Return what is found for a share of generated events that are nearer to training."""
    toys = np.linspace(0.48, 0.52, 999)
    found = Empirical(toys, "relabeled true events").p_value(share)
    beyond = Empirical(np.where(toys > 0.55, toys, 0.0), "relabeled true events")
    together = beyond.p_value(share if share > 0.55 else 0.0)
    return Memorisation(
        p_value=together,
        alarm=together.value <= 0.01,
        level=0.01,
        tolerance=0.1,
        expected_share=0.5,
        excess=2.0 * share - 1.0,
        near_copies=0.0,
        kinds=(),
        share=Estimate(share, 0.005),
        share_p=found,
        log_ratio=math.log(0.5 / share),
        log_ratio_p=found,
        copies=copies,
        holdout_copies=0,
        copies_p=found,
        n_generated=20_000,
        n_train=N_TRAIN,
        n_holdout=N_TRAIN,
        details={"ks_train": 0.2, "ks_holdout": 1.4},
    )


def make_averaging(regions: int, *, members: int = 5) -> Averaging:
    """Return the measure of members whose shares scatter like those of 4000 events."""
    rng = np.random.default_rng(7)
    shares = rng.multinomial(4000, np.full(regions, 1.0 / regions), size=members) / 4000.0
    counts = np.array([rng.multinomial(N_GENERATED, each) for each in shares])
    return averaging_of_counts(member_counts(counts), rng, n_train=N_TRAIN)


def make_study(
    points: Sequence[Amplification],
    *,
    averaging: Sequence[Averaging] = (),
    analytic: Sequence[Amplification] = (),
    memorisation: Memorisation | None = None,
    kolmogorov: Mapping[str, Amplification] | None = None,
    measure: str = "quantile",
    classifier: Amplification | None = None,
    conditional: ConditionalAmplification | None = None,
) -> AmplificationStudy:
    """Return a study with these points of the quantile measure."""
    return AmplificationStudy(
        n_train=N_TRAIN,
        n_generated=N_GENERATED,
        n_holdout=N_HOLDOUT,
        quantile=AmplificationCurve(measure, tuple(points)),
        averaging=tuple(averaging),
        analytic=tuple(analytic),
        quadratic=make_point(0, 0.4, 0.1, measure="energy"),
        kolmogorov=kolmogorov or {},
        entropy=entropy_label(n_train=N_TRAIN, n_generated=N_GENERATED),
        memorisation=memorisation,
        warnings=tuple(note for point in points for note in point.warnings),
        classifier=classifier,
        conditional=conditional,
    )


def make_conditional() -> ConditionalAmplification:
    """Return three bins: as good as the training sample, five times as good, without bound."""
    low, high = np.array([0.6, 0.05, 0.0]), np.array([1.6, 0.5, 0.3])
    return ConditionalAmplification(
        feature="pt",
        edges=np.array([10.0, 30.0]),
        centres=np.array([5.0, 20.0, 50.0]),
        points=tuple(make_point(10, value, 0.1) for value in (1.0, 0.2, -0.05)),
        levels=LEVELS,
        low=np.stack([low + 0.02, low]),
        high=np.stack([high - 0.02, high]),
    )
