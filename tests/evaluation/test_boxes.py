from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from yolo_prune.evaluation.boxes import Box, labelled_boxes, overlap, predicted_boxes, without_match

NAMES = {0: "cat", 1: "dog"}


def _box(x, y, w, h, kind=0):
    return Box(kind, NAMES[kind], np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], float))


BOXES = st.lists(
    st.builds(_box, *[st.integers(0, 9)] * 2, *[st.integers(1, 9)] * 2, st.integers(0, 1)), min_size=0, max_size=6
)


@given(BOXES, BOXES)
def test_as_many_boxes_match_in_one_direction_as_there_are_partners(one, other):
    assert 0 <= len(one) - len(without_match(one, other)) <= len(other)
    assert without_match(one, one) == []
    assert without_match(one, []) == one


def test_a_box_of_another_class_is_no_match():
    assert len(without_match([_box(0, 0, 4, 4)], [_box(0, 0, 4, 4, kind=1)])) == 1


def test_two_boxes_do_not_match_the_same_box():
    first, second = _box(0, 0, 4, 4), _box(0, 0, 4, 3)
    (left,) = without_match([first, second], [_box(0, 0, 4, 4)])
    assert left is second


@pytest.mark.parametrize(("other", "iou"), [((0, 0, 4, 4), 1), ((2, 0, 4, 4), 8 / 24), ((9, 9, 1, 1), 0)])
def test_overlap_is_the_intersection_over_the_union(other, iou):
    assert overlap(_box(0, 0, 4, 4), _box(*other)) == pytest.approx(iou)


def _result(boxes=None, obb=None):
    return SimpleNamespace(names=NAMES, boxes=boxes, obb=obb)


def test_predicted_boxes_are_ordered_by_their_score_and_finite():
    found = SimpleNamespace(
        xyxy=torch.tensor([[0, 0, 2, 2], [1, 1, 3, 4], [0, 0, float("nan"), 1]]), cls=torch.tensor([0, 1, 0]),
        conf=torch.tensor([0.3, 0.75, 0.9]),
    )  # fmt: skip
    best, other = predicted_boxes(_result(found))
    assert (best.kind, best.text, best.extent) == (1, "dog 0.75", (1, 1, 3, 4))
    assert other.text == "cat 0.30"
    assert predicted_boxes(_result()) == []


def test_boxes_that_are_turned_keep_their_corners():
    corners = torch.tensor([[[1.0, 0], [2, 1], [1, 2], [0, 1]]])
    found = SimpleNamespace(xyxyxyxy=corners, cls=torch.tensor([0]), conf=torch.tensor([0.5]))
    (box,) = predicted_boxes(_result(obb=found))
    assert box.corners.tolist() == corners[0].tolist()
    assert box.extent == (0, 0, 2, 2)


@pytest.mark.parametrize(("turned", "extent"), [(False, (25, 10, 75, 30)), (True, (50, 20, 100, 40))])
def test_labels_are_given_as_shares_of_the_image(turned, extent):
    label = {"shape": (40, 100), "cls": np.array([[1.0]]), "bboxes": np.array([[0.5, 0.5, 0.5, 0.5]]),
             "segments": [np.array([[0.5, 0.5], [1, 0.5], [1, 1], [0.5, 1]])]}  # fmt: skip
    (box,) = labelled_boxes(label, NAMES, turned)
    assert (box.kind, box.text, box.extent) == (1, "dog", extent)
