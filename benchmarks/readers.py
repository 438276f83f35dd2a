"""Every reader of files that `benchmarks.fuzz` tries: a valid example, how it is damaged, and how it is read."""

from __future__ import annotations

import json
import pickle
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import torch
import yaml
from rich.console import Console

from benchmarks.hostile_images import damage_folder, put_no_file, write_folder
from benchmarks.mutations import damaged_bytes, damaged_json, damaged_value, damaged_values, damaged_yaml
from yolo_prune import YOLO, PruningPlan
from yolo_prune.api import load
from yolo_prune.demo.scenes import write_scenes
from yolo_prune.evaluation.ground_truth import GroundTruth
from yolo_prune.host.datasets import Dataset, Wanted, resolve
from yolo_prune.host.images import FolderImages, LabelledImages
from yolo_prune.reporting.compare import write_comparison
from yolo_prune.reporting.info import info_table
from yolo_prune.reporting.reading import read_progress
from yolo_prune.reporting.report import write_report
from yolo_prune.run.info import describe
from yolo_prune.run.journal import Journal
from yolo_prune.run.parsed import Parsed
from yolo_prune.run.record import Summary
from yolo_prune.structure import find_groups

SIZE = 64  # pixels
REFERENCE = {
    "name": "yolov8n", "macs": 1_100_000_000, "params": 3_010_000,
    "published": {"title": "mAP50-95", "value": 0.373, "data": "COCO", "imgsz": 640, "source": "https://docs"},
}  # fmt: skip
WANTED = Wanted(None, None)  # any dataset for detection


@dataclass(frozen=True)
class Reader:
    """One reader.

    Attributes:
        prepare: writes a valid example into a folder, which it creates, and returns what the other two need.
        damage: writes a damaged example into an empty folder.
        read: reads the example in a folder as the package does.
        writes: folders beside that one which are written to by design.
    """

    prepare: Callable[[Path], Any]
    damage: Callable[[Any, Path, Random], None]
    read: Callable[[Any, Path], None]
    writes: tuple[str, ...] = ()


@cache
def finished_run(root: Path) -> Path:
    """Slim a tiny model on rendered scenes in two rounds, and return the directory of the run."""
    data = write_scenes(root / "scenes", train=12, val=3, size=SIZE)
    (root / "tiny.yaml").write_text(yaml.safe_dump(tiny_yaml()))
    result = YOLO(root / "tiny.yaml").prune(
        data=data, imgsz=SIZE, rounds=2, epochs=1, samples=8, steps=1, batch=4, workers=0, export="torchscript",
        plots=False, out=str(root / "finished"),
    )  # fmt: skip
    return result.directory


def tiny_yaml() -> dict[str, Any]:
    """Return the yaml of a YOLOv8 with a sixteenth of its channels."""
    stock = YOLO("yolov8n.yaml").model.yaml
    kept = {key: stock[key] for key in ("backbone", "head")}
    return {"nc": 5, "scales": {"n": [0.33, 0.0625, 1024]}, "scale": "n", **kept}


def in_file(name: str, damaged: Callable[[Any, Random], bytes], example: Callable[[Path], Any]) -> dict[str, Any]:
    """Return `prepare` and `damage` of a reader of one file with plain data.

    Args:
        name: of the file.
        damaged: writes data with faults.
        example: returns the valid data; it may write more files into the folder.
    """

    def prepare(directory: Path) -> Any:
        directory.mkdir()
        data = example(directory)
        is_json = damaged is damaged_json
        (directory / name).write_text(json.dumps(data) if is_json else yaml.safe_dump(data, sort_keys=False))
        return directory, data

    def damage(prepared: Any, directory: Path, draw: Random) -> None:
        valid, data = prepared
        shutil.copytree(valid, directory, dirs_exist_ok=True)
        (directory / name).write_bytes(damaged(data, draw))
        if draw.random() < 0.02:
            (directory / name).unlink()
            put_no_file(directory / name, draw)

    return {"prepare": prepare, "damage": damage}


@cache
def _tiny(root: Path) -> Any:
    """Return a tiny model of the run's yaml, and its groups."""
    finished_run(root)
    model = YOLO(root / "tiny.yaml").model
    return model, find_groups(model)


def _read_plan(prepared: Any, directory: Path) -> None:
    model, groups = _tiny(prepared[0].parent)
    plan = PruningPlan.load(directory / "plan.json")
    plan.check(model, groups)
    info_table("", describe(plan.apply(model, groups)))


def _read_run(_: Any, directory: Path) -> None:
    Parsed.of(Journal.reopen(directory).options)


def _summary_example(directory: Path) -> Any:
    finished = finished_run(directory.parent)
    for name in ("weights", "examples"):
        if (finished / name).is_dir():
            shutil.copytree(finished / name, directory / name)
    return {**json.loads((finished / "summary.json").read_text()), "reference": REFERENCE}


def _read_progress(prepared: Any, directory: Path) -> None:
    needed = [entry.name for entry in fields(Summary) if entry.default is MISSING and entry.default_factory is MISSING]
    Summary(**{name: prepared[1][name] for name in needed}).take_up(read_progress(directory))


