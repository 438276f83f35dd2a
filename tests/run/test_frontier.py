"""The frontier of the embedded model, on scenes."""

import json
import shutil
from pathlib import Path

import pytest

from yolo_prune import YOLO, PruningPlan, RequestError, demo, frontier
from yolo_prune.costs import CostModel
from yolo_prune.demo.scenes import write_scenes
from yolo_prune.reporting.frontier import next_command
from yolo_prune.run.choice import Choice
from yolo_prune.run.frontier import recovered_share
from yolo_prune.run.targets import Target
from yolo_prune.selection.frontier import shares

SMALL = {"imgsz": 96, "workers": 0, "batch": 8, "samples": 16}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("data"), train=40, val=4, size=96)


@pytest.fixture(scope="module")
def found(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("frontier") / "out"
    return frontier(demo.MODEL, data=data, points=3, sizes=(64,), out=out, **SMALL)


@pytest.mark.slow
def test_every_plan_is_judged_at_every_size_and_the_base_at_smaller_ones(found):
    plans = [point for point in found["points"] if point["plan"]]
    base = [point for point in found["points"] if not point["plan"]]
    assert sorted({point["imgsz"] for point in plans}) == [64, 96]
    assert len(plans) == 6
    assert [point["imgsz"] for point in base] == [64]
    own = [point for point in plans if point["imgsz"] == 96]
    for point, share in zip(own, shares(3), strict=True):
        assert share - 0.01 <= point["macs"] / found["base"]["macs"] <= share
        assert point["drop"]["value"] == pytest.approx(found["base"]["map50_95"] - point["map50_95"])
        assert 0 < point["size_bytes"] < found["base"]["size_bytes"]
    assert found["images"] == 10
    assert json.loads(json.dumps(found)) == found
    assert json.loads((Path(found["directory"]) / "frontier.json").read_text()) == found


@pytest.mark.slow
def test_what_is_counted_is_what_a_plan_costs(found):
    model = YOLO(demo.MODEL).model
    for point in found["points"]:
        plan = PruningPlan.load(point["plan"]) if point["plan"] else PruningPlan.full(model)
        cost = CostModel.of(plan.apply(model), point["imgsz"]).full
        assert (point["macs"], point["params"]) == (cost["macs"], cost["params"])


@pytest.mark.slow
def test_pages_are_written(found):
    directory = Path(found["directory"])
    assert (directory / "frontier.png").read_bytes()[:4] == b"\x89PNG"
    page = (directory / "frontier.html").read_text()
    assert "accuracy at each cost" in page
    assert "plans at 64 px" in page


@pytest.mark.slow
def test_a_run_goes_on_with_a_plan(found, data, tmp_path):
    chosen = next(point for point in found["points"] if point["plan"] and point["imgsz"] == 96)
    result = YOLO(demo.MODEL).prune(data=data, plan=chosen["plan"], epochs=0, export=(), out=tmp_path / "out", **SMALL)
    assert result.plan.widths == PruningPlan.load(chosen["plan"]).widths
    assert result.summary["final"]["macs"] == chosen["macs"]
    assert result.summary["final"]["params"] == chosen["params"]
    assert result.summary["criterion"].startswith("plan ")
    assert result.summary["options"]["round_to"] is None


@pytest.mark.slow
def test_targets_choose_a_plan_and_an_image_size_together(data, tmp_path):
    """The shares are of the base at its own image size, which a smaller image lowers, too."""
    options = {"data": data, "points": 3, "sizes": (64,), "target_macs": "40%", **SMALL}
    found = frontier(demo.MODEL, **options, out=tmp_path / "out")
    (chosen,) = [point for point in found["points"] if point["chosen"]]
    meeting = [point for point in found["points"] if point["macs"] <= 0.4 * found["base"]["macs"]]
    assert {point["imgsz"] for point in meeting} == {64, 96}
    assert chosen["map50_95"] == max(point["map50_95"] for point in meeting)
    assert f"--plan {chosen['plan']} imgsz={chosen['imgsz']}" in next_command(found)


def test_without_targets_the_cheapest_point_within_the_drop_is_chosen():
    points = [
        {"macs": macs, "map50_95": 0.6 - drop, "drop": {"value": drop, "low": None, "high": high, "images": 9}}
        for macs, drop, high in ((90, 0.002, 0.003), (70, 0.009, 0.02), (60, 0.02, 0.03), (50, 0.008, None),
                                 (40, 0.009, 0.021))
    ]  # fmt: skip
    base = {"macs": 100}
    assert Choice((), 0.01).among(points, base) == 3
    assert Choice((), 0.001).among(points, base) is None
    assert Choice((Target.parse("macs", "75%"),), 0.01).among(points, base) == 3
    assert Choice((Target.parse("macs", "90%"),), None).among(points, base) == 0


@pytest.mark.slow
def test_labels_of_val_change_nothing(found, data, tmp_path):
    copy = Path(shutil.copytree(Path(data).parent, tmp_path / "data"))
    yaml = copy / Path(data).name
    yaml.write_text(yaml.read_text().replace(str(Path(data).parent), str(copy)))
    for path in (copy / "labels" / "val").glob("*.txt"):
        path.write_text("")
    other = frontier(demo.MODEL, data=yaml, points=3, sizes=(64,), out=tmp_path / "out", **SMALL)
    keys = ("macs", "map50_95", "drop", "knee", "front")
    assert [[point[key] for key in keys] for point in other["points"]] == [
        [point[key] for key in keys] for point in found["points"]
    ]


@pytest.mark.slow
def test_a_folder_without_labels_is_judged_by_agreement(data, tmp_path):
    images = Path(shutil.copytree(Path(data).parent / "images" / "train", tmp_path / "frames"))
    found = frontier(demo.MODEL, data=images, points=2, out=tmp_path / "out", **SMALL)
    assert found["agreement"]
    assert found["base"]["map50_95"] > 0.9
    assert all(point["drop"]["value"] > -0.05 for point in found["points"])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"target_macs": "0%"}, "target-macs is '0%'"),
        ({"target_macs": "100G"}, "target-macs is 100,000,000,000; the model has only"),
        ({"target_speed": "50%"}, "target-speed chooses no point of a frontier; there are: macs, params"),
        ({"points": 1}, "points is 1; it must be a whole number of at least 2"),
        ({"sizes": (100,)}, "sizes 100 must be a multiple of 32"),
        ({"sizes": (128,)}, "at most the model's image size of 96"),
    ],
)
def test_bad_requests_are_refused_before_anything_is_written(options, reason, data, tmp_path):
    with pytest.raises(RequestError, match=reason):
        frontier(demo.MODEL, data=data, out=tmp_path / "out", **SMALL, **options)
    assert not (tmp_path / "out").exists()


def test_a_model_that_was_never_trained_has_no_frontier(data, tmp_path):
    with pytest.raises(RequestError, match="a model from a yaml is not trained"):
        frontier("yolov8n.yaml", data=data, out=tmp_path / "out", **SMALL)


def test_the_share_that_recovery_brings_back_is_that_of_all_rounds():
    rounds = [
        {"drop_before_training": {"value": 0.10}, "drop": {"value": 0.04}},
        {"drop_before_training": {"value": 0.10}, "drop": {"value": 0.02}},
        {"drop_before_training": None, "drop": None},
    ]
    assert recovered_share({"rounds": rounds}) == pytest.approx(0.7)
    assert recovered_share({"rounds": []}) is None
