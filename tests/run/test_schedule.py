import pytest

from yolo_prune.run.options import Options
from yolo_prune.run.schedule import EXPECTED_ROUNDS, KEPT, MOST_ROUNDS, Schedule

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
    assert (schedule.rounds, schedule.expected) == (MOST_ROUNDS, EXPECTED_ROUNDS)
    assert schedule.title(3) == "round 3"


def test_without_a_target_the_number_of_rounds_can_be_limited():
    schedule = Schedule.of(Options(rounds=2), {"macs": 100.0})
    assert (schedule.rounds, schedule.expected, schedule.target) == (2, 2, None)
