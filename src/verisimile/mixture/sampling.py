"""Hit-or-miss sampling of a signed mixture, and of a conditional one at given contexts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import NumericsError
from verisimile.core.random import Seeds
from verisimile.core.result import Estimate, Result, register
from verisimile.density.protocol import ConditionalDensity, DensityEstimator
from verisimile.mixture.pairing import Pairing

_HEADROOM = 1.05  # proposals beyond the expected need, so that one round mostly suffices
_SPARE = 3.0  # standard deviations, beyond which not even so many are evaluated by all members
_MAX_ROUNDS = 200
_AUDITED = 10_000  # proposals for the negative mass of a sample's mixture, at most
_BATCH = 8192  # events at a time: a member's temporaries stay in the cache


@register("sample-audit", 3)
@dataclass(frozen=True, slots=True)
class SampleAudit(Result):
    """What the sampler saw.

    Attributes
    ----------
    proposed, accepted
        Events drawn from the positive part, and events kept.
    positive_weight
        Sum of the positive weights, W+.
    evaluated
        Events at which all members were evaluated: the others a pair of members has refused.
    negative_mass
        Estimate of the integral of the negative part of the density, which
        sampling has to cut away; NaN where nobody has asked for it.
    undefined
        Proposals to which their own member, or all of them, give no positive density.
    bound, overweight
        Of a corrected mixture: the ratio to the uncorrected density up to which events are kept
        in proportion, and the share of the probability above it, of which events are repeated.
    """

    proposed: int
    accepted: int
    positive_weight: float
    evaluated: int = 0
    negative_mass: Estimate = Estimate(math.nan, math.nan)
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

    Propose from the positive part, :math:`P_+ = \sum_{w_i > 0} w_i f_i / W_+`, and accept with
    probability :math:`\max(0, \hat f) / (W_+ P_+) \le 1`: exact in any dimension, with
    acceptance :math:`(1 + N_-) / W_+ \ge 2 / (1 + |w|_1)`.  Most of what is refused is refused by
    a pair of members, before all are evaluated: see :mod:`~verisimile.mixture.pairing`.

    Raises
    ------
    NumericsError
        If the acceptance is so low that the sample cannot be completed.
    """
    pairing = Pairing.of(weights)
    kept: list[_Proposal] = []
    accepted = proposed = evaluated = undefined = 0
    for _ in range(_MAX_ROUNDS):
        # Rounded first: W+ is often one up to its last bit, which must not decide the number.
        size = math.ceil(round((n - accepted) * pairing.total * _HEADROOM, 6)) + 16
        batch = _propose(members, pairing, size, n - accepted, rng)
        keep = rng.random(batch.drawn)[: batch.ratio.size] < batch.ratio
        kept.append(replace(batch, x=batch.x[keep], log_densities=batch.log_densities[keep]))
        accepted, proposed = accepted + int(keep.sum()), proposed + batch.proposed
        evaluated, undefined = evaluated + keep.size, undefined + batch.undefined
        if accepted >= n:
            break
    else:
        raise NumericsError(
            "signed-mixture sampling",
            got=f"{accepted} of {n} events after {proposed} proposals",
            expected=f"an acceptance near {1 / pairing.total:.2g}",
            remedy="The weights cancel almost everywhere: refit with a larger truncation.",
        )
    return SignedSample(
        x=np.concatenate([batch.x for batch in kept])[:n],
        log_densities=np.concatenate([batch.log_densities for batch in kept])[:n],
        audit=SampleAudit(proposed, accepted, pairing.total, evaluated, undefined=undefined),
    )


def negative_mass(
    members: Sequence[DensityEstimator], weights: Array, n: int, rng: np.random.Generator
) -> Estimate:
    r"""Estimate :math:`N_- = \int \max(-\hat f, 0)\,dx` from `n` draws of the positive part.

    .. math:: N_- = W_+ \, E_{P_+}[\max(-\hat f, 0) / (W_+ P_+)]
    """
    if weights.min() >= 0.0:
        return Estimate(0.0, 0.0)
    whole = Pairing.apart(weights)
    ratio = _propose(members, whole, n, n, rng).ratio
    return _scaled_mean(np.clip(-ratio[~np.isnan(ratio)], 0.0, None), whole.total)


def audited(
    drawn: SignedSample, members: Sequence[DensityEstimator], weights: Array, seeds: Seeds
) -> SignedSample:
    """Return a sample with the negative mass of its mixture in its audit."""
    size = max(2, min(drawn.audit.proposed, _AUDITED))
    mass = negative_mass(members, weights, size, seeds.at("audit").numpy())
    return replace(drawn, audit=replace(drawn.audit, negative_mass=mass))


@dataclass(frozen=True, slots=True, eq=False)
class _Proposal:
    """What pairs have left of draws of the positive part: events, log-densities, f / g.

    Attributes
    ----------
    drawn
        How many the pairs have left; no more than needed are evaluated.
    proposed
        Draws of the positive part that those stand for.
    undefined
        Draws without density.
    """

    x: Array
    log_densities: Array
    ratio: Array
    drawn: int
    proposed: int
    undefined: int