def _damage_summary(prepared: Any, directory: Path, draw: Random) -> None:
    """Damage the summary, and now and then put a link or a file where the page or its plots are written."""
    SUMMARY["damage"](prepared, directory, draw)
    if draw.random() < 0.05:
        target = directory / draw.choice(("plots", "report.html", "comparison.html", "plots.tmp", "report.html.tmp"))
        target.symlink_to(directory.parents[1] / "outside") if draw.random() < 0.8 else target.write_text("")


def _read_summary(prepared: Any, directory: Path) -> None:
    write_report(directory)
    other = directory / "other"
    other.mkdir()
    (other / "summary.json").write_text(json.dumps(prepared[1]))
    write_comparison([directory, other], directory / "comparison.html")


def _scenes_example(directory: Path) -> Any:
    """Write a small dataset and return its yaml, with a path relative to Ultralytics' directory of datasets."""
    data = write_scenes(directory / "data", train=3, val=2, size=SIZE)
    return {**yaml.safe_load(Path(data).read_text()), "path": "work/case/data", "nc": 5, "channels": 3}


def _at_home(directory: Path, info: dict[str, Any]) -> dict[str, Any]:
    return {**info, "path": str(directory / "data")}


def _use(dataset: Dataset) -> None:
    """Do with a dataset what every run does: read both splits, one image, and the objects of val."""
    split = dataset.split("train", SIZE)
    for batch in LabelledImages(split, [*range(min(2, len(split)))], batch=2):
        _ = batch["img"].shape
    _ = dataset.evidence, dataset.repeats
    GroundTruth.of(dataset).average_precision(_detections(dataset))


def _detections(dataset: Dataset) -> list[dict[str, Any]]:
    return [{"image": path, "class": 0, "bbox": [1, 1, 9, 9], "score": 0.9} for path in dataset.images("val")]


def _read_dataset(_: Any, directory: Path) -> None:
    _use(resolve(str(directory / "data.yaml"), WANTED))


def _dataset_example(directory: Path) -> Any:
    return _at_home(directory.parent / "work" / "case", _scenes_example(directory))


def _annotations_example(directory: Path) -> Any:
    info = _dataset_example(directory) | {"annotations": "../annotations.json"}
    (directory / "data.yaml").write_text(yaml.safe_dump(info))
    truth = GroundTruth.of(resolve(str(Path(directory, "data", "scenes.yaml")), WANTED))
    return {key: truth.coco.dataset[key] for key in ("images", "annotations", "categories")}


def _ndjson_example(directory: Path) -> Any:
    info = _scenes_example(directory)
    names = {str(key): name for key, name in info["names"].items()}
    lines = [{"type": "dataset", "task": "detect", "name": "scenes", "path": "data", "class_names": names}]
    for image in sorted((directory / "data" / "images").rglob("*.jpg")):
        split = image.parent.name
        text = (directory / "data" / "labels" / split / f"{image.stem}.txt").read_text()
        boxes = [[int(row[0]), *map(float, row[1:])] for row in map(str.split, text.splitlines())]
        lines.append({"type": "image", "file": image.name, "split": split, "width": SIZE, "height": SIZE,
                      "annotations": {"boxes": boxes}})  # fmt: skip
    return lines


def _damage_ndjson(prepared: Any, directory: Path, draw: Random) -> None:
    valid, lines = prepared
    shutil.copytree(valid, directory, dirs_exist_ok=True)
    which = {draw.randrange(len(lines)) if draw.random() < 0.7 else 0 for _ in range(draw.choice((1, 1, 2, 4)))}
    written = [damaged_json(line, draw) if i in which else json.dumps(line).encode() for i, line in enumerate(lines)]
    (directory / "data.ndjson").write_bytes(b"\n".join(written))


def _prepare_ndjson(directory: Path) -> Any:
    directory.mkdir()
    lines = _ndjson_example(directory)
    (directory / "data.ndjson").write_text("\n".join(map(json.dumps, lines)))
    return directory, lines


def _read_ndjson(_: Any, directory: Path) -> None:
    _use(resolve(str(directory / "data.ndjson"), WANTED))


def _prepare_labels(directory: Path) -> Any:
    directory.mkdir()
    (directory / "data.yaml").write_text(yaml.safe_dump(_dataset_example(directory)))
    return directory


def _damage_labels(valid: Path, directory: Path, draw: Random) -> None:
    """Damage labels, and now and then images, Ultralytics' cache of the labels, or the file of a list."""
    shutil.copytree(valid, directory, dirs_exist_ok=True)
    files = sorted((directory / "data").rglob("*.txt")) + sorted((directory / "data").rglob("*.jpg"))
    for path in draw.sample(files, draw.choice((1, 2, len(files)))):
        content = path.read_bytes()
        words = content.split()
        if path.suffix == ".txt" and words and draw.random() < 0.6:
            words[draw.randrange(len(words))] = draw.choice((b"nan", b"inf", b"-1", b"1e30", b"x", b"9" * 400, b"0.5"))
            content = b"\n".join(b" ".join(words[i : i + 5]) for i in range(0, len(words), draw.choice((5, 5, 4, 7))))
        path.write_bytes(content if draw.random() < 0.3 else damaged_bytes(content, draw))
    if draw.random() < 0.2:
        (directory / "data" / "labels" / "train.cache").write_bytes(draw.randbytes(draw.choice((0, 5, 500))))


