"""The memorisation alarm: whether a generator is nearer to its training sample than others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from verisimile.checks.amplification.kolmogorov import ks_distance, refuse_weights
from verisimile.checks.amplification.neighbours import Neighbours, Statistics
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.result import Estimate, register
from verisimile.core.run import Run
from verisimile.data.events import Events, match_features
from verisimile.data.rows import row_hashes
from verisimile.samples.angles import circular_events
from verisimile.stats.nulls import Empirical
from verisimile.stats.pvalues import PValue

__all__ = ["Memorisation", "memorisation"]

_POOLED = 200_000
_SHARE = 0.55
_LEVEL = 0.01
_FEWEST = 20
_RATIOS = 5_000
_SHARED = 0.01


@register("memorisation", 1)
@dataclass(frozen=True, slots=True, eq=False)
class Memorisation:
    """Whether generated events repeat events of the training sample.

    Attributes
    ----------
    share
        Share of generated events whose nearest true event is one of training; 1/2 is
        expected of a generator that knows the law and not the sample.  The error is the
        standard deviation of relabelings.
    share_p
        One-sided p-value of the share.
    log_ratio
        Mean logarithm of the distance to the nearest training event over that to the
        nearest held-out one; 0 is expected.
    log_ratio_p
        One-sided p-value of it being so low.
    copies, holdout_copies
        Generated events that equal a training event, and a held-out one.
    copies_p
        One-sided p-value of the excess of the former.
    alarm
        Whether the share is above the alarm's threshold or copies are in excess, with
        p at most 0.01.
    n_generated, n_train, n_holdout
        Events used; training and holdout are used in equal number.
    details
        ``ks_train`` and ``ks_holdout``: the mean KS distance of the features over what
        two true samples of these sizes would have.
    warnings
        What a reader must know.
    """

    share: Estimate
    share_p: PValue
    log_ratio: float
    log_ratio_p: PValue
    copies: int
    holdout_copies: int
    copies_p: PValue
    alarm: bool
    n_generated: int
    n_train: int
    n_holdout: int
    details: Mapping[str, float]
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return one line: verdict, share, p-value, copies."""
        return (
            f"Memorisation({'ALARM' if self.alarm else 'no alarm'}: {self.share.value:.1%} of "
            f"{self.n_generated} generated events nearer to train, p={self.share_p.value:.2g}, "
            f"{self.copies} exact copies)"
        )


