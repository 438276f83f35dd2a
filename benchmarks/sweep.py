"""What a sweep gains over the same runs one after the other, and what is done twice where it is stopped.

    python -m benchmarks.sweep --out DIR [--epochs 1] [--workers 2] [--figures sweep.json] [--show]

Twelve runs of the embedded example, of one round each: three criteria, two targets and two seeds. They are carried out
three times: one after the other in one process with as many threads as there are workers; by a sweep of workers with
one thread each; and by a sweep that is killed when half of the runs are done and started again. The last is checked
against the journals of the runs: every run is finished, and none of the finished ones was begun again. Statistics are
collected anew by each of the three. Figures that are in the file --figures are not measured again. --show only prints
them.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import yaml

from benchmarks.bench import Results
from benchmarks.environment import describe
from benchmarks.tables import print_measured
from yolo_prune.files import read_json

SWEEP = {"criterion": ["expressiveness", "taylor", "l2"], "target_macs": ["70%", "54%"], "seed": [0, 1]}
RUNS = 12
SEQUENCE, SWEEP_OF_WORKERS, STOPPED = "one after the other", "a sweep", "a sweep, killed and started again"
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
    parser.add_argument("--out", type=Path, default=Path("sweep"))
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--figures", type=Path, default=Path("sweep.json"))
    parser.add_argument("--show", action="store_true", help="only print what the file holds")
    args = parser.parse_args()
    print(describe())
    results = Results(args.figures)
    if not args.show:
        measure(results, args)
    print()
    sequence = results.figures.get(SEQUENCE, {}).get("seconds")
    rows = []
    for name in (SEQUENCE, SWEEP_OF_WORKERS, STOPPED):
        if figures := results.figures.get(name):
            counts = [str(figures.get(count, "-")) for count in ("finished", "begun again")]
            ratio = f"{figures['seconds'] / sequence:.2f}" if sequence else "-"
            of_a_run = f"{figures['seconds of a run']:.0f}" if "seconds of a run" in figures else "-"
            rows.append([name, f"{figures['seconds']:.0f}", ratio, of_a_run, *counts])
    print_measured(("twelve runs", "seconds", "ratio", "seconds of a run", "finished",
                    "finished ones that were begun again"), rows)  # fmt: skip


def measure(results: Results, args: argparse.Namespace) -> None:
    """Measure what is missing."""
    args.out.mkdir(parents=True, exist_ok=True)
    file = args.out / "sweep.yaml"
    file.write_text(yaml.safe_dump({"epochs": args.epochs, "rounds": 1, "sweep": SWEEP}), encoding="utf-8")
    if SEQUENCE not in results:
        words = [sys.executable, "-c", ONE_AFTER_THE_OTHER, str(file), str(args.out / "sequence")]
        results.put(SEQUENCE, figures_of(run(words, args.out / "settings-1", args.workers), args.out / "sequence"))
    if SWEEP_OF_WORKERS not in results:
        seconds = run(command(file, args.out / "sweep"), args.out / "settings-2", 1)
        results.put(SWEEP_OF_WORKERS, figures_of(seconds, args.out / "sweep"))
    if STOPPED not in results:
        results.put(STOPPED, stop_and_start(file, args.out))


def figures_of(seconds: float, directory: Path) -> dict[str, float]:
    """Return the seconds of all runs, the mean seconds of one, and how many are finished."""
    finished = reports(directory)
    of_each = [read_json(path / "summary.json")["seconds"]["total"] for path in finished]
    return {"seconds": seconds, "seconds of a run": statistics.mean(of_each), "finished": len(finished)}


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


def stop_and_start(file: Path, out: Path) -> dict[str, float]:
    """Kill a sweep in its middle and start it again.

    Returns:
        "seconds" of both starts, the number of runs that are "finished", and how many of those that were finished when
        the sweep was killed were "begun again".
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
    again = sum(after[path] != written for path, written in before.items())
    return {"seconds": time.perf_counter() - start, "finished": len(after), "begun again": again}


def reports(directory: Path) -> dict[Path, int]:
    """Return when the journal of each finished run was written last."""
    finished = directory.glob("*/report.html")
    return {path.parent: (path.parent / "run.json").stat().st_mtime_ns for path in finished}


if __name__ == "__main__":
    main()
