import json

from yolo_prune.evaluation import METRICS
from yolo_prune.reporting.summary import Summary


def test_a_summary_is_written_whole(tmp_path):
    summary = Summary(
        "m.pt", "detect", METRICS["detect"], "d.yaml", "l1", 320, "cpu", {}, {}, 0, "yolo-prune", None, {}, []
    )
    summary.write(tmp_path / "summary.json")
    assert json.loads((tmp_path / "summary.json").read_text()) == summary.to_dict()
    assert [p.name for p in tmp_path.iterdir()] == ["summary.json"]
