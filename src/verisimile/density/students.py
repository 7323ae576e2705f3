"""From training and validation events to what a training takes."""

from __future__ import annotations

from collections.abc import Sequence

from verisimile.core.random import Seeds
from verisimile.data.events import Events, match_features
from verisimile.density.input_map import InputMap
from verisimile.density.path_training import Student
from verisimile.density.training import Sample, refuse_signed

__all__ = ["prepare", "prepare_one"]


def prepare(
    members: Sequence[tuple[Events, Events, Seeds]], marginal_bins: int
) -> tuple[list[InputMap], list[Student]]:
    """Return each member's own input map, and its events in the coordinates of that map.

    Raises
    ------
    InputError
        For negative weights, a constant feature, or different features.
    """
    pairs = [prepare_one(*member, marginal_bins) for member in members]
    return [input_map for input_map, _ in pairs], [student for _, student in pairs]


def prepare_one(
    training: Events, validation: Events, seeds: Seeds, marginal_bins: int
) -> tuple[InputMap, Student]:
    """Return the input map of the training events, and all events in its coordinates.

    Raises
    ------
    InputError
        For negative weights, a constant feature, or different features.
    """
    validation = match_features(validation, training.features)
    refuse_signed(training, "training")
    refuse_signed(validation, "validation")
    input_map = InputMap.fit(training, marginal_bins)
    student = Student(_sample(training, input_map), _sample(validation, input_map), seeds)
    return input_map, student


def _sample(events: Events, input_map: InputMap) -> Sample:
    z, log_jacobian = input_map.forward(events.x)
    return Sample.of(z, log_jacobian, events.weights)
