"""Hit-or-miss sampling of a signed mixture, and of a conditional one at given contexts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array, BoolArray
from verisimile.core.errors import NumericsError
from verisimile.core.result import Estimate, register
from verisimile.density.protocol import ConditionalDensity, DensityEstimator
from verisimile.mixture.objective import blocks, scale_rows

_HEADROOM = 1.05  # proposals beyond the expected need, so that one round mostly suffices
_MAX_ROUNDS = 200
_BATCH = 8192  # events at a time: a member's temporaries stay in the cache


@register("sample-audit", 2)
@dataclass(frozen=True, slots=True)
class SampleAudit:
    """What the sampler saw.

    Attributes
    ----------
    proposed, accepted
        Events drawn from the positive part, and events kept.
    positive_weight
        Sum of the positive weights, W+.
    negative_mass
        Estimate of the integral of the negative part of the density, which
        sampling has to cut away.
    undefined
        Proposals to which no member, not even their own, gives a positive density.
    bound, overweight
        Of a corrected mixture: the ratio to the uncorrected density up to which events are kept
        in proportion, and the share of the probability above it, of which events are repeated.
    """

    proposed: int
    accepted: int
    positive_weight: float
    negative_mass: Estimate
    undefined: int = 0
    bound: float = 1.0
    overweight: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class SignedSample:
    """Events of a signed mixture ``(n, d)``, in random order, with what came for free.

    That is the members' log-densities ``(n, M)``, and acceptance and negative mass.
    """

    x: Array
    log_densities: Array
    audit: SampleAudit


def member_log_densities(members: Sequence[DensityEstimator], x: Array) -> Array:
    """Return the log-densities ``(n, M)`` of all members at the same events."""
    out = np.empty((x.shape[0], len(members)))
    for start in range(0, x.shape[0], _BATCH):
        rows = slice(start, start + _BATCH)
        for i, member in enumerate(members):
            out[rows, i] = member.log_prob(x[rows])
    return out


def sample_signed(
    members: Sequence[DensityEstimator], weights: Array, n: int, rng: np.random.Generator
) -> SignedSample:
    r"""Draw `n` events from :math:`\max(0, \sum_i w_i f_i)`, normalised.

    Propose from the positive part, :math:`P_+ = \sum_{w_i > 0} w_i f_i / W_+`, and
    accept with probability :math:`\max(0, \hat f) / (W_+ P_+) \le 1`: exact in any
    dimension, with acceptance :math:`(1 + N_-) / W_+ \ge 2 / (1 + |w|_1)`.

    Raises
    ------
    NumericsError
        If the acceptance is so low that the sample cannot be completed.
    """
    total = float(np.clip(weights, 0.0, None).sum())
    kept: list[_Proposal] = []
    accepted = proposed = 0
    for _ in range(_MAX_ROUNDS):
        # Rounded first: W+ is often one up to its last bit, which must not decide the number.
        size = math.ceil(round((n - accepted) * total * _HEADROOM, 6)) + 16
        batch = _propose(members, weights, size, rng)
        keep = rng.random(batch.ratio.size) < batch.ratio
        kept.append(batch.only(keep))
        accepted += int(keep.sum())
        proposed += size
        if accepted >= n:
            break
    else:
        raise NumericsError(
            "signed-mixture sampling",
            got=f"{accepted} of {n} events after {proposed} proposals",
            expected=f"an acceptance near {1 / total:.2g}",
            remedy="The weights cancel almost everywhere: refit with a larger truncation.",
        )
    negative = np.concatenate([batch.negative for batch in kept])
    mass, undefined = _scaled_mean(negative, total), proposed - negative.size
    return SignedSample(
        x=np.concatenate([batch.x for batch in kept])[:n],
        log_densities=np.concatenate([batch.log_densities for batch in kept])[:n],
        audit=SampleAudit(proposed, accepted, total, mass, undefined),
    )


def negative_mass(
    members: Sequence[DensityEstimator], weights: Array, n: int, rng: np.random.Generator
) -> Estimate:
    r"""Estimate :math:`N_- = \int \max(-\hat f, 0)\,dx` from `n` draws of the positive part.

    .. math:: N_- = W_+ \, E_{P_+}[\max(-\hat f, 0) / (W_+ P_+)]
    """
    total = float(np.clip(weights, 0.0, None).sum())
    return _scaled_mean(_propose(members, weights, n, rng).negative, total)


@dataclass(frozen=True, slots=True, eq=False)
class _Proposal:
    """Draws of the positive part: events, log-densities, f / (W+ P+), its negative part."""

    x: Array
    log_densities: Array
    ratio: Array
    negative: Array

    def only(self, keep: BoolArray) -> _Proposal:
        # The negative part is a property of all proposals, kept or not.
        return _Proposal(self.x[keep], self.log_densities[keep], self.ratio[keep], self.negative)


def _propose(
    members: Sequence[DensityEstimator], weights: Array, n: int, rng: np.random.Generator
) -> _Proposal:
    positive = np.clip(weights, 0.0, None)
    counts = rng.multinomial(n, positive / positive.sum())
    parts = [m.sample(int(k), rng) for m, k in zip(members, counts, strict=True) if k]
    # Only the first accepted events are used: they must not be ordered by member.
    x = np.concatenate(parts)[rng.permutation(n)]
    logf = member_log_densities(members, x)
    ratio = _ratio(logf, weights, positive)
    defined = ~np.isnan(ratio)
    if not defined.all():
        x, logf, ratio = x[defined], logf[defined], ratio[defined]
    return _Proposal(x, logf, ratio, np.clip(-ratio, 0.0, None))


def _ratio(logf: Array, weights: Array, positive: Array) -> Array:
    """Return f / (W+ P+) per event, NaN where no member has a density."""
    out = np.full(logf.shape[0], np.nan)
    pair = np.column_stack([weights, positive])
    for rows in blocks(out.size):
        top = logf[rows].max(axis=1)
        possible = top > -np.inf
        density = logf[rows] - np.where(possible, top, 0.0)[:, None]
        mixed, proposed = (np.exp(density, out=density) @ pair).T
        np.divide(mixed, proposed, out=out[rows], where=possible)
    return out


def _scaled_mean(values: Array, scale: float) -> Estimate:
    error = float(values.std(ddof=1)) / math.sqrt(values.size) if values.size > 1 else math.nan
    return Estimate(scale * float(values.mean()), scale * error)


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

    Raises
    ------
    NumericsError
        If some of the contexts ``(n, C)`` never accepts.
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
        drawn, at_drawn = _propose_given(members, weights, context[pending], rng)
        ratio = _ratio_given(at_drawn, weights)
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
    audit = SampleAudit(proposed, n, total, _scaled_mean_given(negative, total), undefined)
    return SignedSample(x, logf, audit)


def conditional_negative_mass(
    members: Sequence[ConditionalDensity],
    weights: Array,
    context: Array,
    rng: np.random.Generator,
) -> Estimate:
    r"""Estimate :math:`\int \max(-\hat f(x \mid c), 0)\,dx`, averaged over the contexts."""
    total = float(np.clip(weights, 0.0, None).sum())
    ratio = _ratio_given(_propose_given(members, weights, context, rng)[1], weights)
    return _scaled_mean_given([np.clip(-ratio[~np.isnan(ratio)], 0.0, None)], total)


def _propose_given(
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


def _ratio_given(logf: Array, weights: Array) -> Array:
    """Return f / (W+ P+) at proposals, ``(n,)``; NaN where no member has a density."""
    out = np.full(len(logf), np.nan)
    defined = logf.max(axis=1) > -np.inf
    density, _ = scale_rows(logf[defined])
    with np.errstate(invalid="ignore"):
        out[defined] = (density @ weights) / (density @ np.clip(weights, 0.0, None))
    return out


def _scaled_mean_given(parts: Sequence[Array], scale: float) -> Estimate:
    values = np.concatenate([*parts, np.empty(0)])
    return _scaled_mean(values, scale) if values.size > 1 else Estimate(math.nan, math.nan)
