"""What experiment trackers get of a report: MLflow itself, and the documented calls of W&B."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

import verisimile as vs
from report_values import make_content
from verisimile.report.content import InputSample, ReportInput, SampleResult
from verisimile.report.document import document
from verisimile.report.loggers import metrics, parameters

FILES = ["report.html", "result.json", "junit.xml", "summary.md"]


class Kept:
    """A tracker that keeps what it is given."""

    def __init__(self) -> None:
        self.params: dict[str, str] = {}
        self.metrics: dict[str, float] = {}
        self.files: list[Path] = []

    def log_params(self, values: Mapping[str, str]) -> None:
        self.params |= values

    def log_metrics(self, values: Mapping[str, float]) -> None:
        self.metrics |= values

    def log_artifact(self, file: Path) -> None:
        self.files.append(file)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("whole")
    return vs.write_report(vs.Run(vs.Seeds(7)), make_content(), target).parent


def test_every_logger_gets_settings_numbers_and_files(folder: Path) -> None:
    first, second = Kept(), Kept()
    vs.log_report(folder, first, second)
    assert vars(first) == vars(second)
    assert [file.name for file in first.files] == FILES
    assert all(file.is_file() for file in first.files)
    assert first.params["verdict"] in {"passed", "failed", "inconclusive"}
    assert first.params["level"] == "0.05"
    counts = [value for name, value in first.metrics.items() if name.startswith("findings/")]
    assert len(counts) == 3
    assert sum(counts) >= 1


def test_numbers_are_those_of_the_results() -> None:
    content = make_content()
    found = metrics(document(vs.Run(vs.Seeds(7)), content))
    for sample in content.samples:
        for test in sample.goodness:
            name = f"samples/{sample.name}/goodness/{test.hypothesis}/p_value"
            assert found[name.replace("+", "_").replace("|", "_")] == test.p_value.value > 0.0


def test_names_are_those_that_trackers_take() -> None:
    sample = make_content().samples[0]
    hostile = ["../../etc", "a:b<c>", "x" * 400, "", "a:b?c>"]
    content = ReportInput(
        samples=tuple(SampleResult(name, sample.goodness[:1]) for name in hostile),
        inputs=tuple(InputSample(name, name, 5, False, 5.0, name, ()) for name in hostile),
    )
    report = document(vs.Run(vs.Seeds(7)), content)
    names = [*metrics(report), *parameters(report)]
    for name in names:
        assert len(name) <= 250
        assert all(part.strip(".") for part in name.split("/")), name
        assert not set(name) & set(":<>?\\")
    # None is lost because two are spelled alike.
    assert sum("digest" in name for name in names) == len(hostile)
    # A store of files has a folder where a name ends with a slash.
    assert not any(other.startswith(f"{name}/") for name in names for other in names)


def test_mlflow_keeps_them(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # a database needs more packages
    monkeypatch.chdir(tmp_path)
    with pytest.raises(vs.InputError, match="no active run"):
        vs.MLflowLogger()
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    kept = Kept()
    try:
        with mlflow.start_run() as run:
            vs.log_report(folder, vs.MLflowLogger(), kept)
        data = mlflow.get_run(run.info.run_id).data
        artifacts = mlflow.MlflowClient().list_artifacts(run.info.run_id)
    finally:
        mlflow.set_tracking_uri(None)
    assert data.params == kept.params
    assert data.metrics == kept.metrics
    assert {file.path for file in artifacts} == set(FILES)


def test_wandb_is_called_as_its_documentation_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # https://docs.wandb.ai/ref/python/sdk/classes/run: Config.update, Run.log, Run.log_artifact
    config: dict[str, str] = {}
    steps: list[dict[str, float]] = []
    files: list[tuple[str, str, str]] = []

    class Run:
        def __init__(self) -> None:
            self.config = SimpleNamespace(update=config.update)

        def log(self, data: dict[str, float]) -> None:
            steps.append(data)

        def log_artifact(self, artifact_or_path: str, name: str, type: str) -> None:
            files.append((artifact_or_path, name, type))

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(run=None))
    with pytest.raises(vs.InputError, match="no active run"):
        vs.WandbLogger()
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(run=Run()))
    kept = Kept()
    vs.log_report(folder, vs.WandbLogger(), kept)
    assert config == kept.params
    assert steps == [kept.metrics]
    assert files == [(str(folder / name), name, "report") for name in FILES]


@pytest.mark.parametrize(("kind", "name"), [(vs.MLflowLogger, "mlflow"), (vs.WandbLogger, "wandb")])
def test_what_is_missing_is_named_with_its_extra(
    kind: type, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(vs.InputError, match=rf"verisimile\[{name}\]"):
        kind()


def test_no_report_or_no_logger_is_refused(tmp_path: Path) -> None:
    with pytest.raises(vs.StoreError):
        vs.log_report(tmp_path, Kept())
    with pytest.raises(vs.InputError, match="at least one"):
        vs.log_report(tmp_path)
