"""Benches of the gauntlet's own tests: one right, one wrong, one that refuses, one that breaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gauntlet.claims import Claim, Interval, P, Refused
from gauntlet.registry import Bench, Cell, Excuse
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds


@dataclass(frozen=True)
class Simple:
    """A setting by its name."""

    label: str = "plain"
    ordinary: bool = True


def right(setting: Simple, seeds: Seeds) -> Mapping[str, Claim]:
    rng = seeds.numpy()
    x = float(rng.normal())
    return {"p": P(float(rng.random())), "interval": Interval.normal(x, 1.0, 0.0)}


def wrong(setting: Simple, seeds: Seeds) -> Mapping[str, Claim]:
    rng = seeds.numpy()
    x = float(rng.normal())
    return {"squared p": P(float(rng.random()) ** 2), "narrow": Interval.normal(x, 0.5, 0.0)}


def refusing(setting: Simple, seeds: Seeds) -> Mapping[str, Claim]:
    if seeds.at("x").numpy().random() < 0.5:
        raise InputError("events", got="few", expected="more")
    return {"sometimes": P(0.7), "never": Refused("there is no law")}


def breaking(setting: Simple, seeds: Seeds) -> Mapping[str, Claim]:
    raise TypeError("an argument that does not exist yet")


BENCHES = {
    function.__name__: Bench(
        function.__name__,
        function.__name__,
        function,
        (Simple(),),
        (),
        400,
        excuses=(Excuse("never", "no law", "nobody knows it"),),
    )
    for function in (right, wrong, refusing, breaking)
}


def cell(name: str) -> Cell:
    return Cell(BENCHES[name], Simple())
