import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from tests.statistics.batches import labelled
from tests.structure.plans import random_plan
from yolo_prune import YOLO, RequestError, criteria
from yolo_prune.costs import CostModel
from yolo_prune.criteria import needed_statistics, scores_from
from yolo_prune.host.datasets import Wanted, resolve
from yolo_prune.host.images import images_of
from yolo_prune.host.losses import mean_loss
from yolo_prune.recovery.reconstruction import Reconstruction
from yolo_prune.selection import Problem, select
from yolo_prune.statistics import collect, merged
from yolo_prune.statistics.calibration import Calibration
from yolo_prune.structure import PruningPlan, find_groups

LAYER = "model.1.conv"  # 32 x 3 x 3 from 16; at 64 pixels it has 256 positions, all of which are used


@pytest.fixture(scope="module")
def case(models):
    """A model, batches of images, a plan that removes a quarter of all channels, and the model reconstructed by it."""
    model = models("yolov8n.yaml")
    batches = list(torch.rand(3, 4, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    plan = random_plan(model, seed=1, most=0.5)
    return model, batches, plan, Reconstruction(model, batches).apply(plan)


def _inputs_and_outputs(model, name, batches):
    """Return what a convolution reads under its kernel, (rows, in * kernel), and what its batch norm makes of it."""
    module, bn = model.get_submodule(name), model.get_submodule(name.replace("conv", "bn"))
    inputs, outputs = [], []
    handles = (
        module.register_forward_hook(lambda _m, args, _o: inputs.append(args[0])),
        bn.register_forward_hook(lambda _m, _a, output: outputs.append(output.clone())),
    )
    with torch.no_grad():
        for batch in batches:
            model(batch)
    for handle in handles:
        handle.remove()
    rows = F.unfold(torch.cat(inputs), module.kernel_size, module.dilation, module.padding, module.stride)
    return rows.transpose(1, 2).flatten(0, 1), torch.cat(outputs).flatten(2).transpose(1, 2).flatten(0, 1)


def test_a_plan_that_removes_nothing_changes_nothing(case):
    model, batches, _, _ = case
    full = Reconstruction(model, batches).apply(PruningPlan.full(model))
    for before, after in zip(model.state_dict().values(), full.state_dict().values(), strict=True):
        assert torch.equal(before, after)


def test_a_layer_computes_what_it_did_as_nearly_as_least_squares_can(case):
    model, batches, plan, slim = case
    rows, outputs = _inputs_and_outputs(model, LAYER, batches)
    keep = plan.layers[LAYER]
    kept = rows.unflatten(1, (-1, 9))[:, list(keep.in_)].flatten(1)
    outputs = outputs[:, list(keep.out)]
    ones = torch.cat([kept, torch.ones(len(kept), 1)], 1).double()
    least = (ones @ torch.linalg.lstsq(ones, outputs.double()).solution - outputs).square().mean()

    def error(model):
        conv, bn = model.get_submodule(LAYER), model.get_submodule(LAYER.replace("conv", "bn"))
        with torch.no_grad():
            return (bn((kept @ conv.weight.flatten(1).T)[..., None, None])[..., 0, 0] - outputs).square().mean()

    assert least <= error(slim) <= 1.05 * least
    assert error(slim) < 0.5 * error(plan.apply(model))


def test_batch_norms_hold_the_statistics_of_what_they_will_read(case):
    model, batches, plan, slim = case
    rows, _ = _inputs_and_outputs(model, LAYER, batches)
    kept = rows.unflatten(1, (-1, 9))[:, list(plan.layers[LAYER].in_)].flatten(1)
    conv, bn = slim.get_submodule(LAYER), slim.get_submodule(LAYER.replace("conv", "bn"))
    read = kept @ conv.weight.detach().flatten(1).T
    assert torch.allclose(bn.running_mean, read.mean(0), atol=1e-4)
    assert torch.allclose(bn.running_var, read.var(0), rtol=1e-3)


@settings(max_examples=5, deadline=None)
@given(cuts=st.sets(st.integers(1, 11)), seed=st.integers(0, 100))
def test_order_and_batches_of_the_images_make_no_difference(case, cuts, seed):
    model, batches, plan, slim = case
    order = torch.randperm(12, generator=torch.Generator().manual_seed(seed))
    split = torch.tensor_split(torch.cat(batches)[order], sorted(cuts))
    other = Reconstruction(model, list(split)).apply(plan)
    with torch.no_grad():
        assert torch.allclose(other(batches[0])[0], slim(batches[0])[0], rtol=1e-3, atol=1e-2)


class Passes(list):
    """Batches that count how often they are read."""

    count = 0

    def __iter__(self):
        self.count += 1
        return super().__iter__()


def test_little_memory_takes_more_passes_to_the_same_result(case):
    model, batches, plan, slim = case
    images = Passes(batches)
    reconstruction = Reconstruction(model, images, memory=2**22)
    other = reconstruction.apply(plan)
    assert not reconstruction.fits_in_memory
    assert reconstruction.wanted == {}
    assert images.count > 3
    for a, b in zip(slim.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_covariances_that_fit_in_memory_serve_every_plan(case):
    model, batches, plan, slim = case
    images = Passes(batches)
    reconstruction = Reconstruction(model, images)
    reconstruction.apply(random_plan(model, seed=2, most=0.3))
    again = reconstruction.apply(plan)
    assert reconstruction.fits_in_memory
    assert images.count == 1
    for a, b in zip(slim.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def _refused():
    raise AssertionError("an image was read once more")
    yield


@pytest.fixture(scope="module")
def alone(models):
    """Labelled images, a plan, and the weights of the model reconstructed by it in a pass of its own."""
    model, images = models("yolov8n.yaml"), list(labelled(6))
    plan = random_plan(model, seed=3, most=0.5)
    return images, plan, Reconstruction(model, list(images_of(images))).apply(plan).state_dict()


@pytest.mark.parametrize("criterion", ["contribution:centred", "expressiveness*taylor"])
def test_criteria_and_reconstruction_share_the_first_pass(models, alone, criterion):
    """Also where a criterion uses gradients of the loss, so that the pass runs backward, too."""
    model, (images, plan, expected) = models("yolov8n.yaml"), alone
    groups = find_groups(model)
    of_expression = [term.criterion for term in criteria.terms(criteria.parse(criterion))]
    shared = Reconstruction(model, _refused())
    statistics = collect(model, images, merged(needed_statistics(groups, of_expression), shared.wanted))
    shared.take(statistics)
    assert shared.wanted == {}
    slim, cut = shared.apply(plan, groups).state_dict(), plan.apply(model, groups).state_dict()
    for name, value in expected.items():
        assert torch.allclose(slim[name], value, rtol=1e-5, atol=1e-5 * float(value.abs().max())), name
    assert sum(not torch.equal(cut[name], value) for name, value in slim.items()) > len(slim) / 2
    scores = criteria.evaluate(criteria.parse(criterion), scores_from(model, groups, of_expression, statistics))
    of_own_pass = criteria.score(model, images, criterion, groups=groups)
    assert all(torch.allclose(scores[name], of_own_pass[name], rtol=1e-4, atol=1e-7) for name in of_own_pass)


def test_a_channel_that_another_one_repeats_is_replaced_without_loss(models):
    model = copy.deepcopy(models("yolov8n.yaml"))
    for tensor in (model.model[0].conv.weight, *model.model[0].bn.state_dict().values()):
        if tensor.dim():
            tensor.data[1] = tensor.data[0]
    images = torch.rand(4, 3, 64, 64)
    plan = PruningPlan.full(model).without(find_groups(model), {"model.0.conv": [1]})
    models_by_name = {"original": model, "cut": plan.apply(model),
                      "rebuilt": Reconstruction(model, [images]).apply(plan)}  # fmt: skip
    outputs = {name: _inputs_and_outputs(one, LAYER, [images])[1] for name, one in models_by_name.items()}
    lost = (outputs["cut"] - outputs["original"]).abs().max()
    assert (outputs["rebuilt"] - outputs["original"]).abs().max() < 0.02 * lost  # LAYER is the only reader


def test_on_real_images_it_recovers_most_of_what_slimming_costs(yolov8n_bccd, bccd):
    model = YOLO(yolov8n_bccd).model.float().eval()
    calibration = Calibration.draw(resolve(str(bccd), Wanted(None, None)), 18, 160, 6, seed=0)
    costs = CostModel.of(model, 160)
    groups = costs.network.groups
    scores = criteria.score(model, calibration.scoring, "taylor", groups=groups)
    removed = select(Problem(groups, costs, {"macs": 0.54 * costs.full["macs"]}, scores=scores))
    plan = PruningPlan.full(model).without(groups, removed)
    slimmed = plan.apply(model, groups), Reconstruction(model, calibration.scoring).apply(plan, groups)
    full, cut, rebuilt = (mean_loss(one, calibration.judging) for one in (model, *slimmed))
    assert rebuilt - full < 0.5 * (cut - full)


def test_images_on_which_nothing_finite_is_computed_are_refused(models):
    model = models("yolov8n.yaml")
    plan = PruningPlan.full(model).without(find_groups(model), {"model.0.conv": [1]})
    with pytest.raises(RequestError, match="no finite values"):
        Reconstruction(model, [torch.full((1, 3, 64, 64), float("nan"))]).apply(plan)


def test_inputs_that_hardly_vary_beside_their_mean_are_no_obstacle(models):
    """Sums in single precision hold nothing of their variance but rounding."""
    model = models("yolov8n-cls.yaml")
    plan = PruningPlan.full(model).without(find_groups(model), {"model.9.conv.conv": list(range(40))})
    images = 0.5 + 1e-6 * torch.rand(8, 3, 64, 64)
    rebuilt = Reconstruction(model, [images]).apply(plan)
    with torch.no_grad():
        assert (rebuilt(images)[1] - model(images)[1]).abs().max() < 1e-3
