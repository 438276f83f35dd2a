import pytest
import torch

from yolo_prune.evaluation.comparison import ExportError, largest_difference


def test_a_difference_within_a_thousandth_of_the_largest_output_passes():
    expected = torch.tensor([100.0, 0.0])
    actual = expected + torch.tensor([0.0, 0.05])
    assert largest_difference([[actual], [expected]], [[expected], [expected]], "x") == pytest.approx(0.05)


@pytest.mark.parametrize("actual", [[100.0, 0.2], [100.0, float("nan")], [100.0, 0.0, 0.0]])
def test_an_export_that_differs_is_an_error(actual):
    with pytest.raises(ExportError, match=r"pruned\.onnx"):
        largest_difference([[torch.tensor(actual)]], [[torch.tensor([100.0, 0.0])]], "pruned.onnx")


def test_each_output_is_compared_with_its_own_largest_value():
    large, small = torch.tensor([1000.0]), torch.tensor([0.1])
    with pytest.raises(ExportError, match="more than"):
        largest_difference([[large, small + 0.01]], [[large, small]], "pruned.onnx")


def test_maps_of_classes_differ_by_the_share_of_their_pixels():
    expected = torch.zeros(1, 100, 100, dtype=torch.uint8)
    few, many = expected.clone(), expected.clone()
    few[0, 0, :5], many[0, 0, :50] = 7, 7
    assert largest_difference([[few]], [[expected]], "x") == pytest.approx(5e-4)
    with pytest.raises(ExportError, match="more than"):
        largest_difference([[many]], [[expected]], "x")
