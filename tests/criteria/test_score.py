import pytest
import torch

from yolo_prune import YOLO, RequestError, criteria
from yolo_prune.calibration import noise


@pytest.fixture(scope="module")
def images():
    return torch.randn(6, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def _blocks(model):
    return {name: m.out_channels for name, m in model.named_modules() if name.endswith(".conv") and "dfl" not in name}


@pytest.mark.parametrize("name", criteria.names())
def test_every_criterion_scores_every_channel_of_every_block(models, images, name):
    model = models("yolov8n.yaml")
    scores = criteria.score(model, images, name)
    assert {layer: tuple(s.shape) for layer, s in scores.items()} == {k: (v,) for k, v in _blocks(model).items()}
    assert all(torch.isfinite(s).all() and (s >= 0).all() for s in scores.values())
    assert any(s.max() > s.min() for s in scores.values())


def test_expressiveness_is_that_of_the_blocks_activations(models, images):
    model = models("yolov8n.yaml")
    seen = []
    handle = model.model[1].register_forward_hook(lambda _m, _i, output: seen.append(output))
    with torch.no_grad():
        model(images)
    handle.remove()
    maps = (seen[0] > 0).flatten(2).double()
    n = len(maps)
    distance = torch.stack([(maps[i] - maps[j]).abs().mean(1) for i in range(n) for j in range(i)]).mean(0)
    assert torch.allclose(criteria.score(model, images, "expressiveness")["model.1.conv"], distance)


def test_batches_do_not_matter(models, images):
    model = models("yolov8n.yaml")
    whole = criteria.score(model, images, "expressiveness")
    parts = criteria.score(model, [images[4:], images[:1], images[1:4]], "expressiveness")
    # An activation of nearly zero may change its sign with the batch size, as convolutions round differently.
    assert all(torch.allclose(whole[name], parts[name], atol=1e-3) for name in whole)


def test_norms_are_those_of_the_weights(models):
    model = models("yolov8n.yaml")
    weight = model.get_submodule("model.3.conv").weight.detach()
    first = weight[0].flatten()
    assert criteria.score(model, None, "l1")["model.3.conv"][0] == pytest.approx(float(first.abs().sum()), rel=1e-5)
    assert criteria.score(model, None, "l2")["model.3.conv"][0] == pytest.approx(
        float(first.square().sum().sqrt()), rel=1e-5
    )
    gamma = model.get_submodule("model.3.bn").weight
    assert torch.equal(criteria.score(model, None, "bn-scale")["model.3.conv"], gamma.detach().abs())


def test_random_scores_follow_the_seed(models):
    model = models("yolov8n.yaml")
    one, same, other = (criteria.score(model, None, "random", seed)["model.3.conv"] for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert not torch.equal(one[:32], criteria.score(model, None, "random", 1)["model.5.conv"][:32])


def test_scoring_leaves_the_model_as_it_was():
    yolo = YOLO("yolov8n.yaml")
    yolo.model.train()
    before = {name: value.clone() for name, value in yolo.model.state_dict().items()}
    criteria.score(yolo, noise(4), "expressiveness")
    assert yolo.model.training
    assert all(torch.equal(before[name], value) for name, value in yolo.model.state_dict().items())
    assert not any(m._forward_hooks for m in yolo.model.modules())


def test_an_unknown_criterion_is_refused_with_the_nearest_name(models):
    with pytest.raises(RequestError, match=r"'expresiveness' is not known; did you mean 'expressiveness'.*bn-scale"):
        criteria.score(models("yolov8n.yaml"), None, "expresiveness")


@pytest.mark.parametrize("images", [None, []])
def test_a_criterion_on_activations_needs_images(models, images):
    with pytest.raises(ValueError, match="needs images"):
        criteria.score(models("yolov8n.yaml"), images, "expressiveness")
