"""Benches: what is tested, in which settings; one decorator registers one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Protocol, TypeVar

from gauntlet import families
from gauntlet.claims import Claim
from verisimile.core.random import Seeds


class Setting(Protocol):
    """A null setting; its ``repr`` names everything that it consists of."""

    @property
    def label(self) -> str:
        """A few words, different for each setting of a bench."""
        ...

    @property
    def ordinary(self) -> bool:
        """Whether users bring such data every day, so that a refusal is a fault."""
        ...


S = TypeVar("S", bound=Setting)
Claims = Mapping[str, Claim]
# A bench's experiment takes the bench's own kind of setting: the registry cannot name it.
Experiment = Callable[[Any, Seeds], Claims]


@dataclass(frozen=True)
class Excuse:
    """A refusal that is right in ordinary settings too.

    Attributes
    ----------
    subject
        Beginning of the subjects' names.
    words
        Part of the reason.
    why
        Why nobody could say more.
    """

    subject: str
    words: str
    why: str


@dataclass(frozen=True)
class Bench:
    """An experiment that makes claims, the settings that it runs in, and what it covers.

    Attributes
    ----------
    name
        Of the bench, that of the function.
    title
        What the table says above it.
    experiment
        One pseudo-experiment: claims by the subject's name.
    settings
        Where it runs.
    covers
        Public names and results whose p-values and intervals these are.
    repetitions
        Pseudo-experiments of each setting, if time allows.
    defect
        What is wrong, if this is a defective twin; otherwise empty.  The name of a twin's subject
        is that of the genuine one, a comma, and more.
    excuses
        Refusals that are right.
    """

    name: str
    title: str
    experiment: Experiment
    settings: tuple[Setting, ...]
    covers: tuple[str, ...]
    repetitions: int
    defect: str = ""
    excuses: tuple[Excuse, ...] = ()

    def excused(self, subject: str, reason: str) -> Excuse | None:
        """Return what excuses this refusal, if anything does."""
        for each in self.excuses:
            if subject.startswith(each.subject) and each.words in reason:
                return each
        return None


@dataclass(frozen=True)
class Cell:
    """One setting of one bench."""

    bench: Bench
    setting: Setting

    @property
    def address(self) -> str:
        """Where its records are kept."""
        words = "".join(c if c.isalnum() else "-" for c in self.setting.label.lower())
        return f"{self.bench.name}/{words}"


_BENCHES: dict[str, Bench] = {}


def bench(
    title: str,
    settings: Sequence[S],
    *,
    covers: Sequence[str] = (),
    repetitions: int = 400,
    defect: str = "",
    excuses: Sequence[Excuse] = (),
) -> Callable[[Callable[[S, Seeds], Claims]], Callable[[S, Seeds], Claims]]:
    """Register a function of (setting, seeds) that returns claims by subject.

    It must depend on its arguments alone.  Errors of the package are refusals of all the
    bench's subjects in that pseudo-experiment; any other error fails the gauntlet.
    """

    def register(experiment: Callable[[S, Seeds], Claims]) -> Callable[[S, Seeds], Claims]:
        name = experiment.__name__
        if name in _BENCHES:
            raise ValueError(f"two benches are called {name}")
        labels = [setting.label for setting in settings]
        if len(set(labels)) < len(labels):
            raise ValueError(f"{name}: settings of the same label: {labels}")
        _BENCHES[name] = Bench(
            name,
            title,
            experiment,
            tuple(settings),
            tuple(covers),
            repetitions,
            defect,
            tuple(excuses),
        )
        return experiment

    return register


def all_benches() -> Mapping[str, Bench]:
    """Return every bench of the modules in ``gauntlet.families``, by name."""
    for module in sorted(info.name for info in iter_modules(families.__path__)):
        import_module(f"{families.__name__}.{module}")
    return dict(_BENCHES)


def cells(benches: Iterable[Bench]) -> list[Cell]:
    """Return all cells, bench by bench."""
    return [Cell(each, setting) for each in benches for setting in each.settings]
