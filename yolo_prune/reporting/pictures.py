"""The images of a run with predictions, as a page embeds them."""

from __future__ import annotations

import base64
import mimetypes
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TITLES = {"base": "base", "final": "slimmed model", "labels": "labels"}


def examples(summary: Mapping[str, Any], directory: Path) -> list[dict[str, Any]]:
    """Return the images that are in the directory of the run, each with its "name", "text", "same" and "pictures".

    "same" is whether both models find the same. A picture has a "title", and its content as "uri".
    """
    shown = []
    for example in summary.get("examples") or []:
        paths = {title: directory / example[name] for name, title in TITLES.items() if example.get(name)}
        if all(_is_inside(path, directory) for path in paths.values()):
            pictures = [{"title": title, "uri": _data_uri(path)} for title, path in paths.items()]
            facts = {"name": example["name"], "text": differences(example), "same": _is_same(example)}
            shown.append({**facts, "pictures": pictures})
    return shown


def differences(example: Mapping[str, Any]) -> str:
    """Return how many boxes are lost and new, or the class that each model predicts; "" where nobody compared."""
    classes = example.get("classes") or {}
    if classes:
        return ", ".join(f"{title}: {classes[name]}" for name, title in TITLES.items() if name in classes)
    return "; ".join(_count(example[name], name) for name in ("lost", "new") if example.get(name))


def _is_same(example: Mapping[str, Any]) -> bool:
    classes = example.get("classes") or {}
    counted = [example[name]["boxes"] for name in ("lost", "new") if example.get(name)]
    return classes.get("base") == classes.get("final") if classes else not any(counted)


def _count(boxes: Mapping[str, Any], word: str) -> str:
    text, labelled = f"{boxes['boxes']:g} {word}", boxes.get("labelled")
    if labelled is None or not boxes["boxes"]:
        return text
    return f"{text} ({labelled:g} of them {'matches' if labelled == 1 else 'match'} a label)"


def _is_inside(path: Path, directory: Path) -> bool:
    """Whether a path is that of a file in a directory, links followed."""
    real = os.path.realpath(directory)
    return os.path.isfile(path) and os.path.commonpath([os.path.realpath(path), real]) == real


def _data_uri(path: Path) -> str:
    """Return the content of an image file as a data URI."""
    mime_type = mimetypes.guess_type(path.name)[0] or "image/jpeg"
    return f"data:{mime_type};base64,{base64.b64encode(path.read_bytes()).decode()}"
