"""What commands read: their samples, what became of the columns and rows, what to warn of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from verisimile.app import options, terminal
from verisimile.app.manner import manner
from verisimile.core.errors import InputError, require

if TYPE_CHECKING:
    from verisimile.data.account import Account
    from verisimile.data.description import Description
    from verisimile.data.events import Events
    from verisimile.data.request import Missing
    from verisimile.report.content import InputSample

Accounts: TypeAlias = "Mapping[str, Account | None]"
"""What became of the columns and rows of samples, by their roles."""

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the files of a command, each with the ignored columns that it has.

    Attributes
    ----------
    ignored
        By file, the columns to leave out.
    missing
        ``refuse`` rows without a value, or ``drop`` and count them.
    """

    ignored: Mapping[str, tuple[str, ...]]
    missing: Missing = "refuse"

    @classmethod
    def of(
        cls,
        uris: Iterable[str],
        ignore: Sequence[str] | None,
        missing: options.MissingRows | None,
    ) -> Reader:
        """Return the reader that the options ``--ignore`` and ``--missing`` ask for.

        A generated sample often lacks columns of the reference, so that one file with an ignored
        column is enough; an InputError names a column that none has.
        """
        files = list(dict.fromkeys(uris))
        ignored = holders(options.ignored_names(ignore), files, "--ignore")
        return cls(ignored, "drop" if missing is options.MissingRows.DROP else "refuse")

    def events(
        self,
        uri: str,
        features: Sequence[str] | None,
        *,
        weights: str | None = None,
        group: str | None = None,
        specs: Mapping[str, Description] | None = None,
        cut: str | None = None,
    ) -> Events:
        """Return the events of a file, or of the files of a pattern, which show a bar."""
        from verisimile.data.files import read_events

        return read_events(
            uri,
            features=features,
            weights=weights,
            group=group,
            ignore=self.ignored.get(uri, ()),
            missing=self.missing,
            specs=specs,
            cut=cut,
            progress=not manner().quiet,
        )

    def needed(
        self,
        uri: str,
        features: Sequence[str],
        *,
        specs: Mapping[str, Description] | None = None,
    ) -> Events:
        """Return the events of a file with the features that a fitted run or sample has."""
        wanted = [name for name in self.ignored.get(uri, ()) if name in features]
        require(
            not wanted,
            "--ignore",
            got=", ".join(wanted),
            expected="columns that are not needed: what was learned has these",
            remedy="Leave them out where the run is fitted, or the first sample is read.",
        )
        return self.events(uri, features, specs=specs)


def holders(
    names: Sequence[str], uris: Sequence[str], option: str, *, contents: str = "column"
) -> dict[str, tuple[str, ...]]:
    """Return by file which of the named columns it has; each must be in one file or more."""
    if not names:
        return dict.fromkeys(uris, ())
    from verisimile.data.feature import suggestion
    from verisimile.data.files import column_names

    held = {uri: column_names(uri) for uri in uris}
    everywhere = [name for columns in held.values() for name in columns]
    for name in names:
        if name not in everywhere:
            raise InputError(
                option,
                got=f"no column {name!r} in any of the samples",
                expected=f"the name of a {contents} in one of them or in all",
                remedy=suggestion(name, everywhere),
            )
    return {uri: tuple(n for n in names if n in columns) for uri, columns in held.items()}


def accounts_of(samples: Iterable[InputSample]) -> Accounts:
    """Return what became of columns and rows, by the roles of samples."""
    return {sample.role: sample.account for sample in samples}


def say_accounts(accounts: Accounts) -> None:
    """Print what became of columns and rows, in one line for the samples that agree."""
    roles: dict[str, list[str]] = {}
    for role, account in accounts.items():
        if account is not None:
            roles.setdefault(account.sentence, []).append(role)
    for sentence, those in roles.items():
        more = len(those) - _SHOWN
        shown = ", ".join(those[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
        terminal.print_lines(f"{shown}: {sentence}")


def warn_of_losses(accounts: Accounts) -> None:
    """Warn of dropped rows; the report says the same."""
    from verisimile.data.account import losses_of

    terminal.warn(losses_of(accounts))


def warn_of_doubts(doubts: Sequence[str]) -> None:
    """Warn of what keeps a run from passing whatever its events are, before it works for hours."""
    terminal.warn([f"nothing could pass: {doubt}" for doubt in doubts])
