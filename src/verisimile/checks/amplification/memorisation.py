"""The memorisation alarm: whether a generator is nearer to its training sample than others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from verisimile.checks.amplification.kolmogorov import refuse_weights
from verisimile.core.arrays import Array, BoolArray, IntArray
from verisimile.core.errors import require
from verisimile.core.result import Estimate, Result, register
from verisimile.core.run import Run
from verisimile.data.events import Events, match_features
from verisimile.data.inputs import EventsLike
from verisimile.samples.columns import comparable, ks_distance
from verisimile.samples.coordinates import circular_events
from verisimile.samples.copies import KINDS, Copies, copies_of, near_ratio
from verisimile.stats.aggregate import min_p
from verisimile.stats.pvalues import Empirical, PValue

LEVEL = 0.01
_TOLERANCE = 0.1
_FEWEST = 20
_SHARED = 0.01
_NULL = "relabeled true events"


@register("memorisation", 2)
@dataclass(frozen=True, slots=True, eq=False)
class Memorisation(Result):
    r"""Whether generated events repeat events of the training sample.

    Attributes
    ----------
    p_value
        Of the alarm: of share, log ratio and near copies together, what the tolerance
        allows left out.
    alarm
        Whether it is at most `level`: a generator that does not depend on which true
        events it was trained with raises one with this probability or less.
    share
        Share of generated events whose nearest true event is one of training.  The error is the
        standard deviation of relabelings.
    expected_share
        The share of training events among the true ones, which is what a generator has
        that knows the law and not the sample.
    excess
        :math:`(s - \pi) / (1 - \pi)` of the share s and the expected :math:`\pi`: if so many
        generated events were tied to a training event and the others independent, the share would
        be what it is.
    log_ratio
        Mean logarithm of the distance to the nearest true event over that to the second
        nearest if the former is of training, and of its inverse, weighted by
        :math:`\pi / (1 - \pi)`, if it is held out; 0 is expected.
    copies, holdout_copies
        Generated events that equal a training event, and a held-out one.
    near_copies
        Share of generated events that are copies of a training event or far nearer to one than
        true events are to each other.
    share_p, log_ratio_p, copies_p
        One-sided p-values of share, log ratio and near copies alone.
    kinds
        What kinds of copies of training events there are.
    details
        ``ks_train`` and ``ks_holdout``: the mean KS distance of the features over what
        two true samples of these sizes would have.
    """

    p_value: PValue
    alarm: bool
    level: float
    tolerance: float
    share: Estimate
    expected_share: float
    excess: float
    share_p: PValue
    log_ratio: float
    log_ratio_p: PValue
    copies: int
    holdout_copies: int
    near_copies: float
    copies_p: PValue
    kinds: tuple[Copies, ...]
    n_generated: int
    n_train: int
    n_holdout: int
    details: Mapping[str, float]
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return one line: verdict, p-value, share, copies."""
        return (
            f"Memorisation({'ALARM' if self.alarm else 'no alarm'}: p={self.p_value.value:.2g}, "
            f"{self.share.value:.1%} of {self.n_generated} generated events nearer to train "
            f"({self.expected_share:.1%} expected), {self.copies} exact copies)"
        )


