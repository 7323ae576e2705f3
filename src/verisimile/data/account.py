"""What became of the columns and rows of a source: kept, left out and why, dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from verisimile.core.result import Result, register
from verisimile.data.feature import listing, say_columns
from verisimile.data.losses import LostRows

_DOUBTFUL = 0.5
_SHOWN = 3


@register("left-out-column", 1)
@dataclass(frozen=True, slots=True)
class LeftOut(Result):
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

    def __str__(self) -> str:
        """Return what became of it, and why."""
        return f"left out ({self.reason})"

    @property
    def doubtful(self) -> bool:
        """Whether half of its cells or more are numbers: it may have been meant."""
        return self.numbers is not None and self.numbers >= _DOUBTFUL


@register("account-of-columns", 1)
@dataclass(frozen=True, slots=True)
class Account(Result):
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
    lost
        Which rows were dropped, as long as the program runs; None if none were.
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
    lost: LostRows | None = field(default=None, compare=False, metadata={"transient": True})
    cut: int = 0
    condition: str = ""

    @property
    def doubts(self) -> tuple[LeftOut, ...]:
        """The left-out columns that may have been meant as features."""
        return tuple(column for column in self.left_out if column.doubtful)

    def of_columns(self, kept: tuple[str, ...], *, listed: bool) -> Account:
        """Return the account of these columns; `listed` by name, the others are not missed."""
        others = () if listed else tuple(one for one in self.left_out if one.name not in kept)
        return replace(self, kept=kept, left_out=others)

    @property
    def sentence(self) -> str:
        """One line for people."""
        number = len(self.kept)
        parts = [f"{number} column{'s' if number > 1 else ''} kept: {_some(self.kept)}"]
        if self.left_out:
            shown = [f"{column.name} ({column.reason})" for column in self.left_out]
            parts.append(f"{len(shown)} left out: {_some(shown)}")
        if self.condition:
            parts.append(f"{self.cut} of {self.rows} rows cut by {self.condition}")
        if self.dropped:
            parts.append(self.loss)
        return "; ".join(parts)

    @property
    def loss(self) -> str:
        """How many rows were dropped, and for values of which columns."""
        counts = ", ".join(f"{name} {count}" for name, count in self.missing.items())
        return f"{self.dropped} of {self.rows} rows dropped for missing values ({counts})"


def combined(
    accounts: Sequence[Account | None],
    kept: tuple[str, ...],
    count: Callable[[Iterable[int]], int],
    *,
    lost: LostRows | None = None,
) -> Account | None:
    """Return the account of samples put together, None if none has one.

    `count` makes one number of their numbers of rows: ``sum`` below one another, ``max`` beside.
    `lost` says which rows of all were dropped.
    """
    known = [account for account in accounts if account is not None]
    if not known:
        return None
    conditions = {"" if account is None else account.condition for account in accounts}
    same = len(conditions) == 1
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
        lost=lost,
        cut=count(account.cut for account in known) if same else 0,
        condition=conditions.pop() if same else "",
    )


def doubts_of(
    accounts: Mapping[str, Account | None], *, ignored: Collection[str] = ()
) -> tuple[str, ...]:
    """Return why nothing may pass, in sentences; none if every column is accounted for.

    Samples, given by their roles, that left out the same columns are told of together.  Columns
    that are `ignored` later are accounted for, and so are those of arrays, which have no account.
    """
    roles: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for role, account in accounts.items():
        doubts = () if account is None else account.doubts
        found = tuple((one.name, one.reason) for one in doubts if one.name not in ignored)
        if found:
            roles.setdefault(found, []).append(role)
    return tuple(_doubt(those, dict(found)) for found, those in roles.items())


def joined(words: Sequence[str]) -> str:
    """Return words as in a sentence.

    Examples
    --------
    >>> joined(["reference", "generated", "train"])
    'reference, generated and train'
    """
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def losses_of(accounts: Mapping[str, Account | None]) -> tuple[str, ...]:
    """Return how many rows samples, given by their roles, lost for missing values."""
    roles: dict[str, list[str]] = {}
    for role, account in accounts.items():
        if account is not None and account.dropped:
            roles.setdefault(account.loss, []).append(role)
    return tuple(
        f"{_samples(those)}: {loss}{' each' if len(those) > 1 else ''}"
        for loss, those in roles.items()
    )


def _doubt(roles: Sequence[str], reasons: Mapping[str, str]) -> str:
    why = "; ".join(list(dict.fromkeys(reasons.values()))[:_SHOWN])
    one = len(reasons) == 1
    what = f"column {listing(reasons)} was" if one else f"columns {listing(reasons)} were"
    whose, them = ("its", "it") if one else ("their", "them")
    return (
        f"{what} left out of the {_samples(roles)} ({why}) although half of {whose} cells or more "
        f"are numbers: list the features to compare (--features), or ignore {them} by name, "
        f"{say_columns('ignore', reasons)}"
    )


def _samples(roles: Sequence[str]) -> str:
    return f"{joined(roles)} sample{'s' if len(roles) > 1 else ''}"


def _some(names: tuple[str, ...] | list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    more = len(names) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
