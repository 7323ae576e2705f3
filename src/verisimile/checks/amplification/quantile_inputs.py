"""What the quantile measure accepts, and what it warns of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from verisimile.checks.amplification.shares import reject_signed
from verisimile.core.errors import InputError
from verisimile.data.events import Events, match_features
from verisimile.data.provenance import group_notes

__all__ = ["FINEST", "Samples", "check_numbers", "samples_of"]

FINEST = (10, 20, 50, 100)
"""Numbers of regions if none are asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Samples with their columns in the same order, and what must be said about them."""

    generated: tuple[Events, ...]
    holdout: Events
    train: Events | None
    warnings: tuple[str, ...]


def samples_of(
    generated: Sequence[Events], holdout: Events | None, train: Events | None = None
) -> Samples:
    """Return the samples, matched by column name to the holdout.

    Raises
    ------
    InputError
        If there is no holdout or it consists of training events, weights are negative, or
        columns differ.
    """
    if holdout is None:
        raise InputError(
            "holdout",
            got="none",
            expected="true events that the generator has never seen",
            remedy="Set some aside before training, or use folds: train it again without a part "
            "of the training sample, and that part is the holdout.  Against the training sample "
            "itself a generator that memorises looks perfect.",
        )
    if not generated:
        raise InputError("generated", got="no sample", expected="one or more")
    matched = tuple(match_features(each, holdout.features) for each in generated)
    known = None if train is None else match_features(train, holdout.features)
    for each, name in [*((each, "generated") for each in matched), (holdout, "holdout")]:
        reject_signed(each.weights, name)
    notes = group_notes({"generated": matched[0], "holdout": holdout})
    return Samples(matched, holdout, known, (*_shared(matched[0], holdout, known), *notes))


def check_numbers(n_train: int, levels: Sequence[float]) -> None:
    """Raise unless the training had two events or more and the levels are contents."""
    if n_train < 2:
        raise InputError("n_train", got=n_train, expected="the number of training events")
    if not levels or not all(0.0 < level < 1.0 for level in levels):
        raise InputError("levels", got=tuple(levels), expected="contents in (0, 1)")


def _shared(generated: Events, holdout: Events, train: Events | None) -> list[str]:
    if train is None:
        return []
    found = []
    shared = train.overlap(holdout)
    if shared == holdout.n:
        raise InputError(
            "holdout",
            got="events that are all in the training sample",
            expected="true events that the generator has never seen",
            remedy="Set some aside before training.",
        )
    if shared:
        found.append(
            f"{shared} of {holdout.n} holdout events are training events: G is too large "
            "if the generator remembers them"
        )
    copied = train.overlap(generated)
    if copied:
        found.append(
            f"{copied} of {generated.n} generated events are copies of training events; "
            "1/G holds only if each is an independent draw, not if the sample lists every "
            "copy once"
        )
    return found
