"""Hit-or-miss sampling of a signed conditional mixture: one event for each context."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from verisimile.core.arrays import Array
from verisimile.core.errors import NumericsError
from verisimile.core.result import Estimate
from verisimile.density.conditional import ConditionalDensity
from verisimile.mixture.objective import scaled
from verisimile.mixture.sampling import SampleAudit, SignedSample

__all__ = ["conditional_log_densities", "conditional_negative_mass", "sample_signed_at"]

# Acceptance is at least 1 / W+ at every context, so that after so many times W+
# rounds a row is left with probability exp(-40).
_ROUNDS = 40


def conditional_log_densities(
    members: Sequence[ConditionalDensity], x: Array, context: Array
) -> Array:
    """Return the log-densities ``(n, M)`` of all members at the same events and contexts."""
    out = np.empty((x.shape[0], len(members)))
    for i, member in enumerate(members):
        out[:, i] = member.log_prob(x, context)
    return out


def sample_signed_at(
    members: Sequence[ConditionalDensity],
    weights: Array,
    context: Array,
    rng: np.random.Generator,
) -> SignedSample:
    r"""Draw one event for each context from :math:`\max(0, \sum_i w_i f_i(x \mid c))`, normalised.

    At each context, propose from a member with positive weight and accept with
    probability :math:`\max(0, \hat f) / (W_+ P_+) \le 1`, until it is accepted.
    Contexts keep their rows: they are given, not drawn.

    Parameters
    ----------
    members, weights
        M conditional densities and their weights ``(M,)``.
    context
        ``(n, C)``.
    rng
        Stream of the draws.

    Raises
    ------
    NumericsError
        If some context never accepts.
    """
    total = float(np.clip(weights, 0.0, None).sum())
    n = len(context)
    x = np.empty((n, members[0].n_features))
    logf = np.empty((n, len(members)))
    pending = np.arange(n)
    negative: list[Array] = []
    proposed = undefined = 0
    for _ in range(math.ceil(_ROUNDS * total)):
        if not pending.size:
            break
        drawn, at_drawn = _propose(members, weights, context[pending], rng)
        ratio = _ratio(at_drawn, weights)
        keep = rng.random(pending.size) < ratio
        rows = pending[keep]
        x[rows], logf[rows] = drawn[keep], at_drawn[keep]
        negative.append(np.clip(-ratio[~np.isnan(ratio)], 0.0, None))
        proposed += pending.size
        undefined += int(np.isnan(ratio).sum())
        pending = pending[~keep]
    if pending.size:
        raise NumericsError(
            "conditional signed-mixture sampling",
            got=f"{pending.size} of {n} contexts without an event after {proposed} proposals",
            expected=f"an acceptance of at least {1 / total:.2g} at each context",
            remedy="The members give their own draws no density there: are these contexts"
            " outside of the trained range?",
        )
    audit = SampleAudit(proposed, n, total, _scaled_mean(negative, total), undefined)
    return SignedSample(x, logf, audit)


def conditional_negative_mass(
    members: Sequence[ConditionalDensity],
    weights: Array,
    context: Array,
    rng: np.random.Generator,
) -> Estimate:
    r"""Estimate :math:`\int \max(-\hat f(x \mid c), 0)\,dx`, averaged over the contexts."""
    total = float(np.clip(weights, 0.0, None).sum())
    ratio = _ratio(_propose(members, weights, context, rng)[1], weights)
    return _scaled_mean([np.clip(-ratio[~np.isnan(ratio)], 0.0, None)], total)


def _propose(
    members: Sequence[ConditionalDensity],
    weights: Array,
    context: Array,
    rng: np.random.Generator,
) -> tuple[Array, Array]:
    """Return one event of the positive part for each context, and log-densities there."""
    positive = np.clip(weights, 0.0, None)
    chosen = rng.choice(len(members), size=len(context), p=positive / positive.sum())
    x = np.empty((len(context), members[0].n_features))
    for i in np.unique(chosen):
        rows = chosen == i
        x[rows] = members[i].sample(context[rows], rng)
    return x, conditional_log_densities(members, x, context)


def _ratio(logf: Array, weights: Array) -> Array:
    """Return f / (W+ P+) at proposals, ``(n,)``; NaN where no member has a density."""
    out = np.full(len(logf), np.nan)
    defined = logf.max(axis=1) > -np.inf
    density, _ = scaled(logf[defined])
    with np.errstate(invalid="ignore"):
        out[defined] = (density @ weights) / (density @ np.clip(weights, 0.0, None))
    return out


def _scaled_mean(parts: Sequence[Array], scale: float) -> Estimate:
    values = np.concatenate([*parts, np.empty(0)])
    if values.size < 2:
        return Estimate(math.nan, math.nan)
    error = float(values.std(ddof=1)) / math.sqrt(values.size)
    return Estimate(scale * float(values.mean()), scale * error)
