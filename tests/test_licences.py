"""Every package that is run with is on the page of licences, and its terms are accepted ones."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "licences.md").read_text()
ROWS = {
    name: line for line in PAGE.splitlines() for name in re.findall(r"^\| ([a-z0-9-]+) \|", line)
}


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "make_licences.py"))


class Stranger:
    """A package whose metadata say what a test wants."""

    name = "stranger"

    def __init__(self, **said: str) -> None:
        self.metadata = Message()
        for key, value in said.items():
            self.metadata[key.replace("_", "-")] = value


def test_every_package_is_on_the_page(made: dict[str, Any]) -> None:
    packages = made["closure"]()
    assert {"torch", "nflows", "distributed", "numpy", "mpmath"} <= set(packages)
    assert set(packages) - set(ROWS) == set()


def test_no_licence_is_outside_the_list(made: dict[str, Any]) -> None:
    for name, package in made["closure"]().items():
        if package.found is None:
            # Only what nothing imports may be absent.
            assert name in made["UNUSED"]
            continue
        terms = made["licence"](package.found)
        assert not made["refused"](name, terms), (name, terms)
    for name, terms in made["UNUSED"].items():
        assert not made["refused"](name, terms)
        assert f"| {terms} |" in ROWS[name]


@pytest.mark.parametrize(
    ("said", "terms"),
    [
        (
            {"License_Expression": "MIT AND (GPL-3.0-or-later OR BSD-3-Clause)"},
            {"GPL-3.0-or-later"},
        ),
        ({"License": "Free for academic use\nand more"}, {"Free for academic use"}),
        ({"License_Expression": "LGPL-2.1-or-later"}, {"LGPL-2.1-or-later"}),
        ({}, {""}),
        ({"License": "Apache 2.0"}, set()),
        ({"License": "see file", "Classifier": "License :: OSI Approved :: MIT License"}, set()),
    ],
)
def test_other_terms_are_refused(
    made: dict[str, Any], said: dict[str, str], terms: set[str]
) -> None:
    assert made["refused"]("stranger", made["licence"](Stranger(**said))) == terms


def test_lock_has_what_is_imported_and_nothing_unused(made: dict[str, Any]) -> None:
    lock = (ROOT / "requirements.lock").read_text()
    pins = set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))
    assert not pins & set(made["UNUSED"])
    # torch comes from the index that the user chooses.
    assert set(made["closure"]()) - set(made["UNUSED"]) - pins == {"torch"}


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-tools.lock"])
def test_locks_have_hashes_and_the_versions_of_the_constraints(name: str) -> None:
    def spelled(package: str) -> str:
        return re.sub(r"[-_.]+", "-", package).lower()

    pinned = {
        spelled(package): version
        for package, version in re.findall(
            r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE
        )
    }
    found = re.split(r"^(?=[a-z0-9])", (ROOT / name).read_text(), flags=re.MULTILINE)[1:]
    assert len(found) > 50
    for entry in found:
        pin = re.match(r"([\w.-]+)==(\S+)", entry)
        assert pin is not None
        # Packages of other systems alone are in no list that was made on Linux.
        assert pinned.get(spelled(pin[1]), pin[2]) == pin[2], pin[0]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), pin[0]


def test_densities_work_without_what_nflows_asks_for_in_vain(made: dict[str, Any]) -> None:
    blocked = ["tensorboard", "grpc", "google.protobuf", "werkzeug", "markdown", "absl"]
    code = f"""
import sys
for name in {blocked}:
    sys.modules[name] = None
try:
    import tensorboard
except ImportError:
    pass
else:
    raise SystemExit("not blocked")
import numpy as np
import verisimile as vs
import verisimile.density.flows.nflows
x = vs.Events(np.random.default_rng(1).normal(size=(300, 2)))
trainer = vs.SplineFlowTrainer(epochs=1, layers=1)
flow = trainer.fit(x[:200], x[200:], vs.Seeds(1)).model
assert np.isfinite(flow.log_prob(x.x)).all()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