def _read_model(_: Any, directory: Path) -> None:
    describe(load(directory / "model.yaml").model)


def _prepare_checkpoint(directory: Path) -> Any:
    directory.mkdir()
    source = finished_run(directory.parent) / "weights" / "pruned.pt"
    shutil.copy(source, directory / "model.pt")
    return source.read_bytes(), torch.load(source, map_location="cpu", weights_only=False)


def _damage_checkpoint(prepared: Any, directory: Path, draw: Random) -> None:
    """Damage the bytes of the archive, or of the pickle in it, or names in it, or what the module records of itself."""
    content, checkpoint = prepared
    path = directory / "model.pt"
    kind = draw.random()
    if kind < 0.15:
        path.write_bytes(damaged_bytes(content, draw))
    elif kind < 0.45:
        _repack(content, path, draw)
    else:
        torch.save(_with_faults(checkpoint, draw), path)


def _repack(content: bytes, path: Path, draw: Random) -> None:
    """Write the archive again with a damaged pickle, or with entries that have other names or are missing."""
    (path.parent / "original").write_bytes(content)
    which = draw.randrange(3)
    with zipfile.ZipFile(path.parent / "original") as archive, zipfile.ZipFile(path, "w") as copy:
        for entry in archive.namelist():
            data, name = archive.read(entry), entry
            if which == 0 and entry.endswith("data.pkl"):
                data = damaged_bytes(data, draw)
            elif which == 1 and draw.random() < 0.1:
                name = draw.choice((f"../../outside/{entry}", f"/nowhere/{entry}", f"{entry}\n", "x"))
            elif which == 2 and draw.random() < 0.1:
                data = damaged_bytes(data, draw) if draw.random() < 0.5 else b""
            copy.writestr(name, data)
    (path.parent / "original").unlink()


def _with_faults(checkpoint: dict[str, Any], draw: Random) -> Any:
    """Return a checkpoint of which an entry, an attribute of the module, or the record of its slimming is damaged."""
    checkpoint = {**checkpoint, "model": pickle.loads(pickle.dumps(checkpoint["model"]))}
    attributes = vars(checkpoint["model"])
    for _ in range(draw.choice((1, 1, 2))):
        kind = draw.random()
        plain = sorted(key for key in attributes if not key.startswith("_"))
        if kind < 0.4:
            attributes["prune_info"] = damaged_values(attributes.get("prune_info", {}), draw)
        elif kind < 0.7 and plain:
            key = draw.choice(plain)
            value = attributes.pop(key)
            if draw.random() < 0.8:
                whole = isinstance(value, (dict, list)) and draw.random() < 0.6
                attributes[key] = damaged_values(value, draw) if whole else damaged_value(_plain(value), draw)
        else:
            key = draw.choice([key for key in checkpoint if key != "model" or draw.random() < 0.1])
            checkpoint[key] = damaged_value(_plain(checkpoint[key]), draw)
    return checkpoint


def _plain(value: Any) -> Any:
    return value if isinstance(value, (dict, list, str, int, float, type(None))) else "an object"


def _read_checkpoint(_: Any, directory: Path) -> None:
    description = describe(load(directory / "model.pt").model)
    with Console(width=120, record=True, markup=False, emoji=False) as console:
        console.print(info_table("model.pt", description))
    json.dumps(description)


def _read_folder(_: Any, directory: Path) -> None:
    FolderImages.draw(str(directory), samples=8, imgsz=SIZE, seed=0).require_readable()


def _of_run(name: str) -> Callable[[Path], Any]:
    return lambda directory: json.loads((finished_run(directory.parent) / name).read_text())


SUMMARY = in_file("summary.json", damaged_json, _summary_example)
READERS = {
    "plan": Reader(**in_file("plan.json", damaged_json, _of_run("plan.json")), read=_read_plan),
    "run": Reader(**in_file("run.json", damaged_json, _of_run("run.json")), read=_read_run),
    "progress": Reader(**SUMMARY, read=_read_progress),
    "summary": Reader(SUMMARY["prepare"], _damage_summary, _read_summary),
    "dataset": Reader(**in_file("data.yaml", damaged_yaml, _dataset_example), read=_read_dataset),
    "annotations": Reader(**in_file("annotations.json", damaged_json, _annotations_example), read=_read_dataset),
    "ndjson": Reader(_prepare_ndjson, _damage_ndjson, _read_ndjson, writes=("datasets",)),
    "labels": Reader(_prepare_labels, _damage_labels, _read_dataset),
    "model": Reader(**in_file("model.yaml", damaged_yaml, lambda _: tiny_yaml()), read=_read_model),
    "checkpoint": Reader(_prepare_checkpoint, _damage_checkpoint, _read_checkpoint),
    "folder": Reader(write_folder, damage_folder, _read_folder),
}
