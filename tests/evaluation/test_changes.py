from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from yolo_prune.evaluation.changes import evenly, most_changed

PLACES = [(0.0, 0.0, 4.0, 4.0), (10.0, 0.0, 14.0, 4.0), (20.0, 0.0, 24.0, 4.0)]


class _Model:
    """A model that predicts the first boxes of a list, of a number that depends on the image."""

    def __init__(self, task, found):
        self.task, self.found = task, found

    def predict(self, path, **arguments):
        found = self.found[path.stem]
        names = {0: "cat", 1: "dog"}
        if self.task == "classify":
            return [SimpleNamespace(probs=SimpleNamespace(top1=found), names=names)]
        boxes = SimpleNamespace(
            xyxy=torch.tensor(PLACES[:found]).reshape(-1, 4), cls=torch.zeros(found), conf=torch.full((found,), 0.5)
        )
        return [SimpleNamespace(boxes=boxes, obb=None, probs=None, names=names)]


def _models(task, base, final):
    return {"base": _Model(task, base), "final": _Model(task, final)}


def _names(paths):
    return [path.stem for path in paths]


IMAGES = [Path(f"{name}.jpg") for name in "abcdef"]


def test_images_with_most_lost_boxes_come_first_and_then_those_with_most_new_boxes():
    base = dict(zip("abcdef", (1, 3, 2, 0, 1, 1), strict=True))
    final = dict(zip("abcdef", (1, 1, 1, 2, 3, 2), strict=True))
    assert _names(most_changed(_models("detect", base, final), IMAGES, {})) == ["b", "c", "d", "e"]


def test_images_without_a_change_make_up_for_what_is_missing():
    base = dict.fromkeys("abcdef", 1)
    final = base | {"c": 0}
    assert _names(most_changed(_models("detect", base, final), IMAGES, {})) == ["c", "a", "b", "d"]
    assert _names(most_changed(_models("detect", base, base), IMAGES, {})) == ["a", "b", "c", "d"]


def test_in_classification_images_change_their_class():
    base = dict.fromkeys("abcdef", 0)
    chosen = most_changed(_models("classify", base, base | {"d": 1, "f": 1}), IMAGES, {})
    assert _names(chosen)[:2] == ["d", "f"]
    assert len({*chosen}) == 4


@pytest.mark.parametrize("task", ["semantic", "depth"])
def test_tasks_without_objects_have_images_at_equal_distances(task):
    assert _names(most_changed(_models(task, {}, {}), IMAGES, {})) == ["a", "b", "c", "d"]


def test_there_may_be_fewer_images_than_are_wanted():
    assert evenly(["b", "a"]) == [Path("a"), Path("b")]
    assert evenly(map(str, range(8)), 4) == [Path(str(i)) for i in (0, 2, 4, 6)]
