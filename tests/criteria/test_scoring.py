import pytest
import torch

from tests.statistics.batches import labelled
from yolo_prune import criteria
from yolo_prune.criteria.scoring import unit_scores
from yolo_prune.errors import RequestError
from yolo_prune.host.model import YOLO
from yolo_prune.statistics.calibration import Noise
from yolo_prune.structure import ChannelGroup, Member, find_groups

NAMES = criteria.names()


@pytest.fixture(scope="module")
def images():
    return torch.randn(6, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def raw(models):
    """Scores by every criterion on one model, in one pass."""
    every = [criteria.get(name) for name in NAMES]
    return criteria.score_each(models("yolov8n.yaml"), labelled(4), every)


@pytest.mark.parametrize("name", NAMES)
def test_every_criterion_scores_every_unit_of_every_group(models, raw, name):
    groups = find_groups(models("yolov8n.yaml"))
    assert {group: len(s) for group, s in raw[name].items()} == {g.name: g.size for g in groups}
    assert all(torch.isfinite(s).all() and (s >= 0).all() for s in raw[name].values())
    # The smallest maps of a 64 px image have 2 x 2 positions, which may score all channels alike.
    assert sum(bool(s.max() > s.min()) for s in raw[name].values()) > len(groups) / 2


@pytest.mark.parametrize("name", ["expressiveness:zero", "contribution:centred", "taylor", "hessian", "l1"])
def test_one_pass_for_all_gives_what_each_has_alone(models, raw, name):
    alone = criteria.score_each(models("yolov8n.yaml"), labelled(4), [criteria.get(name)])[name]
    assert all(torch.allclose(alone[group], raw[name][group], rtol=1e-4, atol=1e-7) for group in alone)


def test_an_expression_combines_the_scores_of_its_criteria(models, raw):
    text = "0.5*expressiveness + rank(taylor)*l2"
    expected = criteria.evaluate(criteria.parse(text), raw)
    scores = criteria.score(models("yolov8n.yaml"), labelled(4), text)
    assert all(torch.allclose(scores[group], expected[group], rtol=1e-4, atol=1e-7) for group in expected)


def test_one_pass_reads_the_images_once(models):
    read = []

    def counted():
        for batch in labelled(3):
            read.append(1)
            yield batch

    criteria.score(models("yolov8n.yaml"), counted(), "expressiveness + taylor*contribution:plain + hessian + l2")
    assert len(read) == 3


def test_scores_are_computed_from_statistics_that_serve_other_purposes_too(models, raw):
    model = models("yolov8n.yaml")
    groups = find_groups(model)
    wanted = [criteria.get(name) for name in ("taylor", "contribution:plain", "l2")]
    needed = criteria.needed_statistics(groups, wanted)
    producers = {member.layer for group in groups for member in group.producers}
    readers = {member.layer for group in groups for member in group.members if member.side == "in"}
    assert needed.keys() == producers | readers
    statistics = criteria.collect(model, labelled(4), needed)
    for name, scores in criteria.scores_from(model, groups, wanted, statistics).items():
        assert all(torch.allclose(scores[group], raw[name][group], rtol=1e-4, atol=1e-7) for group in scores)


def test_scores_are_those_of_the_blocks_activations(models, images):
    model = models("yolov8n.yaml")
    outputs = []
    handle = model.model[1].register_forward_hook(lambda _m, _i, output: outputs.append(output))
    with torch.no_grad():
        model(images)
    handle.remove()
    maps = (outputs[0] > 0).flatten(2).double()
    n = len(maps)
    distance = torch.stack([(maps[i] - maps[j]).abs().mean(1) for i in range(n) for j in range(i)]).mean(0)
    score = criteria.score(model, images, "expressiveness:zero")["model.1.conv"]
    assert torch.allclose(score, distance / distance.mean(), atol=1e-6)


def test_channels_that_are_removed_together_score_the_mean_over_their_layers(models):
    model = models("yolov8n.yaml")
    norms = [model.get_submodule(n).weight.flatten(1).norm(dim=1) for n in ("model.2.cv1.conv", "model.2.m.0.cv2.conv")]
    scores = criteria.score_each(model, None, [criteria.get("l2")])["l2"]["model.2.cv1.conv/1"]
    assert torch.allclose(scores, ((norms[0][16:] + norms[1]) / 2).double())


def test_a_unit_scores_the_mean_over_layers_of_the_mean_over_channels():
    members = (Member("a", "out", ((0,), (1,))), Member("b", "out", ((0, 1), (2, 3))), Member("c", "in", ((0,), (1,))))
    group = ChannelGroup("a", 2, members, 0)
    scores = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([2.0, 4.0, 10.0, 0.0]), "c": torch.tensor([7.0, 8.0])}
    assert unit_scores(group, scores).tolist() == [(1 + 3) / 2, (2 + 5) / 2]
    assert unit_scores(group, scores, "in").tolist() == [7, 8]
    unread = ChannelGroup("a", 2, members[:2], 0)
    assert unit_scores(unread, scores, "in").tolist() == [0, 0]


