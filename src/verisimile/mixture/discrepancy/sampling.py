"""Accept-reject sampling of tilted mixtures, whose largest ratio is not known beforehand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import NumericsError
from verisimile.mixture.sampling import SignedSample

REPEATED = 1e-3  # of a sample, at most
_PILOT = 1000  # proposals, at least, that the bound is taken from
_HEADROOM = 1.05
_MAX_ROUNDS = 200
_LARGEST_BATCH = 100_000  # proposals at a time
_MOST_PER_EVENT = 30.0  # proposals for one event; beyond, more events are overweight
_TOO_MANY = 0.05  # of the probability in overweight events: then the sample means nothing

Propose = Callable[[int, np.random.Generator], tuple[SignedSample, Array]]
"""From a number and a random stream to so many events of the mixture, with their log-ratios:
the logarithm of the tilted over the mixture's density, ``(n,)``."""

ProposeAt = Callable[[Array, np.random.Generator], SignedSample]
"""From contexts ``(n, C)`` and a random stream to one event of the mixture at each."""

LogRatioAt = Callable[[SignedSample, Array], Array]
"""From events of the mixture at contexts ``(n, C)`` to their log-ratios."""


def sample_tilted(
    propose: Propose,
    n: int,
    rng: np.random.Generator,
    *,
    excess: float = REPEATED,
) -> SignedSample:
    r"""Draw `n` events of :math:`p \propto \hat f e^{\ell}`.

    An event of the mixture is kept with probability :math:`e^{\ell} / c`.  c is the smallest
    number beyond which, in the first proposals, lies no more than the share `excess` of
    :math:`e^{\ell}`.  An event there is overweight: it is kept
    :math:`\lfloor e^\ell / c \rfloor` times, and once more with what is left as probability, so
    that no probability is lost and about that share of the sample are repetitions; more, where c
    would ask for more than thirty proposals for an event.

    Raises
    ------
    NumericsError
        If a twentieth of the probability or more lies beyond c.

    References
    ----------
    T. Gleisberg et al., J. High Energy Phys. 02 (2009) 007, sec. 5 (overweight events).
    """
    accepted = proposed = evaluated = seen = 0
    weight = above = 0.0
    # Of the first, all that are kept are needed: few corrections keep more than nine in ten.
    drawn, ell = propose(min(max(n, _PILOT), _LARGEST_BATCH), rng)
    bound, audit = _bound(ell, excess), drawn.audit
    # Filled as events are accepted: log-densities of many members are not held twice.
    x, logf = (np.empty((n, part.shape[1])) for part in (drawn.x, drawn.log_densities))
    while True:
        ratio = np.exp(ell - bound)
        seen, weight = seen + ratio.size, weight + float(ratio.sum())
        above += float(np.clip(ratio - 1.0, 0.0, None).sum())
        copies = np.floor(ratio + rng.random(ratio.size)).astype(np.int64)
        rows = np.repeat(np.arange(ratio.size), copies)
        wanted = rows[: n - accepted]
        part = slice(accepted, accepted + wanted.size)
        x[part], logf[part] = drawn.x[wanted], drawn.log_densities[wanted]
        accepted, proposed = accepted + rows.size, proposed + drawn.audit.proposed
        evaluated += drawn.audit.evaluated
        if accepted >= n:
            break
        size = math.ceil(_HEADROOM * (n - accepted) * seen / weight) + 16
        drawn, ell = propose(min(size, _LARGEST_BATCH), rng)
    if not above < _TOO_MANY * weight:
        raise NumericsError(
            "sampling of the corrected mixture",
            got=f"{100 * above / weight:.0f} % of the probability in events of large weight",
            expected=f"less than {100 * _TOO_MANY:.0f} %",
            remedy="The members are too far from the events of the fit: train better or fewer ones,"
            " or fit with discrepancy=None.",
        )
    audit = replace(
        audit,
        proposed=proposed,
        accepted=accepted,
        evaluated=evaluated,
        bound=seen / weight,
        overweight=above / weight,
    )
    return SignedSample(x, logf, audit)


def sample_tilted_at(
    propose: ProposeAt,
    log_ratio: LogRatioAt,
    context: Array,
    rng: np.random.Generator,
    *,
    excess: float = 1e-4,
) -> SignedSample:
    r"""Draw one event for each row of `context` ``(n, C)`` of :math:`p \propto \hat f e^{\ell}`.

    At each context an event of the mixture is kept with probability :math:`\min(1, e^{\ell}/c)`,
    until one is.  c is the smallest number beyond which, in the first proposals at all contexts,
    lies no more than the share `excess` of :math:`e^{\ell}`: one event for each context cannot be
    repeated, and that share of the probability is lost.  The audit records what was.

    Raises
    ------
    NumericsError
        If some context never accepts.
    """
    n = len(context)
    pilot = np.resize(np.arange(n), max(n, _PILOT))
    bound = _bound(log_ratio(propose(context[pilot], rng), context[pilot]), excess)
    kept: list[SignedSample] = []
    places: list[IntArray] = []
    pending, proposed, seen, weight, above = np.arange(n), 0, 0, 0.0, 0.0
    for _ in range(_MAX_ROUNDS):
        if not pending.size:
            break
        drawn = propose(context[pending], rng)
        ratio = np.exp(log_ratio(drawn, context[pending]) - bound)
        seen, weight = seen + ratio.size, weight + float(ratio.sum())
        above += float(np.clip(ratio - 1.0, 0.0, None).sum())
        keep = rng.random(ratio.size) < ratio
        kept.append(replace(drawn, x=drawn.x[keep], log_densities=drawn.log_densities[keep]))
        places.append(pending[keep])
        proposed += drawn.audit.proposed
        pending = pending[~keep]
    if pending.size:
        raise NumericsError(
            "sampling of the corrected conditional mixture",
            got=f"{pending.size} of {n} contexts without an event after {proposed} proposals",
            expected="a correction that keeps one event in some dozens, or more",
            remedy="The members are too far from the events of the fit: train better or fewer ones,"
            " or fit with discrepancy=None.",
        )
    audit = replace(
        kept[0].audit,
        proposed=proposed,
        accepted=n,
        bound=seen / weight,
        overweight=above / weight,
    )
    order = np.argsort(np.concatenate(places))
    return SignedSample(
        np.concatenate([part.x for part in kept])[order],
        np.concatenate([part.log_densities for part in kept])[order],
        audit,
    )


def _bound(ell: Array, excess: float) -> float:
    """Return log c: the excess over it is the allowed share of the sum, unless c is too large."""
    top = float(ell.max())
    ratio = np.sort(np.exp(ell - top))[::-1]
    # With the k largest above c, the excess is their sum less k c: it grows as c falls.
    over = np.cumsum(ratio) - np.arange(1, ratio.size + 1) * ratio
    allowed = excess * float(ratio.sum())
    k = int(np.searchsorted(over, allowed, side="right"))  # that many may lie above
    c = (float(ratio[:k].sum()) - allowed) / k if k else float(ratio[0])
    return top + math.log(min(c, _MOST_PER_EVENT * float(ratio.mean())))
