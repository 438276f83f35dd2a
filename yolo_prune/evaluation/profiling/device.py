"""Measuring on a device: it times the graphs and models of a folder. It imports no torch, so that it runs anywhere.

A folder holds jobs.json and the files that it names. What was measured goes to results.jsonl, line by line, so that a
measurement that was stopped goes on.

The speed of a machine changes while it is measured: other work, the clock of the processor. So nothing is timed alone.
Each graph is run in turns with a reference, the same for all graphs, and its time is given as a ratio to it. All graphs
are measured twice, some time apart, and where the two ratios differ, a third time; the median counts. Each model is run
in turns with the original.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from yolo_prune.evaluation.runtimes import get_runtime
from yolo_prune.evaluation.timing import on_noise, time_alternately

JOBS, RESULTS, PROFILE = "jobs.json", "results.jsonl", "profile.json"
SECONDS = 0.04  # that a graph and the reference are timed for each time, at least
DIFFERENT = 0.05  # share by which two ratios of one graph differ, from which it is timed a third time
SECONDS_OF_MODEL = 2.0  # that a model and the original are timed for
FEWEST = 5  # runs of a graph that are timed each time
Job = Mapping[str, Any]  # a graph or a model of jobs.json
Progress = Callable[[int, int], None]  # jobs that are done, of how many


def measure(folder: Path, threads: int | None, progress: Progress = lambda done, of: None) -> dict[str, Any]:
    """Measure the jobs of a folder that were not measured before, and return the profile as plain data."""
    with _Results(folder / RESULTS) as results:
        measurement = _Measurement(folder, threads, results)
        graphs, models = measurement.jobs["graphs"], measurement.jobs["models"]
        certain = [*_timed(graphs, 1), *((job["file"], job) for job in models), *_timed(graphs, 2)]
        measurement.carry_out(certain, progress)
        again = [job for job in graphs if measurement.differs(job)]
        measurement.carry_out(_timed(again, 3), progress, done=len(certain))
        return measurement.profile()


def _timed(graphs: Sequence[Job], number: int) -> list[tuple[str, Job]]:
    """Return graphs with the key of their first, second or third measurement."""
    return [(_key(job, number), job) for job in graphs]


def _key(job: Job, number: int) -> str:
    return f"{job['file']} {number}"


class _Measurement:
    """The measurement of a folder.

    Args:
        folder: that holds the jobs.
        threads: of the processor; None: as many as the runtime takes.
        results: what was measured so far; receives what is measured.
    """

    def __init__(self, folder: Path, threads: int | None, results: _Results):
        self.folder, self.threads, self.results = folder, threads, results
        self.jobs = json.loads((folder / JOBS).read_text())
        self.runtime = get_runtime(self.jobs["runtime"])

    def carry_out(self, todo: Sequence[tuple[str, Job]], progress: Progress, done: int = 0) -> None:
        """Time graphs and models that were not timed before, each with its key, after so many others."""
        for number, (key, job) in enumerate(todo, done + 1):
            if key not in self.results.done:
                start = time.perf_counter()
                measured = self._time_model(job) if "widths" in job else self._time_graph(job)
                self.results.add(key, {**measured, "seconds": time.perf_counter() - start})
            progress(number, done + len(todo))

    def differs(self, job: Job) -> bool:
        """Whether the first two measurements of a graph differ."""
        first, second = self._ratios(job)[:2]
        return abs(first - second) > DIFFERENT * min(first, second)

    def profile(self) -> dict[str, Any]:
        """Return the profile as plain data."""
        jobs, done, blocks, odd = self.jobs, self.results.done, {}, {}
        of_reference = [each["reference_ms"] for each in done.values() if "reference_ms" in each]
        reference_ms = statistics.median(of_reference or [0.0])
        for job in jobs["graphs"]:
            ms = statistics.median(self._ratios(job)) * reference_ms / job["copies"]
            blocks.setdefault(job["kind"], [])
            (odd if job["odd"] else blocks).setdefault(job["kind"], []).append([*job["layer"], ms])
        models = [
            {"widths": job["widths"], **{key: done[job["file"]][key] for key in ("ms", "base_ms", "ratio")}}
            for job in jobs["models"]
        ]
        return {
            "profile": jobs["profile"], "runtime": jobs["runtime"], "runtime_version": self.runtime.version,
            "precision": jobs["precision"], "threads": self.threads, "device": processor(), "model": jobs["model"],
            "model_name": jobs["model_name"], "imgsz": jobs["imgsz"], "layers": jobs["layers"], "blocks": blocks,
            "odd": odd, "models": models, "seconds": sum(measured["seconds"] for measured in done.values()),
        }  # fmt: skip

    def _ratios(self, job: Job) -> list[float]:
        """Return what was measured of a graph: its time over that of the reference, two or three times."""
        done = self.results.done
        return [done[key]["ratio"] for key in (_key(job, number) for number in (1, 2, 3)) if key in done]

    def _time_graph(self, job: Job) -> dict[str, float]:
        """Time a graph alternately with the reference."""
        runs = [self._reference, self._opened(job)]
        of_reference, own = time_alternately(runs, SECONDS, precision=0, warm_up=2, fewest=FEWEST)
        return {"ratio": own.ratio, "reference_ms": of_reference.median_ms}

    def _time_model(self, job: Job) -> dict[str, float]:
        """Time a model alternately with the original."""
        runs = [self._opened(self.jobs["models"][0]), self._opened(job)]
        of_base, own = time_alternately(runs, SECONDS_OF_MODEL, precision=0)
        return {"ms": own.median_ms, "base_ms": of_base.median_ms, "ratio": own.ratio}

    @cached_property
    def _reference(self) -> Callable[[], Any]:
        """The graph that all graphs are run in turns with: the one in the middle of the list."""
        graphs = self.jobs["graphs"]
        return self._opened(graphs[len(graphs) // 2])

    def _opened(self, job: Job) -> Callable[[], Any]:
        return on_noise(self.runtime.open(self.folder / job["file"], self.threads).run, job["shape"])


class _Results:
    """What was measured so far, by key, and the file that holds it."""

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
