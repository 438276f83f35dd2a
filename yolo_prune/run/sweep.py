"""Sweep: one run for each combination of options, on the workers of Ray.

Every combination has its own directory with the files of an ordinary run. What is finished there is not done again, and
what was stopped goes on, so that a worker may die at any moment, and a sweep that is started again continues.
"""

from __future__ import annotations

import csv
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from yolo_prune import demo
from yolo_prune.errors import RequestError, RunError, in_one_line
from yolo_prune.files import atomic, read_json, write_json
from yolo_prune.host.model import load
from yolo_prune.run.cluster import RETRIES, cluster, ray_for
from yolo_prune.run.directory import is_finished
from yolo_prune.run.parsed import Parsed, demo_options, read_options
from yolo_prune.run.recipe import resume, start
from yolo_prune.run.sharing import Outcome, Place, files_in
from yolo_prune.run.sweep_file import Sweep
from yolo_prune.selection.frontier import Judged, pareto

POLL = 1.0  # seconds between two looks at the workers
COLUMNS = ("macs", "params", "metric", "agreement", "latency_ratio", "seconds")
COSTS = ("macs", "latency_ratio")  # that accuracy is compared over


def run_sweep(
    path: Path,
    out: Path,
    address: str | None = None,
    show: Callable[[list[dict[str, Any]]], None] = lambda rows: None,
) -> dict[str, Any]:
    """Carry out a sweep.

    Args:
        path: of its yaml.
        out: directory of all runs; it may hold an earlier start of the same sweep. Workers that do not reach it send
            their files through Ray.
        address: of a Ray cluster; None: Ray is started on this machine, and stopped at the end.
        show: is called with the state of all runs whenever it has changed.

    Returns:
        "runs", each with "name", "options" (those that differ), "state" ("done" or "failed"), "error", "directory",
        "macs", "params", "metric", "agreement", "latency_ratio", "seconds", "front" (the costs in which no other run is
        better in both); "metric" (key and title), "model", "out".

    Raises:
        RequestError: the file is wrong, or Ray is not installed.
    """
    ray = ray_for("sweep")
    sweep = Sweep.read(path)
    runs = sweep.runs()
    _check(sweep.model, runs)
    if sweep.model is not None and address is None:  # the workers of a cluster may have files that are not here
        load(sweep.model)
    out = out.absolute()
    _take_up(out, {"model": sweep.model, "options": sweep.options})
    if sweep.model is None:
        demo.scenes_yaml()  # drawn once, and not by every worker
    place = Place.create(out)
    with cluster(ray, address):
        remote = ray.remote(num_cpus=sweep.cpus, num_gpus=sweep.gpus, max_retries=RETRIES)(_carry_out)
        open_runs = {name: options for name, options in runs.items() if not is_finished(out / name)}
        tasks = {remote.remote(sweep.model, options, place, name): name for name, options in open_runs.items()}
        results = dict.fromkeys(runs) | dict(_results(ray, tasks, runs, out, show))
    rows = [_row(name, sweep, options, out / name, results[name]) for name, options in runs.items()]
    _mark_front(rows)
    metric = next((row["metric_title"] for row in rows if row["metric_title"]), None)
    record = {"model": sweep.model, "metric": metric, "varied": sweep.varied, "runs": rows, "out": str(out)}
    write_json(out / "sweep.json", record)
    _write_csv(record, out / "sweep.csv")
    return record


def _take_up(out: Path, asked: dict[str, Any]) -> None:
    """Make the directory of a sweep, or raise RequestError if it holds runs with other options."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "asked.json"
    if path.exists() and read_json(path) != asked:
        raise RequestError(f"out {out} holds runs of a sweep with another model or other options; choose another one")
    write_json(path, asked)


def _check(model: str | None, runs: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise RequestError if the options of a run are wrong, before any is started."""
    for name, options in runs.items():
        try:
            Parsed.of(read_options(_arguments(model, options)))
        except RequestError as error:
            raise RequestError(f"{name}: {error}") from None


def _carry_out(model: str | None, options: dict[str, Any], place: Place, name: str) -> Outcome:
    """Carry out one run in a worker, or what is not done of it."""
    if place.is_reached:
        return Outcome(_attempt(model, options, place.directory / name))
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary, name)
        return Outcome(_attempt(model, options, directory), files_in(directory))


