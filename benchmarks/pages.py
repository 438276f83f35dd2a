"""Write the tables of the pages again, from the figures that the benchmarks have kept.

    python -m benchmarks.pages [--check]

A comment above a table of README.md, benchmarks/README.md or a page of docs names the command that prints it:

    <!-- table: python -m benchmarks.tasks --show --figures benchmarks/tasks.json -->

This script carries out the command of every such comment, and puts the table that it prints in the place of the one
below the comment. Where a command prints several tables, "table 2:" takes the second. With --check, nothing is written,
and the exit status is 1 if a page differs from what its commands print.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import os
import re
import shlex
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "benchmarks" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
MARKED = re.compile(r"(<!-- table(?: (\d+))?: python -m (.*?) -->\n\n)((?:\|.*\n)*)\n?")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    os.chdir(ROOT)
    different = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        new = MARKED.sub(lambda match: match[1] + tables(match[3])[int(match[2] or 1) - 1] + "\n", text)
        if new != text:
            different.append(page.name)
            if not args.check:
                page.write_text(new, encoding="utf-8")
    if args.check and different:
        sys.exit(f"{', '.join(different)}: run python -m benchmarks.pages")


@cache
def tables(command: str) -> list[str]:
    """Return the tables that a command prints. It is carried out in this process."""
    module, *words = shlex.split(command)
    printed = io.StringIO()
    sys.argv = [module, *words]
    with contextlib.redirect_stdout(printed):
        importlib.import_module(module).main()
    return re.findall(r"(?:^\|.*\n)+", printed.getvalue(), re.MULTILINE)


if __name__ == "__main__":
    main()
