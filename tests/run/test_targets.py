import pytest

from yolo_prune import Options, RequestError
from yolo_prune.run.targets import Target

BASE = {"macs": 8_000_000_000, "params": 3_000_000, "latency": 20.0, "size": 6_000_000}


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("macs", "54%", 4.32e9),
        ("macs", " 54.5 % ", 4.36e9),
        ("macs", "100%", 8e9),
        ("macs", "2.5G", 2.5e9),
        ("macs", "2500m", 2.5e9),
        ("macs", 2_500_000_000, 2.5e9),
        ("params", "45%", 1.35e6),
        ("params", "1.2M", 1.2e6),
        ("params", "1200K", 1.2e6),
        ("latency", "60%", 12.0),
        ("latency", "8ms", 8.0),
        ("latency", " 7.5 MS", 7.5),
        ("latency", "0.01s", 10.0),
        ("size", "45%", 2.7e6),
        ("size", "2.5MB", 2.5e6),
        ("size", "900kb", 9e5),
    ],
)
def test_targets_are_read_as_people_write_them(kind, value, expected):
    assert Target.parse(kind, value).of(BASE) == pytest.approx(expected)


@pytest.mark.parametrize(
    "value", ["0%", "101%", "-5%", "nan", "half", "", "54 %%", "12T", "0", 0, 0.54, "0.54", True, -1e9, float("nan")]
)
@pytest.mark.parametrize("kind", ["macs", "params", "latency", "size"])
def test_a_value_that_is_no_target_is_refused_and_quoted(kind, value):
    with pytest.raises(RequestError, match=f"target-{kind}") as caught:
        Options(**{f"target_{kind}": value})
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "value", "example"),
    [("latency", "8", "8ms"), ("latency", "8MB", "8ms"), ("size", 2_500_000, "2.5MB"), ("size", "3M", "2.5MB")],
)
def test_a_latency_and_a_size_need_a_unit(kind, value, example):
    with pytest.raises(RequestError, match=f'target-{kind} is .*give what to keep, as "60%" or as "{example}"'):
        Options(**{f"target_{kind}": value})


@pytest.mark.parametrize(
    ("value", "meant"), [("54", "54%"), (54, "54%"), (100, "100%"), (0.54, "54%"), ("0.5", "50%"), ("7.5", "7.5%")]
)
def test_a_share_without_its_sign_is_refused_with_the_sign(value, meant):
    with pytest.raises(RequestError, match=f'did you mean "{meant}"'):
        Target.parse("macs", value)


def test_a_target_above_the_model_is_refused():
    with pytest.raises(RequestError, match="8,000,000,000"):
        Target.parse("macs", "9G").of(BASE)
    with pytest.raises(RequestError, match="target-latency is 25; the model has only 20"):
        Target.parse("latency", "25ms").of(BASE)


def test_without_a_target_the_accuracy_decides_or_54_percent_of_an_untrained_model_are_kept():
    assert Options().targets == []
    assert Options().by_accuracy
    assert Options().kinds == ["macs"]
    assert Options(runtime="onnx").kinds == ["latency"]
    assert Options().for_untrained().targets == [Target("macs", 0.54, None)]
    assert Options(target_params="2M").for_untrained().asked_targets == {"params": "2M"}


def test_two_targets_hold_together():
    options = Options(target_macs="54%", target_params="2M")
    assert options.targets == [Target("macs", 0.54, None), Target("params", None, 2e6)]
    assert options.asked_targets == {"macs": "54%", "params": "2M"}
