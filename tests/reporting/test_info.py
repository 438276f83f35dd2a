from rich.console import Console

from yolo_prune.reporting.info import info_table, must_stay_table


def _printed(table):
    console = Console(width=160)
    with console.capture() as capture:
        console.print(table)
    return " ".join(capture.get().split())


def _description(**changes):
    return {"task": "detect", "classes": 80, "params": 1_500_000, "slimmed": False, "history": [], **changes}


def test_a_model_that_was_not_slimmed_is_a_sentence():
    assert info_table("base.pt", _description()) == (
        "base.pt: detect, 80 classes, 1.500 M parameters, not slimmed by yolo-prune"
    )


def test_each_slimming_is_a_row():
    cost = {"base": {"macs": 2_000_000_000, "params": 3_000_000}, "final": {"macs": 1_000_000_000, "params": 1_500_000}}
    first = {
        "model": "yolov8n.pt",
        "criterion": "l1",
        "imgsz": 640,
        "plan": {"target": {"macs": "50%"}, "cost": cost},
        "versions": {"yolo-prune": "0.1.0", "ultralytics": "8.4.140", "torch": "2.9"},
    }
    printed = _printed(info_table("pruned.pt", _description(slimmed=True, history=[first, {"plan": {}}])))
    assert "pruned.pt: detect, 80 classes, 1.500 M parameters" in printed
    assert (
        "yolov8n.pt 50% (macs) l1 - 2.000 to 1.000 (50%) at 640 px 3.000 to 1.500 (50%) yolo-prune 0.1.0, ultralytics "
        "8.4.140" in printed
    )
    assert "- - a given plan - - -" in printed


def test_each_reason_for_channels_that_must_stay_is_a_row():
    entry = {"layer": "model.0.conv", "channels": 8, "of": 16, "path": "model.1", "kind": "Mine", "reason": "mixes"}
    put_out = {**entry, "layer": "model.22.last", "path": "", "kind": "DetectionModel", "reason": "the model does"}
    printed = _printed(must_stay_table([entry, put_out]))
    assert "model.0.conv 8 of 16 model.1 (Mine): mixes" in printed
    assert "model.22.last 8 of 16 the model does" in printed
    assert must_stay_table([]) == "no channels must stay"
