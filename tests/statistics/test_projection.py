"""Random projections of outputs, whose gradients have the Hessian of the divergence as their covariance."""

import pytest
import torch
from torch.autograd.functional import hessian

from yolo_prune.host.heads import Branch
from yolo_prune.recovery.objectives.outputs import divergence
from yolo_prune.statistics.projection import project

DRAWS = 3000


def _tensor(*shape):
    return torch.randn(1, *shape, generator=torch.Generator().manual_seed(len(shape)), dtype=torch.float64)


BRANCHES = {
    "detection": lambda scores, sides: Branch(scores, sides),
    "boxes without bins": lambda scores, boxes: Branch(scores, per_object={"boxes": boxes}),
    "maps": lambda depth: Branch(maps={"depth": depth}),
    "classification": lambda classes: Branch(classes=[classes]),
    "semantic segmentation": lambda classes: Branch(classes=[classes]),
}
OUTPUTS = {
    "detection": ((2, 3), (4, 3, 3)),
    "boxes without bins": ((2, 3), (4, 3)),
    "maps": ((2, 3, 2),),
    "classification": ((5,),),
    "semantic segmentation": ((3, 2, 2),),
}


@pytest.mark.parametrize("task", OUTPUTS)
def test_the_mean_square_of_a_projections_derivative_is_the_hessian_of_the_divergence(task):
    outputs = [_tensor(*shape) for shape in OUTPUTS[task]]
    sizes = [output.numel() for output in outputs]

    def branch(flat):
        parts = flat.split(sizes)
        return BRANCHES[task](*(part.view(output.shape) for part, output in zip(parts, outputs, strict=True)))

    flat = torch.cat([output.flatten() for output in outputs])
    original = branch(flat)
    expected = hessian(lambda own: divergence(branch(own), original).double(), flat)
    covariance = torch.zeros_like(expected)
    for seed in range(DRAWS):
        own = flat.clone().requires_grad_(True)
        project([branch(own)], [seed]).backward()
        covariance += own.grad.outer(own.grad) / DRAWS
    assert (covariance - expected).norm() < 0.15 * expected.norm()
    assert torch.allclose(covariance.diagonal(), expected.diagonal(), rtol=0.15, atol=1e-3 * float(expected.max()))
