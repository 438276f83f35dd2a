"""The objects of a val split in the form of pycocotools, and mAP by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from yolo_prune.errors import RequestError, in_one_line
from yolo_prune.files import read_json
from yolo_prune.host.datasets import Dataset
from yolo_prune.plain import list_of, number, record_of, text, whole


@dataclass(frozen=True)
class GroundTruth:
    """A val split for pycocotools.

    Attributes:
        coco: images, annotations and categories.
        image_ids: of the split's images, by path.
        category_ids: by class index of the model.
        source: "annotations" (a COCO JSON) or "labels" (built from YOLO labels).
    """

    coco: COCO
    image_ids: dict[str, int]
    category_ids: list[int]
    source: str

    @classmethod
    def of(cls, dataset: Dataset) -> GroundTruth:
        """Read the COCO JSON that the dataset names, or else its YOLO labels."""
        if dataset.annotations is None or dataset.single_cls:  # no JSON has that class
            return cls._from_labels(dataset)
        return cls._from_json(dataset, dataset.annotations)

    @classmethod
    def _from_json(cls, dataset: Dataset, path: Path) -> GroundTruth:
        data = _read_annotations(dataset.yaml, path)
        by_stem = {Path(image["file_name"]).stem: image["id"] for image in data["images"]}
        by_name = {category["name"]: category["id"] for category in data["categories"]}
        stems = {label["im_file"]: Path(label["im_file"]).stem for label in dataset.val_labels}
        names = _names(dataset)
        for kind, wanted, listed in (("image", stems.values(), by_stem), ("category", names, by_name)):
            missing = [item for item in wanted if item not in listed]
            if missing:
                raise RequestError(f"data {dataset.yaml}: annotations {path} lack the {kind} {missing[0]!r}")
        for stem, count in Counter(stems.values()).items():
            if count > 1:
                raise RequestError(f"data {dataset.yaml}: {count} val images are called {stem!r}, which annotations "
                                   f"{path} cannot tell apart; leave annotations: out")  # fmt: skip
        ids = {file: by_stem[stem] for file, stem in stems.items()}
        if dataset.classes is not None:
            counted = {by_name[names[i]] for i in dataset.classes}
            data["annotations"] = [a for a in data["annotations"] if a["category_id"] in counted]
        return cls(_coco(data), ids, [by_name[name] for name in names], "annotations")

    @classmethod
    def _from_labels(cls, dataset: Dataset) -> GroundTruth:
        images, annotations, ids = [], [], {}
        for image_id, label in enumerate(dataset.val_labels, start=1):
            height, width = label["shape"]
            ids[label["im_file"]] = image_id
            images.append({"id": image_id, "file_name": Path(label["im_file"]).name, "height": height, "width": width})
            for (kind,), (x, y, w, h) in zip(label["cls"].tolist(), label["bboxes"].tolist(), strict=True):
                w, h = w * width, h * height
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": image_id,
                        "category_id": int(kind),
                        "bbox": [x * width - w / 2, y * height - h / 2, w, h],
                        "area": w * h,
                        "iscrowd": 0,
                    }
                )
        categories = [{"id": index, "name": name} for index, name in enumerate(_names(dataset))]
        data = {"images": images, "annotations": annotations, "categories": categories}
        return cls(_coco(data), ids, [*range(len(categories))], "labels")

    @property
    def has_objects(self) -> bool:
        """Whether any image of the split shows an object."""
        return bool(self.coco.getAnnIds(imgIds=list(self.image_ids.values())))

    def average_precision(self, detections: list[dict[str, Any]]) -> tuple[float | None, float | None]:
        """Return mAP50-95 and mAP50 of detections. Both are None where the split shows no object.

        Each detection has `image` (path), `class`, `bbox` (x, y, w, h in pixels) and `score`.
        """
        if not self.has_objects:
            return None, None
        if not detections:
            return 0.0, 0.0
        results = [
            {
                "image_id": self.image_ids[d["image"]],
                "category_id": self.category_ids[d["class"]],
                "bbox": d["bbox"],
                "score": d["score"],
            }
            for d in detections
        ]
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = COCOeval(self.coco, self.coco.loadRes(results), "bbox")
            evaluation.params.imgIds = sorted(self.image_ids.values())
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        return float(evaluation.stats[0]), float(evaluation.stats[1])


def _read_annotations(yaml: str, path: Path) -> dict[str, Any]:
    """Read a COCO JSON. Objects that do not say so are no crowds, and have the area of their box.

    Raises:
        RequestError: it cannot be read, or is no COCO JSON.
    """
    try:
        data = read_json(path)
    except (OSError, ValueError) as error:
        raise RequestError(f"data {yaml}: annotations {path}: cannot be read: {in_one_line(error)}") from None
    if problem := ANNOTATIONS(data, ""):
        raise RequestError(f"data {yaml}: annotations {path}: no COCO JSON: {problem}")
    objects = [{"iscrowd": 0, "area": a["bbox"][2] * a["bbox"][3], **a} for a in data.get("annotations", ())]
    return data | {"annotations": objects}


def _box(value: Any, where: str) -> str | None:
    """Check for x, y, width and height."""
    problem = list_of(number)(value, where)
    return problem or (None if len(value) == 4 else f"{where} has {len(value)} numbers; it must have 4")


OBJECT = record_of(
    {"id": whole, "image_id": whole, "category_id": whole, "bbox": _box}, {"iscrowd": number, "area": number}
)
ANNOTATIONS = record_of(
    {
        "images": list_of(record_of({"id": whole, "file_name": text})),
        "categories": list_of(record_of({"id": whole, "name": text})),
    },
    {"annotations": list_of(OBJECT)},
)


def _names(dataset: Dataset) -> list[str]:
    """Return the names of the classes by their numbers, whatever their order in the yaml."""
    return [name for _, name in sorted(dataset.info["names"].items())]


def _coco(data: dict[str, Any]) -> COCO:
    coco = COCO()
    coco.dataset = {"info": {}, **data}
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco
