"""Commands of posteriors, known truths and ratings: verdicts, pages, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from verisimile.app.cli import app
from verisimile.data.events import Events
from verisimile.data.files import write_events

_MODEL = '''
import numpy as np
from scipy import stats

density = stats.multivariate_normal([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
wide = stats.multivariate_normal([0.0, 0.0], [[4.0, 0.0], [0.0, 4.0]])
first = stats.norm()

def second(x):
    return stats.norm(0.5).cdf(x)

class Posterior:
    """Of theta ~ N(0, 1), x = theta + N(0, 1): N(x / 2, 1 / 2)."""

    n_features = n_context = 1

    def __init__(self, width):
        self.width = width

    def log_prob(self, x, context):
        return stats.norm(context[:, 0] / 2, self.width).logpdf(x[:, 0])

    def sample(self, context, rng):
        return context / 2 + self.width * rng.normal(size=(len(context), 1))

exact, narrow = Posterior(0.5**0.5), Posterior(0.3)
'''


def _run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


def _result(folder: Path) -> Any:  # noqa: ANN401  (JSON)
    assert (folder / "report.html").is_file()
    return json.loads((folder / "result.json").read_text(encoding="utf-8"))["content"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(4)
    (tmp_path / "model.py").write_text(_MODEL, encoding="utf-8")
    write_events(Events(rng.normal(size=(300, 2)), names=("a", "b")), tmp_path / "e.parquet")
    theta = rng.normal(size=(120, 1))
    x = theta + rng.normal(size=(120, 1))
    np.savez(tmp_path / "sim.npz", truths=theta, contexts=x, points=np.array([[0.0], [1.0]]))
    draws = x[:, None] / 2 + 0.3 * rng.normal(size=(120, 40, 1))
    np.savez(tmp_path / "draws.npz", truths=theta, draws=draws, contexts=x)
    return tmp_path


def _posterior(folder: Path, *more: object) -> tuple[int, str, str]:
    common = ("--out", folder / "out", "--executor", "serial")
    return _run("posterior", *more, *common)


def test_a_posterior_of_a_file_is_drawn_from_and_tested(folder: Path) -> None:
    exact = ("--model", f"{folder / 'model.py'}:exact", "--draws", 30, "--permutations", 19)
    code, out, err = _posterior(folder, folder / "sim.npz", *exact, "--names", "mass", "--seed", 8)
    assert code == 0, err + out
    content = _result(folder / "out")
    assert len(content["results"]) == 3
    assert "30 draws for each simulation were made of" in content["warnings"][0]
    plan = _posterior(folder, folder / "sim.npz", *exact, "--dry-run")
    assert plan[0] == 0
    assert "local" in plan[1]
    narrow = ("--model", f"{folder / 'model.py'}:narrow", "--draws", 30, "--tests", "tarp")
    assert _posterior(folder, folder / "sim.npz", *narrow)[0] == 1


def test_draws_of_a_posterior_are_tested(folder: Path) -> None:
    code, out, err = _posterior(folder, folder / "draws.npz", "--json")
    assert code == 1, err
    assert json.loads(out)["verdict"] == "failed"
    code, _, err = _posterior(folder, folder / "sim.npz")
    assert code == 2
    assert "no draws, point_draws" in err
    code, _, err = _posterior(folder, folder / "draws.npz", "--tests", "local")
    assert code == 2
    assert "no point_draws, points" in err
    code, _, err = _posterior(folder, folder / "draws.npz", "--tests", "tarp,rank")
    assert code == 2
    assert "'rank'" in err
    code, _, err = _posterior(folder, folder / "model.py")
    assert code == 2
    assert "arrays named truths" in err


def _one_sample(folder: Path, *more: object) -> tuple[int, str, str]:
    common = ("--out", folder / "out", "--executor", "serial", "--toys", 99)
    return _run("one-sample", folder / "e.parquet", *more, *common)


def test_events_of_a_known_density(folder: Path) -> None:
    model = folder / "model.py"
    code, out, err = _one_sample(folder, f"{model}:density", "--cdf", f"a={model}:first")
    assert code == 0, err + out
    assert len(_result(folder / "out")["results"]) == 3
    assert _one_sample(folder, f"{model}:wide")[0] == 1
    assert "likelihood toys" in _one_sample(folder, f"{model}:wide", "--dry-run")[1]
    assert _one_sample(folder, "--cdf", f"b={model}:second")[0] == 1


def test_a_known_density_that_cannot_be_used(folder: Path) -> None:
    model = folder / "model.py"
    for arguments, message in [
        ((), "a density, or distribution functions"),
        (("density",), "model.py:density"),
        ((f"{model}:density", "--features", "a"), "a density of 2 features"),
        ((f"{model}:second",), "second"),
    ]:
        code, _, err = _one_sample(folder, *arguments)
        assert code == 2
        assert message in err


@pytest.mark.parametrize(
    ("header", "rows", "kind", "expected"),
    [
        ("system,answer", [("flow", "real")] * 20, "forced-choice", 1),
        ("first,second,answer", [("flow", "gan", "flow"), ("flow", "gan", "gan")] * 6, "prefer", 0),
        ("system,answer", [("flow", "3"), ("gan", "4")] * 10, "scale", 1),
    ],
)
def test_ratings_are_known_by_their_columns(
    tmp_path: Path, header: str, rows: list[tuple[str, ...]], kind: str, expected: int
) -> None:
    lines = [f"ann{i % 4},item{i // 2},{','.join(row)}" for i, row in enumerate(rows)]
    file = tmp_path / "answers.csv"
    file.write_text("\n".join([f"rater,item,{header}", *lines]), encoding="utf-8")
    code, out, err = _run("ratings", file, "--out", tmp_path / "out")
    assert code == expected, err + out
    (found,) = _result(tmp_path / "out")["results"]
    assert kind in found["schema"]
    code, _, _ = _run("ratings", tmp_path / "none.csv", "--out", tmp_path / "out")
    assert code == 2


@pytest.mark.parametrize("damage", ["cut", "flipped", "no archive", "missing", "objects"])
def test_a_damaged_file_of_draws_is_an_error_of_the_input(damage: str, tmp_path: Path) -> None:
    file = tmp_path / "draws.npz"
    if damage == "objects":
        np.savez(file, truths=np.array([{}], dtype=object))
    elif damage != "missing":
        np.savez(file, truths=np.zeros((50, 2)), draws=np.zeros((50, 20, 2)))
        whole = bytearray(file.read_bytes())
        flipped = whole.copy()
        flipped[200] ^= 1
        file.write_bytes({"cut": whole[:400], "flipped": flipped}.get(damage, b"nothing"))
    code, _, err = _run("posterior", file)
    assert code == 2
    assert "draws.npz" in err
    assert "expected a" in err
    assert "unsafe" not in err


_METRICS = """
def means(reference, generated):
    return abs(reference.mean(axis=0) - generated.mean(axis=0)).max()

