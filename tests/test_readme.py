"""The README and the pages of docs/: their commands and examples work, and their links lead somewhere."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import rich_click as click
from PIL import Image
from ultralytics.cfg import MODES, get_cfg, smart_value
from ultralytics.engine.exporter import export_formats

from yolo_prune.cli import main
from yolo_prune.cli.reference import reference
from yolo_prune.cli.shared import UNNAMED, cli, given, with_train_args
from yolo_prune.demo.scenes import write_scenes
from yolo_prune.evaluation.runtimes import Runtime
from yolo_prune.run.options import table
from yolo_prune.run.parsed import Parsed, read_options

ROOT = Path(__file__).parents[1]
README, OPTIONS = ROOT / "README.md", ROOT / "docs" / "options.md"
FIRST = [README, ROOT / "docs" / "your-model.md"]  # other pages name results of the commands on these
PAGES = [*FIRST, *(page for page in sorted((ROOT / "docs").glob("**/*.md")) if page not in FIRST)]
LINKED = [*PAGES, ROOT / "CHANGELOG.md", ROOT / "benchmarks" / "README.md"]

SMALL = ["--samples", "6", "--rounds", "1", "--steps", "1", "imgsz=64", "batch=8", "workers=0", "plots=False"]
ELSEWHERE = {
    "--images",
    "--plan",
    "sweep",
    "--learn-from",
    "--export",
    "--protect",
    "--regularize",
    "--target-latency",
    "profile",
    "benchmark",
}  # other tests run what these options do


def _name(page):
    return str(page.relative_to(ROOT))


def _blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def _commands(program):
    """Return the commands of all pages that begin with the name of a program, as lists of words."""
    lines = [line for page in PAGES for block in _blocks(page, "sh") for line in block.splitlines()]
    return [words for words in map(shlex.split, lines) if words[0] == program]


def _without(words, *options):
    """Return the words of a command without some options and their values."""
    kept = [*words]
    for option in options:
        if option in kept:
            place = kept.index(option)
            del kept[place : place + 2]
    return kept


def _small(words, epochs):
    """Return a command that slims a model to a target, with small sizes and so many epochs."""
    kept = [word for word in _without(words, "--epochs", "--samples", "--rounds") if re.match(r"--|[^=]+$", word)]
    aims = any(word.startswith("--target-") or word == "--max-map-drop" for word in kept)
    return [*kept, *(() if aims else ("--target-macs", "54%")), "--epochs", str(epochs), *SMALL]


def _kind(words):
    """Return what distinguishes a command from others that slim another model, or to another target."""
    model = Path(words[words.index("--model") + 1])
    return (model.suffix, *_without(words, "--model", "--data", "--target-macs", "--out"))


def _run(words, monkeypatch):
    monkeypatch.setattr(sys, "argv", words)
    main()  # it exits where something is wrong


@pytest.fixture
def workplace(scenes_model, tmp_path, monkeypatch):
    """A folder with the files that the pages name; it is the working directory."""
    data = Path(write_scenes(tmp_path / "scenes", train=32, val=8, size=64)).read_text(encoding="utf-8")
    for name in ("data.yaml", "coco.yaml"):
        (tmp_path / name).write_text(data, encoding="utf-8")
    for name in ("best.pt", "yolov8m.pt"):
        shutil.copy(scenes_model, tmp_path / name)
    (tmp_path / "my-images").mkdir()
    for name in ("image.jpg", "my-images/1.jpg", "my-images/2.jpg"):
        Image.effect_noise((64, 48), 80).convert("RGB").save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_is_understood(tmp_path, monkeypatch):
    for name in ("my-images", "frames"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Runtime, "require_installed", lambda *_, **__: None)  # the test extra lacks LiteRT
    own = {entry.name for entry in table()}
    for _, *words in _commands("yolo-prune"):
        for name in {*words} & {"laptop.json", "profile.json"}:
            Path(name).touch()
        name, arguments = (words[0], words[1:]) if words and words[0] in cli.commands else (UNNAMED, words)
        parent = click.Context(cli, info_name="yolo-prune")
        given_words = cli.commands[name].make_context("yolo-prune", arguments, parent).params
        if name == UNNAMED:
            options = given({key: value for key, value in given_words.items() if key in own})
            Parsed.of(read_options(with_train_args(options, given_words["train_args"])))


def test_every_command_of_ultralytics_is_understood():
    for _, mode, *pairs in _commands("yolo"):
        arguments = dict(pair.split("=", 1) for pair in pairs)
        assert mode in MODES
        get_cfg(overrides={key: smart_value(value) for key, value in arguments.items()})
        if mode == "export":
            names = export_formats()
            arguments_of = dict(zip(names["Argument"], names["Arguments"], strict=True))
            assert {*arguments} <= {*arguments_of[arguments["format"]], "format", "model", "imgsz", "device"}


@pytest.mark.slow
def test_the_commands_work(workplace, monkeypatch):
    """Of commands that differ only in the model or the target, the first is run. The first of all trains.

    Those whose results no other command uses are run as far as their plan.
    """
    slimmings = set()
    for words in _commands("yolo-prune"):
        if len(words) == 1 or ELSEWHERE & {*words}:
            continue
        if words[1] == "--model":
            words = _small(words, epochs=0 if slimmings else 1)
            kind = _kind(words)
            if kind in slimmings:
                continue
            used = "--out" in words or not slimmings
            words += [] if used or "--dry-run" in words else ["--dry-run"]
            words += [] if "--out" in words else ["--out", f"runs/prune/best{len(slimmings) or ''}"]
            words += ["--export", ""] if slimmings else []
            slimmings.add(kind)
        elif words[1] == "frontier":
            words = [*_without(words, "--points", "--out"), "--points", "2", "--samples", "6", "--out", "frontier",
                     "imgsz=64", "workers=0"]  # fmt: skip
            if Path("frontier").exists():
                continue
        elif words[1] == "--resume":  # a run that was stopped before its report
            Path(words[2], "report.html").unlink()
        elif words[1] == "sensitivity":
            words += ["--samples", "6", "--out", "sensitivity.html", "imgsz=64"]
        _run(words, monkeypatch)
    assert len(slimmings) >= 10
    assert {path.name for path in workplace.glob("*.html")} == {"sensitivity.html"}
    assert (workplace / "runs" / "prune" / "comparison.html").exists()
    assert (workplace / "runs" / "prune" / "best" / "report.html").exists()
    assert (workplace / "runs" / "prune" / "plan" / "plan.json").exists()


@pytest.mark.slow
def test_plain_ultralytics_exports_the_result(workplace, monkeypatch):
    words = next(words for words in _commands("yolo") if words[1] == "export" and len(words) == 4)
    out = Path(words[2].removeprefix("model=")).parents[1]
    slimming = ["--model", "best.pt", "--data", "data.yaml", "--epochs", "0", "--export", "", "--out", str(out)]
    _run(["yolo-prune", *slimming, *SMALL], monkeypatch)
    words = ["format=onnx" if word.startswith("format=") else word for word in words]  # which needs no other package
    code = "from ultralytics.cfg import entrypoint; entrypoint()"
    subprocess.run([sys.executable, "-c", code, *words[1:]], check=True, capture_output=True)
    assert (out / "weights" / "pruned.onnx").exists()


@pytest.mark.slow
def test_without_arguments_the_embedded_example_is_slimmed(tmp_path):
    assert ["yolo-prune"] in _commands("yolo-prune")
    environment = {**os.environ, "YOLO_CONFIG_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    small = ["--rounds", "1", "--epochs", "1", "--samples", "16", "--out", "out"]
    command = [sys.executable, "-m", "yolo_prune.cli", *small]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["base"]["map50_95"] > 0.6
    assert not any("no evidence" in note for note in summary["notes"])  # its val images are no training images
    produced = {path.name for path in (tmp_path / "out").iterdir()}
    assert produced >= {"summary.json", "plan.json", "report.html", "weights", "plots", "examples", "round1"}
    assert (tmp_path / "datasets" / "yolo-prune-scenes" / "scenes.yaml").exists()


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if _blocks(page, "python")], ids=_name)
def test_the_examples_work(page, workplace):
    """In a process of their own, because examples register things. Its results go below the working directory."""
    code = "\n".join(_blocks(page, "python"))
    code = re.sub(r"\bepochs=[1-9]\d*", "epochs=1", code)
    code = re.sub(r"(\bprune\(.*)imgsz=640\)", r"\1imgsz=640, samples=6, steps=1, export=())", code)
    code = code.replace("imgsz=640", "imgsz=64, workers=0, plots=False").replace("640", "64").replace("320", "64")
    environment = {**os.environ, "YOLO_CONFIG_DIR": str(workplace), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (workplace / "runs" / "prune" / "best" / "report.html").exists()


def test_the_page_of_options_is_that_of_the_table():
    text = OPTIONS.read_text(encoding="utf-8")
    assert text == reference(), "run: python -m yolo_prune.cli.reference > docs/options.md"
    assert all(f"`{entry.flag}" in text for entry in table())


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_option_that_a_page_names_exists(page):
    commands = cli.commands.values()
    names = {
        name for command in commands for option in command.params for name in (*option.opts, *option.secondary_opts)
    }
    text = re.sub(r"\b(pip|python|mkdocs|ray) [^`\n]*", "", page.read_text(encoding="utf-8"))  # other commands
    assert {*re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)} <= names


@pytest.mark.parametrize("page", LINKED, ids=_name)
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
