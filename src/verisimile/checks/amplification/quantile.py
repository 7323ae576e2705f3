"""Quantile measure: how far region probabilities are from the truth, in true events."""

from __future__ import annotations

from collections.abc import Sequence

from verisimile.checks.amplification.quantile_inputs import FINEST, check_numbers, samples_of
from verisimile.checks.amplification.quantile_point import Counts, of_generator, of_trainings
from verisimile.checks.amplification.regions import Regions
from verisimile.checks.amplification.resolutions import Resolutions, resolutions_of
from verisimile.checks.amplification.result import AmplificationCurve
from verisimile.checks.amplification.shares import shares_of
from verisimile.core.run import Run
from verisimile.data.events import Events

__all__ = ["quantile", "quantile_of_trainings"]


def quantile(
    run: Run,
    generated: Events,
    holdout: Events | None,
    *,
    n_train: int,
    regions: Sequence[int] | Sequence[Regions] | Regions = FINEST,
    train: Events | None = None,
    levels: Sequence[float] = (0.68, 0.95),
) -> AmplificationCurve:
    r"""Return how many true events *this* generator is worth, by its region probabilities.

    With :math:`\gamma_j` the generator's own probability of region j and :math:`p_j` the true one,

    .. math:: \frac1G = n_\mathrm{train}
              \frac{\sum_j (\gamma_j - p_j)^2}{\sum_j p_j (1 - p_j)}:

    its probabilities are as far from the truth as those of :math:`G n_\mathrm{train}` true events
    are on average.  The numerator is estimated free of bias by

    .. math:: \sum_j \Big[(g_j - h_j)^2 - \frac{g_j (1 - g_j)}{n_g - 1}
                          - \frac{h_j (1 - h_j)}{n_h - 1}\Big]

    from the shares g of the generated and h of the holdout events, in regions made of other
    generated events.  The interval inverts a test on that sum of squares and is not
    normal: it covers with few regions and for a perfect generator, where it holds zero.

    Parameters
    ----------
    run
        Gives the stream that sets events aside for the edges.
    generated
        Independent draws of the generator; the more, the better.
    holdout
        True events that the generator has never seen.
    n_train
        Events it was trained on.
    regions
        Numbers of regions, or regions of the caller's that were made without these events.
    train
        The training events; the same distance to them tells a memorising generator.
    levels
        Contents of the intervals.

    Raises
    ------
    InputError
        If there is no holdout, or it consists of training events; if weights are negative, or
        a number is out of range.

    References
    ----------
    A. Butter et al., SciPost Phys. 10 (2021) 139, section 2 (the measure, without noise).
    """
    check_numbers(n_train, levels)
    samples = samples_of([generated], holdout, train)
    plan = resolutions_of(run.seeds.at("amplification", "quantile"), samples.generated, regions)
    points = []
    for each in plan.regions:
        counts = _counts(each, plan, samples.holdout, n_train)
        details = _against_train(each, plan, samples.train, n_train)
        points.append(of_generator(counts, levels=levels, details=details))
    return AmplificationCurve("quantile", tuple(points), (*plan.warnings, *samples.warnings))


def quantile_of_trainings(
    run: Run,
    generated: Sequence[Events],
    holdout: Events | None,
    *,
    n_train: int,
    regions: Sequence[int] | Sequence[Regions] | Regions = FINEST,
    directions: float | None = None,
    levels: Sequence[float] = (0.68, 0.95),
) -> AmplificationCurve:
    r"""Return how many true events the *procedure* is worth that trains such generators.

    The numerator of :func:`quantile` is replaced by its expectation over training samples.  That
    is what closed-form results state, and what a published G is meant to be.  How far trainings
    scatter about the expectation depends on the number K of independent directions that a
    training sample moves the generator in,

    .. math:: \mathrm{var} = \frac{2}{J K} \Big[E \sum_j (\gamma_j - p_j)^2\Big]^2,

    and on the error that all trainings have in common, which several generators tell and a
    single one does not: it is then taken to have none.

    Parameters
    ----------
    run
        Gives the stream that sets events aside for the edges.
    generated
        Samples of J generators, each trained on events of its own; one is enough.
    holdout
        True events that no generator has seen.
    n_train
        Events that each was trained on.
    regions
        As for :func:`quantile`.
    directions
        K.  None takes :math:`(N_Q - 1) \min(1, 1/G)`, the parameters that an efficient fit
        of this G spends, or all directions for G below one: right for maximum likelihood
        and for a memoriser, too cautious for a generator that is better than its training
        sample in all directions alike.
    levels
        Contents of the intervals.

    Raises
    ------
    InputError
        As for :func:`quantile`.
    """
    check_numbers(n_train, levels)
    samples = samples_of(generated, holdout)
    plan = resolutions_of(run.seeds.at("amplification", "trainings"), samples.generated, regions)
    points = [
        of_trainings(
            _counts(each, plan, samples.holdout, n_train),
            levels=levels,
            directions=directions,
        )
        for each in plan.regions
    ]
    said = (*plan.warnings, *samples.warnings)
    return AmplificationCurve("quantile-of-trainings", tuple(points), said)


def _counts(regions: Regions, plan: Resolutions, holdout: Events, n_train: int) -> Counts:
    return Counts(
        generated=tuple(
            shares_of(regions.of(each.x), regions.count, each.weights, "generated")
            for each in plan.counted
        ),
        holdout=shares_of(regions.of(holdout.x), regions.count, holdout.weights, "holdout"),
        n_train=n_train,
        n_generated=plan.used + sum(each.n for each in plan.counted),
        n_holdout=holdout.n,
        n_edges=plan.used,
    )


def _against_train(
    regions: Regions, plan: Resolutions, train: Events | None, n_train: int
) -> dict[str, float]:
    """Return 1/G as it would be if the training sample were a holdout; it is none."""
    if train is None:
        return {}
    counts = _counts(regions, plan, train, n_train)
    return {"1/G against train": counts.inverse(counts.differences[0].distance)}
