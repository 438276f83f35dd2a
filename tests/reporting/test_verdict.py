from tests.reporting.summaries import made_up
from yolo_prune.reporting.verdict import share_of_network, verdict

EXPORT = {
    "format": "onnx",
    "latency_ms": 12.0,
    "latency_ratio": 0.73,
    "precision": "fp32",
    "runtime": "ONNX Runtime 1.32",
}
SMALLER = {
    "imgsz": 512,
    "latency_ms": 11.0,
    "latency_ratio": 0.72,
    "slimmed_ratio": 0.73,
    "runtime": "onnx",
    "metric": 0.4,
}


def test_it_says_what_was_gained_and_lost():
    assert verdict(made_up()) == [
        "The slimmed model keeps 54% of the MACs.", "It loses 0.050 of mAP50-95 (0.402 before, 0.352 after).",
    ]  # fmt: skip
    assert verdict({**made_up(), "exports": [EXPORT]})[0] == (
        "The slimmed model keeps 54% of the MACs and takes 73% of the base's time on ONNX Runtime 1.32 (12.0 ms)."
    )


def test_a_simple_step_that_is_better_is_named():
    assert verdict({**made_up(), "smaller_images": [SMALLER]})[-1] == (
        "The base on images of 512 pixels takes 72% of its time at 320 pixels, and is at least as accurate as the "
        "slimmed model (mAP50-95 0.400)."
    )
    text = verdict({**made_up(), "smaller_images": [{**SMALLER, "metric": 0.3}]})[-1]
    assert "less accurate than the slimmed model (mAP50-95 0.300)" in text
    text = verdict({**made_up(), "smaller_images": [{**SMALLER, "latency_ratio": 0.9}]})[-1]
    assert text.startswith("None of the smaller image sizes")


def test_held_out_images_have_an_interval():
    summary = made_up()
    summary["final"]["drop"] = {"value": 0.009, "low": -0.001, "high": 0.017, "images": 51}
    assert verdict(summary)[-1] == (
        "On 51 held-out training images, the loss is 0.009 (-0.001 to 0.017 with a confidence of 90 %)."
    )
    summary["final"]["drop"] |= {"low": None, "high": None}
    assert verdict(summary)[-1] == "On 51 held-out training images, the loss is 0.009."


def test_the_network_is_a_part_of_a_call():
    parts = {"preprocess": 1.0, "inference": 8.0, "postprocess": 1.0}
    text = share_of_network({**made_up(), "predict_ms": {"base": parts, "final": {**parts, "inference": 4.0}}})
    assert "the network takes 80% of the time of the base" in text
    assert "The call takes 6.0 ms, 60% of the base's 10.0 ms." in text
    assert share_of_network(made_up()) == ""


def test_without_accuracy_it_says_so_and_speaks_of_agreement():
    summary = made_up()
    for name in ("base", "final"):
        summary[name]["metrics"] = None
    unknown = "Its accuracy is unknown: it was not measured on labelled images."
    assert verdict(summary) == ["The slimmed model keeps 54% of the MACs.", unknown]
    summary["base"]["agreement"], summary["final"]["agreement"] = 0.95, 0.9
    assert verdict(summary)[1:] == [
        "It loses 0.050 of agreement with the original (0.950 before, 0.900 after).", unknown,
    ]  # fmt: skip
