"""Optimizers that Ultralytics' trainer does not have."""

from __future__ import annotations

from torch import nn
from torch.optim import Optimizer
from ultralytics.utils.torch_utils import unwrap_model

SOAP = "SOAP"
BETAS = (0.9, 0.95)  # decay rates of the first and the second moments
PERIOD = 10  # steps between two updates of the eigenbases


def soap(model: nn.Module, lr: float, decay: float) -> Optimizer:
    """Return SOAP (Vyas et al. 2024, arXiv:2409.11321): Adam in the eigenbases of each weight's gradients.

    What a layer reads varies much more in some directions than in others. Adam's steps along single weights disturb the
    former most, so that a model which least squares has just solved can only take small steps.

    Args:
        model: to be trained.
        lr: the learning rate.
        decay: of weights; not of biases and batch norms.
    """
    from pytorch_optimizer import SOAP as Soap

    weights, others, biases = [], [], []
    for name, parameter in unwrap_model(model).named_parameters():
        kind = weights if parameter.ndim > 1 else biases if name.endswith("bias") else others
        kind.append(parameter)
    groups = [
        {"params": biases, "weight_decay": 0.0, "param_group": "bias"},
        {"params": weights, "weight_decay": decay, "param_group": "weight"},
        {"params": others, "weight_decay": 0.0, "param_group": "bn"},
    ]
    return Soap(groups, lr=lr, betas=BETAS, precondition_frequency=PERIOD)
