"""``verisimile inspect``: what a run folder holds, and whether it is whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verisimile.app import options, terminal
from verisimile.app.terminal import ExitCode

if TYPE_CHECKING:
    from verisimile.app.study import FitStudy
    from verisimile.core.canonical import JSON
    from verisimile.core.housekeeping import Survey
    from verisimile.core.store import DirectoryStore
    from verisimile.mixture.conditional import ConditionalMixture
    from verisimile.mixture.model import Mixture
    from verisimile.report.content import MemberTraining

AnyRunFolder = Annotated[
    Path,
    typer.Argument(
        metavar="RUN", help="Run folder: what fit made, or the run/ beside another report."
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectCommand:
    """Check every record in RUN; say what is there, missing or damaged.

    Nothing is written. Exit codes: 0 whole, 3 something is damaged,
    4 something is missing that the same command would make.
    """

    home: AnyRunFolder
    as_json: options.Json = False

    def execute(self) -> ExitCode:
        """Read every record, checking its hashes, and describe the fit if there is one."""
        store, found = opened(self.home)
        state = _State(found)
        fit = _fit(store, state)
        if self.as_json:
            described = dict.fromkeys(_DESCRIBED) if fit is None else fit.json()
            terminal.print_json(
                "verisimile.inspect/1",
                {
                    "folder": str(self.home),
                    **described,
                    "records": {name: stage.records for name, stage in found.stages.items()},
                    "state": state.json(),
                },
            )
            return state.code
        if fit is not None:
            fit.show()
        state.show()
        return state.code


def opened(home: Path) -> tuple[DirectoryStore, Survey]:
    """Return the store of a run folder and what is there; a StoreError says that it is none."""
    from verisimile.app.study import load_study
    from verisimile.core.housekeeping import survey
    from verisimile.core.store import DirectoryStore

    store = DirectoryStore(home)
    found = survey(store)
    if found.empty:
        load_study(store)  # whose refusal says what a run folder is
    return store, found


@dataclass(slots=True)
class _State:
    """Whether a folder is whole, for people and for machines."""

    found: Survey
    missing: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    @property
    def code(self) -> ExitCode:
        """The exit code."""
        if not self.found.whole or self.found.later or self.unreadable:
            return ExitCode.INCONCLUSIVE
        return ExitCode.INCOMPLETE if self.missing else ExitCode.COMPATIBLE

    def json(self) -> JSON:
        """Return it for machines."""
        found = self.found
        return {
            "whole": self.code is ExitCode.COMPATIBLE,
            "stages": {
                name: {
                    "records": stage.records,
                    "bytes": stage.bytes,
                    "versions": {name: sorted(each) for name, each in stage.versions.items()},
                }
                for name, stage in found.stages.items()
            },
            "missing": self.missing,
            "unfinished": found.unfinished,
            "damaged": [
                {"address": each.address, "place": each.place, "reason": each.reason}
                for each in found.damaged
            ],
            "damaged_entries": found.gaps,
            "cut_bytes": found.cut,
            "unreadable": self.unreadable,
            "later": found.later,
            "leases": {
                "live": [str(holder) for holder in found.live],
                "stale": [str(holder) for _, holder in found.stale],
            },
            "temporary": [path.name for path in found.temporary],
            "shared": {"files": len(found.shared), "bytes": _size(found.shared)},
            "foreign": found.foreign,
        }

    def show(self) -> None:
        """Print it."""
        rows = [
            (name, str(stage.records), megabytes(stage.bytes), _versions(stage.versions))
            for name, stage in sorted(self.found.stages.items())
        ]
        if rows:
            terminal.print_columns(("Records", "number", "size", "made with"), rows)
            terminal.print_lines("")
        terminal.print_lines(*self._lines())

    def _lines(self) -> Iterator[str]:
        found = self.found
        for each in found.damaged:
            yield f"Damaged: {each.address}: {each.reason} ({each.place})."
        for name, number in found.gaps.items():
            yield f"Damaged: {number} unreadable entries in segments/{name}."
        yield from (f"Damaged: {text}" for text in self.unreadable)
        for address in found.later:
            yield f"Not to be read: {address} was made by a later version of verisimile."
        yield from (f"Missing: {text}" for text in self.missing)
        for name in found.unfinished:
            yield f"Unfinished: {name}: the same command goes on from there."
        for name, size in found.cut.items():
            yield f"Cut: {size} bytes that a killed process left at the end of segments/{name}."
        yield from (f"Lease: {holder}." for holder in found.live)
        yield from (f"Lease of what has ended: {holder}." for _, holder in found.stale)
        yield from (f"Temporary file of a dead writer: {path.name}." for path in found.temporary)
        if found.shared:
            shared = megabytes(_size(found.shared))
            yield f"Shared inputs, which are made again when they are needed: {shared}."
        yield from (f"No record, and left alone: {address}." for address in found.foreign)
        if self.code is not ExitCode.COMPATIBLE:
            yield (
                "Not whole: the command that made this folder makes again what is damaged or "
                "missing."
            )
        else:
            yield "All records are whole."


def _size(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths if path.exists())


def megabytes(size: int) -> str:
    """Return a number of bytes for people."""
    return f"{size / 1e6:.3g} MB"


def _versions(found: dict[str, set[str]]) -> str:
    return ", ".join(f"{name} {' and '.join(sorted(each))}" for name, each in sorted(found.items()))


_DESCRIBED = ("study", "members", "fit", "discrepancy", "mixture")


@dataclass(slots=True)
class _Fit:
    """A finished fit; without a mixture if its members know no density."""

    study: FitStudy
    members: tuple[MemberTraining, ...]
    mixture: Mixture | ConditionalMixture | None

    def json(self) -> dict[str, JSON]:
        """Return it for machines."""
        from verisimile.app.stages import learnt_json
        from verisimile.core.result import to_dict

        mixture = self.mixture
        return {
            "study": to_dict(self.study),
            "members": [to_dict(member) for member in self.members],
            "fit": None if mixture is None else to_dict(mixture.fit),
            "discrepancy": None if mixture is None else learnt_json(mixture),
            "mixture": None if mixture is None else mixture.fingerprint,
        }

    def show(self) -> None:
        """Print its tables."""
        from verisimile.app.stages import learnt
        from verisimile.report.claims import claimed
        from verisimile.report.sections import origin
        from verisimile.report.sections.discrepancy import discrepancy_table

        terminal.print_lines(self.study.command, "")
        tables = [
            origin.input_table(self.study.inputs),
            origin.account_table(self.study.inputs),
            origin.feature_table(self.study.inputs[0].features),
            origin.member_table(self.members),
        ]
        ending = ["The members know no density, and have no weights.", "", "They are whole.", ""]
        if self.mixture is not None:
            correction = learnt(self.mixture)
            tables += [
                origin.weight_table(self.mixture.fit),
                origin.fit_table(self.mixture.fit),
                *([] if correction is None else [discrepancy_table(correction)]),
            ]
            ending = [
                "" if self.study.context else claimed(correction),
                "",
                "Members and weights are whole.",
                "",
            ]
        for table in tables:
            terminal.print_lines(table.caption)
            terminal.print_table(table)
            terminal.print_lines("")
        terminal.print_lines(*ending)


def _fit(store: DirectoryStore, state: _State) -> _Fit | None:
    """Return the fit that the folder holds, or note why there is none to describe."""
    from verisimile.app.stages import training_of
    from verisimile.app.study import open_run
    from verisimile.core.errors import StoreError
    from verisimile.ensemble.cross import load_trained
    from verisimile.mixture.io import load_conditional_mixture, load_mixture

    if not _documents(store, state):
        return None
    if state.missing or not state.found.whole:
        return None
    try:
        study, run = open_run(store.path)
        mixture: Mixture | ConditionalMixture | None = None
        if study.context:
            mixture = load_conditional_mixture(run)
        elif not study.samples_only:
            mixture = load_mixture(run)
        return _Fit(study, training_of(load_trained(run)), mixture)
    except StoreError as error:
        state.missing.append(str(error))
        return None


def _documents(store: DirectoryStore, state: _State) -> bool:
    """Return whether there is a finished fit; note what of its members is missing."""
    from verisimile.app.study import load_study
    from verisimile.core.errors import StoreError
    from verisimile.ensemble.fit import read_manifest

    try:
        if store.read_json("manifest") is None and store.read_json("fit") is None:
            return False
        manifest = read_manifest(store)
        excused = {failure.address for failure in manifest.failures or ()}
        state.missing += [
            f"{address}, a member of the ensemble."
            for address, fingerprint in manifest.members
            if fingerprint not in state.found.valid.get(address, ()) and address not in excused
        ]
        if store.read_json("fit") is None:
            state.missing.append("fit.json: the fit is not finished.")
            return False
        load_study(store)
    except StoreError as error:
        state.unreadable.append(str(error))
        return False
    return True
