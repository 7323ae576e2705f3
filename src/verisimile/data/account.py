"""What became of the columns and rows of a source: kept, left out and why, dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from verisimile.core.result import register
from verisimile.data.feature import listing

_DOUBTFUL = 0.5
_SHOWN = 3


@register("left-out-column", 1)
@dataclass(frozen=True, slots=True)
class LeftOut:
    """A column that is no feature, and why.

    Attributes
    ----------
    name, reason
        The column, and what it holds instead of numbers.
    numbers
        Share of its cells that could be read as numbers; None if nobody looked, or if it was
        left out on request.
    """

    name: str
    reason: str
    numbers: float | None = None

    @property
    def doubtful(self) -> bool:
        """Whether half of its cells or more are numbers: it may have been meant."""
        return self.numbers is not None and self.numbers >= _DOUBTFUL


@register("account-of-columns", 1)
@dataclass(frozen=True, slots=True)
class Account:
    """What was read of a source.

    Attributes
    ----------
    kept
        Columns that became features.
    left_out
        The others, of all columns if no list of features was given.
    rows
        Rows of the source.
    dropped
        Rows left out because a value is missing.
    missing
        Missing values by column.
    cut
        Rows left out because they do not fulfil a condition.
    condition
        That condition, empty if none was given.
    """

    kept: tuple[str, ...]
    left_out: tuple[LeftOut, ...] = ()
    rows: int = 0
    dropped: int = 0
    missing: Mapping[str, int] = field(default_factory=dict)
    cut: int = 0
    condition: str = ""

    @property
    def doubts(self) -> tuple[LeftOut, ...]:
        """The left-out columns that may have been meant as features."""
        return tuple(column for column in self.left_out if column.doubtful)

    @property
    def sentence(self) -> str:
        """One line for people."""
        parts = [f"{len(self.kept)} columns kept: {_some(self.kept)}"]
        if self.left_out:
            shown = [f"{column.name} ({column.reason})" for column in self.left_out]
            parts.append(f"{len(shown)} left out: {_some(shown)}")
        if self.condition:
            parts.append(f"{self.cut} of {self.rows} rows cut by {self.condition}")
        if self.dropped:
            counts = ", ".join(f"{name} {count}" for name, count in self.missing.items())
            parts.append(
                f"{self.dropped} of {self.rows} rows dropped for missing values ({counts})"
            )
        return "; ".join(parts)


def combined(
    accounts: Sequence[Account | None],
    kept: tuple[str, ...],
    count: Callable[[Iterable[int]], int],
) -> Account | None:
    """Return the account of samples put together, None if none has one.

    `count` makes one number of their numbers of rows: ``sum`` below one another, ``max`` beside.
    """
    known = [account for account in accounts if account is not None]
    if not known:
        return None
    left_out = {column.name: column for account in known for column in account.left_out}
    missing: Counter[str] = Counter()
    for account in known:
        missing.update(account.missing)
    return Account(
        kept=kept,
        left_out=tuple(column for name, column in left_out.items() if name not in kept),
        rows=count(account.rows for account in known),
        dropped=sum(account.dropped for account in known),
        missing=dict(missing),
    )


def doubt(role: str, account: Account) -> str:
    """Return why nothing may pass, in a sentence; empty if every column is accounted for."""
    if not account.doubts:
        return ""
    names = listing([column.name for column in account.doubts])
    first = account.doubts[0]
    return (
        f"columns {names} of the {role} sample were left out ({first.reason}), although half of "
        "their cells or more are numbers: a difference in them would not be seen; list the "
        "features to compare, or ignore these columns by name"
    )


def _some(names: tuple[str, ...] | list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    more = len(names) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
