"""Bundles of events: of very many events labelings are drawn for random ones of them at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from verisimile.checks.twosample.tilts import Order, TiltFamily, tilt_labels
from verisimile.core.random import Seeds
from verisimile.samples.pool import Labels, Pool

_ENOUGH = 100_000  # bundles, at least; half as many events more are not worth a bundle
_FEWEST = 1_000  # of the smaller sample


def events_together(pool: Pool) -> int:
    """Return how many events of a pool change sides together in tilted labelings: one of most.

    A hundred thousand random bundles have the central limit theorem on their side as events
    have; fewer than a thousand of either sample, weights or groups are not bundled.
    """
    alone = bool((pool.units[1:] > pool.units[:-1]).all() and (pool.weights == 1.0).all())
    if not alone or pool.null != "relabelings":
        return 1
    return max(1, min(len(pool.x) // _ENOUGH, min(pool.sizes) // _FEWEST))


@dataclass(frozen=True, slots=True, eq=False)
class Bundles:
    r"""Random bundles of the pooled events, of one size to an event.

    A bundle has the product of its events' odds, so that the mean of :math:`u_i` over the second
    sample moves by as much as if events were drawn (as long as the odds of a bundle are near
    one, as they are for effects that many events just show), and fluctuates as much.  What is
    achieved is computed of bundles, and the cost of a labeling is theirs.

    Attributes
    ----------
    codes
        Bundle of every event ``(N,)``.
    pool
        The bundles, as if each were an event.
    """

    codes: Order
    pool: Pool

    @classmethod
    def of(cls, pool: Pool, together: int, seeds: Seeds) -> Bundles:
        """Return bundles of so many events, whichever sample they are of."""
        count = -(-len(pool.x) // together)
        order = seeds.at("bundles", together).numpy().permutation(len(pool.x))
        codes = (order // together).astype(np.int32)
        first = min(max(1, round(count * pool.sizes[0] / len(pool.x))), count - 1)
        alone = np.arange(count)
        return cls(
            codes,
            replace(
                pool,
                x=pool.x[:0],
                weights=np.bincount(codes).astype(np.float64),
                sizes=(first, count - first),
                units=alone,
                rows=alone,
            ),
        )

    def tilt(self, family: TiltFamily) -> TiltFamily:
        """Return the tilt of the bundles."""
        return family.bundled(self.codes, len(self.pool.rows))

    def labels(self, tilt: TiltFamily, strength: float, seeds: Seeds) -> tuple[Labels, float]:
        """Return a tilted relabeling of the events ``(N,)``, and its effect."""
        sides, effect = tilt_labels(tilt, strength, self.pool, seeds)
        return sides[self.codes], effect
