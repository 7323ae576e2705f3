"""A fitted run as a generator: events of its mixture and of every member."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from verisimile.app.study import load_study
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.ensemble.fit import load_ensemble
from verisimile.mixture.io import load_mixture
from verisimile.mixture.model import Mixture

TIMES = 10
"""Generated events over those of the training, unless another number is asked for."""
MEMBER_EVENTS = 50_000
"""The most to draw of each member."""


@dataclass(frozen=True, slots=True, eq=False)
class RunGenerator:
    """What a fitted run generates.

    Attributes
    ----------
    events
        Of the mixture.
    members
        Of each member.
    mixture
        With the covariance of its weights.
    n_train
        Events of training and weight fit together.
    """

    events: Events
    members: tuple[Events, ...]
    mixture: Mixture
    n_train: int


def is_run(uri: str) -> bool:
    """Return whether `uri` is the folder of a run."""
    return Path(uri).is_dir()


def run_generator(folder: str, run: Run, n: int | None) -> RunGenerator:
    """Draw `n` events of the mixture in a folder, ten times its training events by default.

    Raises
    ------
    StoreError
        If there is no finished fit.
    """
    mixture, n_train = fitted_run(folder)
    size = n or TIMES * n_train
    return RunGenerator(
        events=Events(mixture.draw(size, run.at("generated")).x, features=mixture.features),
        members=draw_members(mixture, run, min(size, MEMBER_EVENTS)),
        mixture=mixture,
        n_train=n_train,
    )


def fitted_run(folder: str) -> tuple[Mixture, int]:
    """Return the mixture in a folder, and its events of training and weight fit together.

    Raises
    ------
    StoreError
        If there is no finished fit.
    """
    home = Run(Seeds(0), store=folder)
    study = load_study(home.store)
    home = Run(Seeds(study.seed), store=folder)
    load_ensemble(home)
    return load_mixture(home), sum(sample.n for sample in study.inputs)


def draw_members(mixture: Mixture, run: Run, n: int) -> tuple[Events, ...]:
    """Return `n` events of each member of a mixture."""
    return tuple(
        Events(member.sample(n, run.seeds.at("members", index).numpy()), features=mixture.features)
        for index, member in enumerate(mixture.members)
    )
