import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo_prune.costs.surface import Surface, divisor

GRID = [(i, o, 1.0 + 0.01 * i + 0.02 * o + 0.001 * i * o) for i in (8, 16, 32, 64) for o in (8, 24, 48)]


@given(st.integers(8, 64), st.integers(8, 48))
def test_between_the_grid_it_is_linear_on_each_side(inputs, outputs):
    """What is linear in inputs and in outputs comes out exactly."""
    expected = 1.0 + 0.01 * inputs + 0.02 * outputs + 0.001 * inputs * outputs
    assert Surface(GRID).at(inputs, outputs) == pytest.approx(expected)


def test_beyond_the_grid_the_nearest_width_counts():
    surface = Surface(GRID)
    assert surface.at(4, 4) == surface.at(8, 8)
    assert surface.at(100, 100) == surface.at(64, 48)


def test_odd_widths_take_the_factor_that_was_measured_beside_the_grid():
    plain = Surface(GRID)
    slower = [(47, 24, 1.5 * plain.at(47, 24)), (32, 44, 1.2 * plain.at(32, 44)), (56, 24, 1.1 * plain.at(56, 24))]
    surface = Surface(GRID, slower)
    assert surface.at(33, 24) == pytest.approx(1.5 * plain.at(33, 24))
    assert surface.at(32, 36) == pytest.approx(1.2 * plain.at(32, 36))
    assert surface.at(33, 36) == pytest.approx(1.5 * 1.2 * plain.at(33, 36))
    assert surface.at(40, 24) == pytest.approx(1.1 * plain.at(40, 24))
    for width in (8, 16, 32, 64):
        assert surface.at(width, 24) == plain.at(width, 24)


@pytest.mark.parametrize(("width", "step"), [(1, 1), (6, 2), (12, 4), (24, 8), (16, 16), (96, 16)])
def test_the_divisor_is_a_power_of_two_up_to_16(width, step):
    assert divisor(width) == step
