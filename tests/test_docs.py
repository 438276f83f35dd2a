"""The documentation site is built without a warning, loads nothing from elsewhere, and says what the code says."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("**/*.md"))
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
NOTEBOOK = ROOT / "docs" / "notebooks" / "slim.ipynb"
# mkdocs build, where an import of torch or Ultralytics fails
BUILD = """
import sys
sys.modules |= dict.fromkeys(["torch", "ultralytics"])
from mkdocs.__main__ import cli
cli(["build", "--strict", "--quiet", "--site-dir", sys.argv[1]])
"""


class _Loaded(HTMLParser):
    """Collects what a page loads when it is opened: everything with an address but links to follow."""

    def __init__(self):
        super().__init__()
        self.addresses, self.links = [], []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        addresses = [attributes[name] for name in ("src", "href", "data", "poster") if attributes.get(name)]
        (self.links if tag == "a" else self.addresses).extend(addresses)


def _read(page):
    parser = _Loaded()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser


def _names(entries):
    """Return the pages of a part of the navigation."""
    for entry in entries:
        (value,) = entry.values()
        yield from _names(value) if isinstance(value, list) else [value]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-c", BUILD, str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def _navigation():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    return [*_names(yaml.safe_load(text)["nav"])]


def test_the_navigation_names_every_page_once(site):
    names = _navigation()
    assert len({*names}) == len(names)
    assert {*names} == {str(page.relative_to(ROOT / "docs")) for page in PAGES} | {
        "benchmarks/README.md", "changelog.md"
    }  # fmt: skip
    for name in names:
        assert (site / name.replace("README.md", "index.md")).with_suffix(".html").exists()


def test_the_search_has_every_page_and_needs_no_server(site):
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    found = {entry["location"].partition("#")[0] for entry in index["docs"]}
    assert {name.replace("README.md", "index.md").replace(".md", ".html") for name in _navigation()} <= found
    assert (site / "search" / "search_index.js").exists()


def test_no_page_loads_anything_from_another_host(site):
    pages = [*site.glob("**/*.html")]
    assert len(pages) > 20
    for page in pages:
        for address in _read(page).addresses:
            assert not re.match(r"(https?:)?//", address), (page, address)
    for style in site.glob("**/*.css"):
        assert not re.search(r"url\(\s*['\"]?(https?:)?//|@import", style.read_text(encoding="utf-8")), style


def test_links_to_other_files_lead_to_files_of_the_site(site):
    for page in site.glob("**/*.html"):
        if page.name == "404.html":  # its links begin at the root of a server
            continue
        parser = _read(page)
        for address in [*parser.addresses, *parser.links]:
            name = address.partition("#")[0].partition("?")[0]
            if name and not re.match(r"\w+:", name):
                assert (page.parent / name).resolve().exists(), (page, address)


def test_every_message_that_is_explained_exists():
    """A message on the page is a part of a text in the code, where `…` stands for what the code inserts."""
    texts = [text for path in (ROOT / "yolo_prune").rglob("*.py") for text in _texts(path)]
    page = (ROOT / "docs" / "trouble.md").read_text(encoding="utf-8")
    messages = re.findall(r"^- `(.+)`$", page, re.MULTILINE)
    assert len(messages) > 50
    for message in messages:
        pieces = [re.escape(piece) for piece in message.split("…")]
        pattern = re.compile(".*".join(pieces), re.DOTALL)
        assert any(pattern.search(text) for text in texts), message


def _texts(path):
    """Return the texts in a file. What an f-string inserts is left out."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.mark.slow
def test_the_notebook_runs(tmp_path):
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in cells)
    code = "\n\n".join("".join(cell["source"]) for cell in cells)
    environment = {**os.environ, "YOLO_CONFIG_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "largest difference" in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium or google-chrome")
def test_the_search_finds_a_page_without_a_server(site):
    requested = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda request: requested.append(request.url))
        page.goto((site / "devices" / "cpu.html").as_uri())
        page.click("input[name=query]")
        page.keyboard.type("raspberry", delay=50)
        page.wait_for_selector(".md-search-result__link[href*='devices/raspberry-pi.html']", state="attached")
        browser.close()
    assert not [url for url in requested if not url.startswith(("file:", "data:", "about:"))]
