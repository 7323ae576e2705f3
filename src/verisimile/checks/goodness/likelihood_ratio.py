"""Kernel-augmented profile likelihood-ratio goodness of fit, calibrated by toys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from verisimile.checks.goodness.calibration import Calibration, Predictive
from verisimile.checks.goodness.gaussian import GaussianKernels
from verisimile.checks.goodness.null_model import NullModel
from verisimile.checks.goodness.parts import alternative_fit, check_sample, null_notes, resolved
from verisimile.checks.goodness.profile import HYPOTHESES, Hypothesis
from verisimile.checks.goodness.result import AlternativeFit, Goodness
from verisimile.checks.goodness.setup import Alternative
from verisimile.checks.goodness.toys import Contest, throw_toys
from verisimile.core.arrays import Array, frozen
from verisimile.core.errors import InputError
from verisimile.core.run import Run
from verisimile.data.events import Events, match_features
from verisimile.data.provenance import warn_overlap
from verisimile.mixture.conditional import ConditionalMixture
from verisimile.mixture.fit import single_weight
from verisimile.mixture.model import Mixture
from verisimile.stats.nulls import Empirical

__all__ = ["compare_hypotheses", "goodness_of_fit", "single"]


def goodness_of_fit(
    run: Run,
    mixture: Mixture,
    events: Events,
    *,
    alternative: Alternative | Sequence[Alternative] = GaussianKernels(),  # noqa: B008  (a frozen value)
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
        :class:`GaussianKernels`, :class:`ExponentialTilt`, or several of them:
        the smallest of their p-values is then the statistic, compared with the
        smallest p-values of the same toys.
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
    alternative: Alternative | Sequence[Alternative] = GaussianKernels(),  # noqa: B008
    hypotheses: Sequence[str] = tuple(HYPOTHESES),
    null: Calibration = Predictive(),  # noqa: B008
    toys: int = 1000,
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
    plan = _Plan(_several(alternative), null, toys, notes)
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

    alternatives: tuple[Alternative, ...]
    null: Calibration
    toys: int
    notes: tuple[str, ...]


def _several(alternative: Alternative | Sequence[Alternative]) -> tuple[Alternative, ...]:
    several = tuple(alternative) if isinstance(alternative, Sequence) else (alternative,)
    if not several:
        raise InputError("alternative", got="none", expected="at least one alternative")
    return several


def _tested(
    run: Run, mixture: Mixture, events: Events, hypotheses: list[Hypothesis], plan: _Plan
) -> list[Goodness]:
    null = NullModel.of(mixture)
    setups = tuple(a.prepare(run, null, events=events.n) for a in plan.alternatives)
    logf = null.log_densities(events.x)
    seen = [setup.observe(events.x, logf) for setup in setups]
    centre = np.zeros(null.variations.shape[1])
    profiles = [[fits.profile(hypothesis, centre) for fits in seen] for hypothesis in hypotheses]
    contest = Contest(null, setups, plan.null, tuple(hypotheses), events.n)
    toys = throw_toys(run, contest, plan.toys)
    results = []
    for column, hypothesis in enumerate(hypotheses):
        parts = tuple(
            alternative_fit(
                alternative.name,
                setup,
                fits,
                profile,
                Empirical(frozen(toys[:, row, column]), plan.null.name),
            )
            for row, (alternative, setup, fits, profile) in enumerate(
                zip(plan.alternatives, setups, seen, profiles[column], strict=True)
            )
        )
        results.append(_result(parts, hypothesis, plan, mixture, events))
    return results


def _result(
    parts: tuple[AlternativeFit, ...],
    hypothesis: Hypothesis,
    plan: _Plan,
    mixture: Mixture,
    events: Events,
) -> Goodness:
    statistic, toys = _combined(parts)
    p_value = Empirical(toys, plan.null.name).p_value(statistic)
    variations = parts[0].null_pulls.size
    return Goodness(
        statistic=statistic,
        p_value=p_value,
        z=p_value.significance,
        toys=toys,
        hypothesis=hypothesis.name,
        null=plan.null.name,
        n_events=events.n,
        n_members=len(mixture.members),
        variations=variations,
        parts=parts,
        events_digest=events.digest,
        warnings=(*plan.notes, *null_notes(plan.null, variations, parts)),
    )


def _combined(parts: tuple[AlternativeFit, ...]) -> tuple[float, Array]:
    r"""Return the statistic of several alternatives and that of the toys.

    Data and toys are ranked together, alternative by alternative, so that under
    the null they are exchangeable and the second ranking is exact.
    """
    if len(parts) == 1:
        return parts[0].statistic, parts[0].toys
    table = np.array([[part.statistic, *part.toys] for part in parts])
    failed = ~np.isfinite(table)
    table[failed] = np.inf
    exceeded = table.shape[1] - np.array([stats.rankdata(row, "min") - 1.0 for row in table])
    smallest = -np.log(exceeded.min(axis=0) / table.shape[1])
    smallest[failed.any(axis=0)] = np.nan  # counts as extreme, and is counted
    return float(smallest[0]), frozen(smallest[1:])


def _refuse_conditional(mixture: object) -> None:
    if isinstance(mixture, ConditionalMixture):
        raise InputError(
            "mixture",
            got="a conditional mixture f(x | c)",
            expected="a mixture without context",
            remedy="Use goodness_in_context, which tests it in bins of its context.",
        )
