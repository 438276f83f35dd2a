import copy
import gc
import weakref

import pytest
import torch
from torch import nn

from tests.statistics.batches import as_maps, labelled, model_of_kind
from yolo_prune.host.losses import loss_of_each
from yolo_prune.statistics import Statistic, collect, merged


class Recorded(Statistic):
    """All that a statistic receives, one after the other; only for tests, since it grows with the samples."""

    def update(self, batch):
        self.batches = [*getattr(self, "batches", ()), batch]
        self.add("samples", torch.tensor(len(batch.values)))


class Outputs(Recorded):
    site = "outputs"


class Pre(Recorded):
    site = "pre"


class Gradient(Recorded):
    site = "gradient"


class OtherPre(Pre):
    pass


class Fails(Statistic):
    site = "pre"

    def update(self, batch):
        if self.samples:
            raise RuntimeError("the second batch is refused")


LAYER = "model.2.m.0.cv1.conv"
OF_IMAGES, OF_LABELS = {LAYER: [Outputs, Pre]}, {LAYER: [Outputs, Pre, Gradient]}


@pytest.fixture(scope="module")
def model(models):
    return copy.deepcopy(models("yolov8n.yaml"))


def _hooks(model):
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def _state(model):
    """Return everything of a model that a pass could change."""
    return {
        "training": [module.training for module in model.modules()],
        "inplace": [module.inplace for module in model.modules() if hasattr(module, "inplace")],
        "required": [parameter.requires_grad for parameter in model.parameters()],
        "gradients": [parameter.grad for parameter in model.parameters()],
        "attributes": sorted(vars(model)),
        "hooks": _hooks(model),
    }


@pytest.mark.parametrize("wanted", [OF_IMAGES, OF_LABELS, {LAYER: [Outputs], "model.0.conv": [Pre, OtherPre]}])
def test_one_pass_feeds_all_statistics(model, wanted):
    read, passes = [], []

    def batches():
        for batch in labelled(3):
            read.append(batch)
            yield batch

    handle = model.model[0].register_forward_hook(lambda *_: passes.append(1))
    statistics = collect(model, batches(), wanted)
    handle.remove()
    assert len(read) == len(passes) == 3
    assert {name: [*kinds] for name, kinds in statistics.items()} == {name: [*kinds] for name, kinds in wanted.items()}
    for kinds in statistics.values():
        assert all(statistic.samples == len(statistic.batches) == 3 for statistic in kinds.values())


def test_several_sites_of_one_layer_are_those_of_its_block(model):
    (batch,) = labelled(1)
    statistics = collect(model, [batch], OF_LABELS)[LAYER]
    outputs, pre, gradient = (statistics[kind].batches[0] for kind in (Outputs, Pre, Gradient))
    block = model.get_submodule(LAYER.removesuffix(".conv"))
    with torch.no_grad():
        assert torch.allclose(block.bn(block.conv(pre.inputs)), pre.values, atol=1e-5)
        assert torch.allclose(block(pre.inputs), outputs.values, atol=1e-5)
    assert torch.equal(gradient.values, pre.values)
    assert pre.gradient is None
    assert outputs.gradient is None
    trained = copy.deepcopy(model).requires_grad_(True)
    loss_of_each(trained, batch).backward()
    bias = trained.get_submodule(LAYER.removesuffix(".conv")).bn.bias
    assert torch.allclose(gradient.gradient.sum((0, 2, 3)), bias.grad, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("kind", ["linear", "transposed", "convolution"])
@pytest.mark.parametrize("site", [Outputs, Pre])
def test_a_layer_without_a_block_has_its_own_outputs_at_every_site(kind, site):
    model, inputs = model_of_kind(kind)
    (batch,) = collect(model, [inputs], {"0": [site]})["0"][site].batches
    assert torch.equal(batch.inputs, as_maps(inputs))
    assert torch.equal(batch.values, as_maps(model(inputs)).detach())


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_the_model_is_unchanged(models, labels, training):
    model = copy.deepcopy(models("yolov8n.yaml")).train(training)
    model.model[1].eval()  # not every module has the same mode
    for parameter in model.model[0].parameters():
        parameter.requires_grad_(False)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    before = _state(model)
    collect(model, labelled(2), OF_LABELS if labels else OF_IMAGES)
    assert _state(model) == before
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())


def _refusing_the_second():
    yield from labelled(1)
    raise RuntimeError("the second batch is refused")


@pytest.mark.parametrize("wanted", [OF_IMAGES, OF_LABELS])
def test_hooks_are_removed_when_reading_a_batch_fails(model, wanted):
    before = _state(model)
    with pytest.raises(RuntimeError, match="the second batch is refused"):
        collect(model, _refusing_the_second(), wanted)
    assert _state(model) == before


@pytest.mark.parametrize("wanted", [{LAYER: [Fails]}, {LAYER: [Fails, Gradient]}])
def test_hooks_are_removed_when_a_statistic_fails(model, wanted):
    before = _state(model)
    with pytest.raises(RuntimeError, match="the second batch is refused"):
        collect(model, labelled(3), wanted)
    assert _state(model) == before


def test_hooks_are_removed_when_a_layer_does_not_exist(model):
    before = _state(model)
    with pytest.raises(KeyError):
        collect(model, labelled(1), {LAYER: [Pre], "no.such.layer": [Pre]})
    assert _state(model) == before


class Counted(Statistic):
    def update(self, batch):
        self.add("sum", batch.values.sum())


class CountedGradient(Counted):
    site = "gradient"


@pytest.mark.parametrize("kinds", [[Counted], [Counted, CountedGradient]])
def test_activations_are_freed(model, kinds):
    alive = []
    handle = model.model[1].bn.register_forward_hook(lambda _m, _i, output: alive.append(weakref.ref(output)))
    collect(model, labelled(2), {"model.1.conv": kinds, LAYER: kinds})
    handle.remove()
    gc.collect()
    assert len(alive) >= 2
    assert all(reference() is None for reference in alive)


@pytest.mark.parametrize("wanted", [{}, {LAYER: []}])
def test_without_statistics_no_image_is_read(model, wanted):
    def refused():
        raise AssertionError("an image was read")
        yield

    assert collect(model, refused(), wanted) == {name: {} for name in wanted}


def test_without_images_statistics_are_empty(model):
    statistic = collect(model, [], OF_IMAGES)[LAYER][Pre]
    assert statistic.samples == 0
    assert statistic.sums == {}


def test_gradients_need_labels(model):
    with pytest.raises(ValueError, match="labelled"):
        collect(model, [torch.rand(1, 3, 64, 64)], OF_LABELS)


def test_merged_holds_each_kind_once_in_the_order_of_the_requests():
    one = {"a": [Pre, Outputs], "b": [Pre]}
    other = {"b": (Gradient, Pre), "c": {Pre: None}, "a": [Pre]}
    assert merged(one, other) == {"a": [Pre, Outputs], "b": [Pre, Gradient], "c": [Pre]}
    assert [*merged(one, other)] == ["a", "b", "c"]
    assert merged({"a": [Pre, Pre]}) == {"a": [Pre]}
    assert merged() == {}
    assert one == {"a": [Pre, Outputs], "b": [Pre]}


def test_a_plain_module_can_be_measured():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1)).train()
    statistics = collect(model, [torch.rand(2, 3, 5, 5)], {"0": [Counted], "1": [Counted]})
    assert all(kinds[Counted].samples == 2 for kinds in statistics.values())
    assert model.training
