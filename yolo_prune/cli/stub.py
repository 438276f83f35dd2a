"""The signatures of `api`, for editors and type checkers: `python -m yolo_prune.cli.stub > yolo_prune/api.pyi`.

Options are keywords that are made from the table. Editors that do not run the code see them only in this file.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

from yolo_prune import api
from yolo_prune.run.options import table

TYPES = {
    "text": "str | os.PathLike", "whole number": "int", "number": "float", "flag": "bool", "target": "str | float",
    "list": "str | Sequence[str]",
}  # fmt: skip
HEADER = '''"""Made from the table of options: python -m yolo_prune.cli.stub > yolo_prune/api.pyi"""

import os
from collections.abc import Sequence
from typing import Any

from yolo_prune.host import model as host
from yolo_prune.run.options import Options as Options
from yolo_prune.run.recipe import PruneResult as PruneResult
from yolo_prune.structure import PruningPlan as PruningPlan

'''


def stub() -> str:
    """Return the content of api.pyi."""
    methods = [_declared(getattr(api.YOLO, name), indent=4) for name in ("prune", "apply_plan")]
    functions = [_declared(getattr(api, name)) for name in api.__all__ if inspect.isfunction(getattr(api, name))]
    return "\n".join([HEADER + "class YOLO(host.YOLO):", *methods, "", *functions]) + "\n"


def _declared(function: Callable, indent: int = 0) -> str:
    """Return a function's declaration, with a line for each parameter."""
    signature, space = inspect.signature(function), " " * indent
    types = {entry.name: TYPES[entry.kind] + " | None" * entry.optional for entry in table()}
    parameters, own = [], False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not own:
            parameters, own = [*parameters, "*"], True
        annotation = types.get(parameter.name, parameter.annotation) if own else parameter.annotation
        stars = "**" if parameter.kind is parameter.VAR_KEYWORD else ""
        typed = f": {annotation}" if annotation is not parameter.empty else ""
        default = f" = {parameter.default!r}".replace("'", '"') if parameter.default is not parameter.empty else ""
        parameters.append(f"{stars}{parameter.name}{typed}{default}")
    lines = "".join(f"{space}    {parameter},\n" for parameter in parameters)
    return f"{space}def {function.__name__}(\n{lines}{space}) -> {signature.return_annotation}: ..."


if __name__ == "__main__":
    print(stub(), end="")
