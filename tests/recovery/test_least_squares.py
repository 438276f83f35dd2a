import pytest
import torch
from torch import nn

from tests.statistics.batches import model_of_kind
from yolo_prune import RequestError
from yolo_prune.recovery.least_squares import RIDGE, ridge_factor, solve
from yolo_prune.statistics import collect, layers
from yolo_prune.statistics.moments import InputMoments
from yolo_prune.structure.layers import write_reading_weight

NARROWER = {  # the layers of `model_of_kind` without an input channel
    "transposed": lambda: nn.ConvTranspose2d(5, 5, 2, 2),
    "linear": lambda: nn.Linear(5, 5),
    "convolution": lambda: nn.Conv2d(5, 5, 3, padding=1),
}


def _solved(model, inputs, out=range(5)):
    """Return weights and bias of the layer without its last input channel, from the moments of its inputs."""
    moments = collect(model, [inputs], {"0": [InputMoments]})["0"][InputMoments]
    layer = layers(model)["0"]
    mean, covariance = moments.covariance()
    kept = torch.arange(6).repeat_interleave(len(mean) // 6) != 5
    return solve(layer, mean, covariance, kept, list(out))


def _narrowed(kind, model, inputs):
    """Return the narrower layer with the solution written into it."""
    narrower = NARROWER[kind]()
    weight, bias = _solved(model, inputs)
    with torch.no_grad():
        write_reading_weight(narrower, weight.float(), bias.float())
    return narrower


@pytest.mark.parametrize("kind", NARROWER)
def test_an_input_that_repeats_another_one_is_replaced_without_loss(kind):
    """In a linear layer also where it differs by a constant, which the bias takes up."""
    model, inputs = model_of_kind(kind)
    inputs[:, 5] = 2 * inputs[:, 1] + (3 if kind == "linear" else 0)
    narrower = _narrowed(kind, model, inputs)
    with torch.no_grad():
        error = (narrower(inputs[:, :5]) - model(inputs)).square().mean() / model(inputs).var()
    assert error < 1e-3  # the ridge costs a little


@pytest.mark.parametrize("kind", NARROWER)
def test_no_other_change_of_the_weights_comes_nearer(kind):
    """The error of the outputs has no gradient at the solution, but for the ridge."""
    model, _ = model_of_kind(kind)
    inputs = torch.randn(64, 6) if kind == "linear" else torch.randn(8, 6, 7, 7)
    inputs[:, 5] += 0.5 * inputs[:, :5].sum(1)
    narrower = _narrowed(kind, model, inputs)

    def error(layer):
        with torch.no_grad():
            return float((layer(inputs[:, :5]) - model(inputs)).square().mean())

    least = error(narrower)
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        changed = NARROWER[kind]()
        changed.load_state_dict(narrower.state_dict())
        with torch.no_grad():
            for parameter in changed.parameters():
                scale = 0.2 * parameter.abs().mean()
                parameter += scale * torch.randn(parameter.shape, generator=generator)
        assert error(changed) > least


def test_weights_stay_where_the_lost_input_is_correlated_with_no_other():
    model, inputs = model_of_kind("linear")
    inputs = torch.randn(64, 6)
    inputs -= inputs.mean(0)
    others, last = inputs[:, :5], inputs[:, 5:]
    inputs[:, 5:] = last - others @ torch.linalg.lstsq(others, last).solution
    weight, bias = _solved(model, inputs)
    assert torch.allclose(weight.float(), model[0].weight[:, :5], atol=1e-4)
    assert torch.allclose(bias.float(), model[0].bias, atol=1e-4)


def test_only_the_outputs_that_are_kept_are_solved():
    model, inputs = model_of_kind("transposed")
    weight, bias = _solved(model, inputs)
    some_weight, some_bias = _solved(model, inputs, out=[0, 3])
    rows = [0, 1, 2, 3, 12, 13, 14, 15]  # a transposed convolution computes four values at each position
    assert torch.equal(some_weight, weight[rows])
    assert torch.equal(some_bias, bias[rows])


def test_the_ridge_is_a_share_of_each_variance():
    factor = ridge_factor(torch.diag(torch.tensor([4.0, 1.0], dtype=torch.double)), torch.zeros(2, dtype=torch.double))
    assert torch.allclose(factor.square().diagonal(), (1 + RIDGE) * torch.tensor([4.0, 1.0]).double(), rtol=1e-3)


@pytest.mark.parametrize("mean", [0.0, 1e4])
def test_a_covariance_that_is_not_positive_gets_a_larger_ridge(mean):
    """Inputs that never vary; and the rounding of sums in single precision may make a variance negative."""
    covariance = torch.tensor([[-1e-3, 2e-3, 0.0], [2e-3, 1e-3, 0.0], [0.0, 0.0, 0.0]], dtype=torch.double)
    factor = ridge_factor(covariance, torch.full((3,), mean, dtype=torch.double))
    assert factor.isfinite().all()
    assert (factor.diagonal() > 0).all()


@pytest.mark.parametrize("missing", [1e-5, 1e-9, -1e-3])
def test_rounding_that_eats_a_pivot_gets_a_larger_ridge(missing):
    """Two inputs with a correlation over 1, which only rounding makes. Their factor must not blow weights up."""
    correlation = 1 + RIDGE - missing
    covariance = torch.tensor([[1.0, correlation], [correlation, 1.0]], dtype=torch.double)
    factor = ridge_factor(covariance, torch.zeros(2, dtype=torch.double))
    assert torch.cholesky_inverse(factor).norm() < 2 / RIDGE


def test_values_that_are_not_finite_are_refused():
    covariance = torch.eye(2, dtype=torch.double)
    covariance[0, 0] = float("nan")
    with pytest.raises(RequestError, match="computes no finite values on the calibration images"):
        ridge_factor(covariance, torch.zeros(2, dtype=torch.double))
