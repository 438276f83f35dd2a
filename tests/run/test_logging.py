"""What a run gives to the loggers of the user (TensorBoard, MLflow, W&B, ...)."""

import pytest

from yolo_prune import YOLO


@pytest.mark.slow
def test_loggers_get_the_figures_of_a_round_with_the_metrics(scenes_model, tmp_path):
    """Integrations of Ultralytics log what a trainer's metrics hold at the end of an epoch, as this callback does."""
    yolo = YOLO(scenes_model)
    logged = []
    yolo.add_callback("on_fit_epoch_end", lambda trainer: logged.append(dict(trainer.metrics)))
    callbacks = len(yolo.callbacks["on_fit_epoch_end"])
    result = yolo.prune(target_macs="54%", epochs=1, samples=6, workers=0, export="", out=tmp_path / "out")
    final = result.summary["final"]
    assert logged
    for metrics in logged:
        assert (metrics["prune/round"], metrics["prune/macs"], metrics["prune/params"]) == (
            1, final["macs"], final["params"])  # fmt: skip
        assert metrics["prune/untrained_mAP50-95"] == final["map50_95_before_training"]
        assert "metrics/mAP50-95(B)" in metrics
    assert len(yolo.callbacks["on_fit_epoch_end"]) == callbacks  # the run leaves them as they were
