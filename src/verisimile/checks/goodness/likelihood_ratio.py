"""Kernel-augmented profile likelihood-ratio goodness of fit, calibrated by toys."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from verisimile.checks.goodness.calibration import Calibration, PlugIn, Predictive
from verisimile.checks.goodness.kernels import GaussianKernels
from verisimile.checks.goodness.profile import HYPOTHESES, Hypothesis, Rows
from verisimile.checks.goodness.result import FittedRatio, Goodness
from verisimile.checks.goodness.setup import prepare
from verisimile.checks.goodness.toys import throw_toys
from verisimile.core.arrays import Array, frozen
from verisimile.core.errors import InputError
from verisimile.core.run import Run
from verisimile.data.events import Events, match_features
from verisimile.data.provenance import warn_overlap
from verisimile.mixture.fit import single_weight
from verisimile.mixture.model import Mixture
from verisimile.stats.nulls import Empirical

__all__ = ["compare_hypotheses", "goodness_of_fit", "single"]


def goodness_of_fit(
    run: Run,
    mixture: Mixture,
    events: Events,
    *,
    alternative: GaussianKernels = GaussianKernels(),  # noqa: B008  (a frozen value)
    hypothesis: str = "ensemble+uncertainty",
    null: Calibration = Predictive(),  # noqa: B008
    toys: int = 1000,
) -> Goodness:
    r"""Test whether a mixture describes events that it has not seen.

    .. math:: t = 2 \log \frac{\max_{\eta, a} L(D \mid \hat f + B\eta + \sum_k a_k k_k)}
                              {\max_{\eta} L(D \mid \hat f + B\eta)}

    with :math:`\eta` constrained to N(0, 1) and :math:`\sum_k a_k = 0`; the
    p-value is that of t among toys made by `null`.

    Parameters
    ----------
    run
        Random streams, execution and storage of toys.
    mixture
        The model under test.
    events
        Unweighted test sample ``(n, d)``, disjoint from training and weight-fit
        data; features are matched by name.
    alternative
        Kernels of the alternative.
    hypothesis
        ``"single"`` (first member alone), ``"ensemble"`` (weights frozen) or
        ``"ensemble+uncertainty"`` (weights profiled).
    null
        Calibration: :class:`Predictive` (valid, default), :class:`FluctuatedCentre`
        (valid) or :class:`PlugIn` (the published one; too many rejections).
    toys
        B; the smallest reachable p-value is 1 / (B + 1).

    Raises
    ------
    InputError
        For weighted events, unknown hypotheses, other features, or no toys.
    SupportError
        If an event has zero density under every member.

    References
    ----------
    G. Badaracco et al., sec. 2, step 4; R. T. d'Agnolo et al., Eur. Phys. J. C 82 (2022) 275.
    """
    found = compare_hypotheses(
        run,
        mixture,
        events,
        alternative=alternative,
        hypotheses=(hypothesis,),
        null=null,
        toys=toys,
    )
    return found[0]


def compare_hypotheses(
    run: Run,
    mixture: Mixture,
    events: Events,
    *,
    alternative: GaussianKernels = GaussianKernels(),  # noqa: B008
    hypotheses: Sequence[str] = tuple(HYPOTHESES),
    null: Calibration = Predictive(),  # noqa: B008
    toys: int = 1000,
) -> tuple[Goodness, ...]:
    """Run the test of :func:`goodness_of_fit` under several null hypotheses.

    The hypotheses on the mixture share their pseudo-data; ``"single"`` needs
    its own.  Results come in the order of `hypotheses`.
    """
    matched = match_features(events, mixture.features)
    chosen = [_resolved(name) for name in hypotheses]
    _check(matched, toys)
    notes = warn_overlap(mixture.provenance, matched, "test")
    plan = _Plan(alternative, null, toys, notes)
    found: dict[str, Goodness] = {}
    alone = [h for h in chosen if h.name == "single"]
    joint = [h for h in chosen if h.name != "single"]
    for model, group in ((single(mixture), alone), (mixture, joint)):
        if group:
            results = _tested(run, model, matched, group, plan)
            found.update({result.hypothesis: result for result in results})
    return tuple(found[h.name] for h in chosen)


def single(mixture: Mixture, index: int = 0) -> Mixture:
    """Return one member of a mixture as a mixture of its own, without uncertainty."""
    return Mixture(
        mixture.members[index : index + 1],
        single_weight(),
        features=mixture.features,
        provenance=mixture.provenance,
    )


@dataclass(frozen=True, slots=True)
class _Plan:
    """The settings that all hypotheses share."""

    alternative: GaussianKernels
    null: Calibration
    toys: int
    notes: tuple[str, ...]


def _tested(
    run: Run, mixture: Mixture, events: Events, hypotheses: list[Hypothesis], plan: _Plan
) -> list[Goodness]:
    setup = prepare(run, mixture, plan.alternative)
    rows = setup.rows(events.x, mixture.log_densities(events.x))
    centre = np.zeros(setup.basis.variations.shape[1])
    profiles = [setup.profile(rows, hypothesis, centre) for hypothesis in hypotheses]
    toys = throw_toys(run, setup, plan.null, hypotheses, events=events.n, toys=plan.toys)
    return [
        _result(
            FittedRatio(setup, profile), hypothesis, frozen(toys[:, column]), plan, events, rows
        )
        for column, (hypothesis, profile) in enumerate(zip(hypotheses, profiles, strict=True))
    ]


def _result(
    fitted: FittedRatio,
    hypothesis: Hypothesis,
    toys: Array,
    plan: _Plan,
    events: Events,
    rows: Rows,
) -> Goodness:
    setup, profile = fitted.setup, fitted.profile
    p_value = Empirical(toys, plan.null.name).p_value(profile.statistic)
    return Goodness(
        statistic=profile.statistic,
        p_value=p_value,
        z=p_value.significance,
        toys=toys,
        hypothesis=hypothesis.name,
        null=plan.null.name,
        n_events=events.n,
        n_members=len(setup.members),
        n_kernels=setup.kernels.widths.size,
        kernel_rank=setup.basis.directions.shape[1],
        widths=_spread(setup.kernels.widths),
        variations=setup.basis.variations.shape[1],
        gap=profile.gap,
        capped=rows.capped,
        null_pulls=frozen(profile.null),
        alternative_pulls=frozen(profile.alternative),
        coefficients=frozen(setup.basis.directions @ profile.amplitudes),
        events_digest=events.digest,
        warnings=(
            *plan.notes,
            *_notes(plan.null, profile.null.size, profile.statistic),
        ),
        fitted=fitted,
    )


def _spread(widths: Array) -> tuple[float, float, float]:
    return float(widths.min()), float(np.median(widths)), float(widths.max())


def _resolved(name: str) -> Hypothesis:
    if name not in HYPOTHESES:
        raise InputError("hypothesis", got=repr(name), expected=f"one of {list(HYPOTHESES)}")
    return HYPOTHESES[name]


def _check(events: Events, toys: int) -> None:
    if events.weights is not None:
        raise InputError(
            "events.weights",
            got="a weighted test sample",
            expected="unweighted events: the toys have none",
            remedy="Unweight the sample, or drop the weights if they are all equal.",
        )
    if toys < 1:
        raise InputError("toys", got=toys, expected="at least one toy", remedy="Use 200 or more.")


def _notes(null: Calibration, variations: int, statistic: float) -> tuple[str, ...]:
    notes = []
    if isinstance(null, PlugIn) and variations:
        notes.append(
            "plug-in toys have a perfect constraint that no data set has: true models are "
            "rejected too often. Use Predictive()."
        )
    if math.isinf(statistic):
        notes.append("some event has no density under the null: the statistic is infinite.")
    if math.isnan(statistic):
        notes.append("the fit to the test sample did not converge: there is no statistic.")
    return tuple(notes)
