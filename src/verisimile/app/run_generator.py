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

__all__ = ["RunGenerator", "draw_members", "is_run", "run_generator"]

_MEMBER_EVENTS = 50_000


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
    home = Run(Seeds(0), store=folder)
    study = load_study(home.store)
    home = Run(Seeds(study.seed), store=folder)
    load_ensemble(home)
    mixture = load_mixture(home)
    n_train = sum(sample.n for sample in study.inputs)
    size = n or 10 * n_train
    return RunGenerator(
        events=Events(mixture.draw(size, run.at("generated")).x, features=mixture.features),
        members=draw_members(mixture, run, min(size, _MEMBER_EVENTS)),
        mixture=mixture,
        n_train=n_train,
    )


def draw_members(mixture: Mixture, run: Run, n: int) -> tuple[Events, ...]:
    """Return `n` events of each member of a mixture."""
    return tuple(
        Events(member.sample(n, run.seeds.at("members", index).numpy()), features=mixture.features)
        for index, member in enumerate(mixture.members)
    )
