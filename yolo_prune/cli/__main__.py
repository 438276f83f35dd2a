"""`python -m yolo_prune.cli`."""

from yolo_prune.cli.entry import main

main()
