import json

from yolo_prune.evaluation import METRICS
from yolo_prune.reporting.summary import Summary


def test_a_summary_is_written_whole(tmp_path):
    summary = Summary(
        model="m.pt", task="detect", metric=METRICS["detect"], data="d.yaml", criterion="l1", imgsz=320, device="cpu",
        target={}, options={}, seed=0, command="", stock=None, reference=None, seconds={}, notes=[],
    )  # fmt: skip
    summary.write(tmp_path / "summary.json")
    assert json.loads((tmp_path / "summary.json").read_text()) == summary.to_dict()
    assert [p.name for p in tmp_path.iterdir()] == ["summary.json"]
