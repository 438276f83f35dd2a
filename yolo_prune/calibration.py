"""Images that statistics are gathered on: of the training split, of any folder, or noise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import nn
from torch.utils.data import DataLoader, Subset
from ultralytics.data.augment import LetterBox
from ultralytics.data.utils import IMG_FORMATS
from ultralytics.utils.patches import imread

from yolo_prune.dataset import Dataset
from yolo_prune.errors import RequestError
from yolo_prune.structure.blocks import pooled_features

# Pixels. Noise has no scale that a larger image would show; a multiple of every stride (up to 64).
NOISE_SIZE = 192
LEAST_UNSEEN = 8  # images that tell one loss from another
CANDIDATES = 2048  # images that a representative choice looks at
BATCH = 16


@dataclass
class TrainingImages:
    """Batches of labelled training images, not augmented, as Ultralytics' losses take them.

    May be iterated any number of times; images are read again each time, so that memory does not grow with them.
    """

    source: Any  # an Ultralytics dataset
    indices: list[int]
    batch: int

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for batch in self.loader():
            batch["img"] = as_floats(batch["img"])
            yield batch

    def __len__(self) -> int:
        return -(-len(self.indices) // self.batch)

    @property
    def others(self) -> list[str]:
        """The paths of all other images of their split; not for classification."""
        mine = set(self.indices)
        return [path for i, path in enumerate(self.source.im_files) if i not in mine]

    def loader(self) -> DataLoader:
        """The batches as Ultralytics' validators take them."""
        collate = getattr(self.source, "collate_fn", None)  # torch's serves for classification
        return DataLoader(Subset(self.source, self.indices), self.batch, collate_fn=collate)

    @property
    def images(self) -> Iterator[torch.Tensor]:
        return images_of(self)


def as_floats(images: torch.Tensor) -> torch.Tensor:
    """Images of an Ultralytics dataset in [0, 1]; those for classification are so already, all others are bytes."""
    return images if images.is_floating_point() else images.float() / 255


def images_of(batches: Iterable[torch.Tensor | dict[str, Any]]) -> Iterator[torch.Tensor]:
    """The images alone of batches that may be labelled."""
    return (batch["img"] if isinstance(batch, dict) else batch for batch in batches)


@dataclass(frozen=True)
class Calibration:
    """Random draws from the training split: to score on, to re-estimate batch norms on, and to judge that on.

    The last has no image in common with the other two, unless the split has only one.
    """

    scoring: TrainingImages
    statistics: TrainingImages
    judging: TrainingImages
    candidates: TrainingImages  # to choose representative ones from

    @classmethod
    def draw(cls, dataset: Dataset, samples: int, imgsz: int, batch: int, seed: int) -> Calibration:
        """Draw at most `samples` images to score on, 128 (a quarter at most) to judge on and 512 of the rest."""
        source = dataset.split("train", imgsz, batch)
        order = torch.randperm(len(source), generator=torch.Generator().manual_seed(seed)).tolist()
        held = min(128, max(1, len(order) // 4))
        judging, rest = order[:held], order[held:] or order
        parts = (rest[:samples], rest[-512:], judging, rest[:CANDIDATES])
        return cls(*(TrainingImages(source, indices, min(batch, BATCH)) for indices in parts))

    def unseen(self) -> TrainingImages | None:
        """Some of the images to judge on, for training to leave out: a twentieth of the split, but 16 to 64.

        Fewer where they would be more than a quarter of it; None where that is less than 8.
        """
        images = len(self.judging.source)
        count = min(images // 4, max(16, images // 20), 64)
        return replace(self.judging, indices=self.judging.indices[:count]) if count >= LEAST_UNSEEN else None

    @property
    def all_scored(self) -> TrainingImages:
        """The images to score on and those to judge on."""
        return replace(self.scoring, indices=[*self.scoring.indices, *self.judging.indices])

    def representative(self, model: nn.Module, samples: int, seed: int) -> TrainingImages:
        """The candidates nearest to the centres of `samples` clusters (k-means) of the model's pooled features."""
        features = pooled_features(model, self.candidates.images)
        chosen = [self.candidates.indices[i] for i in medoids(features, samples, seed)]
        return TrainingImages(self.candidates.source, chosen, self.candidates.batch)


def medoids(features: torch.Tensor, count: int, seed: int) -> list[int]:
    """The row nearest to the centre of each of at most `count` clusters of the rows, ascending.

    Args:
        features: (rows, features); each feature is scaled to its standard deviation first.
        count: of clusters.
        seed: of k-means' start.
    """
    if count >= len(features):
        return list(range(len(features)))
    points = features.double()
    points = ((points - points.mean(0)) / points.std(0).clamp_min(1e-12)).numpy()
    kmeans = KMeans(count, n_init=3, random_state=seed).fit(points)
    distance = np.linalg.norm(points - kmeans.cluster_centers_[kmeans.labels_], axis=1)
    nearest: dict[int, int] = {}
    for row in np.argsort(distance, kind="stable"):
        nearest.setdefault(int(kmeans.labels_[row]), int(row))
    return sorted(nearest.values())


@dataclass(frozen=True)
class FolderImages:
    """Batches of the images of a folder, letterboxed to squares of `imgsz` pixels, RGB in [0, 1]; no labels."""

    paths: list[Path]
    imgsz: int

    @classmethod
    def draw(cls, folder: str, samples: int, imgsz: int, seed: int) -> FolderImages:
        """At most `samples` images in and below a folder, by the seed. Raises RequestError if there are none."""
        paths = sorted(p for p in Path(folder).rglob("*") if p.suffix[1:].lower() in IMG_FORMATS)
        if len(paths) < 2:
            raise RequestError(f"calibration {folder}: there are {len(paths)} images in it; at least 2 are needed")
        order = torch.randperm(len(paths), generator=torch.Generator().manual_seed(seed)).tolist()
        return cls([paths[i] for i in order[:samples]], imgsz)

    def __iter__(self) -> Iterator[torch.Tensor]:
        for start in range(0, len(self.paths), BATCH):
            yield torch.stack([self._read(path) for path in self.paths[start : start + BATCH]])

    def __len__(self) -> int:
        return -(-len(self.paths) // BATCH)

    def require_readable(self) -> None:
        """Raise RequestError for the first image that cannot be read."""
        for path in self.paths:
            self._read(path)

    def _read(self, path: Path) -> torch.Tensor:
        image = imread(str(path))
        if image is None:
            raise RequestError(f"calibration image {path} cannot be read")
        square = LetterBox((self.imgsz, self.imgsz), auto=False)(image=image)
        return torch.from_numpy(square[..., ::-1].transpose(2, 0, 1).copy()).float() / 255


@dataclass(frozen=True)
class Noise:
    """Batches of standard normal noise, (batch, channels, 192, 192): calibration without any data."""

    samples: int
    channels: int = 3
    seed: int = 0
    batch: int = 8

    def __iter__(self) -> Iterator[torch.Tensor]:
        generator = torch.Generator().manual_seed(self.seed)
        for start in range(0, self.samples, self.batch):
            size = min(self.batch, self.samples - start)
            yield torch.randn(size, self.channels, NOISE_SIZE, NOISE_SIZE, generator=generator)

    def __len__(self) -> int:
        return -(-self.samples // self.batch)
