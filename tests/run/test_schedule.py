import pytest

from yolo_prune import YOLO, demo
from yolo_prune.demo.scenes import write_scenes
from yolo_prune.run.options import Options
from yolo_prune.run.schedule import EXPECTED_ROUNDS, HALF, KEPT, MOST_ROUNDS, Schedule

BASE = {"macs": 100.0, "params": 50.0}


def test_rounds_approach_a_target_in_geometric_steps():
    schedule = Schedule.of(Options(target_macs="25%", rounds=2), {"macs": 25.0})
    goals = [schedule.goal(number, BASE, ["macs"]) for number in (1, 2)]
    assert goals == [{"macs": pytest.approx(50)}, {"macs": 25.0}]
    assert (schedule.rounds, schedule.expected) == (2, 2)
    assert schedule.title(1) == "round 1/2"
    assert Schedule.of(Options(target_macs="25%"), {"macs": 25.0}).rounds == 1


def test_without_a_target_each_round_removes_the_same_share():
    schedule = Schedule.of(Options(), {"macs": 100.0})
    assert schedule.goal(3, BASE, ["macs"]) == {"macs": pytest.approx(100 * KEPT**3)}
    assert schedule.goal(2 + HALF, BASE, ["macs"]) == {"macs": pytest.approx(100 * KEPT**2.5)}
    assert (schedule.rounds, schedule.expected) == (MOST_ROUNDS, EXPECTED_ROUNDS)
    assert schedule.title(3) == "round 3"


def test_without_a_target_the_number_of_rounds_can_be_limited():
    schedule = Schedule.of(Options(rounds=2), {"macs": 100.0})
    assert (schedule.rounds, schedule.expected, schedule.target) == (2, 2, None)


@pytest.mark.slow
def test_a_round_that_loses_little_is_not_trained_and_one_that_loses_too_much_is_followed_by_half_a_step(tmp_path):
    data = write_scenes(tmp_path / "data", train=40, val=4, size=96)
    options = {
        "data": data,
        "epochs": 1,
        "imgsz": 96,
        "batch": 8,
        "samples": 16,
        "steps": 1,
        "workers": 0,
        "export": (),
    }
    loose = YOLO(demo.MODEL).prune(**options, rounds=2, max_map_drop=0.9, out=tmp_path / "loose").summary
    assert KEPT**2 - 0.01 <= loose["final"]["macs"] / loose["base"]["macs"] <= KEPT**2
    assert loose["final"]["drop"]["images"] == 10
    assert not (tmp_path / "loose" / "round1" / "args.yaml").exists()  # Ultralytics writes it where it trains
    assert (tmp_path / "loose" / "round2" / "args.yaml").exists()  # no round follows
    strict = YOLO(demo.MODEL).prune(**options, criterion="random", max_map_drop=0.0, out=tmp_path / "strict").summary
    assert strict["final"]["macs"] == strict["base"]["macs"]
    assert (tmp_path / "strict" / "round1" / "args.yaml").exists()
    refused = [each["macs"] / strict["base"]["macs"] for each in strict["rounds"]]
    assert len(refused) == 2
    assert 0.84 <= refused[0] <= 0.85
    assert KEPT**HALF - 0.01 <= refused[1] <= KEPT**HALF
    assert sum("went too far" in note for note in strict["notes"]) == 2
    assert sum("the result is the base itself" in note for note in strict["notes"]) == 1
