"""``verisimile init``: a commented study file that runs as it is, from a look at the data."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verisimile.app import options, terminal
from verisimile.app.preflight import check_folder
from verisimile.app.terminal import ExitCode
from verisimile.core.errors import InputError, require

if TYPE_CHECKING:
    from verisimile.app.drafting import ColumnGuess, SampleGuess

_FEWEST = 500  # events, below which nothing can be learned and tested
_MOST_UNSEEN = 10_000
_FEWEST_DATASETS, _MOST_DATASETS = 30, 100
_CORE_SECONDS = 300.0  # what the toys of a test, or the tests of a comparison, shall take


@dataclass(frozen=True, slots=True, kw_only=True)
class InitCommand:
    """Look at the events in FILE, and write a commented study for verisimile run.

    Of FILE alone: learn its density, and test what was learned on events that were set apart.
    Of FILE and GENERATED: compare the generated events with the true ones in FILE.
    Weights, labels, angles and edges are guessed by names and values, and said to be so.
    """

    file: Annotated[str, typer.Argument(metavar="FILE", help=f"True events. {options.FILE}")]
    generated: Annotated[
        str | None,
        typer.Argument(metavar="[GENERATED]", help="Events of a generator, to be compared."),
    ] = None
    train: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="What that generator was trained on, if you have it."),
    ] = None
    features: Annotated[
        str, typer.Option(metavar="A,B,...", help="Columns to study; guessed by default.")
    ] = ""
    weights: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of weights; guessed by default.")
    ] = None
    out: Annotated[Path, typer.Option(metavar="FILE", help="The study file to write: .toml.")] = (
        Path("study.toml")
    )
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False

    @property
    def home(self) -> None:
        """No folder: nothing is kept but the file."""
        return

    def execute(self) -> ExitCode:
        """Look, write, and say what was guessed."""
        from verisimile.app.drafting import guess_sample
        from verisimile.core.durable import write_atomic

        self._check()
        names = options.column_list(self.features)
        found = guess_sample(self.file, features=names, weights=self.weights)
        require(
            found.n >= _FEWEST or self.generated is not None,
            self.file,
            got=f"{found.n} events",
            expected=f"{_FEWEST} or more to learn a density of",
            remedy="Give generated events too, to compare them.",
        )
        draft = _Draft(self, found, listed=names is not None)
        lines = list(draft.of_density() if self.generated is None else draft.of_comparison())
        write_atomic(self.out, ("\n".join(lines) + "\n").encode())
        terminal.print_lines(
            *draft.said(), f"Written: {self.out}. Look at it, then: verisimile run {self.out}"
        )
        return ExitCode.COMPATIBLE

    def _check(self) -> None:
        require(
            self.out.suffix == ".toml", "--out", got=str(self.out), expected="a name with .toml"
        )
        check_folder(self.out.parent)
        if self.out.exists() and not self.force:
            raise InputError(
                "--out",
                got=f"{self.out}, which is there",
                expected="a name that is free",
                remedy="Choose another name, or say --force.",
            )
        require(
            self.train is None or self.generated is not None,
            "--train",
            got="no GENERATED",
            expected="generated events, if there is what their generator was trained on",
        )


_WHY = {
    "periodic": "an angle, guessed by name and range",
    "discrete": "guessed: few values, all of them whole",
}
_WITHOUT_DENSITY = {
    "discrete": "a count or a sign: no density",
    "spike": "many events at one value: no density",
    "constant": "one value only",
}


@dataclass(frozen=True, slots=True)
class _Draft:
    """The lines of a study file."""

    asked: InitCommand
    found: SampleGuess
    listed: bool  # whether the features were

    def of_density(self) -> Iterator[str]:
        """Yield the study of a density that is learned."""
        from verisimile.app.plans import discrepancy_seconds, toy_stage
        from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
        from verisimile.core.random import Seeds
        from verisimile.core.run import Run

        found = self.found
        columns = found.learnable if self.listed else found.learned
        require(
            columns,
            self.asked.file,
            got="no column with a density",
            expected="one or more columns of continuous values",
            remedy="Name them by --features, or give generated events to compare.",
        )
        unseen = min(found.n // 5, _MOST_UNSEEN)
        learned = found.n - unseen
        members = 20 if learned >= 5000 else 8
        one = toy_stage(
            Run(Seeds(0)),
            toys=1,
            events=unseen,
            members=members // 4,
            kernels=GaussianKernels().count,
            placements=2,
            corrected=True,
        )
        toys = int(min(max(_CORE_SECONDS / (one.seconds or 1.0), 99), 999))
        refit = discrepancy_seconds(events=learned, features=len(columns))
        datasets = int(min(max(_CORE_SECONDS / refit, _FEWEST_DATASETS), _MOST_DATASETS))
        yield from self._head("learn the density, and test it on events that it has not seen")
        yield from self._samples(columns, unseen / found.n)
        yield from self._features(columns, edges=True)
        yield from (
            "",
            "# An ensemble of flows, and their mixture with errors.",
            "[fit]",
            f"members = {members}",
            *(["epochs = 10"] if learned >= 40_000 else []),
            "",
            "# Does it describe the unseen events?  p-values are multiples of 1/(toys + 1).",
            "[gof]",
            f"toys = {toys}",
            "placements = 2",
            "",
            "# Are its errors right, if the mixture is the truth?  Of the means of all features:",
            "[coverage]",
            f"datasets = {datasets}",
            f"events = {min(learned, 5000)}",
            '# quantile = ["NAME:0.5"]',
            '# bin = ["NAME:LOW:HIGH"]',
            "",
            "# Events of the mixture beside the unseen ones: every test of the battery.",
            "[validate]",
            "permutations = 999",
            *_thresholds(),
            "",
            "# How many true events is the mixture worth?  Does it repeat those it has learned?",
            "[amplify]",
            f"n_generated = {min(10 * learned, 200_000)}",
        )

    def of_comparison(self) -> Iterator[str]:
        """Yield the study of a generated sample."""
        asked, found = self.asked, self.found
        shared = self._shared()
        yield from self._head("compare generated events with true ones")
        yield from self._features([each for each in found.columns if each.name in shared])
        names = ", ".join(map(_text, shared))
        yield from (
            "",
            "# Same distribution?  Where not?",
            "[validate]",
            f"reference = {_text(self._path(asked.file))}",
            f"generated = {_text(self._path(asked.generated or ''))}",
            f"train = {_text(self._path(asked.train))}"
            if asked.train
            else '# train = "FILE"  # what the generator was trained on: finds memorised events',
            f"features = [{names}]",
            *(f"# left out: {each}" for each in self._left_out(shared)),
            *self._roles(),
            '# cut = "CONDITION"  # what events must fulfil, as abs(NAME) < 2.5',
            f"permutations = {self._permutations(shared)}",
            *_thresholds(),
            "",
            "# How many true events is it worth?  FILE must be unseen by the generator.",
        )
        amplify = [
            "[amplify]",
            f"generated = [{_text(self._path(asked.generated or ''))}]",
            f"holdout = {_text(self._path(asked.file))}",
            f"train = {_text(self._path(asked.train))}" if asked.train else 'train = "FILE"',
            f"features = [{names}]",
        ]
        yield from amplify if asked.train and not found.weights else map("# {}".format, amplify)

    def said(self) -> Iterator[str]:
        """Yield what was guessed, for the terminal."""
        found = self.found
        yield f"{self.asked.file}: {found.n} events, {len(found.columns)} columns of numbers."
        for kind, meaning in (
            ("periodic", "angles"),
            ("discrete", "counts or signs"),
            ("spike", "with many events at one value"),
            ("constant", "with one value only"),
        ):
            those = [each.name for each in found.columns if each.kind == kind]
            if those:
                yield f"Guessed {meaning}: {', '.join(those)}."
        if found.weights:
            yield f"Guessed weights: {found.weights}."
            if found.signed and self.asked.generated is None:
                yield (
                    "Some are negative, from which no flow learns: the study takes all events as "
                    "unweighted, which is another density."
                )
        yield from (f"Left out: {name} ({why})." for name, why in found.set_aside.items())
        rest = [each.name for each in found.learnable if each.name not in found.independent]
        if rest and self.asked.generated is None and not self.listed:
            yield (
                f"About {len(found.independent)} of {len(found.learnable)} columns are independent "
                f"of each other: these are learned, and not {', '.join(rest)}. Choose others by "
                "--features."
            )

    def _head(self, what: str) -> Iterator[str]:
        out = self.asked.out
        yield from (
            f"# A study for verisimile run: {what}.",
            "# A section is a command, its keys are the command's options: verisimile fit --help.",
            f"# What it takes: verisimile run {out} --dry-run.  To leave a stage out, delete it.",
            "",
            f"title = {_text(Path(self.asked.generated or self.asked.file).name)}",
            "seed = 2026  # of all random streams",
            "level = 0.05  # at which a verdict is failed",
        )

    def _samples(self, columns: Sequence[ColumnGuess], unseen: float) -> Iterator[str]:
        found = self.found
        names = [each.name for each in columns]
        yield from (
            "",
            "[samples]",
            f"events = {_text(self._path(self.asked.file))}  # {found.n} events",
            f"unseen = {unseen:.4g}  # {unseen * found.n:.0f} events, which nothing learns from",
            f"features = [{', '.join(map(_text, names))}]",
            *(f"# left out: {each}" for each in self._left_out(names)),
            *self._roles(),
            '# cut = "CONDITION"  # what events must fulfil, as abs(NAME) < 2.5',
        )

    def _roles(self) -> Iterator[str]:
        """Yield what is neither a feature nor its description."""
        found = self.found
        for role, name in (("weights", found.weights), ("group", found.group)):
            if name and role == "weights" and found.signed and self.asked.generated is None:
                yield f"# weights = {_text(name)}  # left out: no flow learns from negative weights"
            elif name:
                yield f"{role} = {_text(name)}  # guessed by its name"
        if found.dropped:
            yield f'missing = "drop"  # {found.dropped} of {found.rows} rows lack a value'

    def _features(self, columns: Iterable[ColumnGuess], *, edges: bool = False) -> Iterator[str]:
        """Yield a line for each feature; with edges only where no generator can be beyond them."""
        columns = list(columns)
        bare = not any(each.spec.unit for each in columns)
        yield from (
            "",
            "# What each column is: any of unit, label (LaTeX in dollars), kind, low, high.",
            *(['# The file states no units: add them, as NAME = {unit = "GeV"}.'] if bare else []),
            "[features]",
        )
        for each in columns:
            said = {"unit": each.spec.unit, "label": each.spec.label}
            parts = [f"{key} = {_text(value)}" for key, value in said.items() if value]
            guesses = [f"{each.smallest:.6g} to {each.largest:.6g}"]
            if each.kind in ("periodic", "discrete"):
                parts.append(f'kind = "{each.kind}"')
                guesses.append(_WHY[each.kind])
            bounds = list(each.bounds) if edges or each.kind == "periodic" else []
            parts += bounds
            if bounds and each.kind != "periodic":
                guesses.append("edges guessed")
            yield f"{_key(each.name)} = {{{', '.join(parts)}}}  # {'; '.join(guesses)}"

    def _left_out(self, kept: Sequence[str]) -> Iterator[str]:
        for each in self.found.columns:
            if each.name in kept:
                continue
            dependent = "about a function of those above, or left to you"
            why = "not in both files" if self.asked.generated else dependent
            yield f"{each.name} ({_WITHOUT_DENSITY.get(each.kind, why)})"
        yield from (f"{name} ({why})" for name, why in self.found.set_aside.items())

    def _shared(self) -> list[str]:
        """Return the columns that can be compared."""
        from verisimile.data.files import column_names

        theirs = column_names(self.asked.generated or "")
        ours = [each.name for each in self.found.columns if each.kind != "constant"]
        shared = [name for name in ours if name in theirs]
        require(
            shared,
            self.asked.generated or "",
            got=f"none of the columns {', '.join(ours)}",
            expected="columns that both samples have",
        )
        return shared

    def _permutations(self, shared: Sequence[str]) -> int:
        """Return as many as take some minutes, and can reach the level with all tests."""
        from verisimile.app.plans import battery_stages
        from verisimile.core.random import Seeds
        from verisimile.core.run import Run
        from verisimile.validation.study import Battery

        stages = battery_stages(Run(Seeds(0)), Battery(), events=2 * self.found.n)
        seconds = sum(each.seconds or 0.0 for each in stages) * len(shared) / 6.0
        return 999 if seconds < 2.0 * _CORE_SECONDS else 499

    def _path(self, uri: str) -> str:
        """Return a file as the study names it: from its own folder."""
        folder = self.asked.out.parent
        return uri if Path(uri).is_absolute() else os.path.relpath(uri, folder)


def _thresholds() -> list[str]:
    return [
        "# [validate.thresholds]  # a number beyond its bounds fails too",
        "# auc = {max = 0.55}",
    ]


def _key(name: str) -> str:
    """Return a name as a key of TOML."""
    return (
        name
        if name.replace("_", "a").replace("-", "a").isalnum() and name.isascii()
        else _text(name)
    )


def _text(text: str) -> str:
    """Return text as TOML has it."""
    return json.dumps(text, ensure_ascii=False)