means.direction = "large"

def always(reference, generated):
    return 0.001

always.returns = "p-value"
number = 3
"""


def test_a_metric_of_a_file_enters_the_arena(folder: Path) -> None:
    (folder / "metrics.py").write_text(_METRICS, encoding="utf-8")
    honest, cheat = (f"{folder}/metrics.py:{name}" for name in ("means", "always"))
    quick = ("--quick", "--executor", "serial", "--seed", "4")
    code, out, _ = _run("arena", honest, *quick, "--out", folder / "one")
    assert code == 0
    assert "passed" in out
    code, out, _ = _run("arena", honest, cheat, *quick, "--json", "--out", folder / "two")
    assert code == 1
    assert json.loads(out)["verdict"] == "failed"
    table = json.loads((folder / "two" / "arena.json").read_text(encoding="utf-8"))
    first, last = table["standings"]
    assert (first["metric"], last["metric"]) == (honest, cheat)
    assert "does not hold its size" in last["marks"][0]
    assert "seconds" in (folder / "two" / "arena-costs.json").read_text(encoding="utf-8")
    # One metric has the same standing, whoever else is ranked.
    alone = json.loads((folder / "one" / "arena.json").read_text(encoding="utf-8"))
    assert alone["standings"] == [first]
    kinds = {one["schema"] for one in _result(folder / "two")["results"]}
    assert kinds == {"verisimile.arena/1", "verisimile.arena-costs/1"}


def test_what_is_no_metric_is_refused_by_the_arena(folder: Path) -> None:
    (folder / "metrics.py").write_text(_METRICS, encoding="utf-8")
    for metric, words in ((f"{folder}/metrics.py:number", "got a int"), ("enrgy", "one of energy")):
        code, _, said = _run("arena", metric, "--quick", "--out", folder / "none")
        assert code == 2
        assert words in said
    code, out, _ = _run("arena", "ours", "--quick", "--dry-run", "--out", folder / "none")
    assert code == 0
    assert "arena" in out
