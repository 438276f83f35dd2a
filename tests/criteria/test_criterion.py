import importlib.util

import pytest
import torch

from yolo_prune import criteria
from yolo_prune.errors import RequestError

PEAKS = '''
"""A criterion in a file of its own."""

from yolo_prune.criteria import Statistic, register


class Peaks(Statistic):
    """Sum "peak" (channels) of the largest activation of each sample."""

    def update(self, batch):
        self.add("peak", batch.values.amax((2, 3)).sum(0))


@register("test-peak", Peaks)
def peak(layer, statistics):
    return (statistics[Peaks].sums["peak"] / statistics[Peaks].samples).clamp_min(0)
'''


def _import(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_criterion_is_one_new_file(models, tmp_path):
    path = tmp_path / "peaks.py"
    path.write_text(PEAKS)
    module = _import(path)
    model, images = models("yolov8n.yaml"), torch.rand(3, 3, 64, 64)
    criterion = criteria.get("test-peak")
    assert (criterion.needs, criterion.side, criterion.scale) == ((module.Peaks,), "out", "mean")
    assert "test-peak" in criteria.names()
    with torch.no_grad():
        outputs = model.model[:2](images)
    scores = criteria.score(model, images, "test-peak")["model.1.conv"]
    peaks = outputs.amax((2, 3)).mean(0).clamp_min(0).double()
    assert torch.allclose(scores, peaks / peaks.mean(), rtol=1e-5)


def test_a_criterion_that_was_registered_can_be_named_in_expressions(models):
    @criteria.register("test:position", side="out", scale="global")
    def position(layer, _):
        return torch.arange(layer.conv.out_channels).float()

    assert str(criteria.parse("test:position")) == "global(test:position)"
    text = "0.5*rank(test:position) + 2*max(l2)"
    assert str(criteria.parse(text)) == text
    model = models("yolov8n.yaml")
    scores = criteria.score(model, None, text)["model.1.conv"]
    norms = model.get_submodule("model.1.conv").weight.flatten(1).norm(dim=1).double()
    assert torch.allclose(scores, 0.5 * torch.linspace(0, 1, len(norms)).double() + 2 * norms / norms.max())


def test_a_criterion_can_score_what_a_layer_reads(models):
    @criteria.register("test:read", side="in", scale="max")
    def read(layer, _):
        return layer.weight.abs().sum((0, 2, 3))

    model = models("yolov8n.yaml")
    scores = criteria.score(model, None, "test:read")
    weight = model.get_submodule("model.1.conv").weight.abs().sum((0, 2, 3)).double()
    assert torch.allclose(scores["model.0.conv"], weight / weight.max())  # the one layer that reads model.0


def test_registering_returns_the_function_as_it_is():
    def constant(layer, _):
        return torch.ones(layer.conv.out_channels)

    assert criteria.register("test:constant")(constant) is constant
    assert criteria.get("test:constant").function is constant


def test_an_alias_stands_for_its_criterion():
    criteria.alias("test-norm", "l2")
    assert criteria.get("test-norm") is criteria.get("l2")
    assert "test-norm" not in criteria.names()


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("tayler", "taylor"), ("expresiveness", "expressiveness"), ("contribution:centered", "contribution:centred")],
)
def test_a_name_that_does_not_exist_is_refused_with_the_nearest(name, nearest):
    with pytest.raises(RequestError) as caught:
        criteria.get(name)
    message = str(caught.value)
    assert message.startswith(f"criterion {name!r} does not exist; did you mean {nearest!r}? there are: ")
    assert "\n" not in message


def test_the_refusal_lists_families_and_their_variants():
    with pytest.raises(RequestError) as caught:
        criteria.get("xyzzy")
    message = str(caught.value)
    assert message.startswith("criterion 'xyzzy' does not exist; there are: ")
    families, variants = message.split("; and the variants ")
    assert {"expressiveness", "contribution", "taylor", "l2"} <= {*families.split(": ")[1].split(", ")}
    assert {"expressiveness:zero", "contribution:plain"} <= {*variants.split(", ")}


def test_names_are_complete_and_in_order():
    names = criteria.names()
    assert names == sorted(names)
    assert {"apoz", "contribution:centred", "expressiveness:deviation", "l1", "random", "taylor"} <= {*names}
    assert all(criteria.get(name).name == name for name in names)
