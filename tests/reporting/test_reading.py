import json

import pytest

from tests.reporting.summaries import made_up, write
from yolo_prune.errors import RequestError
from yolo_prune.reporting.reading import read_summary
from yolo_prune.reporting.report import write_report


def test_the_summary_of_a_finished_run_is_read(tmp_path):
    summary = made_up()
    assert read_summary(write(summary, tmp_path)) == summary


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no summary.json"),
        ("{", "cannot be read"),
        ("[]", "is not a summary of yolo-prune"),
        (json.dumps(made_up(final=None)), "has not finished; go on with: yolo-prune --resume"),
    ],
)
def test_a_directory_without_a_finished_run_is_refused_in_one_line(content, message, tmp_path):
    if content is not None:
        (tmp_path / "summary.json").write_text(content)
    with pytest.raises(RequestError, match=message) as error:
        write_report(tmp_path)
    assert "\n" not in str(error.value)
    assert {path.name for path in tmp_path.iterdir()} <= {"summary.json"}
