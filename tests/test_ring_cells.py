"""What the study of data size trains: as many steps for all sizes, or as was published."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import verisimile as vs

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from published._ring_cells import Cell, draws_of
from published.ring_data_size import TRAINING, cells


def test_reduced_trainings_of_all_sizes_have_as_many_steps() -> None:
    *sizes, control, smaller = cells("reduced")
    assert [cell.events for cell in sizes] == list(TRAINING)
    assert {cell.steps for cell in sizes} == {2400}
    assert (control.events, control.epochs) == (sizes[-1].events, sizes[0].epochs)
    assert (smaller.events, smaller.depth, smaller.steps) == (sizes[0].events, 2, 2400)


def test_the_full_size_is_the_published_one() -> None:
    sizes = cells("full")[: len(TRAINING)]
    assert {(cell.depth, cell.epochs, cell.batch, cell.decay) for cell in sizes} == {
        (4, 15_001, 500, False)
    }
    assert {len(cell.sample_of) for cell in sizes} == {30}


def test_cells_are_drawn_from_again_with_the_same_numbers() -> None:
    cell = Cell("tiny", 1, 60, 1, 30, decay=True, samples=2, initialisations=2, draws=20)
    (once,), _ = draws_of(vs.Run(vs.Seeds(1)), [cell])
    (again,), _ = draws_of(vs.Run(vs.Seeds(1)), [cell])
    np.testing.assert_array_equal(once, again)
    assert np.shape(once) == (4, 20, 2)
    assert len({x.tobytes() for x in once}) == 4
