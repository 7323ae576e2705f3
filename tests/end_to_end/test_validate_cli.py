"""The command that compares two samples, from files of any format to an exit code."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from typer.testing import CliRunner

from stopping import stop_before
from surrogates import DEFECTS, signed, truths
from verisimile.app.cli import app
from verisimile.core.store import DirectoryStore
from verisimile.data.events import Events
from verisimile.data.files import read_events, write_events
from verisimile.report.document import read_report

N, LARGE = 2000, 8000
RUN = "from verisimile.app.cli import main; main()"
FILES = {"report.html", "result.json", "junit.xml", "summary.md", "run"}
SHORT = ("--permutations", 99, "--executor", "serial")
FAULTY = """\
tittle = "Nightly"
level = 1.5
[samples]
cut = "m_ll >"
[battery]
tests = ["energi"]
permutations = 3
[observables]
x = "log("
[thresholds]
auc = { max = 0.4, min = 0.6 }
"""
QUICK = """\
[battery]
tests = ["energy", "max-ks", "interval-scan"]
permutations = 199
sensitivity = false
support = false
physics = false
"""


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str
    folder: Path

    @property
    def json(self) -> Any:  # noqa: ANN401  (JSON of any shape)
        return json.loads(self.out)

    @property
    def result(self) -> Any:  # noqa: ANN401
        return json.loads((self.folder / "result.json").read_text(encoding="utf-8"))

    @property
    def sentences(self) -> str:
        return "\n".join(conclusion["sentence"] for conclusion in self.result["conclusions"])


Validate = Callable[..., Outcome]


@pytest.fixture
def validate(tmp_path: Path) -> Validate:
    def called(*arguments: object, out: str = "out") -> Outcome:
        folder = tmp_path / out
        words = [str(argument) for argument in (*arguments, "--out", folder)]
        result = CliRunner().invoke(app, ["validate", *words])
        return Outcome(result.exit_code, result.stdout, result.stderr, folder)

    return called


def refused(outcome: Outcome, *words: str) -> None:
    """Require code 2, one message with the words in it, and no report."""
    assert outcome.code == 2, outcome
    assert outcome.out == ""
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    for word in words:
        assert word in outcome.err
    assert not (outcome.folder / "report.html").exists()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for name, events in zip(("many", "others"), truths(LARGE, 2, seed=2), strict=True):
        write_events(events, folder / f"{name}.parquet")
    truth, generated, train = truths(N, 3, seed=2)
    write_events(truth, folder / "truth.parquet")
    write_events(generated, folder / "same.parquet")
    write_events(train, folder / "train.parquet")
    (folder / "quick.toml").write_text(QUICK, encoding="utf-8")
    return folder


@pytest.fixture
def quick(files: Path) -> tuple[object, ...]:
    return ("--study", files / "quick.toml", "--executor", "serial")


@pytest.fixture
def truth(files: Path) -> Path:
    return files / "truth.parquet"


@pytest.fixture
def same(files: Path) -> Path:
    return files / "same.parquet"


def test_truth_against_truth_passes(
    validate: Validate, truth: Path, same: Path, quick: tuple[object, ...]
) -> None:
    outcome = validate(truth, same, *quick)
    assert (outcome.code, outcome.err) == (0, "")
    assert "No difference found by 3 tests." in outcome.out
    assert "report.html" in outcome.out
    assert {path.name for path in outcome.folder.iterdir()} == {*FILES, "figures"}


@pytest.mark.parametrize("defect", sorted(DEFECTS))
def test_each_defect_fails(
    validate: Validate, files: Path, quick: tuple[object, ...], tmp_path: Path, defect: str
) -> None:
    spoilt = DEFECTS[defect](read_events(files / "others.parquet"), np.random.default_rng(3))
    write_events(spoilt, tmp_path / "spoilt.parquet")
    options = (*quick, "--tests", "max-ks,interval-scan")
    outcome = validate(files / "many.parquet", tmp_path / "spoilt.parquet", *options)
    assert outcome.code == 1, outcome
    assert "Not compatible" in outcome.out
    assert "Largest local deviation" in outcome.out


def change(path: Path, into: Path, how: Callable[[Events], Events]) -> Path:
    write_events(how(read_events(path)), into)
    return into


def columns(*names: str) -> Callable[[Events], Events]:
    return lambda events: events.select(names)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (columns("m_ll", "pt_ll", "y_ll"), ("cos_theta_cs", "missing")),
        (lambda e: e.take([0]), ("got 1 event",)),
        (lambda e: Events(e.x * [1e3, 1, 1, 1], names=e.names), ("'m_ll'", "MeV and GeV?")),
    ],
)
def test_samples_that_do_not_fit_are_refused(
    validate: Validate,
    truth: Path,
    same: Path,
    tmp_path: Path,
    how: Callable[[Events], Events],
    words: tuple[str, ...],
) -> None:
    changed = change(same, tmp_path / "x.parquet", how)
    refused(validate(truth, changed, *SHORT), *words)
    refused(validate(truth, changed, *SHORT, "--json"), *words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, ("no such file",)),
        ("", ("empty file",)),
        ("m_ll,pt_ll\n", ("x.csv",)),
        ("m_ll,pt_ll\n91.0,3.0\nnan,4.0\n", ("'m_ll'", "NaN", "row 1")),
        ("m_ll,pt_ll\n91.0,3.0\n,4.0\n", ("'m_ll'",)),
        ("m_ll,pt_ll\n91.0,inf\n92.0,4.0\n", ("'pt_ll'", "infinite")),
        ("a,b\nx,y\n", ("numeric",)),
    ],
)
@pytest.mark.parametrize("role", ["reference", "generated", "--train"])
def test_unreadable_files_are_refused(
    validate: Validate, truth: Path, tmp_path: Path, content: str | None, words: str, role: str
) -> None:
    path = tmp_path / "x.csv"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    arguments: dict[str, tuple[object, ...]] = {
        "reference": (path, truth),
        "generated": (truth, path),
        "--train": (truth, truth, "--train", path),
    }
    refused(validate(*arguments[role], *SHORT), *words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--cut", "m_ll > 500"), (f"none of {N} events", "'m_ll > 500'")),
        (("--cut", "m_ll >"), ("cut",)),
        (("--cut", "mll > 80"), ("'mll'", "'m_ll'")),
        (("--features", "m_ll,eta"), ("'eta'",)),
        (("--features", "m_ll,,eta"), ("--features",)),
        (("--tests", "energi"), ("energi", "energy", "max-ks")),
        (("--tests", "energy,,nplm"), ("--tests",)),
        (("--tests", "energy,energy"), ("twice",)),
        (("--level", "5"), ("level",)),
        (("--weights", "w"), ("'w'",)),
        (("--observable", "log(pt_ll)"), ("--observable", "NAME=EXPRESSION")),
        (("--observable", "x=m_ll.real"), ("x",)),
        (("--observable", "x=1", "--observable", "x=2"), ("twice",)),
        (("--observable", "x=log(y_ll)"), ("log(y_ll)", "no finite value")),
        (("--selection", "peak=m_ll"), ("peak",)),
        (("--constraint", "c=__import__('os')"), ("c",)),
        (("--executor", "ray:somewhere"), ("loky:n",)),
        (("--study", "none.toml"), ("none.toml",)),
    ],
)
def test_options_that_mean_nothing_are_refused(
    validate: Validate, truth: Path, same: Path, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    refused(validate(truth, same, "--permutations", 99, *options), *words)


@pytest.mark.parametrize("option", [("--permutations", "5"), ("--seed", "-1"), ("--eps", "1")])
def test_usage_errors_have_the_same_code(
    validate: Validate, truth: Path, option: tuple[str, str]
) -> None:
    assert validate(truth, truth, *option).code == 2


def test_a_file_is_no_folder_to_write_to(validate: Validate, truth: Path, tmp_path: Path) -> None:
    for place in ("file", "file/below"):
        (tmp_path / "file").touch()
        refused(validate(truth, truth, *SHORT, out=place), "--out", "which is a file")


def test_a_sample_that_is_not_named_is_refused(validate: Validate, truth: Path) -> None:
    refused(validate(truth), "GENERATED", "verisimile validate REFERENCE GENERATED")
    refused(validate(), "REFERENCE")


def test_all_faults_of_a_study_are_told_at_once(
    validate: Validate, truth: Path, same: Path, tmp_path: Path
) -> None:
    study = tmp_path / "faulty.toml"
    study.write_text(FAULTY, encoding="utf-8")
    words = (
        "7 faults",
        "tittle",
        "title",
        "level",
        "samples",
        "energi",
        "permutations",
        "observables",
        "auc",
    )
    refused(validate(truth, same, "--study", study), "faulty.toml", *words)


def signed_copy(path: Path, into: Path) -> Path:
    return change(path, into, lambda e: signed(e, np.random.default_rng(5)))


def test_nothing_compared_is_inconclusive(
    validate: Validate, truth: Path, same: Path, tmp_path: Path
) -> None:
    few = change(same, tmp_path / "few.parquet", lambda e: e.take(range(30)))
    outcome = validate(truth, few, "--tests", "classifier", *SHORT)
    assert outcome.code == 3, outcome
    assert "Nothing was compared." in outcome.out
    assert {case: outcome for case, outcome, _ in cases(outcome)} == {
        "all tests together": "error",
        "classifier": "skipped",
    }


def heavy(events: Events) -> Events:
    """Return the events with weights that leave twenty of them."""
    return Events(events.x, np.where(np.arange(events.n) < 20, 1.0, 1e-5), names=events.names)


def test_weights_worth_few_events_are_inconclusive(
    validate: Validate, truth: Path, same: Path, tmp_path: Path
) -> None:
    weighted = change(same, tmp_path / "w.parquet", heavy)
    study = tmp_path / "study.toml"
    study.write_text("[battery]\nphysics = false\nsupport = false\n", encoding="utf-8")
    options = ("--weights", "weight", "--study", study, "--tests", "max-ks,nplm", *SHORT)
    outcome = validate(truth, weighted, *options)
    assert outcome.code == 3, outcome
    assert "Nothing can be said: the weights of the generated sample leave 20" in outcome.out
    assert "effective events, and the null needs 30" in page(outcome)


def test_a_required_test_that_is_refused_is_inconclusive(
    validate: Validate, truth: Path, same: Path, tmp_path: Path
) -> None:
    few = change(same, tmp_path / "w.parquet", lambda e: e.take(range(30)))
    study = tmp_path / "study.toml"
    required = 'tests = ["max-ks", "classifier"]\nrequired = ["classifier"]'
    study.write_text(f"[battery]\n{required}\nphysics = false\n", encoding="utf-8")
    outcome = validate(truth, few, "--study", study, *SHORT)
    assert outcome.code == 3, outcome
    assert "required, but not made: classifier" in outcome.out
    assert outcome.result["line"] == "w: inconclusive"
    assert {name: result for name, result, _ in cases(outcome)} == {
        "all tests together": "error",
        "max-ks": "",
        "classifier": "error",
    }


def test_too_few_relabelings_are_inconclusive(
    validate: Validate, truth: Path, same: Path, quick: tuple[object, ...]
) -> None:
    options = (*quick, "--tests", "max-ks", "--permutations", 19)
    assert validate(truth, same, *options).code == 0
    outcome = validate(truth, same, *options, "--level", 0.01)
    assert outcome.code == 3, outcome
    assert "so few relabelings" in outcome.out


def numbers(outcome: Outcome) -> Any:  # noqa: ANN401
    """Return the result without what may differ: inputs, date, times, command."""
    result = outcome.result
    result["environment"].pop("written")
    for key in ("inputs", "timings", "command"):
        del result["content"][key]
    return result


def test_stopped_work_is_continued(
    validate: Validate, truth: Path, same: Path, quick: tuple[object, ...], tmp_path: Path
) -> None:
    options = (*quick, "--tests", "max-ks,energy,classifier", "--permutations", 999)
    folder = tmp_path / "out"
    command = ("validate", truth, same, *options, "--out", folder)
    code, out, err = stop_before("/energy/", command, signal.SIGINT, tmp_path / "sign")
    assert (code, out) == (4, ""), err
    assert err.startswith("stopped: finished so far")
    assert err.count("\n") == 1
    assert not (folder / "report.html").exists()
    kept = {path: path.read_bytes() for path in (folder / "run" / "segments").iterdir()}
    there = DirectoryStore(folder / "run").addresses()
    assert any("/max-ks/" in address for address in there)
    resumed = validate(truth, same, *options)
    assert resumed.code == 0, resumed
    # What is kept stays as it is, and the rest is appended elsewhere.
    assert {path: path.read_bytes() for path in kept} == kept
    assert len(DirectoryStore(folder / "run").addresses()) > len(there)
    assert numbers(resumed) == numbers(validate(truth, same, *options, out="other"))


FORMATS = ("parquet", "feather", "root:events", "h5:events", "fits", "npz", "csv")


@pytest.mark.calibration
def test_every_format_gives_the_same_numbers(
    validate: Validate, truth: Path, same: Path, tmp_path: Path
) -> None:
    study, found = tmp_path / "study.toml", {}
    tests = 'tests = ["energy", "interval-scan", "frechet"]'
    study.write_text(f"[battery]\n{tests}\nsensitivity = false\n", encoding="utf-8")
    for form in FORMATS:
        uris = []
        for path in (truth, same):
            events = read_events(path).take(np.arange(400)).select(("m_ll", "pt_ll"))
            weights = None if path is truth else np.linspace(0.5, 1.5, events.n)
            uris.append(tmp_path / f"{path.stem}.{form}")
            write_events(Events(events.x, weights, names=events.names), uris[-1])
        options = ("--weights", "weight", "--selection", "peak=abs(m_ll - 91) < 5", *SHORT)
        outcome = validate(*uris, "--study", study, *options, out=f"out-{form[:3]}")
        assert outcome.code == 0, outcome
        inputs = outcome.result["content"]["inputs"]
        assert [sample["source"] for sample in inputs] == [str(uri) for uri in uris]
        found[form] = numbers(outcome)
    assert found["parquet"]["content"]["validations"][0]["validation"]["physics"]
    for form in FORMATS[1:]:
        assert found[form] == found["parquet"], form


def test_a_memoriser_is_warned_about(
    validate: Validate, truth: Path, files: Path, quick: tuple[object, ...], tmp_path: Path
) -> None:
    train, own = files / "train.parquet", tmp_path / "own.parquet"
    change(train, own, lambda e: e.take(np.arange(N)[::-1]))
    outcome = validate(truth, own, "--train", train, *quick)
    assert outcome.code == 0, outcome
    summary = (outcome.folder / "summary.md").read_text(encoding="utf-8")
    for text in (outcome.err, page(outcome), summary):
        assert f"{N} of {N} events (100 %)" in text
        assert "it was trained on" in text
    study = tmp_path / "strict.toml"
    bound = '[thresholds]\n"overlap/train-generated" = { max = 0.01 }\n'
    study.write_text(QUICK + bound, encoding="utf-8")
    outcome = validate(truth, own, "--train", train, "--study", study)
    assert outcome.code == 1
    assert "threshold overlap/train-generated failed" in outcome.result["line"]


def test_signed_weights_pass_every_test(
    validate: Validate, truth: Path, same: Path, tmp_path: Path
) -> None:
    weighted = signed_copy(same, tmp_path / "w.parquet")
    study = tmp_path / "study.toml"
    study.write_text("[battery]\nsensitivity = false\nphysics = false\n", encoding="utf-8")
    outcome = validate(truth, weighted, "--weights", "weight", "--study", study, *SHORT)
    assert outcome.code == 0, outcome
    assert "no column 'weight' in the reference sample" in outcome.err
    assert [c for c in outcome.result["conclusions"] if not c["decisive"]] == []
    assert "No difference found by 12 tests." in outcome.out
    assert "99 multipliers" in page(outcome)
    assert "nplm (score of the logistic loss)" in page(outcome)
    assert "no support metrics" in page(outcome)


def test_exchanged_columns_are_warned_about(
    validate: Validate, truth: Path, same: Path, quick: tuple[object, ...], tmp_path: Path
) -> None:
    bare = change(truth, tmp_path / "a.csv", lambda e: Events(e.x[:, :2], names=("m", "pt")))
    swapped = change(same, tmp_path / "b.csv", lambda e: Events(e.x[:, 1::-1], names=("m", "pt")))
    outcome = validate(bare, swapped, *quick)
    assert outcome.code == 1, outcome
    assert any("'m' and 'pt' look exchanged" in note for note in warnings_of(outcome))


@pytest.mark.parametrize("both", [True, False])
def test_a_column_with_one_value_is_warned_about(
    validate: Validate,
    truth: Path,
    same: Path,
    quick: tuple[object, ...],
    tmp_path: Path,
    both: bool,
) -> None:
    def flagged(events: Events, values: np.ndarray[Any, Any]) -> Events:
        return Events(np.column_stack([events.x[:, :2], values]), names=("m", "pt", "flag"))

    varied = np.arange(N) % 7.0
    values = np.ones(N) if both else varied
    first = change(truth, tmp_path / "a.npz", lambda e: flagged(e, values))
    second = change(same, tmp_path / "b.npz", lambda e: flagged(e, np.ones(N)))
    outcome = validate(first, second, *SHORT, "--tests", "energy,frechet")
    assert outcome.code == (0 if both else 1), outcome
    where = "" if both else " in the generated sample"
    assert any(f"'flag' has one value only{where}" in note for note in warnings_of(outcome))


def warnings_of(outcome: Outcome) -> list[str]:
    return [
        *outcome.result["content"]["warnings"],
        *outcome.result["content"]["validations"][0]["validation"]["warnings"],
    ]


def page(outcome: Outcome) -> str:
    return (outcome.folder / "report.html").read_text(encoding="utf-8")


def cases(outcome: Outcome) -> list[tuple[str, str, str]]:
    """Return name, outcome and message of every test case, the totals checked."""
    root = ElementTree.parse(outcome.folder / "junit.xml").getroot()
    (suite,) = root.findall("testsuite")
    found = []
    for case in suite.findall("testcase"):
        assert len(case) <= 1
        tag, message = "", ""
        for told in case:
            tag, message = told.tag, told.get("message") or ""
        found.append((case.get("name") or "", tag, message))
    assert suite.get("tests") == str(len(found))
    for tag, total in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        assert suite.get(total) == str([result for _, result, _ in found].count(tag))
    return found


@pytest.fixture(scope="module")
def whole(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A failed validation with a part of everything, that tests read."""
    folder = tmp_path_factory.mktemp("whole")
    spoilt = DEFECTS["smeared"](read_events(files / "same.parquet"), np.random.default_rng(3))
    weighted = signed(spoilt, np.random.default_rng(4))
    write_events(weighted, folder / "x.parquet")
    (folder / "study.toml").write_text(
        'title = "A | B"\n[samples]\nfeatures = ["m_ll", "pt_ll"]\n'
        '[battery]\ntests = ["energy", "nplm", "interval-scan"]\n'
        'relabelings = 99\n[selections]\n"|y| < 1" = "abs(y_ll) < 1"\n'
        '[thresholds]\n"chi2/pt_ll" = { max = 20.0 }\nauc = { max = 0.6 }\n',
        encoding="utf-8",
    )
    words = (files / "truth.parquet", folder / "x.parquet", "--study", folder / "study.toml")
    options = ("--weights", "weight", "--executor", "serial", "--json", "--out", folder)
    result = CliRunner().invoke(app, ["validate", *map(str, (*words, *options))])
    return Outcome(result.exit_code, result.stdout, result.stderr, folder)


