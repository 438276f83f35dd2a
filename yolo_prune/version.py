"""The version of yolo-prune."""

__version__ = "0.2.0"
