"""What editors and type checkers read of the door for Python."""

import ast
from pathlib import Path

from yolo_prune import api
from yolo_prune.cli.stub import stub
from yolo_prune.run.options import table

STUB = Path(api.__file__).with_suffix(".pyi")


def test_the_stub_is_that_of_the_table():
    assert STUB.read_text() == stub(), "run: python -m yolo_prune.cli.stub > yolo_prune/api.pyi"


def test_it_declares_every_public_name_and_every_option():
    tree = ast.parse(STUB.read_text())
    imported = {alias.asname for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    defined = {node.name for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    assert {*api.__all__} <= imported | defined
    (yolo,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
    methods = {node.name: node for node in yolo.body}
    assert {name for name in vars(api.YOLO) if not name.startswith("_")} == {*methods}
    assert [argument.arg for argument in methods["prune"].args.kwonlyargs] == [entry.name for entry in table()]
