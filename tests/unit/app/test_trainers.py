"""Trainers by name, and their settings from text."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from verisimile.app.trainers import TrainerName, kind_of, length_of, rows, settings_of, trainer_of
from verisimile.core.errors import InputError
from verisimile.density.protocol import SamplerTrainer


def _made(name: str, **settings: str) -> Any:  # noqa: ANN401  (of the name's class)
    return trainer_of(TrainerName(name), settings)


@pytest.mark.parametrize("name", TrainerName)
def test_every_trainer_has_its_defaults_and_says_them(name: TrainerName) -> None:
    made = trainer_of(name, {})
    assert isinstance(made, SamplerTrainer)
    assert made == kind_of(name)()
    for each in settings_of(name).values():
        assert each.kind
        # What is shown as a default can be given as a value.
        shown = next(row[2] for row in rows() if row[1] == each.name)
        assert shown
    texts = {k: _text(v.default) for k, v in settings_of(name).items()}
    assert trainer_of(name, texts) == made


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def test_no_trainer_of_the_package_is_left_out() -> None:
    import verisimile.density as room
    from verisimile.density.flows.trainer import SplineFlowTrainer

    names = [name for name in dir(room) if name.endswith("Trainer")]
    shipped = {getattr(room, name) for name in names} | {SplineFlowTrainer}
    shipped -= {room.LastLayerTrainer}  # takes a trained flow, which no option can say
    assert {kind_of(name) for name in TrainerName} == shipped


def test_values_have_the_types_of_their_fields() -> None:
    spline = _made("spline", epochs="3", residual="true", learning_rate="1e-3", precision="float64")
    assert (spline.epochs, spline.residual, spline.learning_rate) == (3, True, 1e-3)
    assert spline.precision == "float64"
    assert _made("gaussian-mixture", components="2, 3").components == (2, 3)
    assert _made("kernel-density", bandwidth="0.3").bandwidth == pytest.approx(0.3)
    assert _made("kernel-density", bandwidth="scott").bandwidth == "scott"


def test_a_recipe_of_a_flow_takes_the_settings_of_both() -> None:
    made = _made("bayesian", epochs="4", draws="3")
    assert (made.flow.epochs, made.draws, length_of(made)) == (4, 3, 4)
    assert dataclasses.asdict(made)["flow"]["epochs"] == 4
    assert length_of(_made("kernel-density")) == 1


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("spline", {"epoch": "3"}, "got no setting of the trainer 'spline'.*epochs.*--trainers"),
        ("spline", {"epochs": "many"}, "--set epochs: got 'many'; expected whole number.*=20"),
        ("spline", {"residual": "yes"}, "true or false"),
        ("spline", {"precision": "float16"}, "float32 or float64"),
        ("spline", {"epochs": "0"}, "epochs"),
        ("kernel-density", {"bandwidth": "wide"}, "validation or scott or number"),
        ("gaussian-mixture", {"components": "1,x"}, "whole numbers with commas"),
        ("dropout", {"probability": "2"}, "below 1"),
    ],
)
def test_wrong_settings_are_refused(name: str, settings: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        _made(name, **settings)
