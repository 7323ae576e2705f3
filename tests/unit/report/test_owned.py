"""A report replaces reports, and nothing of anybody else unless it is told to."""

from __future__ import annotations

from pathlib import Path

import pytest

from report_values import make_content
from verisimile.app.preflight import check_report
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.report.owned import NAMES, check_own
from verisimile.report.write import write_report

RUN = Run(Seeds(7))
FIGURE = "figures/training.pdf"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(RUN, make_content(), tmp_path_factory.mktemp("whole")).parent


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_report_is_replaced_by_a_report(whole: Path) -> None:
    check_report(whole, force=False)
    check_own(whole, files(whole), force=False)
    names = set(files(whole))
    write_report(RUN, make_content(), whole)
    assert set(files(whole)) == names


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *((name, b"mine") for name in [*NAMES, FIGURE]),
        *(("report.html", text) for text in (b"", b'{"schema": "verisimile.fit/1"}', b"%PDF-1.4")),
        *(("result.json", text) for text in (b"", b'{"schema": "verisimile.fit/1"}')),
        (FIGURE, b"%PDF-1.4"),
    ],
)
def test_what_is_somebody_elses_stays(tmp_path: Path, name: str, text: bytes) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(text)
    with pytest.raises(InputError, match=r"has not written.* force=True \(--force\)") as told:
        write_report(RUN, make_content(), tmp_path)
    assert str(tmp_path / name) in str(told.value)
    assert files(tmp_path) == {name: text}
    page = write_report(RUN, make_content(), tmp_path, force=True)
    assert len(files(page.parent)) == 9
    check_own(tmp_path, [name], force=False)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_known_before_any_work(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=f"{name}: got a file that verisimile has not written"):
        check_report(tmp_path, force=False)
    check_report(tmp_path, force=True)


@pytest.mark.parametrize("name", [*NAMES, FIGURE])
@pytest.mark.parametrize("force", [False, True])
def test_a_folder_is_never_replaced(tmp_path: Path, name: str, force: bool) -> None:
    (tmp_path / name).mkdir(parents=True)
    with pytest.raises(InputError, match="got a folder"):
        write_report(RUN, make_content(), tmp_path, force=force)


def test_figures_need_a_folder(tmp_path: Path) -> None:
    (tmp_path / "figures").touch()
    with pytest.raises(InputError, match="figures, which is a file"):
        check_report(tmp_path, force=True)


def test_a_link_to_nowhere_is_somebodys(tmp_path: Path) -> None:
    (tmp_path / "report.html").symlink_to(tmp_path / "none")
    with pytest.raises(InputError, match="has not written"):
        check_report(tmp_path, force=False)


def test_a_quotation_of_a_report_is_none(whole: Path, tmp_path: Path) -> None:
    for name in ("result.json", "summary.md", "junit.xml"):
        quoted = b"my notes on " + (whole / name).read_bytes() + b"\nmore of mine"
        (tmp_path / name).write_bytes(quoted)
        with pytest.raises(InputError, match="has not written"):
            check_own(tmp_path, [name], force=False)