def _attempt(model: str | None, options: dict[str, Any], directory: Path) -> str | None:
    """Carry out a run and return why it failed; None: it is done.

    A run that failed goes on once more: other runs write Ultralytics' caches of the same dataset.
    """
    error = None
    for _ in range(2):
        try:
            _run(model, options, directory)
            return None
        except RequestError as refusal:
            return in_one_line(refusal)
        except RunError as failure:
            error = in_one_line(failure)
    return error


def _run(model: str | None, options: dict[str, Any], path: Path) -> None:
    """Start a run, or go on with one that was stopped. Raises RequestError or RunError."""
    if (path / "run.json").exists():
        resume(path)
        return
    shutil.rmtree(path, ignore_errors=True)  # a worker died before the run began
    start(load(model or demo.MODEL), read_options({**_arguments(model, options), "out": path}))


def _arguments(model: str | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `prune()` for a run. Raises RequestError if the embedded model cannot take them."""
    return demo_options(dict(options)) if model is None else dict(options)


def _results(
    ray: Any, tasks: Mapping[Any, str], runs: Mapping[str, Any], out: Path, show: Callable[[list[dict]], None]
) -> Iterator[tuple[str, str | None]]:
    """Yield the name of each run that has ended, and why it failed."""
    waiting, shown = [*tasks], None
    ended: dict[str, str | None] = {name: None for name in runs if name not in tasks.values()}
    while waiting:
        ready, waiting = ray.wait(waiting, timeout=POLL)
        for task in ready:
            try:
                outcome = ray.get(task)
                outcome.write(out / tasks[task])
                ended[tasks[task]] = outcome.error
            except ray.exceptions.RayError as error:
                ended[tasks[task]] = in_one_line(error)
            yield tasks[task], ended[tasks[task]]
        states = [{"name": name, **_state(out / name, name in ended, ended.get(name))} for name in runs]
        if states != shown:
            show(states)
            shown = states


def _state(directory: Path, has_ended: bool, error: str | None) -> dict[str, Any]:
    """Return the state of a run, and how many rounds are done."""
    if has_ended:
        return {"state": "failed" if error else "done", "note": error or ""}
    if not (directory / "run.json").exists():
        return {"state": "queued", "note": ""}
    try:
        rounds = len(read_json(directory / "summary.json")["rounds"])
    except (OSError, ValueError, KeyError):
        rounds = 0
    return {"state": "running", "note": f"{rounds} rounds done"}


def _row(name: str, sweep: Sweep, options: Mapping[str, Any], directory: Path, error: str | None) -> dict[str, Any]:
    """Return what the record says of a run."""
    row = {"name": name, "options": {key: options[key] for key in sweep.varied}, "directory": str(directory),
           "state": "failed" if error else "done", "error": error, "metric_title": None}  # fmt: skip
    if error:
        return row | dict.fromkeys(COLUMNS)
    summary = read_json(directory / "summary.json")
    final, key = summary["final"], summary["metric"]["key"]
    exports = [export["latency_ratio"] for export in summary["exports"]]
    return row | {
        "metric_title": summary["metric"]["title"], "macs": final["macs"], "params": final["params"],
        "metric": (final["metrics"] or {}).get(key), "agreement": final["agreement"],
        "latency_ratio": exports[0] if exports else final["latency_ratio"], "seconds": summary["seconds"].get("total"),
    }  # fmt: skip


def _mark_front(rows: Sequence[dict[str, Any]]) -> None:
    """Add to each run "front": the names of the costs in which no other run is both cheaper and more accurate."""
    for row in rows:
        row["front"] = []
    for cost in COSTS:
        measured = [row for row in rows if row["metric"] is not None and row[cost] is not None]
        for i in pareto([Judged(row[cost], row["metric"]) for row in measured]):
            measured[i]["front"].append(cost)


def _write_csv(record: Mapping[str, Any], path: Path) -> None:
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*record["varied"], "state", *COLUMNS, "directory"])
        for row in record["runs"]:
            own = [row["options"][name] for name in record["varied"]]
            writer.writerow([*own, row["state"], *(row[name] for name in COLUMNS), row["directory"]])
