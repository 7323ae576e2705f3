"""What a goodness-of-fit test looks for: alternatives, how often each is placed, and surprise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from verisimile.checks.goodness.alternatives.protocol import Alternative, Setup, SeveralPlacements
from verisimile.checks.goodness.null import Null
from verisimile.checks.goodness.surprise import Surprise
from verisimile.core.errors import InputError
from verisimile.core.run import Run

PLACEMENTS = 4
"""How often an alternative is placed unless said otherwise: docs/goodness-of-fit.md."""


@dataclass(frozen=True, slots=True)
class Search:
    r"""Settings of what a test looks for.

    The statistic of an alternative is the mean of its likelihood ratios,

    .. math:: t = \frac1P \sum_{j=1}^P t_j ,

    over P independent placements of its kernels on the model.  Where the kernels happen
    to fall then matters less, for data and toys alike.

    Attributes
    ----------
    alternatives
        :class:`GaussianKernels`, :class:`ExponentialTilt` or several of them; none
        stands for what has more power for the number of features.
    placements
        P.  One is the test with a single draw of the kernels' centres.
    surprise
        Whether, and how, events are noticed that the model calls impossible; None
        leaves it to the alternatives, which need not see them.
    """

    alternatives: tuple[Alternative, ...] = ()
    placements: int = PLACEMENTS
    surprise: Surprise | None = Surprise()

    def __post_init__(self) -> None:
        if self.placements < 1:
            raise InputError(
                "Search.placements", got=self.placements, expected="at least one placement"
            )

    def place(self, run: Run, null: Null, *, events: int) -> tuple[tuple[Setup, ...], ...]:
        """Return, for each alternative, its placements on a null model."""
        return tuple(
            _placed(alternative, run, null, events, self.placements)
            for alternative in self.alternatives
        )


def search_of(
    alternative: Alternative | Sequence[Alternative] | Search | None, default: Alternative
) -> Search:
    """Return the search that an argument stands for, `default` where it names no alternative.

    Raises
    ------
    InputError
        If it is an empty sequence.
    """
    if alternative is None:
        return Search((default,))
    if isinstance(alternative, Search):
        kept = alternative.alternatives or (default,)
        return Search(kept, alternative.placements, alternative.surprise)
    several = tuple(alternative) if isinstance(alternative, Sequence) else (alternative,)
    if not several:
        raise InputError("alternative", got="none", expected="at least one alternative")
    return Search(several)


def _placed(
    alternative: Alternative, run: Run, null: Null, events: int, placements: int
) -> tuple[Setup, ...]:
    if isinstance(alternative, SeveralPlacements):
        return alternative.prepare_several(run, null, events=events, placements=placements)
    # The first has the random path that a single placement has.
    runs = [run, *(run.at("placement", j) for j in range(1, placements))]
    return tuple(alternative.prepare(each, null, events=events) for each in runs)