def _propose(
    members: Sequence[DensityEstimator],
    pairing: Pairing,
    n: int,
    wanted: int,
    rng: np.random.Generator,
) -> _Proposal:
    """Draw `n` events of the positive part, and evaluate what `wanted` accepted ones may need."""
    # Pairs are in the order of their owners, and of their partners too.
    pairs = np.repeat(np.arange(pairing.masses.size), rng.multinomial(n, pairing.shares))
    owners = pairing.owners[pairs]
    counts = np.bincount(owners, minlength=len(members))
    x = np.concatenate([m.sample(int(k), rng) for m, k in zip(members, counts, strict=True) if k])
    undefined = 0
    if pairing.pays:
        own = _of_each(members, owners, x)
        kept = pairing.kept(pairs, own, _of_each(members, pairing.partners[pairs], x))
        x, undefined = x[rng.random(n) < kept], int(np.isnan(kept).sum())
    # Only the first accepted events are used: they must not be ordered by member.
    x, drawn = x[rng.permutation(len(x))], len(x)
    x = x[: _enough(wanted, min(1.0, n / (pairing.total * max(drawn, 1))))]
    logf = member_log_densities(members, x)
    ratio = pairing.ratio(logf)
    undefined += int(np.isnan(ratio).sum())
    return _Proposal(x, logf, ratio, drawn, round(n * len(x) / max(drawn, 1)), undefined)


def _enough(wanted: int, acceptance: float) -> int:
    """Return how many events give so many accepted ones, but seldom many more."""
    spread = math.sqrt(wanted * max(0.0, round(1.0 - acceptance, 6)))
    return math.ceil(round((wanted + _SPARE * spread) / acceptance, 6))


def _of_each(members: Sequence[DensityEstimator], which: IntArray, x: Array) -> Array:
    """Return the log-density of one member at each event, ``(n,)``; `which` does not fall."""
    out = np.empty(len(x))
    for i in np.unique(which):
        rows = slice(*np.searchsorted(which, [i, i + 1]))
        out[rows] = member_log_densities([members[i]], x[rows])[:, 0]
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
    probability :math:`\max(0, \hat f) / (W_+ P_+) \le 1`, until it is accepted; by pairs first,
    as in :func:`sample_signed`.  Contexts keep their rows: they are given, not drawn.

    Raises
    ------
    NumericsError
        If some of the contexts ``(n, C)`` never accepts.
    """
    pairing, n = Pairing.of(weights), len(context)
    x = np.empty((n, members[0].n_features))
    logf = np.empty((n, len(members)))
    pending = np.arange(n)
    proposed = evaluated = undefined = 0
    for _ in range(math.ceil(_ROUNDS * pairing.total)):
        if not pending.size:
            break
        places, batch = _propose_given(members, pairing, context[pending], rng)
        keep = rng.random(places.size) < batch.ratio
        rows = pending[places[keep]]
        x[rows], logf[rows] = batch.x[keep], batch.log_densities[keep]
        proposed, evaluated = proposed + pending.size, evaluated + places.size
        undefined += batch.undefined
        pending = np.delete(pending, places[keep])
    if pending.size:
        raise NumericsError(
            "conditional signed-mixture sampling",
            got=f"{pending.size} of {n} contexts without an event after {proposed} proposals",
            expected=f"an acceptance of at least {1 / pairing.total:.2g} at each context",
            remedy="The members give their own draws no density there: are these contexts"
            " outside of the trained range?",
        )
    audit = SampleAudit(proposed, n, pairing.total, evaluated, undefined=undefined)
    return SignedSample(x, logf, audit)


def conditional_negative_mass(
    members: Sequence[ConditionalDensity],
    weights: Array,
    context: Array,
    rng: np.random.Generator,
) -> Estimate:
    r"""Estimate :math:`\int \max(-\hat f(x \mid c), 0)\,dx`, averaged over the contexts."""
    if weights.min() >= 0.0:
        return Estimate(0.0, 0.0)
    whole = Pairing.apart(weights)
    ratio = _propose_given(members, whole, context, rng)[1].ratio
    return _scaled_mean(np.clip(-ratio[~np.isnan(ratio)], 0.0, None), whole.total)


def _propose_given(
    members: Sequence[ConditionalDensity],
    pairing: Pairing,
    context: Array,
    rng: np.random.Generator,
) -> tuple[IntArray, _Proposal]:
    """Return the places of contexts at which pairs have left a proposal, and these."""
    places = np.arange(len(context))
    pairs = rng.choice(pairing.masses.size, size=places.size, p=pairing.shares)
    owners, partners = pairing.owners[pairs], pairing.partners[pairs]
    x = np.empty((places.size, members[0].n_features))
    own, other = np.empty(places.size), np.empty(places.size)
    for i in np.unique(owners):
        rows = owners == i
        x[rows] = members[i].sample(context[rows], rng)
        if pairing.pays:
            own[rows] = members[i].log_prob(x[rows], context[rows])
    undefined = 0
    if pairing.pays:
        for i in np.unique(partners):
            rows = partners == i
            other[rows] = members[i].log_prob(x[rows], context[rows])
        kept = pairing.kept(pairs, own, other)
        places, undefined = places[rng.random(x.shape[0]) < kept], int(np.isnan(kept).sum())
    logf = conditional_log_densities(members, x[places], context[places])
    ratio = pairing.ratio(logf)
    undefined += int(np.isnan(ratio).sum())
    return places, _Proposal(x[places], logf, ratio, places.size, len(context), undefined)
