"""What the quantile measure accepts, and what it warns of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from verisimile.core.errors import InputError
from verisimile.data.events import Events, match_features

__all__ = ["FINEST", "Counted", "checked", "counted_events"]

FINEST = (10, 20, 50, 100)
"""Numbers of regions if none are asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """Samples with their columns in the same order."""

    generated: tuple[Events, ...]
    holdout: Events
    train: Events | None


def checked(
    *samples: Events | None, n_train: int, train: Events | None, levels: Sequence[float]
) -> Events:
    """Return the last of the samples, the holdout.

    Raises
    ------
    InputError
        If it is missing or consists of training events, or a number is out of range.
    """
    holdout = samples[-1]
    if holdout is None:
        raise InputError(
            "holdout",
            got="none",
            expected="true events that the generator has never seen",
            remedy="Set some aside before training, or use folds: train it again without a part "
            "of the training sample, and that part is the holdout.  Against the training sample "
            "itself a generator that memorises looks perfect.",
        )
    if len(samples) < 2:
        raise InputError("generated", got="no sample", expected="one or more")
    if n_train < 2:
        raise InputError("n_train", got=n_train, expected="the number of training events")
    if not levels or not all(0.0 < level < 1.0 for level in levels):
        raise InputError("levels", got=tuple(levels), expected="contents in (0, 1)")
    if train is not None and train.overlap(holdout) == holdout.n:
        raise InputError(
            "holdout",
            got="events that are all in the training sample",
            expected="true events that the generator has never seen",
            remedy="Set some aside before training.",
        )
    return holdout


def counted_events(
    generated: Sequence[Events], holdout: Events, train: Events | None
) -> tuple[Counted, tuple[str, ...]]:
    """Return the samples, matched by column name to the holdout, and warnings about them.

    Raises
    ------
    InputError
        If columns differ.
    """
    first = generated[0].features
    counted = Counted(
        tuple(match_features(each, first) for each in generated),
        match_features(holdout, first),
        None if train is None else match_features(train, first),
    )
    return counted, tuple(_shared(counted))


def _shared(counted: Counted) -> list[str]:
    if counted.train is None:
        return []
    found = []
    shared = counted.train.overlap(counted.holdout)
    if shared:
        found.append(
            f"{shared} of {counted.holdout.n} holdout events are training events: G is too large "
            "if the generator remembers them"
        )
    copied = counted.train.overlap(counted.generated[0])
    if copied:
        found.append(
            f"{copied} of {counted.generated[0].n} generated events are copies of training events; "
            "1/G holds only if each is an independent draw, not if the sample lists every "
            "copy once"
        )
    return found
