import torch
from torch import nn

from yolo_prune.host.optimizers import soap

MEAN = 10.0  # of what the layer reads, whose standard deviation is 1: as behind an activation


def _loss_after(make, lr=1e-2, steps=100):
    """Return the loss of a layer that starts near the solution, as one that least squares has solved."""
    torch.manual_seed(0)
    inputs, solution = torch.randn(256, 32) + MEAN, torch.randn(32, 16)
    wanted, layer = inputs @ solution, nn.Linear(32, 16)
    with torch.no_grad():
        layer.weight.copy_(solution.T + 0.1 * torch.randn(16, 32))
        layer.bias.zero_()
    optimizer = make(layer, lr)
    for _ in range(steps):
        loss = (layer(inputs) - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def test_directions_in_which_inputs_vary_little_are_learned_too():
    adam = _loss_after(lambda layer, lr: torch.optim.AdamW(layer.parameters(), lr=lr, weight_decay=0.0))
    assert _loss_after(lambda layer, lr: soap(layer, lr, decay=0.0)) < 0.1 * adam


def test_only_weights_decay():
    optimizer = soap(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), 1e-3, 0.1)
    groups = {group["param_group"]: group for group in optimizer.param_groups}
    assert {name: group["weight_decay"] for name, group in groups.items()} == {"weight": 0.1, "bias": 0.0, "bn": 0.0}
    assert [parameter.ndim for parameter in groups["weight"]["params"]] == [4]
    assert len(groups["bias"]["params"]) == 2
