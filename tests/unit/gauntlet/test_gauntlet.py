from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

import gauntlet.codes as codes
import gauntlet.runner as runner
from gauntlet.__main__ import main
from gauntlet.claims import Interval, P, Refused, known, p_or_refused
from gauntlet.codes import codes_of
from gauntlet.registry import Bench, all_benches, bench
from gauntlet.runner import ALL, Plan, run_cells, shares
from gauntlet.table import BEGIN, END, Report, put_into, report
from gauntlet.verdicts import Tally, judged, threshold
from toy_benches import BENCHES, Simple, cell
from verisimile.core.random import Seeds
from verisimile.core.run import Run

ENOUGH = Plan(seconds=1e6)


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = all_benches()

    def benches() -> Mapping[str, Bench]:
        return {**genuine, **BENCHES}

    monkeypatch.setattr(runner, "all_benches", benches)


def _report(seeds: Seeds, *names: str, folder: Path | None = None) -> Report:
    work = [cell(name) for name in names]
    return report(work, run_cells(Run(seeds, store=folder), work, ENOUGH))


def _states(found: Report) -> dict[str, str]:
    return {row.subject: row.state for row in found.rows}


def test_right_claims_are_inside_and_wrong_ones_outside(seeds: Seeds) -> None:
    found = _report(seeds, "right", "wrong")
    assert _states(found) == {
        "p": "inside",
        "interval": "inside",
        "squared p": "outside",
        "narrow": "outside",
    }
    assert len(found.faults()) == 2


def test_the_twin_of_a_right_claim_is_found(seeds: Seeds) -> None:
    # A p-value uniform on [0, 1] rejects at 32 % in 64 % when halved.
    found = _report(seeds, "right")
    assert not found.faults()
    assert all(row.twin_found for row in found.rows)


def test_a_refusal_in_an_ordinary_case_is_a_fault_unless_it_is_excused(seeds: Seeds) -> None:
    # An error of the package refuses every subject, and is not what excuses the second one.
    found = _report(seeds, "refusing")
    assert _states(found) == {"sometimes": "hidden", "never": "hidden"}
    reasons = {row.subject: row.tally.reasons for row in found.rows}
    assert reasons["sometimes"] is not None
    assert "events: expected more" in reasons["sometimes"]
    never = next(row for row in found.rows if row.subject == "never")
    excused = Tally(experiments=100, refused=100, reasons={"there is no law": 100})
    assert judged(never.cell, "never", excused, 1e-3, 0.0).state == "refused"


def test_an_error_that_is_no_refusal_is_a_fault(seeds: Seeds) -> None:
    found = _report(seeds, "breaking")
    assert _states(found) == {ALL: "broken"}
    assert "argument that does not exist" in found.faults()[0]


def test_finished_work_is_not_done_again(
    seeds: Seeds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _report(seeds, "right", folder=tmp_path)

    def none(*_: object) -> None:
        raise AssertionError("done again")

    monkeypatch.setattr(runner, "_row", none)
    again = _report(seeds, "right", folder=tmp_path)
    assert again.to_dict() == first.to_dict()


def test_other_code_is_run_anew(
    seeds: Seeds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _report(seeds, "breaking", folder=tmp_path)
    monkeypatch.setattr(runner, "code_digest", lambda: "another")
    monkeypatch.setitem(BENCHES, "breaking", BENCHES["right"])
    work = [cell("breaking")]
    (found,) = run_cells(Run(seeds, store=tmp_path), work, ENOUGH)
    assert not found.broken


def test_only_named_cells_are_run_anew_on_demand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = [cell("right"), cell("breaking")]
    (first, _) = codes_of(tmp_path, work, None)
    monkeypatch.setattr(codes, "code_digest", lambda: "another")
    assert codes_of(tmp_path, work, [f"{work[1].address[:5]}*"]) == [first, "another"]
    assert codes_of(tmp_path, work[:1], ["nothing"]) == [first]
    assert codes_of(tmp_path, work, ["nothing"]) == [first, "another"]
    assert codes_of(tmp_path, work, None) == ["another", "another"]


def test_time_is_shared_so_that_cheap_cells_get_all() -> None:
    want, each = np.array([100, 100, 100]), np.array([0.01, 1.0, 2.0])
    assert shares(want, each, 1000.0).tolist() == [100, 100, 100]
    assert shares(want, each, 101.0).tolist() == [100, 50, 25]
    assert shares(want, each, 0.0).tolist() == [0, 0, 0]


def test_limits_of_the_verdict() -> None:
    # 400 experiments at 5 %: P(Bin >= 34) = 0.0024, P(Bin >= 39) < 1e-4.
    limit = threshold([Tally(claims=(400, 400))] * 25)
    assert limit == pytest.approx(0.001)
    for misses, state in ((34, "inside"), (39, "outside")):
        tally = Tally(400, (400, 0), (misses, 0))
        assert judged(cell("right"), "p", tally, limit, 0.0).state == state


def test_claims_know_when_they_miss() -> None:
    assert P(0.05).misses() == (True, True)
    assert P(0.06).misses() == (False, True)
    assert P(0.06).twin_misses() == (True, True)
    stated = Interval(1.0, {0.05: (0.0, 1.5)})
    assert stated.misses() == (False, None)
    assert stated.twin_misses() == (False, None)
    assert Interval(1.4, {0.05: (0.0, 1.5)}).twin_misses() == (True, None)
    assert Interval(1.0, {0.05: (math.nan, math.nan)}).misses() == (True, None)
    assert isinstance(known(1.0, math.nan, 0.0), Refused)
    assert isinstance(p_or_refused(math.nan), Refused)


def test_a_bench_has_settings_of_its_own() -> None:
    with pytest.raises(ValueError, match="same label"):
        bench("twice", (Simple(), Simple()))(BENCHES["right"].experiment)


def test_the_page_keeps_what_is_outside_the_markers(seeds: Seeds, tmp_path: Path) -> None:
    found = _report(seeds, "right", "refusing")
    page = tmp_path / "page.md"
    page.write_text(f"# Title\n\n{BEGIN}\nold\n{END}\n\nEnd\n")
    put_into(page, found.to_markdown())
    text = page.read_text()
    assert text.startswith("# Title")
    assert text.endswith("\n\nEnd\n")
    assert "old" not in text
    assert "| plain |" in text
    json.dumps(found.to_dict(), allow_nan=False)
    page.write_text("no place for it")
    with pytest.raises(ValueError, match="no markers"):
        put_into(page, "")


def test_the_command_writes_its_table_and_succeeds(tmp_path: Path) -> None:
    words = ["--quick", "--only", "counts", "--workers", "1", "--folder", str(tmp_path)]
    assert main(words) == 0
    found = json.loads((tmp_path / "table.json").read_text())
    assert {row["state"] for row in found["rows"]} == {"inside"}
    assert "Clopper-Pearson" in (tmp_path / "table.md").read_text()
