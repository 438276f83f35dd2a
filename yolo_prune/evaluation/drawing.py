"""Pictures of predictions and labels: boxes of several kinds on an image."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from yolo_prune.evaluation.boxes import Box
from yolo_prune.files import atomic

SIDE = 480  # pixels of the longer side
QUALITY = 80  # of the JPEG
PLAIN, LOST, NEW = "#ffffff", "#f0541e", "#b14bff"  # the page shows the same colours in its legend
WIDTHS = {PLAIN: 2, LOST: 4, NEW: 4}  # of the lines, in pixels
MOST_NAMED = 20  # boxes of one kind that are named; the names of more would hide the image
FONT_SIZE = 15


class Group(NamedTuple):
    """Boxes that are drawn alike: in one colour, with or without their text."""

    boxes: Sequence[Box]
    color: str
    named: bool = True


def as_image(pixels: np.ndarray) -> Image.Image:
    """Return an image of Ultralytics, (height, width, 3) in BGR or (height, width, 1), as one of PIL in RGB."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels[..., ::-1]).convert("RGB")


def drawn(result: Any, groups: Sequence[Group] | None) -> Image.Image:
    """Return the image of a prediction at the size of the report, with boxes; masks and keypoints are Ultralytics'.

    Args:
        result: of Ultralytics.
        groups: of boxes; None: what Ultralytics draws, for tasks without boxes.
    """
    try:
        pixels = result.plot(boxes=groups is None)
    except ValueError:  # training may have ruined the model, so that a figure is not finite
        pixels = result.orig_img
    return with_boxes(as_image(pixels), groups or [])


def with_boxes(image: Image.Image, groups: Sequence[Group]) -> Image.Image:
    """Return an image at the size of the report, with boxes."""
    scale = SIDE / max(image.size)
    image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    draw = ImageDraw.Draw(image)
    for group in groups:
        for box in group.boxes:
            corners = [tuple(point) for point in (box.corners * scale).tolist()]
            width = WIDTHS[group.color]
            draw.line([*corners, *corners[:2]], fill="#000000", width=width + 2, joint="curve")
            draw.line([*corners, *corners[:2]], fill=group.color, width=width, joint="curve")
    for group in groups:
        for box in group.boxes[:MOST_NAMED] if group.named else ():
            _write(draw, box.text, box.extent[0] * scale, box.extent[1] * scale, group.color, image.size)
    return image


def save(image: Image.Image, path: Path) -> None:
    """Write a JPEG, completely or not at all."""
    with atomic(path) as temporary:
        image.save(temporary, "JPEG", quality=QUALITY)


def _write(draw: ImageDraw.ImageDraw, text: str, x: float, y: float, color: str, size: tuple[int, int]) -> None:
    """Write text above a point, on its colour; inside the image where there is no room."""
    left, top, right, bottom = draw.textbbox((0, 0), text, font=_font())
    width, height = right - left + 6, bottom - top + 6
    x, y = max(0.0, min(x, size[0] - width)), max(0.0, min(y - height, size[1] - height))
    draw.rectangle((x, y, x + width, y + height), fill=color)
    draw.text((x + 3 - left, y + 3 - top), text, fill="#000000" if color == PLAIN else "#ffffff", font=_font())


@cache
def _font() -> ImageFont.FreeTypeFont:
    """Return a font that is always there: that of matplotlib."""
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), FONT_SIZE)