def memorisation(
    run: Run,
    generated: Events,
    holdout: Events,
    train: Events,
    *,
    relabelings: int = 999,
    most: int = 20_000,
    threshold: float = _SHARE,
) -> Memorisation:
    r"""Return whether a generator repeats its training events.

    Training and held-out events are draws of one law.  Given a generator that does not
    depend on which of them are which, all ways to label their union are equally likely,
    and so the p-values

    .. math:: p = \frac{1 + \#\{t_b \ge t\}}{1 + B}

    over random labels, exchanged within random pairs of a training and a held-out
    event, are exact.  Every generator that was fitted depends on its
    training sample a little; the alarm therefore asks for a *share* of generated events
    nearer to train above the threshold (or for exact copies in excess) as well as for a
    small p.

    Parameters
    ----------
    run
        Seeds of subsets and labels.
    generated, holdout, train
        Events; `holdout` from the law of `train`, never seen by the generator.
    relabelings
        B.
    most
        Generated events used, random ones.  Training and held-out events are all
        used, in equal number, up to 200 000 together: leaving out training events
        would hide their copies.
    threshold
        Share above which there is an alarm.

    Raises
    ------
    InputError
        If features differ, a sample has weights or fewer than 20 events, training and
        holdout share more events than coincide, or B is below 99.
    """
    refuse_weights(generated=generated, holdout=holdout, train=train)
    _check(generated, holdout, train, relabelings)
    generated, train = (match_features(each, holdout.features) for each in (generated, train))
    # Neighbours of an angle lie on its circle.
    holdout, generated, train = circular_events((holdout, generated, train))
    pair = min(holdout.n, train.n, _POOLED // 2)
    used = _Used(
        _subset(run.at("generated"), generated, most),
        _subset(run.at("holdout"), holdout, pair),
        _subset(run.at("train"), train, pair),
    )
    seen, toys = _statistics(run, used, relabelings)
    share_p, ratio_p, copies_p = (
        Empirical(column, "relabeled pairs").p_value(value)
        for value, column in zip(seen, toys.T, strict=True)
    )
    return Memorisation(
        share=Estimate(float(seen[0]), float(toys[:, 0].std())),
        share_p=share_p,
        log_ratio=-float(seen[1]),
        log_ratio_p=ratio_p,
        copies=train.overlap(generated),
        holdout_copies=holdout.overlap(generated),
        copies_p=copies_p,
        alarm=bool(share_p.value <= _LEVEL and seen[0] > threshold) or copies_p.value <= _LEVEL,
        n_generated=len(used.generated),
        n_train=pair,
        n_holdout=pair,
        details={
            "ks_train": _over_floor(used.generated, used.train),
            "ks_holdout": _over_floor(used.generated, used.holdout),
        },
        warnings=_warnings(generated, train, used),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Used:
    """The events that are looked at; training and holdout in pairs, row by row."""

    generated: Array
    holdout: Array
    train: Array


def _statistics(run: Run, used: _Used, relabelings: int) -> tuple[Array, Array]:
    """Return share, -log ratio and copies ``(3,)``, and those of relabelings ``(B, 3)``."""
    pairs = len(used.train)
    scale = np.concatenate([used.train, used.holdout]).std(axis=0)
    scale = np.where(scale > 0.0, scale, 1.0)
    near = Neighbours.of(
        used.generated / scale, used.train / scale, used.holdout / scale, run.at("order")
    )
    statistics = Statistics.of(near, _RATIOS)
    rng = run.at("labels").seeds.numpy()
    toys = [
        statistics.values(rng.integers(2, size=pairs, dtype=np.uint8).astype(bool))
        for _ in range(relabelings)
    ]
    # Sums of the same shares in another order may differ by rounding.
    seen = np.round(statistics.values(np.zeros(pairs, dtype=bool)), 12)
    return seen, np.round(np.array(toys), 12)


def _subset(run: Run, events: Events, most: int) -> Array:
    return events.x[run.seeds.numpy().permutation(events.n)[:most]]


def _over_floor(generated: Array, true: Array) -> float:
    """Return the mean KS distance of the features over that of two true samples."""
    floor = 0.8687312 * np.sqrt(1.0 / len(generated) + 1.0 / len(true))
    distances = [ks_distance(a, b) for a, b in zip(generated.T, true.T, strict=True)]
    return float(np.mean(distances) / floor)


def _check(generated: Events, holdout: Events, train: Events, relabelings: int) -> None:
    fewest = min(generated.n, holdout.n, train.n)
    if fewest < _FEWEST:
        raise InputError("events", got=fewest, expected=f"at least {_FEWEST} of each sample")
    if relabelings < 99:
        raise InputError("relabelings", got=relabelings, expected="99 or more")
    shared = train.overlap(match_features(holdout, train.features))
    # Values on a lattice coincide within a sample as well.
    repeated = 1.0 - np.unique(row_hashes(train.x)).size / train.n
    if shared > (_SHARED + 2.0 * repeated) * holdout.n:
        raise InputError(
            "holdout",
            got=f"{shared} of {holdout.n} events that are training events",
            expected="events that were not trained with",
            remedy="Split the sample before training: events.split([0.5, 0.5], seeds).",
        )


def _warnings(generated: Events, train: Events, used: _Used) -> tuple[str, ...]:
    found = []
    if len(used.generated) < generated.n:
        found.append(f"{len(used.generated)} of {generated.n} generated events were used")
    if len(used.train) < train.n:
        found.append(
            f"{len(used.train)} of {train.n} training events were used: "
            "copies of the others are not seen by the share"
        )
    return tuple(found)
