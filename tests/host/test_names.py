"""Names of Ultralytics that it does not document are listed in one place, and the installed version has them."""

import ast
import importlib
import re
from importlib.metadata import requires
from pathlib import Path

import pytest
from torch import nn
from ultralytics.engine.model import Model
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.engine.validator import BaseValidator

import yolo_prune.host
from yolo_prune.host.names import CHECKED, NAMES

# Blocks, models, trainers and validators are documented, as are these.
DOCUMENTED = (nn.Module, Model, BaseTrainer, BaseValidator)
UTILITIES = {"ASSETS", "LOGGER", "SETTINGS", "SimpleClass", "TQDM", "YAML", "ops"}


def _resolved(name):
    module, _, path = name.partition(":")
    value = importlib.import_module(module)
    for part in path.split("."):
        value = getattr(value, part)
    return value


@pytest.mark.parametrize("name", NAMES)
def test_the_installed_version_has_the_name(name):
    assert _resolved(name) is not None


@pytest.mark.parametrize("path", sorted(Path(yolo_prune.host.__path__[0]).glob("*.py")), ids=lambda path: path.stem)
def test_every_name_that_is_imported_is_documented_or_listed(path):
    listed = [_resolved(name) for name in NAMES]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("ultralytics"):
            continue
        for name in {alias.name for alias in node.names} - UTILITIES:
            value = _resolved(f"{node.module}:{name}")
            documented = isinstance(value, type) and issubclass(value, DOCUMENTED)
            assert documented or any(value is each for each in listed), f"{node.module}:{name} is not in NAMES"


def test_the_oldest_version_that_was_checked_is_the_one_that_is_required():
    (requirement,) = [line for line in requires("yolo-prune") if line.startswith("ultralytics")]
    assert re.search(r">=([\d.]+)", requirement)[1] == CHECKED[0]
