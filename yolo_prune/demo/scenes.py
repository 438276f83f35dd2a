"""Rendered scenes: images of five shapes with overlap, clutter and noise, with labels for every task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from PIL import Image, ImageDraw

CLASSES = ("disc", "square", "triangle", "star", "cross")
KEYPOINTS = 5  # the centre, and the leftmost, rightmost, highest and lowest point
FARTHEST = 10.0  # metres
MAX_THINGS = 7  # in one scene
SCALE = 3  # pixels drawn for each pixel of the image, per side


def _around(*radii: float, turn: float = 0.0) -> np.ndarray:
    """Points at these distances from the centre, at equal angles: (points, 2)."""
    angles = turn + 2 * np.pi * np.arange(len(radii)) / len(radii)
    return np.array(radii)[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)


_CROSS = np.array([[1, 1], [3, 1], [3, -1], [1, -1], [1, -3], [-1, -3], [-1, -1], [-3, -1], [-3, 1], [-1, 1], [-1, 3],
                   [1, 3]]) / 3  # fmt: skip
SHAPES = {
    "disc": _around(*[0.9] * 32),
    "square": _around(*[1.15] * 4, turn=np.pi / 4),
    "triangle": _around(*[1.15] * 3),
    "star": _around(*[1.15, 0.45] * 5),
    "cross": _CROSS * 1.05,
}


@dataclass(frozen=True)
class Thing:
    """One shape in a scene, in pixels: its outline, the corners of its box before it was turned, and its distance."""

    kind: int
    outline: np.ndarray  # (points, 2)
    corners: np.ndarray  # (4, 2)
    distance: float  # metres
    colour: tuple[int, int, int]

    @property
    def points(self) -> np.ndarray:
        """Its keypoints, (KEYPOINTS, 2)."""
        x, y = self.outline.T
        ends = self.outline[[x.argmin(), x.argmax(), y.argmin(), y.argmax()]]
        return np.concatenate([self.corners.mean(0, keepdims=True), ends])


def draw(size: int, seed: list[int], kind: int | None = None) -> tuple[Image.Image, list[Thing], np.ndarray]:
    """Draw a scene. Returns the image, its things (the farthest first), and the distances (size, size) in metres.

    The scene has one to seven things of any kind. With `kind`, it has one thing of that kind.
    """
    random = np.random.default_rng(seed)
    image = _background(size, random)
    pen = ImageDraw.Draw(image)
    distances = np.linspace(FARTHEST, 0.6 * FARTHEST, size, dtype=np.float32)[:, None].repeat(size, 1)
    things: list[Thing] = []
    count = random.integers(1, MAX_THINGS + 1) if kind is None else 1
    for distance in sorted(random.uniform(1, 0.55 * FARTHEST, count), reverse=True):
        thing = _thing(size, float(distance), random, kind)
        if any(np.linalg.norm(thing.corners.mean(0) - other.corners.mean(0)) < size / 7 for other in things):
            continue  # it would hide the thing behind it
        things.append(thing)
        shade = tuple(int(0.6 * c) for c in thing.colour)
        pen.polygon([tuple(SCALE * p) for p in thing.outline], fill=thing.colour, outline=shade, width=SCALE)
        distances[_inside(thing.outline, size)] = thing.distance
    pixels = np.asarray(image.resize((size, size), Image.Resampling.BOX), dtype=np.float32)
    pixels = pixels + random.normal(0, random.uniform(2, 14), pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), things, distances


def write_scenes(directory: Path, task: str = "detect", *, train: int, val: int, size: int = 320, seed: int = 0) -> str:
    """Write a dataset of scenes for a task of Ultralytics.

    Args:
        directory: the directory to write to, new or empty.
        task: "detect", "segment", "pose", "obb", "classify", "semantic" or "depth".
        train, val: number of images in each split. Use at least one for each class with "classify".
        size: width and height of the images, in pixels.
        seed: seed of the drawing.

    Returns:
        The value for `data` of Ultralytics: the path of a yaml, or of the directory (classify).
    """
    directory = directory.absolute()
    for number, (split, count) in enumerate((("train", train), ("val", val))):
        for i in range(count):
            kind = i % len(CLASSES) if task == "classify" else None
            image, things, distances = draw(size, [seed, number, i], kind)
            folder = directory / "images" / split if kind is None else directory / split / CLASSES[kind]
            path = folder / f"{i}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path, quality=92)
            if task == "depth":
                target = directory / "depth" / split / f"{i}.npy"
                target.parent.mkdir(parents=True, exist_ok=True)
                np.save(target, distances)
            elif task != "classify":
                labels = directory / "labels" / split / f"{i}.txt"
                labels.parent.mkdir(parents=True, exist_ok=True)
                labels.write_text("".join(_label(thing, task, size) for thing in things), encoding="utf-8")
    if task == "classify":
        return str(directory)
    info = {"path": str(directory), "train": "images/train", "val": "images/val"}
    info["names"] = {0: "depth"} if task == "depth" else dict(enumerate(CLASSES))
    if task == "pose":
        info |= {"kpt_shape": [KEYPOINTS, 3], "flip_idx": [0, 2, 1, 3, 4]}
    (directory / "scenes.yaml").write_text(yaml.safe_dump(info, sort_keys=False), encoding="utf-8")
    return str(directory / "scenes.yaml")


def _background(size: int, random: np.random.Generator) -> Image.Image:
    """Soft clouds with lines and dots, at the resolution of drawing. None of them looks like a shape."""
    fine = size * SCALE
    clouds = Image.fromarray(random.integers(40, 216, (5, 5, 3), dtype=np.uint8))
    image = clouds.resize((fine, fine), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(image)
    for _ in range(random.integers(4, 14)):
        (x, y), colour = random.uniform(0, fine, 2), tuple(random.integers(0, 256, 3).tolist())
        if random.random() < 0.5:
            ends = random.uniform(0, fine, 2)
            pen.line([x, y, *ends], fill=colour, width=int(SCALE * random.integers(1, 4)))
        else:
            r = SCALE * size * random.uniform(0.003, 0.015)
            pen.ellipse([x - r, y - r, x + r, y + r], fill=colour)
    return image


def _thing(size: int, distance: float, random: np.random.Generator, kind: int | None) -> Thing:
    radius = size * random.uniform(0.06, 0.12) * (2 / (0.5 + distance / 4)) ** 0.5
    kind = int(random.integers(len(CLASSES))) if kind is None else kind
    turn = random.uniform(0, 2 * np.pi)
    centre = random.uniform(0.8 * radius, size - 0.8 * radius, 2)
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shape = SHAPES[CLASSES[kind]]
    low, high = shape.min(0), shape.max(0)
    box = np.array([low, [high[0], low[1]], high, [low[0], high[1]]])
    colour = tuple(random.integers(0, 256, 3).tolist())
    return Thing(kind, centre + radius * shape @ turned.T, centre + radius * box @ turned.T, distance, colour)


def _inside(outline: np.ndarray, size: int) -> np.ndarray:
    mask = Image.new("1", (size, size))
    ImageDraw.Draw(mask).polygon([tuple(p) for p in outline], fill=1)
    return np.asarray(mask)


def _label(thing: Thing, task: str, size: int) -> str:
    return f"{thing.kind} " + " ".join(f"{value:.6f}" for value in _NUMBERS[task](thing, size)) + "\n"


def _box(thing: Thing, size: int) -> np.ndarray:
    low, high = (thing.outline.clip(0, size) / size).min(0), (thing.outline.clip(0, size) / size).max(0)
    return np.concatenate([(low + high) / 2, high - low])


def _outline(thing: Thing, size: int) -> np.ndarray:
    return thing.outline.clip(0, size).ravel() / size


def _corners(thing: Thing, size: int) -> np.ndarray:
    return thing.corners.clip(0, size).ravel() / size


def _keypoints(thing: Thing, size: int) -> np.ndarray:
    visible = ((thing.points >= 0) & (thing.points < size)).all(1, keepdims=True)
    points = np.concatenate([thing.points.clip(0, size) / size, 2.0 * visible], 1)
    return np.concatenate([_box(thing, size), points.ravel()])


_NUMBERS: dict[str, Callable[[Thing, int], np.ndarray]] = {
    "detect": _box,
    "segment": _outline,
    "semantic": _outline,
    "pose": _keypoints,
    "obb": _corners,
}
