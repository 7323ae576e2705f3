"""``verisimile gof`` of a conditional density: a test in bins of a condition."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from verisimile.app.descriptions import as_fitted
from verisimile.app.reading import Reader, accounts_of, warn_of_losses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verisimile.app.conclusions import Ending
    from verisimile.app.study import FitStudy
    from verisimile.app.terminal import Clock, ExitCode
    from verisimile.checks.goodness.null import Calibration
    from verisimile.checks.goodness.search import Search
    from verisimile.core.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextTest:
    """What is tested, and how: see `goodness_in_context`.

    `search` is of one alternative: each bin has its own placements of it.
    """

    home: Path
    sample: str
    context: str
    bins: int
    toys: int
    hypothesis: str
    null: Calibration
    search: Search
    reader: Reader
    described: Sequence[str] = ()

    def conclude(
        self, run: Run, study: FitStudy, clock: Clock, ending: Ending, *, dry_run: bool
    ) -> ExitCode:
        """Test the events of the sample, report, and return the verdict's code."""
        from verisimile.app.plans import print_plan, toy_stage
        from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
        from verisimile.checks.goodness.in_context import ContextBins, goodness_in_context
        from verisimile.data.events import match_features
        from verisimile.data.feature import require_columns
        from verisimile.mixture.io import load_conditional_mixture
        from verisimile.report.content import InputSample

        with clock.stage("reading"):
            mixture = load_conditional_mixture(run)
            require_columns([self.context], mixture.context.names, "--context")
            names = [spec.name for spec in mixture.columns]
            specs = as_fitted(self.described, mixture.columns)
            read = self.reader.needed(self.sample, names, specs=specs)
            events = match_features(read, mixture.columns, where=self.sample, of="run")
        bins = ContextBins(self.context, edges=self.bins, alternative=self.search)
        bins.place(events.column(self.context))
        inputs = (InputSample.of("test", self.sample, events),)
        accounts = accounts_of([*study.inputs, *inputs])
        warn_of_losses(accounts)
        if dry_run:
            planned = toy_stage(
                run,
                toys=self.toys,
                events=events.n,
                members=len(mixture.members),
                kernels=GaussianKernels().count,
                placements=self.search.placements,
                corrected=False,
            )
            return print_plan(run, [planned], as_json=ending.as_json, accounts=accounts)
        with clock.stage(f"test in bins of {self.context}"):
            found = goodness_in_context(
                run,
                mixture,
                events,
                bins=bins,
                hypothesis=self.hypothesis,
                null=self.null,
                toys=self.toys,
            )
        return ending.of(run, [found], clock, inputs=[*study.inputs, *inputs])
