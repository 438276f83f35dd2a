"""Runs that are killed with `kill -9` at random moments, and that go on with `--resume` until they are finished.

    python -m benchmarks.robustness [--kills 20] [--seed 0] [--epochs 2]

A run of three rounds on rendered scenes is done once undisturbed. It is then repeated with a kill at a random moment of
each attempt, until runs have been killed as often as was asked for. The script checks that the plan of every round is
that of the undisturbed run. It also counts how often a round was trained to its last epoch: more than once for each
round means that work was done twice.
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
        print(json.dumps(kill_and_resume(Path(directory), args.kills, args.seed, args.epochs), indent=2))


def kill_and_resume(directory: Path, kills: int, seed: int, epochs: int) -> dict[str, int]:
    """Kill runs that often, resume each of them until it ends, and count.

    Args:
        directory: for the runs.
        kills: number of kills.
        seed: draws the moments.
        epochs: of each round.

    Returns:
        The numbers of "kills", "runs", "attempts", "rounds trained to the end" and "rounds".

    Raises:
        AssertionError: a run did not end as the undisturbed one did.
    """
    data = write_scenes(directory / "data", train=16, val=8, size=SIZE)
    YOLO("yolov8n.yaml").train(data=data, epochs=1, imgsz=SIZE, batch=8, workers=0, plots=False, verbose=False,
                               project=str(directory), name="base")  # fmt: skip
    options = ["--model", directory / "base" / "weights" / "last.pt", "--target-macs", "54%", "--rounds", ROUNDS,
               "--epochs", epochs, "--samples", 6, "--steps", 1, "--export", "", "workers=0",
               "plots=False"]  # fmt: skip
    start = time.monotonic()
    assert _attempt([*options, "--out", directory / "undisturbed"], None) == 0, "the undisturbed run failed"
    seconds = time.monotonic() - start
    expected = _plans(directory / "undisturbed")
    draw = random.Random(seed)
    counts = {"kills": 0, "runs": 0, "attempts": 0, "rounds trained to the end": 0, "rounds": 0}
    while counts["kills"] < kills:
        out = directory / "killed"
        shutil.rmtree(out, ignore_errors=True)
        counts["runs"] += 1
        counts["rounds"] += ROUNDS
        finished: set[tuple[str, int]] = set()
        while True:
            counts["attempts"] += 1
            patience = draw.uniform(0.1, 1.0) * seconds if counts["kills"] < kills else None
            status = _begin_or_resume(options, out, patience)
            finished |= _finished_trainings(out, epochs)
            if status == 0:
                break
            assert status == -signal.SIGKILL, f"attempt {counts['attempts']} ended with status {status}"
            counts["kills"] += 1
        assert _plans(out) == expected, "the plans differ from those of the undisturbed run"
        counts["rounds trained to the end"] += len(finished)
    return counts


def _begin_or_resume(options: list[object], out: Path, patience: float | None) -> int:
    """Begin a run, or resume it if it came far enough to be resumed, and return its status."""
    if (out / "run.json").exists():
        return _attempt(["--resume", out], patience)
    shutil.rmtree(out, ignore_errors=True)
    return _attempt([*options, "--out", out], patience)


def _attempt(arguments: list[object], patience: float | None) -> int:
    """Run the command and return its status. It is killed if it takes longer than `patience` seconds."""
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
    """Return the plans of all rounds."""
    return [json.loads((out / f"round{number}" / "plan.json").read_text()) for number in range(1, ROUNDS + 1)]


def _finished_trainings(out: Path, epochs: int) -> set[tuple[str, int]]:
    """Return the trainings in a run's directory that came to their last epoch, each with the time when it began."""
    finished = set()
    for log in out.glob("round*/results.csv"):
        if len(log.read_text().splitlines()) > epochs:
            finished.add((log.parent.name, (log.parent / "args.yaml").stat().st_mtime_ns))
    return finished


if __name__ == "__main__":
    main()
