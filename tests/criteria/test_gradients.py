import copy

import pytest
import torch
import torch_pruning as tp
from torch import nn

from tests.statistics.batches import LAYER_KINDS, as_maps, labelled, model_of_kind
from yolo_prune import criteria
from yolo_prune.criteria import LayerBatch, collect, layers
from yolo_prune.host.datasets import Wanted, resolve
from yolo_prune.host.losses import loss_of_each, mean_loss
from yolo_prune.host.model import YOLO
from yolo_prune.recovery.distance import distance, outputs_of
from yolo_prune.statistics.calibration import Calibration
from yolo_prune.structure import PruningPlan, find_groups

LAYERS = ("model.1.conv", "model.2.m.0.cv1.conv", "model.15.cv2.conv", "model.22.cv3.1.0.conv")


@pytest.fixture(scope="module")
def model(models):
    return copy.deepcopy(models("yolov8n.yaml"))


def _of_layers(model, name, batches):
    criterion = criteria.get(name)
    collected = collect(model, batches, dict.fromkeys(LAYERS, criterion.needs))
    return {layer: criterion.function(layers(model)[layer], collected[layer]) for layer in LAYERS}


def _weight_gradients(model, batch):
    """Return the convolutions and batch norms of LAYERS in a copy of the model, with gradients by autograd."""
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
    for layer, (conv, _) in _weight_gradients(model, batch).items():
        alone = nn.Sequential(conv)  # torch-pruning adds up all layers of a group; this group has one
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


@pytest.mark.parametrize("kind", LAYER_KINDS)
def test_hessian_is_that_of_the_weights_own_gradients_in_every_kind_of_layer(kind):
    model, inputs = model_of_kind(kind)
    criterion = criteria.get("hessian")
    layer = layers(model)["0"]
    factors = torch.randn(model(inputs).shape)
    trained = copy.deepcopy(model)
    expected = 0
    for image, factor in zip(inputs, factors, strict=True):
        trained.zero_grad()
        (trained(image[None]) * factor).sum().backward()
        weight = trained[0].weight
        change = (weight * weight.grad).detach().square()
        expected = expected + (change.transpose(0, 1) if kind == "transposed" else change).flatten(1).sum(1)
    statistic = criterion.needs[0]()
    with torch.no_grad():
        statistic.update(LayerBatch(layer, as_maps(inputs), as_maps(model(inputs)), as_maps(factors)))
    statistic.samples = len(inputs)
    assert torch.allclose(
        criterion.function(layer, {criterion.needs[0]: statistic}).float(), expected / len(inputs) / 2, rtol=1e-3
    )


@pytest.mark.parametrize("name", ["taylor", "taylor:weight", "taylor:outputs", "hessian"])
def test_the_gradient_of_an_image_does_not_depend_on_its_batch(model, name):
    singles = list(labelled(3))
    together = {
        "img": torch.cat([b["img"] for b in singles]),
        "cls": torch.cat([b["cls"] for b in singles]),
        "bboxes": torch.cat([b["bboxes"] for b in singles]),
        "batch_idx": torch.arange(3).repeat_interleave(3).float(),
    }
    apart, joined = (_of_layers(model, name, batches) for batches in (singles, [together]))
    assert all(torch.allclose(apart[layer], joined[layer], rtol=1e-3, atol=1e-6) for layer in LAYERS)


def test_removing_channels_of_low_scores_costs_less_than_removing_those_of_high_scores(yolov8n_bccd, bccd):
    model = YOLO(yolov8n_bccd).model
    images = Calibration.draw(resolve(str(bccd), Wanted(None, None)), 12, 160, 4, seed=0).scoring
    groups = find_groups(model)
    scores = criteria.score(model, images, "taylor", groups=groups)
    group = next(g for g in groups if g.name == "model.3.conv")
    order = scores[group.name].argsort().tolist()
    low, high = (
        PruningPlan.full(model).without(groups, {group.name: sorted(units)}).apply(model)
        for units in (order[:8], order[-8:])
    )
    assert mean_loss(model, images) < mean_loss(low, images) < mean_loss(high, images)


def test_channels_of_low_scores_change_the_outputs_less_without_any_label(yolov8n_bccd, bccd):
    model = YOLO(yolov8n_bccd).model
    images = [batch["img"] for batch in Calibration.draw(resolve(str(bccd), Wanted(None, None)), 12, 160, 4, 0).scoring]
    groups = find_groups(model)
    scores = criteria.score(model, images, "taylor:outputs", groups=groups)
    expected = outputs_of(model, images)
    for group in (g for g in groups if g.name in ("model.3.conv", "model.15.cv1.conv")):
        order = scores[group.name].argsort().tolist()
        low, high = (
            PruningPlan.full(model).without(groups, {group.name: sorted(units)}).apply(model)
            for units in (order[:8], order[-8:])
        )
        assert distance(low, images, expected) < 0.5 * distance(high, images, expected)


def test_both_sources_of_gradients_give_in_one_pass_what_each_gives_alone(model):
    batches = list(labelled(3))
    names = ("taylor", "taylor:outputs")
    needs = [kind for name in names for kind in criteria.get(name).needs]
    together = collect(model, batches, dict.fromkeys(LAYERS, needs))
    for name in names:
        for layer, score in _of_layers(model, name, batches).items():
            assert torch.allclose(criteria.get(name).function(layers(model)[layer], together[layer]), score, rtol=1e-4)


@pytest.mark.parametrize("name", ["yolov10n", "yolov8n-seg", "yolo26n-seg", "yolo11n-pose", "yolo26n-pose",
                                  "yolo11n-obb", "yolov8n-cls", "yolo26n-sem", "yolo26n-depth"])  # fmt: skip
def test_every_head_has_outputs_that_can_be_projected(models, name):
    model = models(f"{name}.yaml")
    scores = criteria.score(model, torch.rand(2, 3, 64, 64), "taylor:outputs")
    assert all(values.isfinite().all() for values in scores.values())
    assert sum(bool((values > 0).any()) for values in scores.values()) > 0.9 * len(scores)


def test_gradients_need_labels():
    with pytest.raises(ValueError, match="labelled"):
        criteria.score(YOLO("yolov8n.yaml"), torch.rand(2, 3, 64, 64), "taylor")


@pytest.mark.parametrize(
    ("name", "needed"),
    [("taylor", True), ("hessian", True), ("taylor:outputs", False), ("expressiveness", False), ("l2", False)],
)
def test_criteria_on_gradients_of_the_loss_are_those_that_need_labels(name, needed):
    assert criteria.get(name).needs_labels == needed
