"""What a dataset's own files may ask for."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from yolo_prune import RequestError
from yolo_prune.demo.scenes import write_scenes
from yolo_prune.host.dataset_files import read_dataset


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """The yaml of a dataset for detection."""
    return Path(write_scenes(tmp_path_factory.mktemp("data"), train=4, val=2, size=32))


@pytest.fixture
def changed(scenes, tmp_path):
    """Return the path of the yaml with other entries."""

    def write(**changes):
        (tmp_path / "data.yaml").write_text(yaml.safe_dump(yaml.safe_load(scenes.read_text()) | changes))
        return str(tmp_path / "data.yaml")

    return write


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": None, "nc": 10**9}, "it has 1000000000 classes; at most 100000"),
        ({"names": None, "nc": "1e30"}, "it has '1e30' classes"),
        ({"channels": [3]}, r"its channels: is \[3\]; it must be a whole number"),
        ({"train": ["images/train", None]}, "its train: must be a folder"),
        ({"annotations": {"a": 1}}, "its annotations: must be the path of a JSON"),
        ({"kpt_shape": [5, 4]}, r"its kpt_shape: is \[5, 4\]"),
        ({"download": ["rm"]}, "its download: must be an address or a script"),
    ],
)
def test_a_yaml_that_asks_for_what_cannot_be_is_refused_in_one_line(changes, message, changed):
    with pytest.raises(RequestError, match=f"^data .*data.yaml: {message}"):
        read_dataset(changed(**changes), "detect", download=False)


def test_ndjson_with_a_huge_class_is_refused_before_it_is_converted(tmp_path, monkeypatch):
    monkeypatch.setattr("ultralytics.data.converter.DATASETS_DIR", tmp_path / "converted")
    for number, lines in enumerate(
        ([{"class_names": {str(10**9): "a"}}], [{}, {"annotations": {"boxes": [[10**30, 0.5, 0.5, 0.1, 0.1]]}}])
    ):
        path = tmp_path / f"{number}.ndjson"
        path.write_text("\n".join(map(json.dumps, lines)))
        with pytest.raises(RequestError, match="classes; at most 100000"):
            read_dataset(str(path), "detect", download=False)
    assert not (tmp_path / "converted").exists()


@pytest.mark.parametrize("suffix", ["yaml", "ndjson"])
def test_a_pipe_is_not_waited_for(suffix, tmp_path):
    os.mkfifo(tmp_path / f"data.{suffix}")
    with pytest.raises(RequestError, match="it is not a file"):
        read_dataset(str(tmp_path / f"data.{suffix}"), "detect", download=False)


def test_code_of_a_yaml_in_a_folder_and_archives_are_refused_with_safe_load(scenes, tmp_path, monkeypatch):
    monkeypatch.setenv("ULTRALYTICS_SAFE_LOAD", "1")
    content = yaml.safe_load(scenes.read_text()) | {"val": "missing", "download": f"open('{tmp_path}/ran', 'w')"}
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "data.yaml").write_text(yaml.safe_dump(content))
    archive = shutil.make_archive(str(tmp_path / "archive"), "zip", folder)
    with pytest.raises(RequestError, match="its download: is code, which --safe-load does not run"):
        read_dataset(str(folder), "detect", download=True)
    for data in (archive, "https://example.com/data.yaml"):
        with pytest.raises(RequestError, match="--safe-load reads datasets from folders only"):
            read_dataset(data, "detect", download=True)
    assert not (tmp_path / "ran").exists()


CACHE = """
import os, sys
import numpy as np
from yolo_prune.host.datasets import Wanted, resolve

class Hostile:
    def __reduce__(self):
        return open, (sys.argv[2], "w")

from pathlib import Path
cache = Path(sys.argv[1]).parent / "labels" / "train.cache"
with cache.open("wb") as file:
    np.save(file, np.array(Hostile(), dtype=object), allow_pickle=True)
split = resolve(sys.argv[1], Wanted(None, None)).split("train", 32)
print(len(split.labels))
"""


@pytest.mark.parametrize("safe", ["1", ""])
def test_code_in_a_cache_of_labels_is_not_run_with_safe_load(safe, scenes, tmp_path):
    """In a process of its own, because Ultralytics reads the variable when it is imported."""
    environment = {**os.environ, "ULTRALYTICS_SAFE_LOAD": safe}
    done = subprocess.run([sys.executable, "-c", CACHE, str(scenes), str(tmp_path / "ran")], env=environment,
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout.split()[-1] == "4"  # the labels were read from their files
    assert (tmp_path / "ran").exists() == (not safe)
