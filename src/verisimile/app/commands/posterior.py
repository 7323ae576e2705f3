"""``verisimile posterior``: draws of a learned posterior against the simulated parameters."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from verisimile.app import options
from verisimile.app.conclusions import Ending
from verisimile.app.models import ModelFile
from verisimile.app.preflight import check_report
from verisimile.app.terminal import Clock, ExitCode
from verisimile.core.errors import InputError, require

if TYPE_CHECKING:
    from verisimile.core.arrays import Array
    from verisimile.core.result import Result
    from verisimile.core.run import Run
    from verisimile.density.protocol import ConditionalDensity

_TESTS = ("tarp", "sbc", "local")
_PER_DRAW = {"tarp": 2e-6, "sbc": 4e-7}  # seconds of one draw of one simulation, 999 toys
_PER_REFIT = 0.1
_CHUNK = 20  # refits of one task
_ARRAYS = ("truths", "contexts", "draws", "points", "point_draws")


@dataclass(frozen=True, slots=True, kw_only=True)
class PosteriorCommand(options.BesideReport):
    """Test a learned posterior with simulations whose parameters are known.

    FILE is a .npz with ``truths`` (n, d), the parameters simulated with; ``contexts`` (n, k), what
    was simulated; and ``draws`` (n, S, d), independent draws of the posterior of each, unless
    --model draws them.  ``points`` (J, k), with ``point_draws`` (J, S, d), are observations at
    which the posterior is tested by itself.
    """

    file: Annotated[Path, typer.Argument(metavar="FILE", help="Simulations, a .npz file.")]
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="The posterior, if the file has no draws: model.py:posterior, an object with "
            "n_features, n_context, log_prob(x, context) and sample(context, rng).",
        ),
    ] = None
    draws: Annotated[int, typer.Option(min=1, help="Draws of the model for each simulation.")] = 200
    tests: Annotated[
        str,
        typer.Option(
            metavar="A,B,...",
            help=f"Of {', '.join(_TESTS)}; all that the file allows by default.",
            show_default=False,
        ),
    ] = ""
    names: Annotated[
        str, typer.Option(metavar="A,B,...", help="Of the parameters.", show_default=False)
    ] = ""
    permutations: Annotated[int, typer.Option(min=1, help="Refits of the local test.")] = 199
    level: Annotated[float, typer.Option(help="Significance level of the verdict.")] = 0.05
    out: options.Out = Path("posterior")
    seed: options.Seed = options.SEED
    executor: options.Executor = ""
    shard: options.PartOfWork = ""
    max_seconds: options.MaxSeconds = None
    force: options.Force = False
    as_json: options.Json = False
    dry_run: options.DryRun = False

    def execute(self) -> ExitCode:
        """Read or draw the posterior's draws, test them, and write the report."""
        options.check_level(self.level)
        check_report(self.out, force=self.force)
        clock = Clock()
        run = options.run_in(self.home, seed=self.seed, executor=self.executor, shard=self.shard)
        with clock.stage("reading"):
            given = _arrays(self.file)
            tests = self._tests(given)
            model = self._model()
        if self.dry_run:
            return self._plan(run, given, tests)
        with clock.stage("tests"):
            results = self._results(run, given, tests, model)
        ending = Ending(
            title=f"Posterior: {Path(self.model or 'draws').name}, {self.file.name}",
            schema="verisimile.posterior-summary/1",
            out=self.out,
            level=self.level,
            force=self.force,
            as_json=self.as_json,
        )
        return ending.of(run, results, clock, notes=self._notes())

    def _tests(self, given: Mapping[str, Array]) -> tuple[str, ...]:
        """Return what to test, an InputError if the file lacks something for it."""
        wanted = options.column_list(self.tests, "--tests")
        allowed = {"tarp": "contexts" in given, "sbc": True, "local": "points" in given}
        possible = [name for name in _TESTS if allowed[name]]
        for name in wanted or ():
            require(name in _TESTS, "--tests", got=repr(name), expected=f"of {', '.join(_TESTS)}")
        tests = tuple(wanted or possible)
        needed = {"truths", *(() if self.model else ("draws",))}
        needed |= {"contexts"} if self.model or tests != ("sbc",) else set()
        if "local" in tests:
            needed |= {"points", *(() if self.model else ("point_draws",))}
        lacking = sorted(needed - given.keys())
        if lacking:
            raise InputError(
                str(self.file),
                got=f"no {', '.join(lacking)} among its arrays {', '.join(given)}",
                expected=f"what {', '.join(tests)} need",
                remedy="Draws may come from --model model.py:posterior instead.",
            )
        return tests

    def _results(
        self,
        run: Run,
        given: Mapping[str, Array],
        tests: tuple[str, ...],
        model: ConditionalDensity | None,
    ) -> list[Result]:
        from verisimile.checks.posterior.local import PosteriorPoints, local_posterior_test
        from verisimile.checks.posterior.sbc import sbc
        from verisimile.checks.posterior.simulations import posterior_draws
        from verisimile.checks.posterior.tarp import tarp

        truths, contexts = given["truths"], given.get("contexts")
        # What the tests need is there: `_tests` has looked.
        draws = (
            given["draws"]
            if model is None
            else posterior_draws(run, model, given["contexts"], self.draws)
        )
        found: list[Result] = []
        if "tarp" in tests:
            found.append(tarp(run, draws, truths, contexts))
        if "sbc" in tests:
            quantities = None if model is None else {"log q": model.log_prob}
            names = options.column_list(self.names, "--names")
            found.append(
                sbc(run, draws, truths, contexts=contexts, quantities=quantities, names=names)
            )
        if "local" in tests:
            points = given["points"]
            there = (
                given["point_draws"]
                if model is None
                else posterior_draws(run.at("points"), model, points, self.draws)
            )
            found.append(
                local_posterior_test(
                    run,
                    draws,
                    truths,
                    given["contexts"],
                    at=PosteriorPoints(points, there),
                    permutations=self.permutations,
                )
            )
        return found

    def _plan(self, run: Run, given: Mapping[str, Array], tests: tuple[str, ...]) -> ExitCode:
        from verisimile.app.plans import Planned, print_plan

        drawn = given.get("draws")
        draws = self.draws if drawn is None else drawn.size // max(given["truths"].size, 1)
        size = len(given["truths"]) * draws
        fits = self.permutations + 1
        stages = {
            "tarp": Planned("tarp", 1, 0, size * _PER_DRAW["tarp"]),
            "sbc": Planned("sbc", 1, 0, size * _PER_DRAW["sbc"]),
            "local": Planned(
                "local", -(-fits // _CHUNK), len(run.store.addresses("local")), fits * _PER_REFIT
            ),
        }
        return print_plan(run, [stages[name] for name in tests], as_json=self.as_json)

    def _model(self) -> ConditionalDensity | None:
        from verisimile.density.protocol import ConditionalDensity

        if self.model is None:
            return None
        file = ModelFile.named(self.model)
        found = None if file is None else file.load()
        if not isinstance(found, ConditionalDensity):
            raise InputError(
                "--model",
                got=repr(self.model) if file is None else f"a {type(found).__name__}",
                expected="model.py:posterior, an object with n_features, n_context, "
                "log_prob(x, context) and sample(context, rng)",
            )
        return found

    def _notes(self) -> tuple[str, ...]:
        file = ModelFile.named(self.model)
        if file is None:
            return (f"the draws are those of {self.file}",)
        return (
            f"{self.draws} draws for each simulation were made of {self.model} (file of sha256 "
            f"{file.sha256[:12]}), with seed {self.seed}",
        )


def _arrays(file: Path) -> dict[str, Array]:
    """Return the known arrays of a .npz file."""
    import numpy as np

    require(
        zipfile.is_zipfile(file),
        str(file),
        got="no such archive" if file.exists() else "no such file",
        expected=f"a .npz file with arrays named {', '.join(_ARRAYS)}",
    )
    try:
        with np.load(file, allow_pickle=False) as held:
            return {name: _real(held[name], name) for name in _ARRAYS if name in held.files}
    except InputError:
        raise
    except Exception as error:
        # Damaged archives make their readers raise anything: BadZipFile, zlib.error, TypeError, ...
        raise InputError(
            str(file),
            got=f"{type(error).__name__}: {error}",
            expected="an undamaged .npz file of numbers",
            remedy="Write it again with numpy.savez.",
        ) from error


def _real(values: Any, name: str) -> Array:  # noqa: ANN401  (an array of a file)
    import numpy as np

    if values.dtype.kind not in "fiu":
        raise InputError(name, got=f"values of type {values.dtype}", expected="numbers")
    return np.asarray(values, dtype=np.float64)