def test_json_prints_one_object(whole: Outcome) -> None:
    assert whole.code == 1, whole
    assert whole.json["schema"] == "verisimile.validation-summary/1"
    assert whole.json["verdict"] == whole.result["verdict"] == "failed"
    assert whole.json["conclusions"] == whole.result["conclusions"]
    assert whole.json["report"] == str(whole.folder / "report.html")


def test_result_is_strict_json_that_names_its_schemas(whole: Outcome) -> None:
    def refuse(constant: str) -> float:
        raise AssertionError(constant)

    text = (whole.folder / "result.json").read_text(encoding="utf-8")
    result = json.loads(text, parse_constant=refuse)
    validation = result["content"]["validations"][0]["validation"]
    assert result["schema"] == "verisimile.report/1"
    assert validation["schema"] == "verisimile.validation/1"
    assert validation["physics"]["schema"] == "verisimile.physics/1"
    assert read_report(whole.folder / "result.json").verdict == "failed"


def test_junit_has_one_case_per_test(whole: Outcome) -> None:
    found = cases(whole)
    results = {name: result for name, result, _ in found}
    # Signed weights have a null of their own: whatever is found, the tests are made.
    made = {name: results[name] for name in ("energy", "nplm", "interval-scan")}
    assert set(made.values()) <= {"", "failure"}
    assert results == {
        **made,
        "all tests together": "failure",
        "selection |y| < 1": "",
        "threshold chi2/pt_ll": "",
        "threshold auc": "error",
    }
    assert len(found) == len(results)
    assert all(message for _, result, message in found if result)


