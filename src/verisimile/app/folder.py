"""What a folder of a run or of a report holds, for Python."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from verisimile.core.errors import StoreError
from verisimile.core.random import Seeds
from verisimile.core.run import Run

if TYPE_CHECKING:
    from verisimile.app.study import FitStudy
    from verisimile.core.result import Result
    from verisimile.ensemble.cross import Trained
    from verisimile.mixture.conditional import ConditionalMixture
    from verisimile.mixture.fit import WeightFit
    from verisimile.mixture.model import Mixture
    from verisimile.report.content import MemberTraining
    from verisimile.report.document import Document

_REPORT = "result.json"
_RUN = "run"  # of a command that fits nothing, beside its report
_FIT = "fit"
_MANIFEST = "manifest"


class RunFolder:
    """What a folder holds: settings, ensemble, mixture, fit, reports and their results.

    Members and weights are read, and their hashes checked, when they are first asked for.

    Attributes
    ----------
    folder
        The folder.
    settings
        Seed, configuration, inputs and command of the fit; None of a folder without one.
    reports
        By their folders, relative to this one (``"."`` is a report in it).
    """

    def __init__(self, folder: str | Path) -> None:
        from verisimile.core.housekeeping import survey
        from verisimile.core.store import DirectoryStore
        from verisimile.report.document import read_report

        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise StoreError(str(folder), got="no folder", expected="one of a run or a report")
        self.reports: Mapping[str, Document] = {
            path.parent.relative_to(self.folder).as_posix(): read_report(path)
            for path in sorted((self.folder / _REPORT, *self.folder.glob(f"*/{_REPORT}")))
            if path.is_file()
        }
        below = self.folder / _RUN
        self._home = below if below.is_dir() else self.folder
        self.settings = self._settings()
        if not self.reports and survey(DirectoryStore(self._home)).empty:
            raise StoreError(
                str(folder),
                got="neither records nor a report",
                expected="what `verisimile fit`, Run(store=...) or write_report made",
                remedy="Check the path.",
            )

    def _settings(self) -> FitStudy | None:
        from verisimile.app.study import load_study

        store = Run(Seeds(0), store=self._home).store
        return None if store.read_json(_FIT) is None else load_study(store)

    @property
    def run(self) -> Run:
        """A silent run in the folder, with the seed of its fit (0 without one)."""
        return Run(Seeds(0 if self.settings is None else self.settings.seed), store=self._home)

    @cached_property
    def ensemble(self) -> Trained | None:
        """The trained ensemble; None if the folder has none."""
        from verisimile.ensemble.cross import load_trained

        run = self.run
        return None if run.store.read_json(_MANIFEST) is None else load_trained(run)

    @cached_property
    def mixture(self) -> Mixture | ConditionalMixture | None:
        """The fitted mixture with its discrepancy; None if the folder has none.

        Raises
        ------
        StoreError
            If its members are missing or damaged.
        """
        from verisimile.density.protocol import ConditionalDensity
        from verisimile.ensemble.cross import CrossEnsemble
        from verisimile.mixture.io import has_mixture, load_conditional_mixture, load_mixture

        run = self.run
        if self.ensemble is None or not has_mixture(run):
            return None
        if isinstance(self.ensemble, CrossEnsemble):
            return load_mixture(run)
        conditional = all(isinstance(one, ConditionalDensity) for one in self.ensemble.models)
        return load_conditional_mixture(run) if conditional else load_mixture(run)

    @property
    def fit(self) -> WeightFit | None:
        """Weights of the mixture, their covariance and how they were found."""
        return None if self.mixture is None else self.mixture.fit

    @property
    def training(self) -> tuple[MemberTraining, ...]:
        """How each member was trained."""
        from verisimile.app.stages import training_of

        return () if self.ensemble is None else training_of(self.ensemble)

    @property
    def results(self) -> tuple[Result, ...]:
        """All results of its reports, in their order."""
        return tuple(one for report in self.reports.values() for one in report.results)

    def __repr__(self) -> str:
        """Return one line for each thing that it holds."""
        return "\n  ".join([f"RunFolder({str(self.folder)!r})", *self._lines()])

    def _repr_html_(self) -> str:
        lines = "".join(f"<li>{escape(line)}</li>" for line in self._lines())
        head = f"<p><b>RunFolder</b> {escape(str(self.folder))}</p>"
        return f'<div class="verisimile-result">{head}<ul>{lines}</ul></div>'

    def _lines(self) -> Iterator[str]:
        if self.settings is not None:
            yield f"settings: seed {self.settings.seed}, made by: {self.settings.command}"
            yield "ensemble, mixture, fit, training: read when asked for"
        for name, report in self.reports.items():
            yield f"reports[{name!r}]: {report.content.title}: {report.line}"
        for result in self.results:
            yield f"results: {result!r}"


def load_run(folder: str | Path) -> RunFolder:
    """Return what a run folder, or the folder of a report, holds.

    Parameters
    ----------
    folder
        Made by ``verisimile fit`` or another command, by ``Run(store=...)``, or by
        `write_report`.  Reports in it and in the folders directly below it are read.

    Raises
    ------
    StoreError
        If there is neither a record nor a report, or a report is damaged.

    Examples
    --------
    >>> load_run("nowhere")
    Traceback (most recent call last):
    verisimile.core.errors.StoreError: nowhere: got no folder; expected one of a run or a report.
    """
    return RunFolder(folder)
