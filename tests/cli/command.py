"""Running the command in this process."""

import sys

from yolo_prune.cli import main


def run(monkeypatch, *arguments):
    """Run the command with these arguments and return its exit status."""
    monkeypatch.setattr(sys, "argv", ["yolo-prune", *map(str, arguments)])
    try:
        main()
    except SystemExit as stop:
        return stop.code or 0
    return 0
