"""``verisimile ratings``: what people answered about generated items."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verisimile.app import options
from verisimile.app.conclusions import Ending
from verisimile.app.preflight import check_report
from verisimile.app.terminal import Clock, ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from verisimile.checks.ratings.table import Ratings
    from verisimile.core.result import Result
    from verisimile.core.run import Run

_WORDS = {"real", "generated"}


class RatingQuestion(StrEnum):
    """What was asked."""

    AUTO = "auto"
    FORCED_CHOICE = "forced-choice"
    PREFERENCE = "preference"
    SCALE = "scale"
    AGREEMENT = "agreement"


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingsCommand(options.BesideReport):
    """Test what raters answered: taken for real, preferred, scored; and whether they agree.

    Columns of FILE: rater, item, system, answer; of preferences rater, item, first, second,
    answer.  The answers ``real`` and ``generated`` are a forced choice, other words preferences
    or agreement, numbers a scale.
    """

    file: Annotated[Path, typer.Argument(metavar="FILE", help="Answers, a .csv file.")]
    question: Annotated[
        RatingQuestion, typer.Option(help="What was asked; auto: what the columns say.")
    ] = RatingQuestion.AUTO
    level: Annotated[float, typer.Option(help="Significance level of the verdict.")] = 0.05
    out: options.Out = Path("ratings")
    seed: options.Seed = options.SEED
    force: options.Force = False
    as_json: options.Json = False

    def execute(self) -> ExitCode:
        """Read the answers, test them, and write the report."""
        from verisimile.checks.ratings.table import read_ratings

        options.check_level(self.level)
        check_report(self.out, force=self.force)
        clock = Clock()
        run = options.run_in(self.home, seed=self.seed, executor="serial")
        with clock.stage("reading"):
            ratings = read_ratings(self.file)
        with clock.stage("ratings"):
            results = self._results(run, ratings)
        ending = Ending(
            title=f"Ratings: {self.file.name}",
            schema="verisimile.ratings-summary/1",
            out=self.out,
            level=self.level,
            force=self.force,
            as_json=self.as_json,
        )
        return ending.of(run, results, clock)

    def _results(self, run: Run, ratings: Ratings) -> list[Result]:
        from verisimile.checks.ratings.agreement import agreement
        from verisimile.checks.ratings.forced_choice import forced_choice
        from verisimile.checks.ratings.preference import preference
        from verisimile.checks.ratings.scale import scale_ratings

        content = 1.0 - self.level
        ways: dict[RatingQuestion, Callable[[], list[Result]]] = {
            RatingQuestion.FORCED_CHOICE: lambda: list(forced_choice(ratings, level=content)),
            RatingQuestion.PREFERENCE: lambda: [preference(ratings, level=content)],
            RatingQuestion.SCALE: lambda: [scale_ratings(run, ratings, level=content)],
            RatingQuestion.AGREEMENT: lambda: [agreement(ratings, level=content)],
        }
        return ways[_question(ratings) if self.question is RatingQuestion.AUTO else self.question]()


def _question(ratings: Ratings) -> RatingQuestion:
    """Return what the answers answer."""
    if ratings.others is not None:
        return RatingQuestion.PREFERENCE
    if set(ratings.answers) <= _WORDS:
        return RatingQuestion.FORCED_CHOICE
    numbers = all(_is_number(answer) for answer in set(ratings.answers))
    return RatingQuestion.SCALE if numbers else RatingQuestion.AGREEMENT


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
