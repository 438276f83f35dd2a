"""Batches of images: labelled ones of a training split, or those of any folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch.utils.data import DataLoader, Subset
from ultralytics.data.augment import LetterBox
from ultralytics.utils import ASSETS
from ultralytics.utils.patches import imread

from yolo_prune.errors import RequestError
from yolo_prune.files import first_of_each, real_paths
from yolo_prune.host.dataset_files import image_files
from yolo_prune.host.datasets import Dataset, paths_of

BATCH = 16
MOST_PIXELS = 2**27  # in an image for calibration; twice as many as the largest cameras have
Batch = torch.Tensor | dict[str, Any]  # images alone, or labelled as Ultralytics' losses take them


@dataclass(frozen=True)
class LabelledImages:
    """Batches of labelled images of a split, not augmented, as Ultralytics' losses take them.

    They may be iterated any number of times. Images are read again each time, so that memory does not grow with them.

    Attributes:
        split: an Ultralytics dataset.
        indices: the images of the split that are meant.
        batch: images in a batch.
    """

    split: Any
    indices: list[int]
    batch: int

    def __iter__(self) -> Iterator[dict[str, Any]]:
        try:
            for batch in self.loader():
                batch["img"] = as_floats(batch["img"])
                yield batch
        except FileNotFoundError as error:  # its header was fine, its pixels are not
            raise RequestError(f"an image cannot be read: {error}") from None

    def __len__(self) -> int:
        return -(-len(self.indices) // self.batch)

    def first(self, count: int) -> LabelledImages:
        """Return at most `count` of these images."""
        return replace(self, indices=self.indices[:count])

    def part(self, number: int, parts: int) -> LabelledImages:
        """Return one of several parts that together have all of these images."""
        return replace(self, indices=self.indices[number::parts])

    @property
    def paths(self) -> list[str]:
        """The paths of these images."""
        every = paths_of(self.split)
        return [every[i] for i in self.indices]

    @property
    def other_paths(self) -> list[str]:
        """The paths of all other images of the split, as often as it lists them. None is a path of one of these."""
        every, mine = paths_of(self.split), {*real_paths(self.paths)}
        return [path for path, real in zip(every, real_paths(every), strict=True) if real not in mine]

    def loader(self) -> DataLoader:
        """Return the batches as Ultralytics' validators take them."""
        collate = getattr(self.split, "collate_fn", None)  # classification uses torch's own
        return DataLoader(Subset(self.split, self.indices), self.batch, collate_fn=collate)

    @property
    def images(self) -> Iterator[torch.Tensor]:
        """The images without their labels, (samples, channels, height, width) in [0, 1]."""
        return images_of(self)


@dataclass(frozen=True)
class FolderImages:
    """Batches of the images of a folder, letterboxed to squares of `imgsz` pixels, RGB in [0, 1], without labels."""

    paths: list[Path]
    imgsz: int

    @classmethod
    def draw(cls, folder: str, samples: int, imgsz: int, seed: int) -> FolderImages:
        """Draw at most `samples` images from a folder and its subfolders. Raises RequestError if there are not two."""
        files = [file for file in image_files(folder) if Path(file).is_file()]
        paths = [Path(files[i]) for i in first_of_each(real_paths(files))]
        if len(paths) < 2:
            raise RequestError(f"calibration {folder}: there are {len(paths)} images in it; at least 2 are needed")
        order = torch.randperm(len(paths), generator=torch.Generator().manual_seed(seed)).tolist()
        return cls([paths[i] for i in order[:samples]], imgsz)

    def __iter__(self) -> Iterator[torch.Tensor]:
        for start in range(0, len(self.paths), BATCH):
            yield torch.stack([self._read(path) for path in self.paths[start : start + BATCH]])

    def __len__(self) -> int:
        return -(-len(self.paths) // BATCH)

    def part(self, number: int, parts: int) -> FolderImages:
        """Return one of several parts that together have all of these images."""
        return replace(self, paths=self.paths[number::parts])

    def require_readable(self) -> None:
        """Raise RequestError for the first image that cannot be read."""
        for path in self.paths:
            self._read(path)

    def _read(self, path: Path) -> torch.Tensor:
        image = _pixels(path)
        if image is None:
            raise RequestError(f"calibration image {path} cannot be read")
        square = LetterBox((self.imgsz, self.imgsz), auto=False)(image=image)
        return torch.from_numpy(square[..., ::-1].transpose(2, 0, 1).copy()).float() / 255


def _pixels(path: Path) -> Any:
    """Return the pixels of an image file, (height, width, channels) BGR, or None if it cannot be read or is too large.

    The header is read first, because a small file may stand for more pixels than the memory holds.
    """
    try:
        with Image.open(path) as header:
            width, height = header.size
        return imread(str(path)) if width * height <= MOST_PIXELS else None
    except Exception:  # a file that is no image can fail in any way
        return None


def as_floats(images: torch.Tensor) -> torch.Tensor:
    """Return images of an Ultralytics dataset in [0, 1]. Those for classification are floats already, others bytes."""
    return images if images.is_floating_point() else images.float() / 255


def images_in(batch: Batch) -> torch.Tensor:
    """Return the images of a batch that may be labelled."""
    return batch["img"] if isinstance(batch, dict) else batch


def images_of(batches: Iterable[Batch]) -> Iterator[torch.Tensor]:
    """Return the images of batches that may be labelled."""
    return map(images_in, batches)


def example_images(dataset: Dataset | None, imgsz: int, channels: int = 3, count: int = 4) -> torch.Tensor:
    """Return images of the val split, or those that come with Ultralytics, or noise where these have other channels.

    Returns:
        (count, channels, imgsz, imgsz) in [0, 1]; fewer where there are fewer images.
    """
    if dataset is not None:
        split = dataset.split("val", imgsz)
        return as_floats(torch.stack([split[i]["img"] for i in range(min(count, len(split)))]))
    if channels != 3:
        return torch.rand(count, channels, imgsz, imgsz, generator=torch.Generator().manual_seed(0))
    paths = sorted(ASSETS.glob("*.jpg"))[:count]
    return next(iter(FolderImages(paths, imgsz)))
