"""What a sweep gains over the same runs one after the other, and what is done twice where it is stopped.

    python -m benchmarks.sweep --out DIR [--epochs 2] [--workers 2]

Twelve runs of the embedded example: three criteria, two targets and two seeds. They are carried out three times: one
after the other in one process with as many threads as there are workers; by a sweep of workers with one thread each;
and by a sweep that is killed when half of the runs are done and started again. The last is checked against the journals
of the runs: every run is finished, and none of the finished ones was begun again. Statistics are collected anew by each
of the three.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml

from benchmarks.environment import describe
from benchmarks.tables import print_header, print_row

SWEEP = {"criterion": ["expressiveness", "taylor", "l2"], "target_macs": ["70%", "54%"], "seed": [0, 1]}
RUNS = 12
ONE_AFTER_THE_OTHER = """
import sys
from pathlib import Path
from yolo_prune.run.sweep_file import Sweep
from yolo_prune.api import prune_demo
for name, options in Sweep.read(Path(sys.argv[1])).runs().items():
    prune_demo(**options, out=Path(sys.argv[2], name))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    print(describe())
    args.out.mkdir(parents=True, exist_ok=True)
    file = args.out / "sweep.yaml"
    file.write_text(yaml.safe_dump({"epochs": args.epochs, "sweep": SWEEP}), encoding="utf-8")
    sequence = run([sys.executable, "-c", ONE_AFTER_THE_OTHER, str(file), str(args.out / "sequence")],
                   args.out / "settings-1", args.workers)  # fmt: skip
    sweep = run(command(file, args.out / "sweep"), args.out / "settings-2", 1)
    stopped, done, twice = stop_and_start(file, args.out)
    print()
    print_header("twelve runs", "seconds", "over one after the other")
    print_row("one after the other", f"{sequence:.0f}", "1")
    print_row(f"sweep, {args.workers} workers", f"{sweep:.0f}", f"{sweep / sequence:.2f}")
    print_row("sweep, killed and started again", f"{stopped:.0f}", f"{stopped / sequence:.2f}")
    print(f"\n{done} of {RUNS} runs are finished after the second start; {twice} of the finished ones were begun again")


def command(file: Path, out: Path) -> list[str]:
    """Return the command of a sweep."""
    return [sys.executable, "-m", "yolo_prune.cli", "sweep", str(file), "--out", str(out)]


def environment(settings: Path, threads: int) -> dict[str, str]:
    """Return the environment of a process with settings, and so a cache of statistics, of its own."""
    settings.mkdir(exist_ok=True)
    return {**os.environ, "YOLO_CONFIG_DIR": str(settings.absolute()), "OMP_NUM_THREADS": str(threads)}


def run(words: list[str], settings: Path, threads: int) -> float:
    """Run a command and return its seconds."""
    start = time.perf_counter()
    subprocess.run(words, env=environment(settings, threads), check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)  # fmt: skip
    return time.perf_counter() - start


def stop_and_start(file: Path, out: Path) -> tuple[float, int, int]:
    """Kill a sweep in its middle and start it again.

    Returns:
        The seconds of both starts, the number of runs that are finished, and how many of those that were finished when
        the sweep was killed were begun again.
    """
    directory, settings = out / "stopped", out / "settings-3"
    start = time.perf_counter()
    sweep = subprocess.Popen(command(file, directory), env=environment(settings, 1), start_new_session=True,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    while len(reports(directory)) < RUNS // 2 and sweep.poll() is None:
        time.sleep(0.2)
    os.killpg(sweep.pid, signal.SIGKILL)
    sweep.wait()
    before = reports(directory)
    subprocess.run([sys.executable, "-m", "ray.scripts.scripts", "stop", "--force"], check=False,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    run(command(file, directory), settings, 1)
    after = reports(directory)
    return time.perf_counter() - start, len(after), sum(after[path] != written for path, written in before.items())


def reports(directory: Path) -> dict[Path, int]:
    """Return when the journal of each finished run was written last."""
    finished = directory.glob("*/report.html")
    return {path.parent: (path.parent / "run.json").stat().st_mtime_ns for path in finished}


if __name__ == "__main__":
    main()
