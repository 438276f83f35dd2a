import copy
import gc
import weakref

import pytest
import torch
import torch_pruning as tp
from torch import nn

from tests.criteria.test_statistics import labelled
from yolo_prune import YOLO, RequestError, criteria
from yolo_prune.criteria import collect
from yolo_prune.criteria.layer import layers
from yolo_prune.loss import loss_of_each, mean_loss

LAYERS = ("model.1.conv", "model.2.m.0.cv1.conv", "model.15.cv2.conv", "model.22.cv3.1.0.conv")


@pytest.fixture(scope="module")
def model(models):
    return copy.deepcopy(models("yolov8n.yaml"))


def _of_layers(model, name, batches):
    criterion = criteria.get(name)
    collected = collect(model, batches, dict.fromkeys(LAYERS, criterion.needs))
    return {layer: criterion.function(layers(model)[layer], collected[layer]) for layer in LAYERS}


def _weight_gradients(model, batch):
    """By autograd, of a copy that is trained: the convolutions and batch norms of LAYERS with their gradients."""
    model = copy.deepcopy(model).requires_grad_(True)
    loss_of_each(model, batch).backward()
    return {layer: (model.get_submodule(layer), model.get_submodule(layer[:-4] + "bn")) for layer in LAYERS}


def test_taylor_is_that_of_the_batch_norms_own_gradients(model):
    batches = list(labelled(3))
    squares = {layer: [] for layer in LAYERS}
    for batch in batches:
        for layer, (_, bn) in _weight_gradients(model, batch).items():
            squares[layer].append((bn.weight * bn.weight.grad + bn.bias * bn.bias.grad).detach().square())
    for layer, score in _of_layers(model, "taylor", batches).items():
        assert torch.allclose(score.float(), torch.stack(squares[layer]).mean(0).sqrt(), rtol=1e-3, atol=1e-6)


def test_taylor_of_weights_is_torch_prunings_for_one_image(model):
    batch = next(labelled(1))
    ours = _of_layers(model, "taylor:weight", [batch])
    trained = copy.deepcopy(model).requires_grad_(True)
    loss_of_each(trained, batch).backward()
    for layer in LAYERS:
        conv = trained.get_submodule(layer)
        alone = nn.Sequential(conv)  # torch-pruning adds up all layers of a group; here it has one
        graph = tp.DependencyGraph().build_dependency(alone, torch.randn(1, conv.in_channels, 8, 8))
        group = graph.get_pruning_group(conv, tp.prune_conv_out_channels, list(range(conv.out_channels)))
        theirs = tp.importance.GroupTaylorImportance(multivariable=True, normalizer=None)(group)
        assert torch.allclose(ours[layer].float(), theirs.detach(), rtol=1e-3, atol=1e-6)


def test_the_second_order_is_that_of_each_images_own_gradients(model):
    batches = list(labelled(3))
    fisher = dict.fromkeys(LAYERS, 0)
    for batch in batches:
        for layer, (conv, _) in _weight_gradients(model, batch).items():
            fisher[layer] += (conv.weight * conv.weight.grad).detach().square().flatten(1).sum(1)
    for layer, score in _of_layers(model, "hessian", batches).items():
        assert torch.allclose(score.float(), fisher[layer] / 3 / 2, rtol=1e-3, atol=1e-8)


@pytest.mark.parametrize("name", ["taylor", "taylor:weight", "hessian"])
def test_an_images_gradient_is_its_own_in_any_batch(model, name):
    singles = list(labelled(3))
    together = {
        "img": torch.cat([b["img"] for b in singles]),
        "cls": torch.cat([b["cls"] for b in singles]),
        "bboxes": torch.cat([b["bboxes"] for b in singles]),
        "batch_idx": torch.arange(3).repeat_interleave(3).float(),
    }
    apart, joined = (_of_layers(model, name, batches) for batches in (singles, [together]))
    assert all(torch.allclose(apart[layer], joined[layer], rtol=1e-3, atol=1e-6) for layer in LAYERS)


def test_the_loss_of_one_image_is_ultralytics_own(model):
    batch = next(labelled(1))
    assert loss_of_each(model, dict(batch)).item() == pytest.approx(mean_loss(model, [batch]), rel=1e-4)


def test_what_lowers_the_score_least_is_what_the_loss_misses_least(yolov8n_bccd, bccd):
    """On a trained model: removing the channels of low Taylor scores costs less than those of high ones."""
    from yolo_prune.calibration import Calibration
    from yolo_prune.dataset import resolve
    from yolo_prune.structure import PruningPlan, find_groups

    model = YOLO(yolov8n_bccd).model
    images = Calibration.draw(resolve(str(bccd), None, 3), 12, 160, 4, seed=0).scoring
    groups = find_groups(model)
    scores = criteria.score(model, images, "taylor", groups=groups)
    group = next(g for g in groups if g.name == "model.3.conv")
    order = scores[group.name].argsort().tolist()
    low, high = (
        PruningPlan.full(model).without(groups, {group.name: sorted(units)}).apply(model)
        for units in (order[:8], order[-8:])
    )
    assert mean_loss(model, images) < mean_loss(low, images) < mean_loss(high, images)


@pytest.mark.parametrize("calibration", ["noise", "."])
def test_gradients_need_labels(calibration):
    from yolo_prune import PruneConfig

    with pytest.raises(RequestError, match="needs labelled images"):
        PruneConfig(criterion="0.5*expressiveness + 0.5*taylor", calibration=calibration)
    with pytest.raises(ValueError, match="labelled"):
        criteria.score(YOLO("yolov8n.yaml"), torch.rand(2, 3, 64, 64), "taylor")


def test_scoring_by_gradients_leaves_the_model_as_it_was(models):
    model = copy.deepcopy(models("yolov8n.yaml"))
    for parameter in model.model[0].parameters():
        parameter.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    required = {name: p.requires_grad for name, p in model.named_parameters()}
    inplace = [m.inplace for m in model.modules() if hasattr(m, "inplace")]
    attributes = set(vars(model))
    criteria.score(model, labelled(2), "taylor")
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert {name: p.requires_grad for name, p in model.named_parameters()} == required
    assert [m.inplace for m in model.modules() if hasattr(m, "inplace")] == inplace
    assert all(p.grad is None for p in model.parameters())
    assert set(vars(model)) == attributes
    assert not any(m._forward_hooks for m in model.modules())


def test_activations_are_let_go(models):
    model, alive = models("yolov8n.yaml"), []
    handle = model.model[1].bn.register_forward_hook(lambda _m, _i, output: alive.append(weakref.ref(output)))
    criteria.score(model, labelled(2), "taylor + hessian + contribution:plain")
    handle.remove()
    gc.collect()
    assert len(alive) >= 2
    assert all(reference() is None for reference in alive)
