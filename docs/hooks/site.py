"""A hook of MkDocs: files outside of docs/ belong to the site, and links lead to them there as on a code host.

Pages link to files by their place in the repository, as ../benchmarks/README.md. Within the site, such a link leads to
the copy of that file. The page of the notebook shows its cells.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
OUTSIDE = {"CHANGELOG.md": "changelog.md", "datasets.yaml": "datasets.yaml"}  # in the repository, and in the site
INSTEAD = {"README.md": "docs/index.md", "README.md#how-good-is-it": "docs/results.md"}  # the README is no page
# The target of a Markdown link to a file, unless it is a URL.
LINK = re.compile(r"(?<=\]\()(?!\w+:)([^)\s]+\.(?:md|png|svg|json|yaml|ipynb)(?:#[^)\s]*)?)(?=\))")


def on_files(files: Files, config: Any) -> Files:
    """Add the changelog, the datasets and the benchmarks with their figures."""
    benchmarks = [path for path in (ROOT / "benchmarks").iterdir() if path.suffix in (".md", ".png", ".json")]
    places = OUTSIDE | {f"benchmarks/{path.name}": f"benchmarks/{path.name}" for path in benchmarks}
    for source, place in places.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return the text of a page with links that lead to places in the site, and with the cells of the notebook."""
    if page.file.src_uri == "notebook.md":
        markdown = "\n\n".join([markdown, *_cells(ROOT / "docs" / "notebooks" / "slim.ipynb")])
    folder = posixpath.dirname(_in_repository(page.file))

    def in_site(link: re.Match) -> str:
        target = posixpath.normpath(posixpath.join(folder, link[1]))
        name, _, anchor = INSTEAD.get(target, INSTEAD.get(target.partition("#")[0], target)).partition("#")
        place = posixpath.relpath(OUTSIDE.get(name, name.removeprefix("docs/")), posixpath.dirname(page.file.src_uri))
        return f"{place}#{anchor}" if anchor else place

    return LINK.sub(in_site, markdown)


def _cells(notebook: Path) -> list[str]:
    """Return the cells of a notebook as Markdown, without its title."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    sources = [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
    return [f"```python\n{source}\n```" if kind == "code" else source for kind, source in sources[1:]]


def _in_repository(file: File) -> str:
    """Return the path of a page in the repository."""
    return Path(os.path.relpath(file.abs_src_path, ROOT)).as_posix()