def test_random_scores_follow_the_seed(models):
    model = models("yolov8n.yaml")
    one, same, other = (criteria.score(model, None, "random", seed)["model.3.conv"] for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert not torch.equal(one[:32], criteria.score(model, None, "random", 1)["model.5.conv"][:32])


@pytest.mark.parametrize("criterion", ["expressiveness", "taylor + hessian + contribution:plain"])
def test_scoring_leaves_the_model_unchanged(criterion):
    yolo = YOLO("yolov8n.yaml")
    yolo.model.train()
    before = {name: value.clone() for name, value in yolo.model.state_dict().items()}
    criteria.score(yolo, Noise(4) if criterion == "expressiveness" else labelled(2), criterion)
    assert yolo.model.training
    assert all(torch.equal(before[name], value) for name, value in yolo.model.state_dict().items())
    assert all(parameter.grad is None for parameter in yolo.model.parameters())
    assert not any(m._forward_hooks for m in yolo.model.modules())


def test_gradients_can_be_taken_after_a_prediction(images):
    """Ultralytics' predictions store anchors in the head that cannot be part of a graph."""
    yolo = YOLO("yolov8n.yaml")
    with torch.inference_mode():
        yolo.model.eval()(images)
    scores = criteria.score(yolo, labelled(2), "taylor")
    assert scores["model.0.conv"].max() > 0


def test_a_model_can_be_trained_after_it_was_scored(images):
    model = YOLO("yolov8n.yaml").model.eval()
    criteria.score(model, images, "expressiveness")
    image = images.clone().requires_grad_(True)
    model(image)[0].sum().backward()
    assert image.grad.abs().sum() > 0


def test_an_unknown_criterion_is_refused_with_the_nearest_name(models):
    with pytest.raises(
        RequestError, match=r"'expresiveness' does not exist; did you mean 'expressiveness'\?.*bn-scale"
    ):
        criteria.score(models("yolov8n.yaml"), None, "expresiveness")


@pytest.mark.parametrize("images", [None, []])
@pytest.mark.parametrize("criterion", ["expressiveness", "l2 + contribution", "taylor"])
def test_a_criterion_on_activations_needs_images(models, images, criterion):
    with pytest.raises(ValueError, match="needs images"):
        criteria.score(models("yolov8n.yaml"), images, criterion)


@pytest.mark.parametrize("yaml", ["yolov6n.yaml", "yolov9t.yaml", "yolov10n.yaml", "yolo11n.yaml", "yolo12n.yaml",
                                  "yolo26n.yaml"])  # fmt: skip
def test_other_families_are_scored(models, yaml):
    """Transposed and depthwise convolutions, halves that are read, a second head after a detach."""
    model = models(yaml)
    groups = find_groups(model)
    every = [criteria.get(name) for name in ("expressiveness", "contribution", "taylor", "hessian", "bn-scale", "l1")]
    for name, scores in criteria.score_each(model, labelled(2), every, groups=groups).items():
        assert {group: len(s) for group, s in scores.items()} == {g.name: g.size for g in groups}
        assert all(torch.isfinite(s).all() and (s >= 0).all() for s in scores.values()), name
        assert sum(bool(s.max() > s.min()) for s in scores.values()) > len(groups) / 2, name
