"""Runs that train with a penalty before the first round."""

import pytest
from torch import nn

from yolo_prune import YOLO


@pytest.mark.slow
def test_a_run_trains_with_the_penalty_before_it_slims(yolov8n_bccd, bccd, tmp_path):
    result = YOLO(yolov8n_bccd).prune(
        data=bccd, imgsz=96, batch=8, epochs=1, rounds=1, regularize="bn-scale:1", criterion="bn-scale",
        target_macs="70%", export="", out=tmp_path / "out", workers=0,
    )  # fmt: skip
    prepared = result.summary["prepared"]
    assert prepared["macs"] == result.summary["base"]["macs"]
    assert 0 <= prepared["map50_95"] <= 1
    scales = [
        sum(float(m.weight.abs().sum()) for m in YOLO(path).model.modules() if isinstance(m, nn.BatchNorm2d))
        for path in (yolov8n_bccd, prepared["checkpoint"])
    ]
    assert scales[1] < scales[0]
    assert result.summary["final"]["macs"] <= 0.7 * prepared["macs"]
