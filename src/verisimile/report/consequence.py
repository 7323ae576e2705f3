"""What follows from a warning: it changes the verdict, limits it, or is for information."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from verisimile.report.page import Caution


class Consequence(StrEnum):
    """What a warning means for the reader, as the page's heading of such warnings."""

    CHANGES = "Change the verdict"
    LIMITS = "Limit the verdict"
    INFORMS = "For information"


# Words of warnings, which results keep as plain text.  Whoever is in none of them limits: what is
# not known to be harmless must not be folded away.
_CHANGES = (
    "Not as expected",
    "no p-value here is valid",
    "p-value between them is valid",
    "events that it was trained on",
    "is not independent of the training",
    "repeated ones are no independent events",
    "G is too large",
    "the statistic is infinite",
    "there is no statistic",
    "rejected too often",
    "each counts as extreme",
    "too narrow or too sure",
    "is missing from the ensemble",
)
_INFORMS = (
    "random events of each sample were used",
    "generated events were used",
    "is no math that figures understand",
    "G has no upper bound",
    "no support metrics",
    "taken as unweighted",
    "its rows are taken as independent",
    "data sets share that offset",
    "such ranks are drawn at random",
    "have no partner at their context",
    " tested against ",
    "the exact binomial interval and p-value would be",
    "variations, which hold",
    "contents and variations are in",
    "the workspace of pyhf is",
    "cabinetry reads",
    "all pairs follow from the public seed",
)


def consequence(text: str) -> Consequence:
    """Return what follows from a warning.

    Examples
    --------
    >>> consequence("5000 random events of each sample were used").value
    'For information'
    """
    if any(words in text for words in _CHANGES):
        return Consequence.CHANGES
    if any(words in text for words in _INFORMS):
        return Consequence.INFORMS
    return Consequence.LIMITS


def cautions(texts: Iterable[str]) -> tuple[Caution, ...]:
    """Return warnings by their consequence, the worst first, the last folded."""
    found: dict[Consequence, list[str]] = {kind: [] for kind in Consequence}
    for text in texts:
        found[consequence(text)].append(text)
    return tuple(
        Caution(kind.value, tuple(said), folded=kind is Consequence.INFORMS)
        for kind, said in found.items()
        if said
    )
