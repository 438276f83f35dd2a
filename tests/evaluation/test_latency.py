from yolo_prune.evaluation.latency import FEWEST, MOST, WARM_UP, latency_ms, median_ms


def test_latency_is_that_of_a_fused_copy(models):
    model = models("yolov8n.yaml")
    assert latency_ms(model, 64, seconds=0.1) > 0
    assert not model.is_fused()


def test_several_runs_are_timed_alternately():
    calls = []
    times = median_ms([lambda: calls.append(0), lambda: calls.append(1)], seconds=0.01)
    assert len(times) == 2
    assert all(0 < time < 1 for time in times)
    warm_up, timed = calls[: 2 * WARM_UP], calls[2 * WARM_UP :]
    assert warm_up == [0] * WARM_UP + [1] * WARM_UP
    assert timed == [0, 1] * (len(timed) // 2)
    assert FEWEST <= len(timed) // 2 <= MOST


def test_a_slow_run_is_timed_often_enough():
    calls = []
    median_ms([lambda: calls.append(0)], seconds=0.0)
    assert len(calls) == WARM_UP + FEWEST
