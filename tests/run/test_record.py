import json
from dataclasses import replace

from tests.reporting.summaries import made_up
from yolo_prune.host.metrics import METRICS
from yolo_prune.run.record import Stage, Summary


def _summary(**changes):
    values = {
        "model": "m.pt", "task": "detect", "metric": METRICS["detect"], "data": "d.yaml", "criterion": "l1",
        "imgsz": 320, "device": "cpu", "target": {}, "options": {}, "seed": 0, "command": "", "stock": None,
        "smallest": False, "reference": None,
    }  # fmt: skip
    return Summary(**values, **changes)


def test_a_summary_is_written_completely(tmp_path):
    summary = _summary()
    summary.write(tmp_path / "summary.json")
    assert json.loads((tmp_path / "summary.json").read_text()) == summary.to_dict()
    assert [p.name for p in tmp_path.iterdir()] == ["summary.json"]


def test_a_summary_is_taken_up_where_it_stopped():
    stage = Stage(2, 1, {"metrics/mAP50-95(B)": 0.5}, map50_95=0.5)
    earlier = _summary(base=stage, rounds=[replace(stage, macs=1)], scores=[None], notes=["a"], seconds={"total": 1.0})
    later = _summary()
    later.take_up(json.loads(json.dumps(earlier.to_dict())))
    assert later.to_dict() == earlier.to_dict()
    assert later.base.metric("metrics/mAP50-95(B)") == 0.5
    later.note("a")
    assert later.notes == ["a"]


def test_stages_of_the_previous_version_are_read():
    """Version 0.1 wrote what a search came to."""
    assert Stage.from_record({"macs": 2, "params": 1, "search": None}) == Stage(2, 1)
    assert Stage.from_record(None) is None


def test_the_summaries_that_reports_are_tested_with_have_the_keys_of_real_ones():
    real = {*_summary().to_dict()}
    assert {*made_up()} <= real
    assert {*made_up()["base"]} <= {*_summary(base=Stage(2, 1)).to_dict()["base"]}