def memorisation(
    run: Run,
    generated: EventsLike,
    holdout: EventsLike,
    train: EventsLike,
    *,
    permutations: int = 999,
    most: int = 20_000,
    tolerance: float = _TOLERANCE,
) -> Memorisation:
    r"""Return whether a generator repeats its training events.

    Training and held-out events are draws of one law.  Given a generator that does not
    depend on which of them are which, however far it is from the truth, all choices of which
    :math:`n_h` of their union are called held out are equally likely, and so the p-values

    .. math:: p = \frac{1 + \#\{t_b \ge t\}}{1 + B}

    over random choices are exact, at any two sizes: all training events are used.
    Three statistics see a memoriser: the share of generated events nearest to training, the log
    ratio of their nearest to their second nearest distance, and the number of near
    copies.

    Every generator that was fitted depends on its training sample a little, and with enough
    events a small p is certain.  For the alarm the first two are therefore zero up to a
    tolerance, in data and relabelings alike: an excess of the share, and a log ratio in units of
    its mean over all generated events, of 0.1 count as nothing.  Its p-value is the smallest
    of the three, recalibrated on the same relabelings (:func:`~verisimile.stats.aggregate.min_p`):
    the probability of an alarm without memory is at most its level of 0.01.

    Parameters
    ----------
    run
        Seeds of subsets and labels.
    generated, holdout, train
        Unweighted events, 20 or more; `holdout` from the law of `train`, never seen by the
        generator.
    permutations
        B, 99 or more.
    most
        Generated events used, random ones.  All training and held-out events are: leaving out
        training events would hide their copies.
    tolerance
        What counts as nothing, in [0, 1); 0 asks whether the generator depends on its
        training sample at all.
    """
    holdout, generated, train = comparable(holdout=holdout, generated=generated, train=train)
    check_samples(generated, holdout, train)
    require(permutations >= 99, "permutations", got=permutations, expected="99 or more")
    require(0.0 <= tolerance < 1.0, "tolerance", got=tolerance, expected="a number in [0, 1)")
    generated, train = (match_features(each, holdout.features) for each in (generated, train))
    # Neighbours of an angle lie on its circle.
    plane = [circular.x for circular in circular_events((generated, train, holdout))]
    used = run.at("generated").seeds.numpy().permutation(generated.n)[:most]
    found = _attraction(run, plane[0][used], plane[1], plane[2])
    # Sums of the same shares in another order may differ by rounding.
    seen = np.round(found.observed(), 12)
    toys = np.round(found.relabeled(run.at("labels").seeds.numpy(), permutations), 12)
    seen[1], toys[:, 1] = -seen[1], -toys[:, 1]
    share_p, ratio_p, copies_p = (
        Empirical(column, _NULL).p_value(value) for value, column in zip(seen, toys.T, strict=True)
    )
    together = min_p(
        _beyond(seen, found, tolerance), _beyond(toys, found, tolerance), null=_NULL
    ).p_value
    kinds = copies_of(train, generated)
    return Memorisation(
        p_value=together,
        alarm=together.value <= LEVEL,
        level=LEVEL,
        tolerance=tolerance,
        share=Estimate(float(seen[0]), float(toys[:, 0].std())),
        expected_share=found.expected,
        excess=float((seen[0] - found.expected) / (1.0 - found.expected)),
        share_p=share_p,
        log_ratio=-float(seen[1]),
        log_ratio_p=ratio_p,
        copies=train.overlap(generated),
        holdout_copies=holdout.overlap(generated),
        near_copies=float(seen[2]),
        copies_p=copies_p,
        kinds=kinds,
        n_generated=len(used),
        n_train=train.n,
        n_holdout=holdout.n,
        details={
            "ks_train": _over_floor(generated.x[used], train.x),
            "ks_holdout": _over_floor(generated.x[used], holdout.x),
        },
        warnings=_warnings(generated, len(used), kinds, permutations),
    )


def _attraction(run: Run, generated: Array, train: Array, holdout: Array) -> Attraction:
    union = np.concatenate([train, holdout])
    varying = np.ptp(union, axis=0) > 0.0
    got = "one and the same value in every true event"
    require(varying.any(), "features", got=got, expected="a feature that varies")
    scale = union[:, varying].std(axis=0)
    ours, known, unseen = (part[:, varying] / scale for part in (generated, train, holdout))
    return Attraction.of(ours, known, unseen, run.at("order"))


def _beyond(values: Array, found: Attraction, tolerance: float) -> Array:
    """Return share, -log ratio and copies with what the tolerance allows set to zero."""
    allowed = (
        found.expected + tolerance * (1.0 - found.expected),
        tolerance * float(found.pulls[1].sum()),
    )
    out = np.array(values)
    for place, limit in enumerate(allowed):
        out[..., place] = np.where(out[..., place] > limit, out[..., place], 0.0)
    return out


def _over_floor(generated: Array, true: Array) -> float:
    """Return the mean KS distance of the features over that of two true samples."""
    floor = 0.8687312 * np.sqrt(1.0 / len(generated) + 1.0 / len(true))
    distances = [ks_distance(a, b) for a, b in zip(generated.T, true.T, strict=True)]
    return float(np.mean(distances) / floor)


def check_samples(generated: Events, holdout: Events, train: Events) -> None:
    """Raise unless there are enough unweighted events, and held-out ones were not trained with."""
    refuse_weights(generated=generated, holdout=holdout, train=train)
    fewest = min(generated.n, holdout.n, train.n)
    expected = f"at least {_FEWEST} of each sample"
    require(fewest >= _FEWEST, "events", got=fewest, expected=expected)
    shared = sum(each.count for each in copies_of(train, holdout))
    require(
        shared <= _SHARED * holdout.n,
        "holdout",
        got=f"{shared} of {holdout.n} events that are training events",
        expected="events that were not trained with",
        remedy="Split the sample before training: events.split([0.5, 0.5], seeds).",
    )


