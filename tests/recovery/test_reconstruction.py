import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from tests.structure.plans import random_removal
from yolo_prune import YOLO, RequestError, criteria, reconstruction
from yolo_prune.calibration import Calibration
from yolo_prune.dataset import resolve
from yolo_prune.loss import mean_loss
from yolo_prune.reconstruction import Reconstruction
from yolo_prune.select import select
from yolo_prune.structure import CostModel, PruningPlan, find_groups

LAYER = "model.1.conv"  # 32 x 3 x 3 from 16; at 64 pixels it has 256 positions, all of which are used


@pytest.fixture(scope="module")
def case(models):
    """A model, batches of images, a plan that removes a quarter of all channels, and the model reconstructed by it."""
    model = models("yolov8n.yaml")
    batches = list(torch.rand(3, 4, 3, 64, 64))
    groups = find_groups(model)
    plan = PruningPlan.full(model).without(groups, random_removal(groups, seed=1, most=0.5))
    return model, batches, plan, Reconstruction(model, batches).apply(plan)


def _read(model, name, batches):
    """What a convolution reads under its kernel, (positions, in * kernel), and what its batch norm puts out of it."""
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


def test_what_loses_nothing_is_not_touched(case):
    model, batches, _, _ = case
    whole = Reconstruction(model, batches).apply(PruningPlan.full(model))
    for was, now in zip(model.state_dict().values(), whole.state_dict().values(), strict=True):
        assert torch.equal(was, now)


def test_a_layer_computes_as_nearly_what_it_did_as_least_squares_can(case):
    model, batches, plan, slim = case
    rows, wanted = _read(model, LAYER, batches)
    keep = plan.layers[LAYER]
    kept = rows.unflatten(1, (-1, 9))[:, list(keep.in_)].flatten(1)
    wanted = wanted[:, list(keep.out)]
    ones = torch.cat([kept, torch.ones(len(kept), 1)], 1).double()
    least = (ones @ torch.linalg.lstsq(ones, wanted.double()).solution - wanted).square().mean()

    def error(model):
        conv, bn = model.get_submodule(LAYER), model.get_submodule(LAYER.replace("conv", "bn"))
        with torch.no_grad():
            return (bn((kept @ conv.weight.flatten(1).T)[..., None, None])[..., 0, 0] - wanted).square().mean()

    assert least <= error(slim) <= 1.05 * least
    assert error(slim) < 0.5 * error(plan.apply(model))


def test_batch_norms_hold_the_statistics_of_what_they_will_see(case):
    model, batches, plan, slim = case
    rows, _ = _read(model, LAYER, batches)
    kept = rows.unflatten(1, (-1, 9))[:, list(plan.layers[LAYER].in_)].flatten(1)
    conv, bn = slim.get_submodule(LAYER), slim.get_submodule(LAYER.replace("conv", "bn"))
    seen = kept @ conv.weight.detach().flatten(1).T
    assert torch.allclose(bn.running_mean, seen.mean(0), atol=1e-4)
    assert torch.allclose(bn.running_var, seen.var(0), rtol=1e-3)


@settings(max_examples=5, deadline=None)
@given(cuts=st.sets(st.integers(1, 11)), seed=st.integers(0, 100))
def test_order_and_batches_of_the_images_make_no_difference(case, cuts, seed):
    model, batches, plan, slim = case
    order = torch.randperm(12, generator=torch.Generator().manual_seed(seed))
    split = torch.tensor_split(torch.cat(batches)[order], sorted(cuts))
    other = Reconstruction(model, list(split)).apply(plan)
    with torch.no_grad():
        assert torch.allclose(other(batches[0])[0], slim(batches[0])[0], rtol=1e-3, atol=1e-2)


def test_little_memory_takes_more_passes_to_the_same_result(case, monkeypatch):
    model, batches, plan, slim = case
    monkeypatch.setattr(reconstruction, "MEMORY", 2**22)
    passes = []
    handle = model.register_forward_hook(lambda *_: passes.append(1))
    other = Reconstruction(model, batches).apply(plan)
    handle.remove()
    assert len(passes) > 3 * len(batches)
    for a, b in zip(slim.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_channel_that_another_one_repeats_is_made_up_for(models):
    model = copy.deepcopy(models("yolov8n.yaml"))
    for tensor in (model.model[0].conv.weight, *model.model[0].bn.state_dict().values()):
        if tensor.dim():
            tensor.data[1] = tensor.data[0]
    images = torch.rand(4, 3, 64, 64)
    plan = PruningPlan.full(model).without(find_groups(model), {"model.0.conv": [1]})
    _, true = _read(model, LAYER, [images])  # its only reader
    _, cut = _read(plan.apply(model), LAYER, [images])
    _, rebuilt = _read(Reconstruction(model, [images]).apply(plan), LAYER, [images])
    assert (rebuilt - true).abs().max() < 0.02 * (cut - true).abs().max()


def test_on_real_images_it_keeps_most_of_what_slimming_costs(yolov8n_bccd, bccd):
    model = YOLO(yolov8n_bccd).model.float().eval()
    calibration = Calibration.draw(resolve(str(bccd), None, 3), 18, 160, 6, seed=0)
    groups, costs = find_groups(model), CostModel.of(model, 160)
    scores = criteria.score(model, calibration.scoring, "taylor", groups=groups)
    plan = PruningPlan.full(model).without(groups, select(groups, scores, costs, {"macs": 0.54 * costs.full.macs}))
    full, cut, rebuilt = (
        mean_loss(m, calibration.judging)
        for m in (model, plan.apply(model), Reconstruction(model, calibration.scoring).apply(plan))
    )
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
