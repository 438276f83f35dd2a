"""Second moments of what layers read under their kernels."""

from __future__ import annotations

import torch

from yolo_prune.statistics.patches import patches
from yolo_prune.statistics.statistic import LayerBatch, Statistic

POSITIONS = 256  # of each image and layer; a few hundred images then give every layer far more rows than unknowns
WIDE, STRIPS = 256, 4  # columns from which products are computed in strips, and the number of these


class InputMoments(Statistic):
    """First and second moments of what a layer reads under its kernel, at some positions of its output.

    Sums: "patch" (in * kernel), "patches" (in * kernel, in * kernel), "rows" ().
    """

    site = "pre"

    def update(self, batch: LayerBatch) -> None:
        size = batch.layer.outputs(batch.values).shape[-2:]
        rows = patch_rows(batch, sampled_positions(size))
        self.add("patch", rows.sum(0))
        self.add("patches", products(rows))
        self.add("rows", torch.tensor(len(rows), dtype=torch.float64, device=rows.device))

    def covariance(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean (in * kernel) and covariance (in * kernel, in * kernel), float64, on the CPU."""
        rows, patch, products = (self.sums[name].double().cpu() for name in ("rows", "patch", "patches"))
        mean = patch / rows
        return mean, products / rows - torch.outer(mean, mean)


def products(rows: torch.Tensor) -> torch.Tensor:
    """Return rows.T @ rows, of which a wide matrix is computed in strips: what lies below the diagonal is copied.

    Args:
        rows: (rows, columns).
    """
    columns = rows.shape[1]
    if columns < WIDE:
        return rows.T @ rows
    result = rows.new_empty(columns, columns)
    strip = -(-columns // STRIPS)
    for start in range(0, columns, strip):
        end = min(start + strip, columns)
        result[start:end, start:] = rows[:, start:end].T @ rows[:, start:]
        result[end:, start:end] = result[start:end, end:].T
    return result


def patch_rows(batch: LayerBatch, positions: torch.Tensor) -> torch.Tensor:
    """Return what lies under the kernel at these positions: (samples * positions, in * kernel)."""
    return patches(batch.layer.geometry, batch.inputs, positions).flatten(1, 2).transpose(1, 2).flatten(0, 1)


def sampled_positions(size: torch.Size) -> torch.Tensor:
    """Return at most POSITIONS positions of a map of that size, numbered along its rows, ascending.

    They are the same for every image, so that sums do not depend on how images are put into batches.
    """
    return torch.randperm(size.numel(), generator=torch.Generator().manual_seed(0))[:POSITIONS].sort().values