def _warnings(
    generated: Events, used: int, kinds: tuple[Copies, ...], permutations: int
) -> tuple[str, ...]:
    found = [
        f"{each.count} of {each.size} generated events are copies of training events, "
        f"{KINDS[each.kind]}"
        for each in kinds
    ]
    if used < generated.n:
        found.append(f"{used} of {generated.n} generated events were used")
    if permutations + 1 < 1.0 / LEVEL:
        found.append(f"{permutations} relabelings cannot raise the alarm at {LEVEL:g}")
    return tuple(found)


_NEIGHBOURS = 8
_MOST = float(np.log(1000.0))  # a copy counts as a thousand times nearer, not infinitely


@dataclass(frozen=True, slots=True, eq=False)
class Attraction:
    """What true events draw of the generated ones, linear in who is labelled held out.

    Attributes
    ----------
    pulls
        For each true event that is nearest to any generated one, and summed over the latter: how
        many, their log ratios of second to first distance, how many are near copies; over
        the number of generated events, ``(3, K)``.
    held
        Which of those true events are held out ``(K,)``.
    sizes
        Training and held-out events, nearest to any or not.
    """

    pulls: Array
    held: BoolArray
    sizes: tuple[int, int]

    @classmethod
    def of(cls, generated: Array, train: Array, holdout: Array, run: Run) -> Attraction:
        """Return it for events ``(n, d)`` in coordinates where distances mean something."""
        total = len(train) + len(holdout)
        # In random order: the search may return equally near events by their row.
        order = run.seeds.numpy().permutation(total)
        tree = cKDTree(np.concatenate([train, holdout])[order])
        distances, found = tree.query(generated, k=min(_NEIGHBOURS, total))
        nearest, second = distances[:, :1], distances[:, 1]
        # Events at the same distance share a query.
        shares = (distances == nearest) / (distances == nearest).sum(axis=1, keepdims=True)
        scores = (
            np.ones(len(generated)),
            _log_ratio(nearest[:, 0], second),
            _near(tree, found[:, 0], nearest[:, 0]),
        )
        pulls = np.array([
            np.bincount(found.ravel(), (shares * score[:, None]).ravel(), minlength=total)
            for score in scores
        ])  # fmt: skip
        active = pulls[0] > 0.0
        return cls(
            pulls[:, active] / len(generated),
            (order >= len(train))[active],
            (len(train), len(holdout)),
        )

    @property
    def expected(self) -> float:
        """Share of the true events that are of training."""
        return self.sizes[0] / sum(self.sizes)

    def observed(self) -> Array:
        """Return share, log ratio and copies for the true labels ``(3,)``."""
        return self._values(self.pulls[:, self.held].sum(axis=1))

    def relabeled(self, rng: np.random.Generator, count: int) -> Array:
        """Return them for random labels, as many held out as there are ``(count, 3)``."""
        active = self.held.size
        train, held = self.sizes
        # Of the true events that are nearest to none it only matters how many are held out.
        drawn = rng.hypergeometric(active, train + held - active, held, size=count)
        sums = [
            self.pulls[:, rng.permutation(active)[: int(number)]].sum(axis=1) for number in drawn
        ]
        return np.array([self._values(each) for each in sums])

    def _values(self, held: Array) -> Array:
        r"""Return the statistics, given the sums over held-out events.

        The log ratio is the mean of :math:`-s` for events nearest to training and of
        :math:`s \pi / (1 - \pi)` for the others, s of second to first distance, which is zero
        in expectation for any share :math:`\pi` of training events.
        """
        total = self.pulls.sum(axis=1)
        return np.array([
            total[0] - held[0],
            held[1] / (1.0 - self.expected) - total[1],
            total[2] - held[2],
        ])  # fmt: skip


def _log_ratio(nearest: Array, second: Array) -> Array:
    ratio = np.full(nearest.shape, np.exp(_MOST))
    np.divide(second, nearest, out=ratio, where=nearest > 0.0)
    return np.where(second > 0.0, np.log(np.minimum(ratio, np.exp(_MOST))), 0.0)


def _near(tree: cKDTree, rows: IntArray, distances: Array) -> Array:
    """Return which queries are copies, or far nearer than true events are to each other."""
    # Copies of the nearest event are no neighbours of it: the first one apart is.
    around = tree.query(tree.data[rows], k=min(_NEIGHBOURS, tree.n))[0]
    apart = np.where(around > 0.0, around, np.inf).min(axis=1)
    ratio = near_ratio(tree.m)
    return np.asarray(
        (distances == 0.0) | (np.isfinite(apart) & (distances <= ratio * apart)), dtype=np.float64
    )
