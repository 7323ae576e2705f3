"""Fresh truth against mixtures of trained flows: how often the test rejects, what it sees.

python honest_tests.py size Z --tests 9
python honest_tests.py power
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from honest_processes import ENSEMBLES, FOLDER, PROCESSES, Process
from verisimile.checks.goodness.alternatives.tilt import ExponentialTilt
from verisimile.checks.goodness.likelihood_ratio import goodness_of_fit
from verisimile.checks.goodness.search import Search
from verisimile.core.arrays import Array, frozen
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.core.store import DirectoryStore
from verisimile.data.events import Events
from verisimile.data.files import read_events
from verisimile.mixture.bind import fit_mixture
from verisimile.mixture.discrepancy.corrected import CorrectedMixture, correct_mixture
from verisimile.mixture.discrepancy.fit import Discrepancy, Reference, fit_discrepancy
from verisimile.mixture.discrepancy.shrinkage import FLAT
from verisimile.mixture.kept import kept_draws
from verisimile.mixture.law import WeightLaw
from verisimile.mixture.model import Mixture
from verisimile.stats.intervals import clopper_pearson
from verisimile.stats.linalg import symmetrise

LEVEL = 0.05
TOYS = 19  # a p-value of 0.05 is that of a statistic beyond all toys
SEARCH = Search((ExponentialTilt(reference=40_000),), placements=1)
_STORE = Path(__file__).parent.parent / "build" / "honest" / "tests"
SURROGATES = (
    "zmumu_generator_tune",
    "zmumu_generator_nofsr",
    "zmumu_surrogate_smeared",
    "zmumu_surrogate_lost_tail",
    "zmumu_surrogate_bump",
)


@dataclass(frozen=True)
class Setting:
    """One ensemble with weights and discrepancy fitted to events of its own."""

    process: Process
    k: int
    fit: int

    @property
    def seeds(self) -> Seeds:
        """Streams of this setting."""
        return Seeds(41).at(self.process.name, self.k, self.fit)

    def run(self, *path: object) -> Run:
        """Return a run that keeps the toys."""
        folder = _STORE / "-".join(str(p) for p in (self.process.name, self.k, self.fit, *path))
        return Run(self.seeds, store=DirectoryStore(folder))

    def parts(self) -> tuple[Array, Array]:
        """Return the events of the fit, and all that neither it nor the training has seen."""
        n, size = self.process.n_train, self.process.n_fit
        x = np.delete(self.process.events(), slice(self.k * n, (self.k + 1) * n), axis=0)
        x = x[self.seeds.at("order").numpy().permutation(len(x))]
        return x[:size], x[size:]

    def events(self, x: Array) -> Events:
        """Return events with the features of the process."""
        return Events(x, features=self.process.features)

    def mixtures(self) -> tuple[Mixture, CorrectedMixture]:
        """Return the mixture as published, and the corrected one."""
        run, events = self.run(), self.events(self.parts()[0])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            plain = fit_mixture(run, self.process.ensemble(self.k), events, discrepancy=None)
        return plain, correct_mixture(run, plain, events)

    def tested(self, mixture: Mixture, samples: Sequence[Array], *path: object) -> list[float]:
        """Return p of each sample; they share their toys, which the run keeps."""
        run = self.run(*path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return [
                goodness_of_fit(
                    run, mixture, self.events(x), alternative=SEARCH, toys=TOYS
                ).p_value.value
                for x in samples
            ]


def settings(process: Process, fits: int) -> Iterator[Setting]:
    """Yield all ensembles of a process, with so many fits of each."""
    for k in range(ENSEMBLES):
        for fit in range(fits):
            yield Setting(process, k, fit)


def fresh(setting: Setting, n: int, tests: int) -> list[Array]:
    """Return test samples of truth that nothing has seen; large ones share events."""
    unseen = setting.parts()[1]
    rng = setting.seeds.at("tests", n).numpy()
    return [unseen[rng.choice(len(unseen), n, replace=False)] for _ in range(tests)]


def likeliest_scales(mixture: CorrectedMixture, steps: int = 200) -> CorrectedMixture:
    """Return a twin whose scales sit where they are most likely, instead of being drawn."""
    fit = mixture.discrepancy
    groups, n = fit.functions.groups, fit.record.n_events
    held, numbers = groups >= 0, np.bincount(groups[groups >= 0])
    squares = fit.scales**2

    def precision_at(values: Array) -> Array:
        return np.where(held, 1.0 / values[np.maximum(groups, 0)], FLAT)

    # The moments that the fitted coefficients stand for, at the scales that they were had with.
    right = (n * fit.information + np.diag(precision_at(squares))) @ fit.coefficients
    for _ in range(steps):
        precision = precision_at(squares)
        whole = np.asarray(np.linalg.inv(n * fit.information + np.diag(precision)), np.float64)
        covariance = symmetrise(whole)
        b = covariance @ right
        second = (b * b + np.diag(covariance))[held]
        squares = np.maximum(np.bincount(groups[held], weights=second) / numbers, 1e-10)
    twin = replace(fit, covariance=frozen(covariance))
    return CorrectedMixture(mixture.uncorrected, twin)


def fitted_on(setting: Setting, plain: Mixture, x: Array) -> CorrectedMixture:
    """Return a twin whose discrepancy was learnt from the very events that are tested."""
    settings_ = Discrepancy()
    draws, logf = kept_draws(setting.run(), plain, settings_.reference_size(len(x), x.shape[1]))
    reference = Reference.of(WeightLaw.of(plain.fit), plain.features, draws, logf, settings_.cap)
    seeds = setting.seeds.at("own")
    found = fit_discrepancy(reference, x, plain.log_densities(x), None, settings_, seeds)
    return CorrectedMixture(plain, found)


def sizes(name: str, tests: int, fits: int, *, twins: bool) -> list[list[str]]:
    """Return how often fresh truth is rejected at 5 %, with the discrepancy and by the twins."""
    process = PROCESSES[name]
    wanted = (process.n_fit // 4, process.n_fit, process.n_train)
    table: dict[str, list[float]] = {}
    for setting in settings(process, fits):
        plain, corrected = setting.mixtures()
        for n in wanted:
            samples = fresh(setting, n, tests)
            table.setdefault(f"discrepancy {n}", []).extend(
                setting.tested(corrected, samples, "size", n)
            )
            _say(name, table)
        if not twins:
            continue
        n = process.n_train
        samples = fresh(setting, n, tests)
        others = {"weights alone": plain, "likeliest scales": likeliest_scales(corrected)}
        for twin, mixture in others.items():
            label = f"{twin} {n}"
            table.setdefault(label, []).extend(setting.tested(mixture, samples, twin, n))
        n = process.n_fit
        (sample,) = fresh(setting, n, 1)
        own = fitted_on(setting, plain, sample)
        label = f"fitted on the test {n}"
        table.setdefault(label, []).extend(setting.tested(own, [sample], "own", n))
        _say(name, table)
    return _rows(name, table)


def _say(name: str, table: dict[str, list[float]]) -> None:
    sys.stdout.write(f"{name} {'; '.join(' '.join(row[1:]) for row in _rows(name, table))}\n")
    sys.stdout.flush()


HEAD = ("process", "null, events tested", "rejected of", "exact 95 % interval", "mean p")


def _rows(name: str, table: dict[str, list[float]]) -> list[list[str]]:
    rows = []
    for key, values in table.items():
        rejected, count = sum(p <= LEVEL for p in values), len(values)
        low, high = clopper_pearson(rejected, count, level=0.95)
        share = f"{100 * low:.0f} to {100 * high:.0f} %"
        rows.append([name, key, f"{rejected} of {count}", share, f"{np.mean(values):.2f}"])
    return rows


def power(n: int = 5000, toys: int = 99) -> list[list[str]]:
    """Return p and distance from the toys of known defects, with and without the discrepancy."""
    folder = Path(os.environ[FOLDER])
    found_by: dict[tuple[str, str], list[tuple[float, float]]] = {}
    targets = {"Z": SURROGATES, "W": ("wmunu_generator_tune",)}
    for name, files in targets.items():
        process = PROCESSES[name]
        names = [feature.name for feature in process.features]
        for k in range(ENSEMBLES):
            setting = Setting(process, k, 0)
            for label, mixture in zip(("weights", "discrepancy"), setting.mixtures(), strict=True):
                run = setting.run("power", label)
                for file in files:
                    x = read_events(folder / f"{file}.parquet", features=names).x[:n]
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        found = goodness_of_fit(
                            run, mixture, setting.events(x), alternative=SEARCH, toys=toys
                        )
                    part = found.parts[0]
                    away = float((part.statistic - part.toys.mean()) / part.toys.std())
                    found_by.setdefault((file, label), []).append((found.p_value.value, away))
                    sys.stdout.write(f"{k} {label} {file}: {found_by[file, label][-1]}\n")
                    sys.stdout.flush()
    return [
        [file, *(_seen(found_by[file, label]) for label in ("weights", "discrepancy"))]
        for files in targets.values()
        for file in files
    ]


def _seen(values: list[tuple[float, float]]) -> str:
    p, away = (np.array(column) for column in zip(*values, strict=True))
    return f"p {p.min():.2f} to {p.max():.2f}; t {away.min():.0f} to {away.max():.0f} sigma"


def _print(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for cells in (head, *rows):
        sys.stdout.write(" | ".join(cells) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("size", "power"))
    parser.add_argument("processes", nargs="*", default=["Z"])
    parser.add_argument("--tests", type=int, default=9)
    parser.add_argument("--fits", type=int, default=3)
    parser.add_argument("--twins", action="store_true")
    told = parser.parse_args()
    if told.what == "power":
        _print(("sample", "weights alone", "with the discrepancy"), power())
    else:
        rows = [
            row
            for each in told.processes
            for row in sizes(each, told.tests, told.fits, twins=told.twins)
        ]
        _print(HEAD, rows)
