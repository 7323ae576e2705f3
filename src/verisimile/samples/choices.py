"""Random choices of so many places, of very many: who is called the first sample."""

from __future__ import annotations

import numpy as np

from verisimile.core.arrays import BoolArray

_COIN = 256  # values of a byte
_RARE = 8  # one place in so many is found sooner by a list than by trying


def choose(side: BoolArray, count: int, rng: np.random.Generator) -> None:
    """Make `side` a uniformly random choice of `count` of its places, the others false.

    Independent coins first; then random ones of those that are too many are turned over.  Coins
    of any odds are a uniform choice of as many as they are, and remain one: seven times as fast
    as the permutation of 100 000 places, most of whose order nobody asks for.
    """
    odds = min(round(_COIN * count / side.size), _COIN - 1)
    if 2 * odds == _COIN:
        bits = np.frombuffer(rng.bytes(-(-side.size // 8)), dtype=np.uint8)
        side[:] = np.unpackbits(bits, count=side.size)
    else:
        np.less(rng.integers(0, _COIN, size=side.size, dtype=np.uint8), odds, out=side)
    true = int(np.count_nonzero(side))
    if true != count:
        _turn_over(side, true - count, true if true > count else side.size - true, rng)


def _turn_over(side: BoolArray, excess: int, among: int, rng: np.random.Generator) -> None:
    """Turn over random places, of which `excess` are too many if above zero, or too few."""
    wanted, left = excess > 0, abs(excess)
    if _RARE * among < side.size:
        places = np.flatnonzero(side if wanted else ~side)
        side[rng.choice(places, left, replace=False, shuffle=False)] = not wanted
        return
    while left:
        # Places at random until enough of them could be turned: no list of all of them.
        places = rng.integers(side.size, size=2 * left + _RARE)
        places = places[side[places] == wanted]
        places = places[np.sort(np.unique(places, return_index=True)[1])[:left]]
        side[places] = not wanted
        left -= places.size
