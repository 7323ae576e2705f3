"""What ``validate --passport`` needs to know before its work, and writes after it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from verisimile.app.preflight import check_folder
from verisimile.core.errors import InputError, require

if TYPE_CHECKING:
    from verisimile.core.run import Run
    from verisimile.data.events import Events
    from verisimile.report.content import InputSample, NamedAmplification, ReportInput
    from verisimile.report.passport import ReadAs
    from verisimile.validation.study import Study


@dataclass(frozen=True, slots=True)
class PassportPlan:
    """Where a passport goes, how its sample is read, and what was measured before."""

    place: Path
    recipe: ReadAs
    amplifications: tuple[NamedAmplification, ...]
    force: bool

    def write(self, run: Run, content: ReportInput, reference: Events, generated: Events) -> Path:
        """Write the passport of a report's one validation, and return its file."""
        from verisimile.report.passport import make_passport, write_passport

        whole = replace(content, amplifications=self.amplifications)
        name = content.validations[0].name
        found = make_passport(run, whole, generated, reference, name=name, recipe=self.recipe)
        return write_passport(found, self.place, force=self.force)


def passport_plan(
    study: Study,
    generated: Events,
    *,
    wanted: bool,
    file: Path | None,
    amplification: Path | None,
    force: bool,
) -> PassportPlan | None:
    """Return the plan of the passport that options ask for, None if they ask for none.

    Raises
    ------
    InputError
        If it cannot be written where it should lie, or the report of an amplification is of
        other events: before any work.
    """
    if not wanted and file is None:
        require(
            amplification is None,
            "--amplification",
            got="a report, and no passport to quote it",
            expected="--passport with it",
        )
        return None
    from verisimile.report.owned import check_own
    from verisimile.report.passport import ReadAs, place_beside

    samples = study.samples
    place = place_beside(samples.generated or "") if file is None else file
    require(place.suffix == ".json", "--passport-file", got=str(place), expected="NAME.json")
    check_folder(place.parent, "--passport-file")
    check_own(place.parent, (place.name,), force=force)
    recipe = ReadAs(
        weights=None if generated.weights is None else samples.weights,
        group=None if generated.group is None else samples.group,
        cut=samples.cut,
        missing=str(samples.missing),
    )
    found = () if amplification is None else _measured(amplification, generated)
    return PassportPlan(place, recipe, found, force)


def _measured(folder: Path, generated: Events) -> tuple[NamedAmplification, ...]:
    """Return the studies of a report, which is on these events."""
    from verisimile.report.again import kept_report

    content = kept_report(folder).content
    require(
        content.amplifications,
        "--amplification",
        got=f"{folder}, a report without an amplification",
        expected="the folder that verisimile amplify wrote",
    )
    if any(_is_of(generated, each) for each in content.inputs):
        return content.amplifications
    raise InputError(
        "--amplification",
        got=f"{folder}, a report on other events",
        expected="one on GENERATED",
        remedy="Run verisimile amplify on this sample.",
    )


def _is_of(generated: Events, sample: InputSample) -> bool:
    """Return whether a sample of a report has these events, in any order of columns."""
    names = [feature.name for feature in sample.features]
    known = sample.role.startswith("generated") and set(names) <= set(generated.names)
    return known and generated.select(names).digest == sample.digest
