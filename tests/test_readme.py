"""What the README says, done: every command and every example, with small sizes."""

import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from yolo_prune.cli import main, slim
from yolo_prune.demo.scenes import write_scenes

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "benchmarks" / "README.md"]
SMALL = {"--epochs": "1", "--rounds": "1", "--samples": "6"}
SMALL_ARGUMENTS = {"imgsz": "64", "batch": "8", "workers": "0", "plots": "False"}


def _blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def _commands():
    return [shlex.split(line) for block in _blocks("sh") for line in block.splitlines()]


def _small(words, number):
    """The same command for small sizes; results go where the README's later commands look for the first ones."""
    if words[1] in ("compare", "info", "report"):
        return words
    pairs = dict(itertools.pairwise(words))
    slims = words[1].startswith("--") and "--resume" not in words
    kept, skip = [words[0]], False
    for word in words[1:]:
        if skip or word.partition("=")[0] in (*SMALL_ARGUMENTS, "device"):
            skip = False
        elif word in SMALL:
            skip = True
        else:
            kept.append(word)
    if "--resume" in words:
        return words
    if slims:
        epochs = "0" if pairs.get("--epochs") == "0" else "1"
        kept += [word for pair in {**SMALL, "--epochs": epochs}.items() for word in pair]
        kept += [] if "--out" in words else ["--out", f"runs/prune/best{number or ''}"]
        kept += [] if "--export" in words or not number else ["--export", ""]
        return kept + [f"{key}={value}" for key, value in SMALL_ARGUMENTS.items()]
    return [*kept, "--samples", "6", "imgsz=64"]


@pytest.fixture
def workplace(scenes_model, tmp_path, monkeypatch):
    """A folder with the files that the README names."""
    data = Path(write_scenes(tmp_path / "scenes", train=16, val=8, size=64)).read_text(encoding="utf-8")
    for name in ("data.yaml", "coco.yaml"):
        (tmp_path / name).write_text(data, encoding="utf-8")
    for name in ("best.pt", "yolov8m.pt"):
        shutil.copy(scenes_model, tmp_path / name)
    Image.new("RGB", (64, 48)).save(tmp_path / "image.jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_every_command_works(workplace, monkeypatch):
    done = 0
    for words in _commands():
        if words[0] != "yolo-prune" or len(words) == 1:
            continue  # what sets up this environment and runs these tests; and the next test's
        monkeypatch.setattr(sys, "argv", _small(words, done))
        main()  # which exits where something is wrong
        done += 1
    assert done > 10
    assert {path.name for path in workplace.glob("*.html")} == {"comparison.html", "sensitivity.html"}
    exports = [words for words in _commands() if words[:2] == ["yolo", "export"]]
    assert exports
    for words in exports:  # to a format that needs no other package
        words = ["format=onnx" if word.startswith("format=") else word for word in words[1:]]
        code = "from ultralytics.cfg import entrypoint; entrypoint()"
        subprocess.run([sys.executable, "-c", code, *words], check=True)


@pytest.mark.slow
def test_without_arguments_the_embedded_example_is_slimmed(tmp_path):
    assert ["yolo-prune"] in _commands()
    environment = {**os.environ, "YOLO_CONFIG_DIR": str(tmp_path), "YOLO_OFFLINE": "true"}
    small = ["--rounds", "1", "--epochs", "1", "--samples", "16", "--out", "out"]
    command = [sys.executable, "-m", "yolo_prune.cli", *small]
    environment["PYTHONPATH"] = str(ROOT)
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["base"]["map50_95"] > 0.6
    assert not any("no evidence" in note for note in summary["notes"])  # its val images are no training images
    produced = {path.name for path in (tmp_path / "out").iterdir()}
    assert produced >= {"summary.json", "plan.json", "report.html", "weights", "plots", "examples", "round1"}
    assert (tmp_path / "datasets" / "yolo-prune-scenes" / "scenes.yaml").exists()


@pytest.mark.slow
def test_every_example_works(workplace):
    for block in _blocks("python"):
        small = block.replace("epochs=3, imgsz=320", "epochs=1, imgsz=64, samples=6, workers=0, out='python'")
        exec(compile(small, "README.md", "exec"), {})
    assert (workplace / "python" / "report.html").exists()


def test_the_table_of_options_is_that_of_the_command():
    rows = re.findall(r"^\| (`--.*?`) \|", README, re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"--[a-z-]+", row)}
    real = {name for option in slim.params for name in (*option.opts, *option.secondary_opts) if name.startswith("--")}
    assert told == real - {"--help", "--version"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
            assert anchor in anchors, target
