from rich.console import Console

from yolo_prune.reporting.info import info_table


def _printed(description):
    console = Console(width=160)
    with console.capture() as capture:
        console.print(info_table("pruned.pt", description))
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
    printed = _printed(_description(slimmed=True, history=[first, {"plan": {}}]))
    assert "pruned.pt: detect, 80 classes, 1.500 M parameters" in printed
    assert (
        "yolov8n.pt 50% (macs) l1 2.000 to 1.000 (50%) at 640 px 3.000 to 1.500 (50%) yolo-prune 0.1.0, ultralytics "
        "8.4.140" in printed
    )
    assert "- - a given plan - - -" in printed
