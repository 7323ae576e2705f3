"""What the words for a dask cluster mean, and which workers are refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

from verisimile.core.dask_executor import Dask
from verisimile.core.dask_workers import check_folder, check_threads, check_versions, facts, sees
from verisimile.core.errors import InputError, VerisimileWarning
from verisimile.core.executor import resolve_executor

WORDS = [
    "dask:tcp://127.0.0.1:8786",
    "dask:tls://node-7.cluster.example:8786",
    "dask:ucx://10.0.0.1:13337",
    "dask:scheduler-file=run dir/scheduler.json",
    "dask:local:4",
]


@pytest.mark.parametrize("word", WORDS)
def test_words(word: str) -> None:
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    spec = resolve_executor(word)
    assert isinstance(spec, Dask)
    assert (spec.name, spec.window, spec.workers, spec.renewable) == (word, 2, 1, False)
    spec.abort()  # nothing was begun


@pytest.mark.parametrize(
    "word",
    [
        "dask:",
        "dask:local",
        "dask:local:0",
        "dask:local:two",
        "dask:127.0.0.1:8786",
        "dask:tcp://127.0.0.1",
        "dask:tcp://:8786",
        "dask:http://host:8787",
        "dask:tcp://host:8786/status",
        "dask:/path/scheduler.json",
        "dask:scheduler-file=",
        "dask:scheduler-file",
    ],
)
def test_other_words_are_refused_with_those_that_are_valid(word: str) -> None:
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    with pytest.raises(InputError, match=r'dask:tcp://HOST:PORT".*dask:local:N".*dask:local:4'):
        resolve_executor(word)


def test_without_the_extra_the_remedy_is_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"pip install verisimile\[dask\]"):
        resolve_executor("dask:local:2")


def test_dask_is_imported_only_when_it_is_asked_for() -> None:
    code = (
        "import sys; from verisimile.core.run import Run; from verisimile.core.random import Seeds;"
        "Run(Seeds(1)); sys.exit('distributed' in sys.modules or 'dask' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class Workers:
    """Workers that answer what they are told to."""

    def __init__(self, **answers: object) -> None:
        self.answers = answers
        self.asked: list[set[str]] = []

    def ask(
        self, _: Callable[..., object], __: tuple[object, ...], workers: Collection[str]
    ) -> Mapping[str, Any]:
        self.asked.append(set(workers))
        return {name: self.answers[name] for name in workers}


def test_the_same_versions_pass() -> None:
    workers = Workers(a=facts(), b=facts())
    check_versions(workers.ask, {"a", "b"})
    assert workers.asked == [{"a", "b"}]


@pytest.mark.parametrize("name", ["python", "verisimile"])
def test_other_versions_that_decide_are_refused_with_who_has_them(name: str) -> None:
    many = {f"w{index}": {**facts(), name: "9.9"} for index in range(5)}
    workers = Workers(a=facts(), **many)
    with pytest.raises(InputError) as caught:
        check_versions(workers.ask, workers.answers)
    assert f"{name} {facts()[name]} here, 9.9 on w0, w1, w2 and 2 more" in str(caught.value)


@pytest.mark.parametrize("error", [ModuleNotFoundError("No module named 'verisimile'")])
def test_a_worker_without_verisimile_is_refused(error: Exception) -> None:
    with pytest.raises(InputError, match=r"none or another \(No module named 'verisimile'\) on a"):
        check_versions(Workers(a=error).ask, ["a"])


def test_another_error_of_a_worker_is_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError):
        check_versions(Workers(a=ZeroDivisionError("x")).ask, ["a"])


@pytest.mark.parametrize("name", ["numpy", "torch", "distributed"])
def test_other_libraries_are_warned_of(name: str) -> None:
    workers = Workers(a={**facts(), name: "0.1"})
    with pytest.warns(VerisimileWarning, match=f"{name} .* here, 0.1 on a; results may differ"):
        check_versions(workers.ask, ["a"])


def test_threads_that_would_idle_are_warned_of() -> None:
    check_threads({"a": 1, "b": 1})
    with pytest.warns(VerisimileWarning, match="b with 8 threads"):
        check_threads({"a": 1, "b": 8})


def test_a_folder_that_all_see_passes_and_is_left_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    workers = Workers(a=True, b=True)
    check_folder(workers.ask, {"a", "b"}, folder)
    assert list(folder.iterdir()) == []


def test_a_folder_that_one_worker_does_not_see_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("verisimile.core.dask_workers._FOLDER_SECONDS", 0.0)
    workers = Workers(a=True, b=False)
    with pytest.raises(InputError, match=r"got b that cannot see it.*mounted at the same place"):
        check_folder(workers.ask, {"a", "b"}, tmp_path)
    # Whoever sees it is not asked again.
    assert workers.asked[0] == {"a", "b"}
    assert all(asked == {"b"} for asked in workers.asked[1:])
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_left_meanwhile_is_no_matter(tmp_path: Path) -> None:
    def nobody(*_: object) -> Mapping[str, Any]:
        return {}

    check_folder(nobody, {"a"}, tmp_path)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="a folder in which the driver can write"):
        check_folder(Workers().ask, set(), tmp_path / "file" / "run")


def test_a_folder_that_may_not_be_read_is_not_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    assert not sees(str(tmp_path / "probe"))
    (tmp_path / "probe").touch()
    assert sees(str(tmp_path / "probe"))
    monkeypatch.setattr(Path, "is_file", refuse)
    assert not sees(str(tmp_path / "probe"))
