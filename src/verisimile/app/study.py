"""What a run folder was made from: the document ``fit.json`` that ties its records together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from verisimile.app.options import command_line, run_in
from verisimile.core.canonical import JSON, canonical
from verisimile.core.errors import InputError, StoreError
from verisimile.core.random import Seeds
from verisimile.core.result import Result, from_dict, register, to_dict
from verisimile.core.run import Run
from verisimile.core.store import Store
from verisimile.density.protocol import AnyTrainer
from verisimile.mixture.discrepancy.fit import Discrepancy
from verisimile.report.content import InputSample, Timings

_NAME = "fit"
_SHOWN = 40


@register("fit", 1)
@dataclass(frozen=True, slots=True)
class FitStudy(Result):
    """How a mixture was made.

    Attributes
    ----------
    seed
        Entropy of the random streams.
    configuration
        Everything else that determines the members and their weights.
    inputs
        Training and weight-fit sample, or one that is both.
    weights
        Column of the event weights, or None.
    command
        The shell command.
    timings
        Wall-clock times of the last run.
    """

    seed: int
    configuration: Mapping[str, JSON]
    inputs: tuple[InputSample, ...]
    weights: str | None
    command: str
    timings: Timings = Timings()

    @property
    def samples_only(self) -> bool:
        """Whether the members draw events and know no density: there is no mixture then."""
        return "mixture" in self.configuration

    @property
    def context(self) -> tuple[str, ...]:
        """The columns that are conditions, if the density is conditional."""
        trainer = self.configuration["trainer"]
        named = trainer.get("context", ()) if isinstance(trainer, Mapping) else ()
        return tuple(map(str, named)) if isinstance(named, Sequence) else ()

    def require_density(self, folder: Path) -> None:
        """Raise if the members have no density of all columns: what most studies are of."""
        if self.context:
            raise InputError(
                "RUN",
                got=f"{folder}, whose density is one given {', '.join(self.context)}",
                expected="a run with a density of all columns",
                remedy=f"verisimile gof {folder} TEST tests it in bins of {self.context[0]}.",
            )
        if self.samples_only:
            raise InputError(
                "RUN",
                got=f"{folder}, whose members draw events and know no density",
                expected="a run with a mixture of densities",
                remedy=f"verisimile sample {folder} -n 100000 --out generated.parquet, then "
                "verisimile validate REFERENCE generated.parquet.",
            )

    def weight_notes(self, but: str) -> tuple[str, ...]:
        """Return what a reader must know of event weights of the fit, if it had some."""
        if self.weights is None:
            return ()
        return (f"the run was fitted with event weights (column {self.weights!r}), but {but}",)


def new_study(
    inputs: Sequence[InputSample],
    trainer: AnyTrainer,
    *,
    seed: int,
    members: int,
    weights: str | None = None,
    also: Mapping[str, JSON] | None = None,
) -> FitStudy:
    """Return the study of the command that runs.

    `also` is further configuration, or other than that of a default fit.
    """
    return FitStudy(
        seed=seed,
        configuration={
            "members": members,
            **{f"{_adjective(sample.role)} sample": sample.digest for sample in inputs},
            **discrepancy_settings(Discrepancy()),
            **(also or {}),
            "trainer": trainer.config(),
        },
        inputs=tuple(inputs),
        weights=weights,
        command=command_line(),
    )


def discrepancy_settings(discrepancy: Discrepancy | None) -> dict[str, JSON]:
    """Return what the configuration says of a discrepancy; None is the published pipeline."""
    if discrepancy is None:
        return {"discrepancy": "none: the pipeline as published"}
    given = {field.name: getattr(discrepancy, field.name) for field in fields(discrepancy)}
    del given["solver"]  # changes no number beyond its tolerance
    return {"discrepancy": given}


def without_density() -> dict[str, JSON]:
    """Return what the configuration says if the members know no density."""
    return {"mixture": "none: the members draw events and know no density"}


def _adjective(role: str) -> str:
    return role.replace("weight fit", "weight-fit")


def check_free(store: Store, study: FitStudy) -> None:
    """Raise if the store belongs to another study; called before any work is done.

    Raises
    ------
    StoreError
        Naming what differs.
    """
    known = _read(store)
    if known is None:
        return
    # A study without a word of it was made when there was no discrepancy.
    old = _leaves({"seed": known.seed, **discrepancy_settings(None), **known.configuration})
    new = _leaves({"seed": study.seed, **discrepancy_settings(None), **study.configuration})
    changed = [
        f"{name}: {_short(old, name)} there, {_short(new, name)} now"
        for name in dict.fromkeys((*old, *new))
        if old.get(name) != new.get(name)
    ]
    if changed:
        raise StoreError(
            repr(store),
            got=f"a fit with another configuration ({'; '.join(changed)})",
            expected="the same configuration, or a new folder",
            remedy="Choose another --out, or repeat the command that made this folder: "
            f"{known.command}",
        )


def finish(store: Store, study: FitStudy, timings: Timings) -> FitStudy:
    """Note the study in its store once its work is done, and return it with the times.

    Only now: a store that the ensemble refuses to share must not change its
    owner.  A study that was finished before keeps its command and its times.
    """
    known = _read(store)
    if known is not None:
        return known
    done = replace(study, timings=timings)
    store.write_json(_NAME, to_dict(done))
    return done


def load_study(store: Store) -> FitStudy:
    """Return the study that a store belongs to.

    Raises
    ------
    StoreError
        If there is none.
    """
    study = _read(store)
    if study is None:
        raise StoreError(
            repr(store),
            got="no finished fit",
            expected="a folder made by `verisimile fit`",
            remedy="Check the path, or run `verisimile fit`: it continues where it stopped.",
        )
    return study


def open_run(
    folder: Path, *, seed: int | None = None, executor: str | None = None, shard: str = ""
) -> tuple[FitStudy, Run]:
    """Return the study of a run folder, and its run with the study's seed or another one.

    Without an executor the run works alone and silently.

    Raises
    ------
    StoreError
        If there is no finished fit.
    """
    study = load_study(Run(Seeds(0), store=folder).store)
    entropy = study.seed if seed is None else seed
    if executor is None:
        return study, Run(Seeds(entropy), store=folder)
    return study, run_in(folder, seed=entropy, executor=executor, shard=shard)


def _read(store: Store) -> FitStudy | None:
    data = store.read_json(_NAME)
    if data is None:
        return None
    study = from_dict(data) if isinstance(data, Mapping) else None
    if not isinstance(study, FitStudy):
        raise StoreError(
            f"{_NAME}.json", got="something else", expected="the description of a fit", remedy=""
        )
    return study


def _leaves(value: JSON, name: str = "") -> dict[str, str]:
    """Return the canonical values of all leaves of nested tables by dotted name."""
    if not isinstance(value, Mapping):
        return {name: canonical(value)}
    found: dict[str, str] = {}
    for key, item in value.items():
        found |= _leaves(item, f"{name}.{key}" if name else key)
    return found


def _short(values: Mapping[str, str], name: str) -> str:
    text = values.get(name, "nothing")
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
