"""What trains members of one architecture: one epoch at a time, on packed parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from verisimile.core.arrays import Array, IntArray
from verisimile.density.flows.packed import Floats


@dataclass(frozen=True, slots=True, eq=False)
class AdamState:
    """Packed parameters of M members and Adam's memory of their gradients, ``(M, P)`` each.

    `taken` ``(M,)`` counts the steps.
    """

    parameters: Floats
    first_moment: Floats
    second_moment: Floats
    taken: IntArray

    @classmethod
    def fresh(cls, parameters: Floats) -> AdamState:
        """Return the state before the first step."""
        zeros = np.zeros_like(parameters)
        return cls(parameters, zeros, zeros.copy(), np.zeros(len(parameters), dtype=np.int64))


class Epochs(Protocol):
    """Members while they are trained; `state` is up to date between two calls.

    A member does not depend on which others are trained beside it, beyond rounding.
    """

    state: AdamState

    def epoch(
        self, members: Sequence[int], orders: Sequence[IntArray], rates: Sequence[Array]
    ) -> Array:
        """Train some of the members for an epoch; return their mean weighted losses on the way.

        Parameters
        ----------
        members
            Numbers of the members, of the M.
        orders
            For each of them the rows of its training events, in the order of use ``(n,)``.
        rates
            For each of them the step size of each batch of the epoch ``(steps,)``.
        """

    def losses(self, members: Sequence[int]) -> Array:
        """Return the members' mean weighted losses on their validation events."""
