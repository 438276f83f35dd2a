"""Runs that are killed: `kill -9` at random moments, and `--resume` until they are done.

    python -m benchmarks.robustness [--kills 20] [--seed 0] [--epochs 2]

A run of three rounds on rendered scenes is done once undisturbed, and then again and again with a kill at a random
moment of each attempt, until so many kills were survived. Printed and checked: that every round's plan is that of the
undisturbed run, and how often a round was trained to its last epoch (once each, or work was done twice).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.environment import describe
from yolo_prune import YOLO
from yolo_prune.demo.scenes import write_scenes

ROUNDS = 3
SIZE = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=2)
    args = parser.parse_args()
    print(describe())
    with tempfile.TemporaryDirectory() as directory:
        print(json.dumps(survived(Path(directory), args.kills, args.seed, args.epochs), indent=2))


def survived(directory: Path, kills: int, seed: int, epochs: int) -> dict[str, int]:
    """Kill runs so many times. Raises AssertionError if one does not end as the undisturbed one did."""
    data = write_scenes(directory / "data", train=16, val=8, size=SIZE)
    YOLO("yolov8n.yaml").train(data=data, epochs=1, imgsz=SIZE, batch=8, workers=0, plots=False, verbose=False,
                               project=str(directory), name="base")  # fmt: skip
    options = ["--model", directory / "base" / "weights" / "last.pt", "--rounds", ROUNDS, "--epochs", epochs,
               "--samples", 6, "--steps", 1, "--export", "", "workers=0", "plots=False"]  # fmt: skip
    start = time.monotonic()
    assert _attempt([*options, "--out", directory / "whole"], None) == 0, "the undisturbed run failed"
    seconds = time.monotonic() - start
    expected = _plans(directory / "whole")
    draw = random.Random(seed)
    count = {"kills": 0, "runs": 0, "attempts": 0, "rounds trained to the end": 0, "rounds": 0}
    while count["kills"] < kills:
        out = directory / "killed"
        shutil.rmtree(out, ignore_errors=True)
        count["runs"] += 1
        count["rounds"] += ROUNDS
        ended: set[tuple[str, int]] = set()
        while True:
            count["attempts"] += 1
            begun = (out / "run.json").exists()
            arguments = ["--resume", out] if begun else [*options, "--out", out]
            if not begun:
                shutil.rmtree(out, ignore_errors=True)
            patience = draw.uniform(0.1, 1.0) * seconds if count["kills"] < kills else None
            status = _attempt(arguments, patience)
            ended |= _ended(out, epochs)
            if status == 0:
                break
            assert status == -signal.SIGKILL, f"attempt {count['attempts']} ended with status {status}"
            count["kills"] += 1
        assert _plans(out) == expected, "another plan than the undisturbed run's"
        count["rounds trained to the end"] += len(ended)
    return count


def _attempt(arguments: list[object], patience: float | None) -> int:
    """The status of a run; killed if it takes longer than so many seconds."""
    command = [sys.executable, "-m", "yolo_prune.cli", *map(str, arguments)]
    environment = {**os.environ, "YOLO_OFFLINE": "true"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        _, errors = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return -signal.SIGKILL
    if process.returncode:
        print(errors[-2000:], file=sys.stderr)
    return process.returncode


def _plans(out: Path) -> list[object]:
    return [json.loads((out / f"round{number}" / "plan.json").read_text()) for number in range(1, ROUNDS + 1)]


def _ended(out: Path, epochs: int) -> set[tuple[str, int]]:
    """The trainings in a run's directory that came to their last epoch, each by when it began."""
    found = set()
    for log in out.glob("round*/results.csv"):
        if len(log.read_text().splitlines()) > epochs:
            found.add((log.parent.name, (log.parent / "args.yaml").stat().st_mtime_ns))
    return found


if __name__ == "__main__":
    main()