def test_summary_has_valid_tables(whole: Outcome) -> None:
    lines = (whole.folder / "summary.md").read_text(encoding="utf-8").splitlines()
    assert lines[0] == r"# A \| B"
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + 7
    assert {cells(row) for row in rows} == {8}
    assert set(rows[1]) == set("| -")
    assert any(r"\|y\| \< 1" in row for row in rows)


def cells(row: str) -> int:
    return row.replace(r"\|", "").count("|") - 1


def test_a_dry_run_plans_and_writes_no_report(
    validate: Validate, truth: Path, same: Path, quick: tuple[object, ...]
) -> None:
    outcome = validate(truth, same, *quick, "--dry-run", "--json")
    assert outcome.code == 0, outcome
    assert outcome.json["schema"] == "verisimile.plan/1"
    stages = [stage["name"] for stage in outcome.json["stages"]]
    assert stages == ["energy", "max-ks", "interval-scan"]
    assert not outcome.folder.exists()
    assert "energy" in validate(truth, same, *quick, "--dry-run").out
    study = outcome.folder.with_suffix(".toml")
    study.write_text("[battery]\nphysics = false\nsupport = false\n", encoding="utf-8")
    few = ("--study", study, "--tests", "mmd,max-ks,classifier", *SHORT)
    validate(truth, same, *few)
    again = validate(truth, same, *few, "--dry-run", "--json").json
    planned = [(stage["tasks"], stage["records"]) for stage in again["stages"]]
    # The last stage, of visible effects, is made again each time.
    assert planned == [(1, 1), (1, 1), (6, 6), (1, 0)]
    refused(validate(truth, "none.csv", *quick, "--dry-run", out="x"), "no such file")


