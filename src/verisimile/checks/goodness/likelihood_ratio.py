"""Kernel-augmented profile likelihood-ratio goodness of fit, calibrated by toys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from verisimile.checks.goodness.assemble import Judge, Trial
from verisimile.checks.goodness.calibration import Calibration, Predictive
from verisimile.checks.goodness.gaussian import GaussianKernels
from verisimile.checks.goodness.null_model import NullModel
from verisimile.checks.goodness.parts import check_sample, resolved
from verisimile.checks.goodness.profile import HYPOTHESES, Hypothesis
from verisimile.checks.goodness.result import Goodness
from verisimile.checks.goodness.setup import Alternative
from verisimile.checks.goodness.stopping import Sequential
from verisimile.checks.goodness.tilt import ExponentialTilt
from verisimile.checks.goodness.toys import Contest, throw_toys
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.run import Run
from verisimile.data.events import Events, match_features
from verisimile.data.provenance import warn_overlap
from verisimile.mixture.conditional import ConditionalMixture
from verisimile.mixture.fit import single_weight
from verisimile.mixture.model import Mixture
from verisimile.stats.sequential import enough

__all__ = ["compare_hypotheses", "default_alternative", "goodness_of_fit", "single"]

_KERNELS_UP_TO = 2  # by the power study and the embedded example: docs/measured.md


def goodness_of_fit(
    run: Run,
    mixture: Mixture,
    events: Events,
    *,
    alternative: Alternative | Sequence[Alternative] | None = None,
    hypothesis: str = "ensemble+uncertainty",
    null: Calibration = Predictive(),  # noqa: B008
    toys: int | Sequential = 1000,
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
        :class:`GaussianKernels`, :class:`ExponentialTilt`, or several of them:
        the smallest of their p-values is then the statistic, compared with the
        smallest p-values of the same toys.  None takes what has more power:
        kernels up to two features, the tilt beyond.
    hypothesis
        ``"single"`` (first member alone), ``"ensemble"`` (weights frozen) or
        ``"ensemble+uncertainty"`` (weights profiled).
    null
        Calibration: :class:`Predictive` (valid, default), :class:`FluctuatedCentre`
        (valid) or :class:`PlugIn` (the published one; too many rejections).
    toys
        B; the smallest reachable p-value is 1 / (B + 1).  :class:`Sequential`
        stops as soon as enough toys are extreme.

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
    alternative: Alternative | Sequence[Alternative] | None = None,
    hypotheses: Sequence[str] = tuple(HYPOTHESES),
    null: Calibration = Predictive(),  # noqa: B008
    toys: int | Sequential = 1000,
) -> tuple[Goodness, ...]:
    """Run the test of :func:`goodness_of_fit` under several null hypotheses.

    The hypotheses on the mixture share their pseudo-data; ``"single"`` needs
    its own.  Results come in the order of `hypotheses`.
    """
    _refuse_conditional(mixture)
    matched = match_features(events, mixture.features)
    chosen = [resolved(name) for name in hypotheses]
    check_sample(matched, toys)
    notes = warn_overlap(mixture.provenance, matched, "test")
    forms = default_alternative(mixture.n_features) if alternative is None else alternative
    plan = _Plan(_several(forms, toys), null, toys, notes)
    found: dict[str, Goodness] = {}
    alone = [h for h in chosen if h.name == "single"]
    joint = [h for h in chosen if h.name != "single"]
    for model, group in ((single(mixture), alone), (mixture, joint)):
        if group:
            results = _tested(run, model, matched, group, plan)
            found.update({result.hypothesis: result for result in results})
    return tuple(found[h.name] for h in chosen)


def default_alternative(features: int) -> GaussianKernels | ExponentialTilt:
    """Return the alternative with more power for models of so many features.

    Gaussian kernels up to two; beyond, they have to be narrowed at the edges of the
    model, and the exponential tilt sees more.
    """
    return GaussianKernels() if features <= _KERNELS_UP_TO else ExponentialTilt()


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

    alternatives: tuple[Alternative, ...]
    null: Calibration
    toys: int | Sequential
    notes: tuple[str, ...]


def _tested(
    run: Run, mixture: Mixture, events: Events, hypotheses: list[Hypothesis], plan: _Plan
) -> list[Goodness]:
    null = NullModel.of(mixture)
    logf = null.log_densities(events.x)
    centre = np.zeros(null.variations.shape[1])
    seen = []
    for alternative in plan.alternatives:
        setup = alternative.prepare(run, null, events=events.n)
        seen.append((alternative.name, setup, setup.observe(events.x, logf)))
    trials = [[Trial(*each, each[2].profile(h, centre)) for each in seen] for h in hypotheses]
    contest = Contest(
        null, tuple(setup for _, setup, _ in seen), plan.null, tuple(hypotheses), events.n
    )
    toys = _thrown(run, contest, trials, plan.toys)
    judge = Judge(plan.null, plan.toys, plan.notes)
    return [
        judge.result(trials[h], hypothesis, toys[:, :, h], events, members=len(mixture.members))
        for h, hypothesis in enumerate(hypotheses)
    ]


def _thrown(run: Run, contest: Contest, trials: list[list[Trial]], toys: int | Sequential) -> Array:
    if not isinstance(toys, Sequential):
        return throw_toys(run, contest, toys)
    observed = np.array([[trial.profile.statistic for trial in row] for row in trials]).T

    def settled(found: Array) -> bool:
        table = found.reshape(found.shape[0], -1)
        return enough(observed.ravel(), table, stop_after=toys.exceedances)

    return throw_toys(run, contest, toys.most, enough=settled)


def _several(
    alternative: Alternative | Sequence[Alternative], toys: int | Sequential
) -> tuple[Alternative, ...]:
    several = tuple(alternative) if isinstance(alternative, Sequence) else (alternative,)
    if not several:
        raise InputError("alternative", got="none", expected="at least one alternative")
    if len(several) > 1 and isinstance(toys, Sequential):
        raise InputError(
            "toys",
            got=f"{len(several)} alternatives and a sequential number of toys",
            expected="a fixed number: the smallest p-value is ranked among all toys",
            remedy="Give toys=1000, or one alternative.",
        )
    return several


def _refuse_conditional(mixture: object) -> None:
    if isinstance(mixture, ConditionalMixture):
        raise InputError(
            "mixture",
            got="a conditional mixture f(x | c)",
            expected="a mixture without context",
            remedy="Use goodness_in_context, which tests it in bins of its context.",
        )
