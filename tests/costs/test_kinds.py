"""A kind of cost is one class that registers itself: no other file changes. Here it is a staircase."""

from __future__ import annotations

import math

import pytest
import torch

from yolo_prune import YOLO, RequestError
from yolo_prune.costs import CostKind, CostModel, get_kind, kind_names, register
from yolo_prune.selection import Limits, Problem, TargetError, select

STEP = 8  # channels


@register
class Stairs(CostKind):
    """A device that computes a multiple of eight channels: removing one to seven of them may save nothing."""

    name = "stairs"
    noun = "stairs"
    smooth = False

    def of_layer(self, name, shape, width):
        return shape.positions * shape.kernel * math.ceil(width.out / STEP) * math.ceil(width.in_ / STEP)

    def of_rest(self, network):
        return 1000


@pytest.fixture(scope="module")
def costs(models):
    return CostModel(CostModel.of(models("yolov8n.yaml"), 64).network, ("macs", "params", "stairs"))


def _problem(costs, target, **options):
    draw = torch.Generator().manual_seed(0)
    groups = costs.network.groups
    scores = {group.name: torch.rand(group.size, generator=draw) for group in groups}
    absolute = {kind: share * costs.full[kind] for kind, share in target.items()}
    return Problem(groups, costs, absolute, scores=scores, **options)


def test_a_registered_kind_is_listed_and_counted(costs):
    assert {"macs", "params", "stairs"} <= {*kind_names()}
    assert get_kind("stairs").noun == "stairs"
    in_layers = costs.of_layers(costs.full_widths, costs.network.shapes)
    assert costs.full["stairs"] == in_layers["stairs"] + 1000


def test_a_kind_that_does_not_exist_is_named():
    with pytest.raises(RequestError, match="cost 'mac' does not exist; did you mean 'macs'"):
        get_kind("mac")


@pytest.mark.parametrize("share", [0.9, 0.6, 0.3])
def test_a_plan_meets_a_target_on_a_staircase(costs, share):
    removed = select(_problem(costs, {"stairs": share}))
    reached = costs.without(removed).full["stairs"] / costs.full["stairs"]
    assert share - 0.01 <= reached <= share


def test_a_plan_meets_a_staircase_and_a_smooth_target(costs):
    removed = select(_problem(costs, {"stairs": 0.6, "params": 0.5}))
    cost = costs.without(removed).full
    under = [share - cost[kind] / costs.full[kind] for kind, share in (("stairs", 0.6), ("params", 0.5))]
    assert min(under) >= 0
    assert min(under) <= 0.01


def test_channels_that_save_nothing_stay(costs):
    """A step down the stairs is taken in one go, so almost no group ends in the middle of a step."""
    problem = _problem(costs, {"stairs": 0.6})
    removed = select(problem)
    sizes = costs.network.without(removed).sizes
    ends = [sizes[name] % STEP for name in removed]
    assert ends.count(0) >= 0.8 * len(ends)


def test_a_target_that_the_limits_exclude_is_refused_in_one_line(costs):
    with pytest.raises(TargetError) as refused:
        select(_problem(costs, {"stairs": 0.1}, limits=Limits(max_layer_ratio=0.2)))
    assert "\n" not in str(refused.value)
    assert "% of the stairs" in str(refused.value)


def test_a_run_plans_for_the_new_kind(tmp_path):
    result = YOLO("yolov8n.yaml").prune(
        dry_run=True, criterion="l2", target_stairs="60%", imgsz=64, out=tmp_path / "out"
    )
    base, final = result.plan.cost["base"]["stairs"], result.plan.cost["final"]["stairs"]
    assert 0.59 <= final / base <= 0.6
    assert result.plan.target == {"stairs": "60%"}
