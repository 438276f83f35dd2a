"""The command `yolo-prune`: one file for each of its commands."""

from yolo_prune.cli.entry import main

__all__ = ["main"]
