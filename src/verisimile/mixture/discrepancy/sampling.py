"""Accept-reject sampling of a tilted mixture, whose largest ratio is not known beforehand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from verisimile.core.arrays import Array
from verisimile.core.errors import NumericsError
from verisimile.mixture.sampling import SignedSample

_PILOT = 1000  # proposals, at least, that the bound is taken from
_HEADROOM = 1.05
_MAX_ROUNDS = 200
_LEAST_RATE = 1e-3

Propose = Callable[[int, np.random.Generator], SignedSample]
"""From a number and a random stream to so many events of the mixture."""

LogRatio = Callable[[SignedSample], Array]
"""From events of the mixture to the logarithm of the tilted over the mixture's density."""


def sample_tilted(
    propose: Propose,
    log_ratio: LogRatio,
    n: int,
    rng: np.random.Generator,
    *,
    excess: float,
) -> SignedSample:
    r"""Draw `n` events of :math:`p \propto \hat f e^{\ell}`.

    An event of the mixture is kept with probability :math:`e^{\ell} / c`.  c is the smallest
    number beyond which, in the first proposals, lies no more than the share `excess` of
    :math:`e^{\ell}`.  An event there is overweight: it is kept
    :math:`\lfloor e^\ell / c \rfloor` times, and once more with what is left as probability, so
    that no probability is lost and at most that share of the sample are repetitions.

    Raises
    ------
    NumericsError
        If the acceptance is so low that the sample cannot be completed.

    References
    ----------
    T. Gleisberg et al., J. High Energy Phys. 02 (2009) 007, sec. 5 (overweight events).
    """
    kept: list[SignedSample] = []
    accepted = proposed = 0
    size, bound, weight, above, seen = max(2 * n, _PILOT), math.nan, 0.0, 0.0, 0
    for _ in range(_MAX_ROUNDS):
        drawn = propose(size, rng)
        ell = log_ratio(drawn)
        if math.isnan(bound):
            bound = _bound(ell, excess)
        ratio = np.exp(ell - bound)
        seen, weight = seen + ratio.size, weight + float(ratio.sum())
        above += float(np.clip(ratio - 1.0, 0.0, None).sum())
        copies = np.floor(ratio + rng.random(ratio.size)).astype(np.int64)
        rows = np.repeat(np.arange(ratio.size), copies)
        kept.append(replace(drawn, x=drawn.x[rows], log_densities=drawn.log_densities[rows]))
        accepted, proposed = accepted + rows.size, proposed + drawn.audit.proposed
        if accepted >= n:
            break
        rate = max(accepted / seen, _LEAST_RATE)
        size = math.ceil(_HEADROOM * (n - accepted) / rate) + 16
    else:
        raise NumericsError(
            "sampling of the corrected mixture",
            got=f"{accepted} of {n} events after {proposed} proposals",
            expected="a correction that keeps one event in a thousand, or more",
            remedy="The members are too far from the events of the fit: train better ones.",
        )
    audit = replace(
        kept[0].audit,
        proposed=proposed,
        accepted=accepted,
        bound=seen / weight,
        overweight=above / weight,
    )
    return SignedSample(
        np.concatenate([part.x for part in kept])[:n],
        np.concatenate([part.log_densities for part in kept])[:n],
        audit,
    )


def _bound(ell: Array, excess: float) -> float:
    """Return log c: the excess over it is the allowed share of the sum."""
    top = float(ell.max())
    ratio = np.sort(np.exp(ell - top))[::-1]
    # With the k largest above c, the excess is their sum less k c: it grows as c falls.
    over = np.cumsum(ratio) - np.arange(1, ratio.size + 1) * ratio
    allowed = excess * float(ratio.sum())
    k = int(np.searchsorted(over, allowed, side="right"))  # that many may lie above
    c = (float(ratio[:k].sum()) - allowed) / k if k else float(ratio[0])
    return top + math.log(c)
