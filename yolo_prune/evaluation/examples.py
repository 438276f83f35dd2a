"""A few val images with what the base and the slimmed model detect in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from yolo_prune.files import atomic
from yolo_prune.host.model import YOLO

COUNT = 4
SIDE = 640  # pixels of the longer side, at most


def example_paths(images: list[str], count: int = COUNT) -> list[Path]:
    """Return some of the images of a split, at equal distances in their order."""
    ordered = sorted(images)
    step = max(1, len(ordered) // count)
    return [Path(path) for path in ordered[::step][:count]]


def write_examples(
    models: Mapping[str, YOLO], images: list[Path], directory: Path, arguments: Mapping[str, Any]
) -> list[dict[str, str]]:
    """Draw what each model predicts, by Ultralytics, with its defaults for prediction.

    Args:
        models: YOLOs by their names in the result ("base", "final"). They are fused.
        images: paths.
        directory: of the run; the drawings go to `examples` in it.
        arguments: of Ultralytics' prediction: `imgsz`, `device`, `classes`, ...

    Returns:
        For each image its "name", and under each model's name the path of the drawing, relative to the directory.
    """
    (directory / "examples").mkdir(exist_ok=True)
    examples: list[dict[str, str]] = [{"name": path.name} for path in images]
    for name, yolo in models.items():
        for number, (path, example) in enumerate(zip(images, examples, strict=True), start=1):
            result = yolo.predict(path, **arguments, verbose=False, save=False)[0]
            drawing = Image.fromarray(_drawn(result)[..., ::-1])
            drawing.thumbnail((SIDE, SIDE))
            example[name] = f"examples/{number}-{name}.jpg"
            with atomic(directory / example[name]) as temporary:
                drawing.save(temporary, "JPEG", quality=85)
    return examples


def _drawn(result: Any) -> Any:
    """Return the image of a prediction with what was detected; the image alone where a box is not finite."""
    try:
        return result.plot()
    except ValueError:  # training may have ruined the model
        return result.orig_img
