"""Random streams by test name, and a guard on process-wide state."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import pytest

from global_state import differences, snapshot
from verisimile.core.random import Seeds


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--seed-offset",
        type=int,
        default=0,
        help="Other random streams for every test, to show that the fixed ones are not lucky.",
    )


@pytest.fixture
def seeds(request: pytest.FixtureRequest) -> Seeds:
    """Random streams that depend on the test's id and on --seed-offset alone."""
    digest = hashlib.sha256(request.node.nodeid.encode()).digest()
    return Seeds(int.from_bytes(digest[:8]) + request.config.getoption("--seed-offset"))


@pytest.fixture
def rng(seeds: Seeds) -> np.random.Generator:
    """One generator of this test's own stream."""
    return seeds.numpy()


@pytest.fixture(autouse=True)
def guard_global_state() -> Iterator[None]:
    """Fail a test that leaves process-wide state changed; never reset it silently."""
    before = snapshot()
    yield
    changed = differences(before, snapshot())
    if changed:
        pytest.fail(f"the test left global state changed: {', '.join(changed)}", pytrace=False)
