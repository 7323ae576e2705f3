"""A report in an experiment tracker: parameters, numbers and files, by three methods.

`log_report` reads a report's folder, so that it serves commands and `write_report` alike, and
hands what is there to any `ReportLogger`.  Those of MLflow and Weights & Biases are here; another
tracker is a class with the three methods.
"""

from __future__ import annotations

import dataclasses
import importlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, TypeVar

from verisimile.core.errors import InputError
from verisimile.core.result import Estimate
from verisimile.report.document import Document, read_report
from verisimile.report.owned import NAMES
from verisimile.report.verdict import Verdict
from verisimile.stats.pvalues import PValue

# Fields that only hold another result: they make a name longer and say nothing.
_HOLDERS = ("validation", "study", "outcome")
# Places that are chosen anew for each pair of samples: no series.
_CHOSEN = ("windows",)
# What an item of a sequence is called by; one without is another one every night.
_CALLED = ("name", "feature", "resolution", "hypothesis", "alternative")
_FORBIDDEN = re.compile(r"[^\w.\- ]")
_WORD = 80  # letters of a part of a name; MLflow takes 250 in all
_VALUE = 500  # letters of a parameter, which servers of MLflow before 2.8 take

T = TypeVar("T")


class ReportLogger(Protocol):
    """Where a report goes: three methods, each of which may be called several times."""

    def log_params(self, values: Mapping[str, str]) -> None:
        """Keep settings and origins, by name."""
        ...

    def log_metrics(self, values: Mapping[str, float]) -> None:
        """Keep finite numbers, by names with slashes in them."""
        ...

    def log_artifact(self, file: Path) -> None:
        """Keep a file."""
        ...


def log_report(folder: str | Path, *loggers: ReportLogger) -> None:
    """Give a report to experiment trackers.

    Parameters are its title, verdict, level, command, seeds, versions and the samples' sources,
    sizes and digests.  Metrics are the numbers of decisive findings by verdict
    (``findings/failed``), and every p-value and every :class:`~verisimile.Estimate` with its
    error (``..._error``) of the results, named by their fields: ``validations/surrogate/p_value``,
    ``validations/surrogate/tests/energy/p_value``.  A p-value of permutations or toys is at least
    1/(B + 1).  Numbers that are not finite have no metric.  Files are the page, ``result.json``,
    ``junit.xml`` and ``summary.md``.

    Parameters
    ----------
    folder
        Where a command or :func:`~verisimile.write_report` has written a report.
    loggers
        :class:`MLflowLogger`, :class:`WandbLogger`, or anything with their three methods.

    Raises
    ------
    InputError
        If there is no logger.
    StoreError
        If there is no report, or it is damaged.
    """
    if not loggers:
        raise InputError("loggers", got="none", expected="at least one", remedy="MLflowLogger()")
    place = Path(folder)
    report = read_report(place / "result.json")
    for logger in loggers:
        logger.log_params(parameters(report))
        logger.log_metrics(metrics(report))
        for name in NAMES:
            logger.log_artifact(place / name)


def parameters(report: Document) -> dict[str, str]:
    """Return what a report was made of, and its verdict."""
    content, environment = report.content, report.environment
    named = [
        ("title", content.title),
        ("verdict", report.verdict),
        ("level", f"{content.level:g}"),
        ("command", content.command),
        ("seeds", environment.seeds),
        ("python", environment.python),
        ("verisimile", environment.versions.get("verisimile", "")),
    ]
    named += [
        (f"inputs/{_word(sample.role)}/{field}", str(getattr(sample, field)))
        for sample in content.inputs
        for field in ("source", "n", "digest")
    ]
    return _each_once(named)


def metrics(report: Document) -> dict[str, float]:
    """Return the numbers of a report by name: counts of findings, p-values, estimates."""
    decisive = [found.verdict for found in report.findings if found.decisive]
    counts = [(f"findings/{each}", float(decisive.count(each))) for each in Verdict]
    found = [(name, value) for name, value in _numbers(report.content) if math.isfinite(value)]
    return _each_once([*counts, *found])


