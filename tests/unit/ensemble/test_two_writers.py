"""Two processes that train in one empty folder, begun at once."""

from __future__ import annotations

from pathlib import Path

from store_processes import Process, segments_of
from verisimile.core.lease import FOLDER
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.ensemble.fit import load_ensemble

FITTER = """
import sys
import numpy as np
from verisimile.core.errors import StoreError
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.density.mixtures.gaussian import GaussianMixtureTrainer
from verisimile.ensemble.fit import fit_ensemble
from verisimile.ensemble.plan import BootstrapPlan

events = Events(np.random.default_rng(1).normal(size=(300, 2)))
print("ready", flush=True)
for folder in sys.argv[2:]:
    sys.stdin.readline()
    run = Run(Seeds(int(sys.argv[1])), store=folder)
    try:
        fit_ensemble(run, events, BootstrapPlan(members=3), GaussianMixtureTrainer(components=(1,)))
        print("trained", flush=True)
    except StoreError as error:
        print("refused", error, flush=True)
"""


def test_of_two_that_train_at_once_one_is_refused(tmp_path: Path) -> None:
    homes = [tmp_path / str(number) for number in range(5)]
    both = [Process(FITTER, seed, *homes) for seed in (1, 2)]
    for one in both:
        assert one.line() == "ready"
    for home in homes:
        for one in both:
            one.go_on()
        told = [one.line() for one in both]
        assert sorted(line.split()[0] for line in told) == ["refused", "trained"], told
        refusal = next(line for line in told if line.startswith("refused"))
        assert "other settings" in refusal
        winner = 1 + [line.split()[0] for line in told].index("trained")
        ensemble = load_ensemble(Run(Seeds(winner), store=home))
        assert len(ensemble.members) == 3
    for one in both:
        one.end()
    assert segments_of(homes[0]) == []
    assert not [path for home in homes for path in (home / FOLDER).glob("*.json")]