def test_a_dry_run_notices_mixed_up_units(
    validate: Validate, truth: Path, tmp_path: Path, quick: tuple[object, ...]
) -> None:
    events = read_events(truth)
    x = events.x.copy()
    x[:, 0] *= 1000.0
    write_events(Events(x, names=events.names), tmp_path / "mev.parquet")
    for dry in ((), ("--dry-run",)):
        refused(validate(truth, tmp_path / "mev.parquet", *quick, *dry, out=f"u{len(dry)}"), "unit")


def test_options_go_before_the_study(
    validate: Validate, truth: Path, same: Path, tmp_path: Path
) -> None:
    path = tmp_path / "study.toml"
    path.write_text(
        'level = 0.01\nseed = 5\n[samples]\nreference = "none.csv"\nfeatures = ["y_ll"]\n'
        '[battery]\ntests = ["energy"]\npermutations = 99\nsensitivity = false\n'
        '[selections]\nkept = "y_ll > 0"\nreplaced = "y_ll > 1"\n',
        encoding="utf-8",
    )
    options = ("--study", path, "--level", 0.2, "--seed", 7, "--features", "m_ll,pt_ll")
    more = ("--tests", "max-ks", "--permutations", 49, "--selection", "replaced=m_ll > 91")
    outcome = validate(truth, same, *options, *more, "--executor", "serial")
    assert outcome.code in (0, 1), outcome
    content = outcome.result["content"]
    tests = content["validations"][0]["validation"]["tests"]
    assert [test["name"] for test in tests] == ["max-ks", "selection kept", "selection replaced"]
    assert tests[0]["p_value"]["n_null"] == 49
    assert (content["level"], outcome.result["environment"]["seeds"]) == (0.2, "7:")
    physics = content["validations"][0]["validation"]["physics"]
    assert [pair["feature"]["name"] for pair in physics["marginals"]] == ["m_ll", "pt_ll"]
    conditions = [selection["condition"] for selection in physics["selections"]]
    assert conditions == ["y_ll > 0", "m_ll > 91"]