def _numbers(value: object, *words: str) -> Iterator[tuple[str, float]]:
    """Yield every p-value and estimate below `value` with the way that leads there."""
    if isinstance(value, PValue):
        yield "/".join(words), value.value
    elif isinstance(value, Estimate):
        yield "/".join(words), value.value
        yield f"{'/'.join(words)}_error", value.error
    elif dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        # Some results work out theirs: a property and no field.
        for name in dict.fromkeys(each for each in ["p_value", *names] if each not in _CHOSEN):
            further = () if name in _HOLDERS else (name,)
            yield from _numbers(getattr(value, name, None), *words, *further)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            if (called := _called(item)) is not None:
                yield from _numbers(item, *words, _word(called))
            elif len(value) == 1:
                yield from _numbers(item, *words)


def _called(item: object) -> str | None:
    return next((str(getattr(item, each)) for each in _CALLED if hasattr(item, each)), None)


def _word(text: str) -> str:
    """Return `text` as a part of a name that trackers take, and that is no step upwards."""
    return _FORBIDDEN.sub("_", text)[:_WORD].strip(". ") or "_"


def _each_once(named: Sequence[tuple[str, T]]) -> dict[str, T]:
    """Return values by name; of equal names with other values, the later ones are numbered."""
    found: dict[str, T] = {}
    for name, value in named:
        free, number = name, 1
        while free in found and found[free] != value:
            number += 1
            free = f"{name}-{number}"
        found[free] = value
    return found


class MLflowLogger:
    """Logs into the active run of MLflow (extra ``mlflow``).

    Raises
    ------
    InputError
        If MLflow is not installed, or no run is active.

    Examples
    --------
    ::

        with mlflow.start_run():
            vs.log_report("validation/", vs.MLflowLogger())
    """

    __slots__ = ("_mlflow",)

    def __init__(self) -> None:
        self._mlflow: Any = _library("mlflow")
        if self._mlflow.active_run() is None:
            raise _no_run("with mlflow.start_run(): ...")

    def log_params(self, values: Mapping[str, str]) -> None:
        """Log parameters, long ones cut: ``result.json`` has them whole."""
        self._mlflow.log_params({name: text[:_VALUE] for name, text in values.items()})

    def log_metrics(self, values: Mapping[str, float]) -> None:
        """Log metrics."""
        self._mlflow.log_metrics(dict(values))

    def log_artifact(self, file: Path) -> None:
        """Log a file as an artifact."""
        self._mlflow.log_artifact(str(file))


class WandbLogger:
    """Logs into the current run of Weights & Biases (extra ``wandb``).

    Parameters are the run's configuration, metrics one step of its history, files artifacts of
    type ``report``.

    Raises
    ------
    InputError
        If W&B is not installed, or no run is active.

    Examples
    --------
    ::

        with wandb.init(project="nightly"):
            vs.log_report("validation/", vs.WandbLogger())
    """

    __slots__ = ("_run",)

    def __init__(self) -> None:
        self._run: Any = _library("wandb").run
        if self._run is None:
            raise _no_run("with wandb.init(project=...): ...")

    def log_params(self, values: Mapping[str, str]) -> None:
        """Add parameters to the configuration."""
        self._run.config.update(dict(values))

    def log_metrics(self, values: Mapping[str, float]) -> None:
        """Log metrics as one step."""
        self._run.log(dict(values))

    def log_artifact(self, file: Path) -> None:
        """Log a file as an artifact of its name."""
        self._run.log_artifact(str(file), name=file.name, type="report")


def _library(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InputError(
            name,
            got="it is not installed",
            expected="it to log a report there",
            remedy=f"Run: pip install 'verisimile[{name}]'",
        ) from None


def _no_run(way: str) -> InputError:
    return InputError("loggers", got="no active run", expected="a run to log into", remedy=way)
