"""Places are looked at before any work, and nothing is written there."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from verisimile.app.preflight import check_folder, existing
from verisimile.core.errors import InputError, StoreError

Usage = namedtuple("Usage", "total used free")


def test_a_folder_need_not_exist(tmp_path: Path) -> None:
    check_folder(tmp_path / "a" / "b")
    assert existing(tmp_path / "a" / "b") == tmp_path
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_file_is_no_folder(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"--report: got .*file, which is a file"):
        check_folder(tmp_path / place, "--report")


def test_a_place_of_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match="where nothing may be written"):
        check_folder(tmp_path)


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9 - 10**6, 10**6))
    with pytest.raises(StoreError, match=r"0\.954 MiB left .*expected 50 MiB or more"):
        check_folder(tmp_path / "new")
