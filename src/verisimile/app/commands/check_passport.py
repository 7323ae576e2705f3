"""``verisimile check-passport``: whether it is the sample that was tested, and what was found."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verisimile.app import options, terminal
from verisimile.app.terminal import ExitCode

if TYPE_CHECKING:
    from verisimile.report.passport import Gain, Passport
    from verisimile.report.passport_check import PassportCheck

_WORDS = {"passed": "compatible", "failed": "NOT COMPATIBLE", "inconclusive": "inconclusive"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckPassportCommand:
    """Check that SAMPLE is the one that PASSPORT was written for, and say what that says.

    The exit code is 0 if it is, whatever the verdict on the sample was, and 1 if a value, a row,
    a column or the passport itself was changed. Digests find accidents: they are no signature.
    """

    sample: Annotated[str, typer.Argument(metavar="SAMPLE", help=options.FILE)]
    passport: Annotated[
        Path | None,
        typer.Argument(
            metavar="[PASSPORT]", help="SAMPLE.passport.json beside the sample by default."
        ),
    ] = None
    as_json: options.Json = False

    @property
    def home(self) -> Path | None:
        """None: nothing is computed, and nothing is left to go on from."""
        return None

    def execute(self) -> ExitCode:
        """Compare the digests, and print what the passport says."""
        from verisimile.report.passport_check import check_passport, summary

        check = check_passport(self.sample, self.passport)
        if self.as_json:
            terminal.print_json("verisimile.passport-check/1", summary(check))
        else:
            self._print(check)
        return ExitCode.COMPATIBLE if check.holds else ExitCode.INCOMPATIBLE

    def _print(self, check: PassportCheck) -> None:
        said = "holds" if check.holds else "DOES NOT HOLD"
        lines = [f"{self.sample}: the passport {check.place} {said}."]
        lines += [f"- {each}" for each in (*check.differences, *check.notes)]
        passport = check.passport
        if not check.holds:
            lines += ["", "What it says is of another sample, or was changed:"]
        lines += ["", f"Verdict: {_WORDS.get(passport.verdict, passport.verdict)} at level "]
        lines[-1] += f"{passport.level:g}.  {passport.sentence}"
        terminal.print_lines(*lines, "")
        terminal.print_columns(
            ("question", "verdict", "p", "Z"),
            [
                (each.question, each.verdict, _p(each.p_value), each.z or "")
                for each in passport.answers
            ],
        )
        terminal.print_lines("", *_valid(passport), *_made(passport))


def _p(p: object) -> str:
    from verisimile.report.numbers import p_value

    return "" if p is None else p_value(p)  # type: ignore[arg-type]


def _valid(passport: Passport) -> Iterator[str]:
    """Yield amplification, the range that was tested, and where it failed."""
    from verisimile.report.numbers import count, p_and_z, percent, span

    gains = [each for each in passport.amplification if each.measure != "kolmogorov"]
    for each in gains:
        yield f"Amplification ({_measure(each)}): G {_bounds(each)} at {percent(each.level)}."
    if not gains:
        yield "Amplification: not measured."
    for feature in passport.tested:
        unit = f" {feature.unit}" if feature.unit else ""
        beyond = f"; {count(feature.outside)} events beyond" if feature.outside else ""
        where = f"{feature.feature} from {span(feature.low, feature.high)}{unit}"
        yield f"Tested: {where}{beyond}."
    for region in passport.failing:
        yield (
            f"Failing: {region.feature} from {span(region.low, region.high)}, {region.kind}, "
            f"{p_and_z(region.p_value)}."
        )
    for seen in passport.visible:
        size = percent(seen.size.value) if seen.effect == "local" else _number(seen.size.value)
        yield f"Smallest effect seen with 90 %: {seen.effect} of {size} ({seen.unit}; {seen.test})."
    if not passport.visible:
        yield "Smallest visible effect: not known."


def _measure(gain: Gain) -> str:
    return f"{gain.measure}, {gain.resolution} regions" if gain.resolution else gain.measure


def _bounds(gain: Gain) -> str:
    if math.isinf(gain.low):
        return "without bound"
    if math.isinf(gain.high):
        return f"above {_number(gain.low)}"
    return f"between {_number(gain.low)} and {_number(gain.high)}"


def _number(value: float) -> str:
    from verisimile.report.numbers import plain_number

    return plain_number(value, digits=3)


def _made(passport: Passport) -> Iterator[str]:
    from verisimile.report.numbers import count

    version = passport.versions.get("verisimile", "of unknown version")
    yield (
        f"{count(passport.sample.n)} events against {count(passport.n_reference)} of the reference "
        f"{passport.reference[:12]}; {passport.written}, verisimile {version}, {passport.seeds}."
    )
