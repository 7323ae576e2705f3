"""From training and validation events to what a batched training takes."""

from __future__ import annotations

from collections.abc import Sequence

from verisimile.core.random import Seeds
from verisimile.data.events import Events, match_features
from verisimile.density.input_map import InputMap
from verisimile.density.path_training import Student
from verisimile.density.training import Sample, refuse_signed

__all__ = ["prepare", "sample_of"]


def prepare(
    members: Sequence[tuple[Events, Events, Seeds]], marginal_bins: int
) -> tuple[list[InputMap], list[Student]]:
    """Return each member's own input map, and its events in the coordinates of that map.

    Raises
    ------
    InputError
        For negative weights, a constant feature, or different features.
    """
    maps, students = [], []
    for training, validation, seeds in members:
        matched = match_features(validation, training.features)
        refuse_signed(training, "training")
        refuse_signed(matched, "validation")
        input_map = InputMap.fit(training, marginal_bins)
        maps.append(input_map)
        samples = [sample_of(events, input_map) for events in (training, matched)]
        students.append(Student(samples[0], samples[1], seeds))
    return maps, students


def sample_of(events: Events, input_map: InputMap) -> Sample:
    """Return events in the coordinates of the map."""
    z, log_jacobian = input_map.forward(events.x)
    return Sample.of(z, log_jacobian, events.weights)
