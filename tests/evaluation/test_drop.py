import numpy as np
import pytest

from yolo_prune.evaluation.drop import Drop, measure_drop
from yolo_prune.host.per_image import JudgedImages


def _judged(values):
    """Images whose metric is the mean of a value of each."""
    values = np.asarray(values, dtype=float)
    return JudgedImages(float(values.mean()), len(values), lambda choice: float(values[[*choice]].mean()))


def test_the_drop_is_the_difference_on_the_same_images():
    generator = np.random.default_rng(0)
    original = generator.uniform(0.4, 0.9, 40)
    drop = measure_drop(_judged(original), _judged(original - 0.05))
    assert drop.value == pytest.approx(0.05)
    assert drop.low == pytest.approx(0.05)  # the images differ, but every image loses the same
    assert drop.high == pytest.approx(0.05)
    assert drop.images == 40


def test_the_interval_is_that_of_the_mean_of_paired_differences():
    generator = np.random.default_rng(0)
    original, lost = generator.uniform(0.4, 0.9, 64), generator.normal(0.02, 0.08, 64)
    drop = measure_drop(_judged(original), _judged(original - lost))
    error = 1.645 * lost.std() / 8  # half of a 90 % interval of a normal mean
    assert drop.high - drop.value == pytest.approx(error, rel=0.35)
    assert drop.value - drop.low == pytest.approx(error, rel=0.35)


def test_fewer_images_give_a_wider_interval():
    generator = np.random.default_rng(0)
    lost = generator.normal(0.02, 0.08, 256)
    wide, narrow = (measure_drop(_judged(np.ones(n)), _judged(1 - lost[:n])) for n in (16, 256))
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_without_images_of_their_own_there_is_no_interval():
    drop = measure_drop(JudgedImages(0.6, 8, None), JudgedImages(0.5, 8, None))
    assert (drop.low, drop.high) == (None, None)
    assert str(drop) == "0.1000"
    assert drop.is_within(0.11)
    assert not drop.is_within(0.09)


def test_a_drop_is_within_a_bound_where_value_and_interval_say_so():
    assert Drop(0.008, 0.001, 0.015, 64).is_within(0.01)
    assert not Drop(0.012, 0.011, 0.013, 64).is_within(0.01)  # more is lost
    assert not Drop(0.008, -0.03, 0.05, 16).is_within(0.01)  # who knows
    assert str(Drop(0.008, -0.03, 0.05, 16)) == "0.0080 (-0.0300 to 0.0500)"
