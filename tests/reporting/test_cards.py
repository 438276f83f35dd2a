import pytest

from tests.reporting.summaries import made_up
from yolo_prune.reporting.cards import cards


def _card(name, **final):
    summary = made_up()
    summary["final"] |= final
    return next(card for card in cards(summary, (None, None)) if card.name == name)


def test_a_smaller_cost_fills_a_part_of_the_bar():
    card = _card("latency", latency_ms=10.0, base_latency_ms=20.0)
    assert (card.before, card.after, card.percent, card.filled) == ("20.0 ms", "10.0 ms", "50.0 %", 50.0)
    assert (card.worse, card.base_at) == (False, None)


def test_the_bar_of_a_slower_model_is_full_and_marked_where_the_base_is():
    card = _card("latency", latency_ms=25.0, base_latency_ms=20.0)
    assert (card.percent, card.filled, card.base_at) == ("125.0 % (slower)", 100.0, 80.0)
    assert card.worse


def test_the_ratio_of_latencies_is_that_over_pairs_of_runs():
    assert _card("latency", latency_ms=10.0, base_latency_ms=20.0, latency_ratio=0.6).percent == "60.0 %"


@pytest.mark.parametrize("value", [0.3, 0.5])
def test_a_higher_accuracy_is_not_worse(value):
    card = _card("metric", metrics={"metrics/mAP50-95(B)": value})
    assert not card.worse
    assert card.change == f"{value - 0.402:+.3f}"


def test_what_was_not_measured_has_no_card():
    assert [card.name for card in cards(made_up(), (6_000_000, None))] == ["latency", "metric", "macs", "params"]
