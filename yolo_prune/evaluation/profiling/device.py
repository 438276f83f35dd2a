"""Measuring on a device: it times the graphs and models of a folder. It imports no torch, so that it runs anywhere.

A folder holds jobs.json and the files that it names. What was measured goes to results.jsonl, line by line, so that a
measurement that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from yolo_prune.evaluation.runtimes import get_runtime
from yolo_prune.evaluation.timing import on_noise, time_alternately

JOBS, RESULTS, PROFILE = "jobs.json", "results.jsonl", "profile.json"
SECONDS = 0.03  # that a graph is timed for, at least
SECONDS_OF_MODEL = 2.0  # that a model and the original are timed for
FEWEST = 5  # runs of a graph that are timed
Progress = Callable[[int, int], None]  # jobs that are done, of how many


def measure(folder: Path, threads: int | None, progress: Progress = lambda done, of: None) -> dict[str, Any]:
    """Measure the jobs of a folder that were not measured before, and return the profile as plain data."""
    jobs = json.loads((folder / JOBS).read_text())
    runtime = get_runtime(jobs["runtime"])
    of_all = [*jobs["graphs"], *jobs["models"]]
    with _Results(folder / RESULTS) as results:
        for number, job in enumerate(of_all, 1):
            if job["file"] not in results.done:
                start = time.perf_counter()
                path = folder / job["file"]
                if "widths" in job:
                    measured = _time_model(runtime, path, folder / jobs["models"][0]["file"], job, threads)
                else:
                    measured = {"ms": _time_graph(runtime, path, job, threads)}
                results.add(job["file"], {**measured, "seconds": time.perf_counter() - start})
            progress(number, len(of_all))
    return _profile(jobs, results.done, threads, runtime.version)


class _Results:
    """What was measured so far, by the file, and the file that holds it."""

    def __init__(self, path: Path):
        self.path = path
        self.done: dict[str, dict[str, float]] = dict(_lines(path))

    def __enter__(self) -> _Results:
        self._file = self.path.open("a")
        return self

    def __exit__(self, *_: Any) -> None:
        self._file.close()

    def add(self, name: str, measured: dict[str, float]) -> None:
        self.done[name] = measured
        self._file.write(json.dumps([name, measured]) + "\n")
        self._file.flush()


def _lines(path: Path) -> Iterator[tuple[str, dict[str, float]]]:
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            name, measured = json.loads(line)
        except ValueError:  # it was stopped while it wrote the last line
            continue
        yield name, measured


def _time_graph(runtime: Any, path: Path, job: Mapping[str, Any], threads: int | None) -> float:
    """Return the time in ms of one of the layers of a graph: the lower quartile of the runs."""
    run = on_noise(runtime.open(path, threads).run, job["shape"])
    run()
    run()
    times: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(times) < FEWEST or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1e3 * sorted(times)[len(times) // 4] / job["copies"]


def _time_model(runtime: Any, path: Path, base: Path, job: Mapping[str, Any], threads: int | None) -> dict[str, float]:
    """Time a model alternately with the original."""
    runs = [on_noise(runtime.open(each, threads).run, job["shape"]) for each in (base, path)]
    of_base, own = time_alternately(runs, SECONDS_OF_MODEL, precision=0)
    return {"ms": own.median_ms, "base_ms": of_base.median_ms, "ratio": own.ratio}


def _profile(
    jobs: Mapping[str, Any], results: Mapping[str, Mapping[str, float]], threads: int | None, version: str
) -> dict[str, Any]:
    blocks: dict[str, list] = {}
    odd: dict[str, list] = {}
    for job in jobs["graphs"]:
        measured = [*job["layer"], results[job["file"]]["ms"]]
        blocks.setdefault(job["kind"], [])
        (odd if job["odd"] else blocks).setdefault(job["kind"], []).append(measured)
    models = [
        {"widths": job["widths"], **{key: results[job["file"]][key] for key in ("ms", "base_ms", "ratio")}}
        for job in jobs["models"]
    ]
    return {
        "profile": jobs["profile"], "runtime": jobs["runtime"], "runtime_version": version,
        "precision": jobs["precision"], "threads": threads, "device": processor(), "model": jobs["model"],
        "model_name": jobs["model_name"], "imgsz": jobs["imgsz"], "layers": jobs["layers"], "blocks": blocks,
        "odd": odd, "models": models, "seconds": sum(measured["seconds"] for measured in results.values()),
    }  # fmt: skip


def processor() -> str:
    """Return the name of the processor."""
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine()


def main() -> None:
    """Measure the folder of this file (the command of a pack)."""
    parser = argparse.ArgumentParser(description="Time the layers and models of this folder; write profile.json.")
    parser.add_argument("--threads", type=int, default=None, help="threads to use; default: the runtime's choice")
    folder, start = Path(__file__).resolve().parents[3], time.monotonic()
    first: list[int] = []

    def progress(done: int, of: int) -> None:
        first.append(done)
        left = (time.monotonic() - start) / len(first) * (of - done)
        print(f"\r{done}/{of}, {left / 60:.1f} minutes remaining ", end="", flush=True)

    profile = measure(folder, parser.parse_args().threads, progress)
    (folder / PROFILE).write_text(json.dumps(profile))
    print(f"\n{folder / PROFILE}: give it to yolo-prune with --profile")


if __name__ == "__main__":
    main()
