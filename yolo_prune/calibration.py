"""Images that statistics are gathered on: of the training split, or noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, Subset

from yolo_prune.dataset import Dataset

# Pixels. Noise has no scale that a larger image would show; a multiple of every stride (up to 64).
NOISE_SIZE = 192


@dataclass
class TrainingImages:
    """Batches of labelled training images, letterboxed, not augmented, as Ultralytics' losses take them.

    May be iterated any number of times; images are read again each time, so that memory does not grow with them.
    """

    source: Any  # an Ultralytics dataset
    indices: list[int]
    batch: int

    def __iter__(self) -> Iterator[dict[str, Any]]:
        loader = DataLoader(Subset(self.source, self.indices), self.batch, collate_fn=self.source.collate_fn)
        for batch in loader:
            batch["img"] = batch["img"].float() / 255
            yield batch

    def __len__(self) -> int:
        return -(-len(self.indices) // self.batch)

    @property
    def images(self) -> Iterator[torch.Tensor]:
        return (batch["img"] for batch in self)


@dataclass(frozen=True)
class Calibration:
    """Random draws from the training split: to score on, to re-estimate batch norms on, and to judge that on.

    The last has no image in common with the other two, unless the split has only one.
    """

    scoring: TrainingImages
    statistics: TrainingImages
    judging: TrainingImages

    @classmethod
    def draw(cls, dataset: Dataset, samples: int, imgsz: int, batch: int, seed: int) -> Calibration:
        """Draw at most `samples` images to score on, 128 (a quarter at most) to judge on and 512 of the rest."""
        source = dataset.split("train", imgsz, batch)
        order = torch.randperm(len(source), generator=torch.Generator().manual_seed(seed)).tolist()
        held = min(128, max(1, len(order) // 4))
        judging, rest = order[:held], order[held:] or order
        return cls(
            *(TrainingImages(source, indices, min(batch, 16)) for indices in (rest[:samples], rest[-512:], judging))
        )


def noise(samples: int, channels: int = 3, seed: int = 0, batch: int = 8) -> Iterator[torch.Tensor]:
    """Batches of standard normal noise, (batch, channels, 192, 192): calibration without any data."""
    generator = torch.Generator().manual_seed(seed)
    for start in range(0, samples, batch):
        size = min(batch, samples - start)
        yield torch.randn(size, channels, NOISE_SIZE, NOISE_SIZE, generator=generator)
