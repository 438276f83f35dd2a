import numpy as np
import pytest
from PIL import Image, ImageColor

from yolo_prune.evaluation.boxes import Box
from yolo_prune.evaluation.drawing import LOST, PLAIN, SIDE, Group, as_image, save, with_boxes


@pytest.mark.parametrize("size", [(64, 32), (32, 64), (1000, 500)])
def test_every_drawing_has_the_size_of_the_report(size):
    image = with_boxes(Image.new("RGB", size), [])
    assert max(image.size) == SIDE
    assert image.width / image.height == size[0] / size[1]


def test_a_box_is_drawn_in_its_colour_where_it_is():
    corners = np.array([[8.0, 8], [56, 8], [56, 56], [8, 56]])
    image = with_boxes(Image.new("RGB", (64, 64), "gray"), [Group([Box(0, "猫 cat", corners)], LOST, named=False)])
    scale = SIDE / 64
    assert image.getpixel((round(8 * scale), round(32 * scale))) == ImageColor.getrgb(LOST)
    assert image.getpixel((round(32 * scale), round(32 * scale))) == ImageColor.getrgb("gray")


def test_names_stay_inside_the_image():
    corners = np.array([[60.0, 0], [64, 0], [64, 4], [60, 4]])
    plain = Group([Box(0, "a rather long name", corners)], PLAIN)
    image = np.asarray(with_boxes(Image.new("RGB", (64, 64), "blue"), [plain]))
    assert (image[:20] == 255).all(-1).sum() > 300


def test_gray_and_colour_images_are_read(tmp_path):
    assert as_image(np.zeros((2, 3, 1), np.uint8)).getpixel((0, 0)) == (0, 0, 0)
    assert as_image(np.full((2, 3, 3), (255, 0, 0), np.uint8)).getpixel((0, 0)) == (0, 0, 255)
    save(Image.new("RGB", (4, 4)), tmp_path / "a.jpg")
    assert [path.name for path in tmp_path.iterdir()] == ["a.jpg"]
