import os
import subprocess
import sys

import pytest


def test_help_needs_no_torch():
    code = "import sys; sys.argv = ['yolo-prune', '--help']; from yolo_prune.cli import main; main(); "
    code += "assert not {'torch', 'ultralytics'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_help_fits_a_screen_and_groups_the_options():
    done = subprocess.run([sys.executable, "-m", "yolo_prune.cli", "--help"], env={**os.environ, "COLUMNS": "80"},
                          capture_output=True, text=True, check=True)  # fmt: skip
    lines = done.stdout.rstrip().splitlines()
    assert len(lines) <= 66
    assert max(map(len, lines)) <= 80
    headings = [line.rstrip(": ") for line in lines if line.rstrip().endswith(":") and not line.startswith(" ")]
    assert headings == ["Model and images", "Target", "Choice of channels", "Training", "Results"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("yolo-prune ", {"benchmark", "frontier", "profile", "info", "report", "compare", "sensitivity", "sweep"}),
        ("yolo-prune --target", {"--target-macs", "--target-params", "--target-latency", "--target-size"}),
        ("yolo-prune sensitivity --fig", {"--figure"}),
    ],
)
def test_a_shell_completes_what_is_typed(words, expected):
    environment = {"_YOLO_PRUNE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run([sys.executable, "-m", "yolo_prune.cli"], env={**os.environ, **environment},
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert {line.partition(",")[2] for line in done.stdout.splitlines()} == expected
