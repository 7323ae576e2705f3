"""Passports: they hold for the same values in any file, and for no other values or texts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import verisimile as vs
from amplification_values import make_point, make_study
from verisimile.app.cli import app
from verisimile.app.passports import PassportPlan, passport_plan
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.data.files import write_events
from verisimile.data.fingerprint import differences, fingerprint
from verisimile.report.content import InputSample, NamedAmplification, ReportInput
from verisimile.report.document import document, dump
from verisimile.report.passport import (
    Passport,
    ReadAs,
    make_passport,
    own_digest,
    place_beside,
    read_passport,
    write_passport,
)
from verisimile.report.passport_check import CHANGED, check_passport
from verisimile.validation.study import Battery, Study, Threshold
from verisimile.validation.validate import validate

N = 300
FEATURES = (Feature("m", unit="GeV"), Feature("pt"))
QUICK = Study(
    battery=Battery(tests=("max-ks", "interval-scan"), permutations=99, support=False),
    thresholds={"separation/pt": Threshold(max=0.5)},
)
STUDY = make_study([make_point(10, 0.2, 0.05)])


def sample(seed: int, shift: float = 0.0, *, weighted: bool = False) -> Events:
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.normal(shift, 1.0, N), rng.exponential(size=N)])
    weights = rng.uniform(0.5, 1.5, N) if weighted else None
    return Events(x, weights, features=FEATURES, group=np.arange(N) // 2 if weighted else None)


@pytest.fixture(scope="module")
def passport() -> Passport:
    run = vs.Run(vs.Seeds(1))
    found = validate(run, sample(1), sample(2, 1.0), study=QUICK)
    return make_passport(run, [found, STUDY], sample(2, 1.0), sample(1), name="fast")


@pytest.fixture
def folder(passport: Passport, tmp_path: Path) -> Path:
    write_events(sample(2, 1.0), tmp_path / "z.parquet")
    write_passport(passport, tmp_path / "z.parquet.passport.json")
    return tmp_path


def edited(folder: Path, change: Mapping[str, Any], *, signed: bool = False) -> Path:
    data = json.loads((folder / "z.parquet.passport.json").read_text(encoding="utf-8")) | change
    if signed:
        data["digest"] = own_digest(data)
    file = folder / "edited.json"
    file.write_text(json.dumps(data), encoding="utf-8")
    return file


def test_it_says_what_was_found(passport: Passport) -> None:
    assert passport.verdict == "failed"
    assert passport.units == {"m": "GeV", "pt": ""}
    by_question = {each.question: each for each in passport.answers}
    whole, limit = by_question["all tests together"], by_question["threshold separation/pt"]
    assert whole.p_value is not None
    assert (whole.p_value.value, whole.z, whole.adjusted) == (0.01, "> 2.32", None)
    assert by_question["max-ks"].adjusted == pytest.approx(0.02)
    assert (limit.verdict, limit.p_value) == ("passed", None)
    assert passport.reference == fingerprint(sample(1)).digest
    m = passport.tested[0]
    truth, fast = sample(1)["m"], sample(2, 1.0)["m"]
    assert (m.low, m.high) == (truth.min(), truth.max())
    assert m.outside == ((fast < m.low) | (fast > m.high)).sum() > 0
    assert {each.feature for each in passport.failing} == {"m"}
    assert {each.effect for each in passport.visible} <= {"shift", "local"}
    gains = {(each.measure, each.low, each.high) for each in passport.amplification}
    expected = {(each.measure, *each.gain_interval(0.95)) for each in STUDY.measures}
    assert gains == expected


@pytest.mark.parametrize("suffix", ["csv", "npz", "h5:events", "feather", "root"])
def test_the_same_values_are_the_same_in_every_format(folder: Path, suffix: str) -> None:
    file = folder / f"other.{suffix}"
    shown = sample(2, 1.0).select(["pt", "m"])  # the order of columns does not count
    write_events(shown, file)
    if suffix == "root":
        file = Path(f"{file}:events")
    assert check_passport(str(file), folder / "z.parquet.passport.json").holds


def test_it_lies_beside_its_sample_and_comes_back_whole(folder: Path, passport: Passport) -> None:
    check = check_passport(folder / "z.parquet")
    assert check.holds
    assert check.passport == passport == read_passport(place_beside(folder / "z.parquet"))
    assert len((folder / "z.parquet.passport.json").read_bytes()) < 20_000


def test_negative_zeros_are_zeros_and_nothing_else_is_rounded() -> None:
    x = np.array([[0.0], [1.0], [2.0]])
    assert fingerprint(Events(x)) == fingerprint(Events(np.array([[-0.0], [1.0], [2.0]])))
    near = np.nextafter(x, 9.0)
    assert list(differences(fingerprint(Events(x)), fingerprint(Events(near))))


def _changed(name: str) -> Events:
    events = sample(2, 1.0)
    x = events.x.copy()
    if name == "value":
        x[150, 1] = np.nextafter(x[150, 1], 9.0)
    elif name == "row":
        x[7] = x[8]
    elif name == "order":
        x[[3, 4]] = x[[4, 3]]
    elif name == "columns":
        x = x[:, ::-1]
    elif name == "short":
        x = x[:-1]
    return Events(x, features=FEATURES)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("value", "column pt: other values, in rows 151 to 154 of 300"),
        ("row", "columns m, pt: other values, in rows 5 to 9 of 300"),
        ("order", "the same rows in another order"),
        ("columns", "columns m, pt: other values, in rows 1 to 300 of 300"),
        ("short", "299 events instead of 300"),
    ],
)
def test_whatever_changes_the_sample_is_told(folder: Path, name: str, said: str) -> None:
    write_events(_changed(name), folder / "z.parquet")
    check = check_passport(folder / "z.parquet")
    assert not check.holds
    assert check.differences == (said,)
    assert check_passport(_changed(name), folder / "z.parquet.passport.json").differences == (said,)


def test_columns_and_units(folder: Path) -> None:
    place, events = folder / "z.parquet.passport.json", sample(2, 1.0)
    more = events.join({"eta": np.arange(N) * 1.0})
    write_events(more, folder / "z.parquet")
    check = check_passport(folder / "z.parquet")
    assert check.holds
    assert check.notes == ("the passport says nothing about eta",)
    assert check_passport(more, place).notes == check.notes
    write_events(events.select(["m"]), folder / "z.parquet")
    assert check_passport(folder / "z.parquet").differences == ("column pt: missing",)
    assert check_passport(events.select(["m"]), place).differences == ("column pt: missing",)
    other = events.with_features([Feature("m", unit="MeV"), Feature("pt")])
    assert check_passport(other, place).differences == ("column m: in MeV instead of GeV",)


def test_a_value_that_is_lost_is_a_difference_and_no_riddle(folder: Path) -> None:
    columns: Any = sample(2, 1.0).to_dict()
    columns["pt"][3] = np.nan
    np.savez(folder / "z.npz", **columns)
    (said,) = check_passport(folder / "z.npz", folder / "z.parquet.passport.json").differences
    assert said.startswith("it can no longer be read")
    assert "pt" in said


def test_weights_and_groups_count(tmp_path: Path) -> None:
    run, events = vs.Run(vs.Seeds(1)), sample(2, weighted=True)
    few = Study(battery=Battery(tests=("max-ks",), permutations=19, support=False, physics=False))
    found = validate(run, sample(1), events, study=few)
    recipe = ReadAs(weights="weight", group="group")
    write_passport(make_passport(run, found, events, sample(1), recipe=recipe), tmp_path / "p.json")
    write_events(events, tmp_path / "w.csv")
    assert check_passport(tmp_path / "w.csv", tmp_path / "p.json").holds
    assert events.weights is not None
    heavier = events.weights.copy()
    heavier[0] *= 2.0
    for other, said in (
        (Events(events.x, heavier, features=FEATURES, group=events.group), "weights: others"),
        (Events(events.x, events.weights, features=FEATURES), "groups: missing"),
        (Events(events, group=np.arange(N) // 3), "groups: others"),
    ):
        assert check_passport(other, tmp_path / "p.json").differences == (said,)
    plain = check_passport(Events(events.x, features=FEATURES), tmp_path / "p.json").differences
    assert plain == ("weights: missing", "groups: missing")


@pytest.mark.parametrize(
    "change", [{"verdict": "passed"}, {"level": 0.5}, {"digest": "0" * 64}, {"name": "slow"}]
)
def test_an_edited_passport_does_not_hold(folder: Path, change: Mapping[str, Any]) -> None:
    file = edited(folder, change)
    assert check_passport(folder / "z.parquet", file).differences == (CHANGED,)
    with pytest.raises(vs.StoreError, match="changed or damaged"):
        read_passport(file)


def test_a_forged_passport_holds_as_the_page_says(folder: Path) -> None:
    """Digests are no signature: anybody can compute them again."""
    forged = edited(folder, {"verdict": "passed"}, signed=True)
    assert check_passport(folder / "z.parquet", forged).holds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ('{"schema": "verisimile.passport/1", "name": ', "not JSON"),
        ("[1, 2]", "a JSON list"),
        ("{}", "the schema 'None'"),
        ('{"schema": "verisimile.report/1"}', "the schema 'verisimile.report/1'"),
        ('{"schema": "verisimile.passport/99", "digest": "?"}', "of a newer version"),
        ('{"schema": "verisimile.passport/1", "verdict": {}}', "Passport|passport|z.parquet"),
        ("[" * 100 + "]" * 100, "100 levels"),
        (" " * (2**22 + 1), "at most 4 MiB"),
    ],
)
def test_hostile_passports_are_bad_input(folder: Path, text: str, said: str) -> None:
    file = folder / "hostile.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(vs.StoreError, match=said):
        check_passport(folder / "z.parquet", file)


def test_a_digest_that_is_not_that_of_its_parts_is_refused(
    folder: Path, passport: Passport
) -> None:
    data: Any = passport.to_dict()
    data["sample"] = data["sample"] | {"digest": "0" * 64}
    with pytest.raises(vs.StoreError, match=r"Fingerprint\.digest"):
        check_passport(folder / "z.parquet", edited(folder, data, signed=True))


def test_what_cannot_have_a_passport_is_refused(passport: Passport, tmp_path: Path) -> None:
    run = vs.Run(vs.Seeds(1))
    found = validate(run, sample(1), sample(2, 1.0), study=QUICK)
    with pytest.raises(vs.InputError, match="0 validations"):
        make_passport(run, [STUDY], sample(2), sample(1))
    with pytest.raises(vs.InputError, match="a validation of 300 and 300 events"):
        make_passport(run, found, sample(2).take(np.arange(9)), sample(1))
    with pytest.raises(vs.InputError, match="pattern"):
        place_beside("run_*.parquet")
    with pytest.raises(vs.InputError, match="its file"):
        check_passport(sample(2))
    (tmp_path / "mine.json").write_text("{}", encoding="utf-8")
    with pytest.raises(vs.InputError, match="has not written"):
        write_passport(passport, tmp_path / "mine.json")
    write_passport(passport, tmp_path / "mine.json", force=True)
    write_passport(replace(passport, name="again"), tmp_path / "mine.json")
    assert read_passport(tmp_path / "mine.json").name == "again"


def test_the_report_of_an_amplification_is_quoted_for_its_own_events_only(tmp_path: Path) -> None:
    run, events = vs.Run(vs.Seeds(1)), sample(2, 1.0)
    seen = InputSample.of("generated", "z.parquet", events.select(["pt", "m"]))
    content = ReportInput(amplifications=(NamedAmplification("z", STUDY),), inputs=(seen,))
    (tmp_path / "result.json").write_text(dump(document(run, content)), encoding="utf-8")
    study = Study.model_validate({"samples": {"generated": str(tmp_path / "z.parquet")}})

    def plan(generated: Events) -> PassportPlan | None:
        return passport_plan(
            study, generated, wanted=True, file=None, amplification=tmp_path, force=False
        )

    found = plan(events)
    assert found is not None
    assert found.place == tmp_path / "z.parquet.passport.json"
    assert [each.study.n_train for each in found.amplifications] == [STUDY.n_train]
    with pytest.raises(vs.InputError, match="a report on other events"):
        plan(sample(3))


def test_the_commands(tmp_path: Path) -> None:
    def said(*words: object) -> tuple[int, str, str]:
        result = CliRunner().invoke(app, [str(word) for word in words])
        return result.exit_code, result.stdout, result.stderr

    truth, fast = tmp_path / "truth.csv", tmp_path / "fast.csv"
    write_events(sample(1), truth)
    write_events(sample(2, 1.0), fast)
    (tmp_path / "quick.toml").write_text(
        "[battery]\ntests = ['max-ks']\npermutations = 99\n"
        "sensitivity = false\nsupport = false\nphysics = false\n",
        encoding="utf-8",
    )
    command = ("validate", truth, fast, "--study", tmp_path / "quick.toml")
    common = ("--cut", "m > 0", "--passport", "--executor", "serial", "--out", tmp_path / "out")
    code, out, err = said(*command, *common)
    assert code == 1, err
    assert f"Passport: {fast}.passport.json" in out
    code, out, _ = said("check-passport", fast)
    assert code == 0
    assert "holds" in out
    assert "NOT COMPATIBLE at level 0.05" in out
    assert "Amplification: not measured." in out
    lines = fast.read_text(encoding="utf-8").splitlines()
    fast.write_text("\n".join([*lines[:-1], lines[1]]) + "\n", encoding="utf-8")
    code, out, _ = said("check-passport", fast, "--json")
    found = json.loads(out)
    assert (code, found["holds"], found["verdict"]) == (1, False, "failed")
    assert said("check-passport", truth)[0] == 2  # there is none beside it
    code, _, err = said(*command, "--amplification", tmp_path / "out", "--dry-run")
    assert (code, "no passport to quote it" in err) == (2, True)
    code, _, err = said(*command, *common, "--amplification", tmp_path / "out", "--dry-run")
    assert (code, "without an amplification" in err) == (2, True)
