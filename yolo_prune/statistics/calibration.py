"""Calibration images: which images statistics are gathered on, and which are held out to judge on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np
import torch
from torch import nn

from yolo_prune.files import first_of_each, real_paths
from yolo_prune.host.datasets import Dataset, paths_of
from yolo_prune.host.heads import pooled_features
from yolo_prune.host.images import BATCH, LabelledImages

NOISE_SIZE = 192  # pixels, a multiple of every stride; noise shows no more in a larger image
LEAST_HELD_OUT = 8  # images that can tell one loss from another
CANDIDATES = 2048  # images that a representative choice is made from
JUDGING = 128  # images to judge on, at most
STATISTICS = 512  # images to re-estimate batch norms on, at most


@dataclass(frozen=True)
class Calibration:
    """Random draws from the training split.

    Attributes:
        scoring: images to score and to reconstruct on.
        statistics: images to re-estimate batch norms on.
        judging: images to judge on. None of them is in the other draws, unless the split has only one image.
        candidates: images to choose representative ones from.
    """

    scoring: LabelledImages
    statistics: LabelledImages
    judging: LabelledImages
    candidates: LabelledImages

    @classmethod
    def draw(cls, dataset: Dataset, samples: int, imgsz: int, batch: int, seed: int) -> Calibration:
        """Draw from the training split.

        Args:
            dataset: to draw from.
            samples: images to score on, at most.
            imgsz: pixels.
            batch: images in a batch, at most 16.
            seed: of the draw.
        """
        split = dataset.split("train", imgsz, batch)
        once = first_of_each(real_paths(paths_of(split)))  # a split may list an image several times
        order = [once[i] for i in torch.randperm(len(once), generator=torch.Generator().manual_seed(seed)).tolist()]
        held = min(JUDGING, max(1, len(order) // 4))
        judging, others = order[:held], order[held:] or order
        parts = (others[:samples], others[-STATISTICS:], judging, others[:CANDIDATES])
        return cls(*(LabelledImages(split, indices, min(batch, BATCH)) for indices in parts))

    @cached_property
    def split_size(self) -> int:
        """The number of different images of the split."""
        return len(first_of_each(real_paths(paths_of(self.judging.split))))

    def held_out(self, accurately: bool = False) -> LabelledImages | None:
        """Return some of the images to judge on, for training to leave out.

        They are a twentieth of the split, but 16 to 64, and at most a quarter of the split. None where that is less
        than 8.

        Args:
            accurately: whether a difference of hundredths has to be seen: then they are 64 to 128.
        """
        images = self.split_size
        least, most = (64, JUDGING) if accurately else (16, 64)
        count = min(images // 4, max(least, images // 20), most)
        return self.judging.first(count) if count >= LEAST_HELD_OUT else None

    def representative(self, model: nn.Module, samples: int, seed: int) -> LabelledImages:
        """Return the candidates nearest to the centres of `samples` k-means clusters of the model's pooled features."""
        features = pooled_features(model, self.candidates.images)
        chosen = [self.candidates.indices[i] for i in medoids(features, samples, seed)]
        return LabelledImages(self.candidates.split, chosen, self.candidates.batch)


def medoids(features: torch.Tensor, count: int, seed: int) -> list[int]:
    """Return the row nearest to the centre of each of at most `count` clusters of the rows, ascending.

    Args:
        features: (rows, features); each feature is divided by its standard deviation first.
        count: number of clusters.
        seed: of the start of k-means.
    """
    if count >= len(features):
        return list(range(len(features)))
    from sklearn.cluster import KMeans  # importing it takes more than a second, and few commands need it

    points = features.double()
    points = ((points - points.mean(0)) / points.std(0).clamp_min(1e-12)).numpy()
    kmeans = KMeans(count, n_init=3, random_state=seed).fit(points)
    distance = np.linalg.norm(points - kmeans.cluster_centers_[kmeans.labels_], axis=1)
    nearest: dict[int, int] = {}
    for row in np.argsort(distance, kind="stable"):
        nearest.setdefault(int(kmeans.labels_[row]), int(row))
    return sorted(nearest.values())


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

    def part(self, number: int, parts: int) -> list[torch.Tensor]:
        """Return one of several parts that together have all batches."""
        return list(islice(self, number, None, parts))

    def __len__(self) -> int:
        return -(-self.samples // self.batch)
