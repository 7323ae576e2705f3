"""The entropy label: to which resolution a generated sample of this size can be read."""

from __future__ import annotations

import math
from dataclasses import dataclass

from verisimile.core.errors import InputError
from verisimile.core.result import register

__all__ = ["EntropyLabel", "entropy_label"]


@register("entropy-label", 1)
@dataclass(frozen=True, slots=True)
class EntropyLabel:
    r"""The entropy bound on oversampling, a label of resolution and no measurement.

    A sample of n events fills :math:`n^{1/M}` bins, with :math:`2 \le M \le 3`
    between the finest useful binning and the coarsest.  Generated events read
    with exponent M carry as much information as the training events read with 2 if

    .. math:: (G\, n_\mathrm{train})^{1/M} = n_\mathrm{train}^{1/2}
              \quad\Rightarrow\quad
              G = n_\mathrm{train}^{M/2 - 1} \le \sqrt{n_\mathrm{train}}.

    Attributes
    ----------
    n_train, n_generated
        Sizes.
    exponent
        :math:`M_\mathrm{eff} = 2 \ln n_\mathrm{generated} / \ln n_\mathrm{train}`.

    References
    ----------
    G. Watts, K. Crow, arXiv:2412.18041.
    """

    n_train: int
    n_generated: int
    exponent: float

    @property
    def oversampling(self) -> float:
        """Generated over training events; the bound says that G is at most this."""
        return self.n_generated / self.n_train

    @property
    def largest_gain(self) -> float:
        """The bound at M = 3, the root of the training events."""
        return math.sqrt(self.n_train)

    @property
    def bins(self) -> float:
        """Bins, over all features together, that the generated sample fills at M = 3."""
        return float(self.n_generated ** (1.0 / 3.0))

    @property
    def standing(self) -> str:
        """Say M, and on which side of the bound it is."""
        where = (
            "fewer events than the training sample"
            if self.n_generated < self.n_train
            else "within the entropy bound"
            if self.oversampling <= self.largest_gain * (1.0 + 1e-12)
            else f"beyond the entropy bound of {self.n_train * self.largest_gain:.0f} events"
        )
        return (
            f"M = {self.exponent:.2f}, {where}. A label of resolution: it knows nothing of the "
            "generator."
        )

    @property
    def sentence(self) -> str:
        """Say where the sample stands."""
        return f"{self.n_generated} generated from {self.n_train} training events: {self.standing}"


def entropy_label(*, n_train: int, n_generated: int) -> EntropyLabel:
    """Return the label of a sample of `n_generated` events.

    Raises
    ------
    InputError
        For fewer than two training events, or no generated one.

    Examples
    --------
    >>> round(entropy_label(n_train=10_000, n_generated=1_000_000).exponent, 9)
    3.0
    """
    if n_train < 2 or n_generated < 1:
        raise InputError(
            "entropy_label",
            got=f"{n_generated} generated, {n_train} training events",
            expected="at least one and two",
        )
    exponent = 2.0 * math.log(n_generated) / math.log(n_train)
    return EntropyLabel(n_train, n_generated, exponent)
