"""Messages and progress bars of a run."""

import logging

import pytest
from ultralytics.utils import LOGGER as ULTRALYTICS

from yolo_prune.host.console import LOGGER, Bar, clock_time, output_of_run, quiet, silent_about, with_bar


@pytest.fixture
def shown():
    """What Ultralytics' own handlers are given to print."""
    lines = []

    class Collect(logging.Handler):
        def emit(self, record):
            lines.append(record.getMessage())

    handler = Collect()
    ULTRALYTICS.addHandler(handler)
    yield lines
    ULTRALYTICS.removeHandler(handler)


def test_of_ultralytics_only_warnings_are_shown_each_once(shown, capsys):
    with output_of_run():
        ULTRALYTICS.info("a wall of arguments")
        for _ in range(2):
            ULTRALYTICS.warning("one image is corrupt")
        LOGGER.info("round 1")
    ULTRALYTICS.info("afterwards")
    assert [line.split()[-1] for line in shown] == ["corrupt", "afterwards"]
    assert capsys.readouterr().out == "[0:00] round 1\n"


def test_all_of_ultralytics_is_shown_where_that_is_asked_for(shown):
    with output_of_run(verbose=True):
        ULTRALYTICS.info("a wall of arguments")
    assert shown == ["a wall of arguments"]


def test_messages_about_a_word_are_silenced_where_that_applies(shown):
    for applies in (True, False):
        with silent_about("labels", applies):
            ULTRALYTICS.warning("No Labels found")
            ULTRALYTICS.warning("an image is corrupt")
    ULTRALYTICS.warning("Labels are missing")
    assert [line.split()[-1] for line in shown] == ["corrupt", "found", "corrupt", "missing"]


def test_the_level_is_as_before_also_after_an_error():
    level = ULTRALYTICS.level
    with pytest.raises(KeyError), quiet(logging.ERROR):
        raise KeyError
    assert ULTRALYTICS.level == level


def test_durations_as_people_read_them():
    assert [clock_time(seconds) for seconds in (0, 59.6, 61, 3600, 7325)] == [
        "0:00",
        "1:00",
        "1:01",
        "1:00:00",
        "2:02:05",
    ]


def test_a_bar_where_the_output_is_no_terminal_says_how_far_the_work_is(capsys):
    with Bar("training", 4) as bar:
        bar.advance()
        bar.note("epoch 1/4")
    assert "training: epoch 1/4; 0:00 remaining" in capsys.readouterr().out


def test_items_pass_a_bar_unchanged(capsys):
    assert [*with_bar([3, 1, 2], "scoring")] == [3, 1, 2]
    assert capsys.readouterr().out == ""