STUDY: Mapping[str, str] = {
    "toml": """\
title = "Nightly"
functions = "own.py"
[samples]
reference = "data/truth.csv"
generated = "data/same.csv"
train = "data/train.csv"
features = ["m_ll"]
cut = "m_ll > 70"
[battery]
tests = ["max-ks", "cramer-von-mises"]
permutations = 99
sensitivity = false
[observables]
log_pt = "log(pt_ll)"
[constraints]
central = "abs(y_ll) < 2.5"
[thresholds]
"chi2/m_ll" = { max = 5 }
""",
    "yaml": """\
title: Nightly
functions: own.py
samples: {reference: data/truth.csv, generated: data/same.csv, train: data/train.csv,
          features: [m_ll], cut: m_ll > 70}
battery:
  tests: [max-ks, cramer-von-mises]
  relabelings: 99
  sensitivity: false
observables: {log_pt: log(pt_ll)}
constraints: {central: abs(y_ll) < 2.5}
thresholds:
  chi2/m_ll: {max: 5}
""",
}


def test_toml_and_yaml_say_the_same_relative_to_their_folder(
    validate: Validate, files: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "studies"
    (folder / "data").mkdir(parents=True)
    for name in ("truth", "same", "train"):
        change(files / f"{name}.parquet", folder / "data" / f"{name}.csv", lambda e: e)
    own = "def transverse_mass(m_ll, pt_ll):\n    return (m_ll**2 + pt_ll**2) ** 0.5\n"
    (folder / "own.py").write_text(own, encoding="utf-8")
    found = {}
    for form, text in STUDY.items():
        study = folder / f"study.{form}"
        study.write_text(text, encoding="utf-8")
        found[form] = validate("--study", study, "--executor", "serial", out=form)
        assert found[form].code == 0, found[form]
    assert numbers(found["toml"]) == numbers(found["yaml"])
    assert [sample["role"] for sample in found["yaml"].result["content"]["inputs"]] == [
        "reference",
        "generated",
        "train",
    ]
    assert "transverse_mass" in page(found["toml"])
    assert "How to make it again" in page(found["toml"])
