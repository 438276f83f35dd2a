"""The pages in a real browser."""

import shutil

import pytest
from PIL import Image

from tests.reporting.summaries import frontier, full, made_up, sensitivity, write
from yolo_prune.evaluation.drawing import save
from yolo_prune.reporting.compare import write_comparison
from yolo_prune.reporting.frontier import write_frontier
from yolo_prune.reporting.report import write_report
from yolo_prune.reporting.sensitivity import write_sensitivity
from yolo_prune.reporting.table import rows

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright (the test extra)")

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("needs chromium or google-chrome")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    directory = tmp_path_factory.mktemp("run")
    summary = full(directory)
    return write_report(write(summary, directory)), summary


@pytest.fixture
def opened(browser):
    """Open pages; check at the end that they requested no other file and logged nothing to the console."""
    contexts, messages, requests = [], [], []

    def open_page(path, scheme="light", width=1200):
        context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        requests.remove(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert messages == []
    assert [url for url in requests if not url.startswith("data:")] == []


def _cut(page):
    """Return the first cell of each table whose last column is outside its frame."""
    return page.evaluate(
        "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth).map(e => e.innerText)"
    )


@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_chart_is_drawn_and_the_page_fits(scheme, width, report, opened):
    page = opened(report[0], scheme, width)
    marks = {
        "trajectory .point": 3 + 3 + 1 + 1,  # before and after fine-tuning, base, result
        "layers .bar": 2 * 12,
        "scores-1 .bar": 3 + 3 + 2,
    }
    assert {selector: page.locator(f"#chart-{selector}").count() for selector in marks} == marks
    assert page.locator("#classes .range").count() == 5
    assert page.locator("#examples img").evaluate_all("all => all.map(image => image.naturalWidth)") == [64, 64, 64]
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert width == 390 or _cut(page) == []


def test_on_a_phone_a_table_shows_latency_and_accuracy_and_says_that_it_scrolls(report, opened):
    page = opened(report[0], width=390)
    headings = page.locator("#decision th").evaluate_all(
        "all => all.filter(th => th.getBoundingClientRect().right <= 376).map(th => th.innerText.replace('\\n', ' '))"
    )
    assert headings == ["format", "model", "latency", "of the base", "mAP50-95"]
    assert page.locator("#decision .hint").is_visible()
    assert not opened(report[0]).locator("#decision .hint").is_visible()


def test_every_value_is_that_of_the_summary(report, opened):
    path, summary = report
    page = opened(path)
    shown = {
        card.get_attribute("data-card"): card.locator(".before, .after, .ratio").all_inner_texts()
        for card in page.locator("[data-card]").all()
    }
    assert shown == {
        "macs": ["1.080 G", "2.000 G", "54.0 %"],
        "params": ["1.500 M", "3.000 M", "50.0 %"],
        "size": ["3.25 MB", "6.50 MB", "50.0 %"],
        "latency": ["12.2 ms", "20.0 ms", "61.3 %"],
        "metric": ["0.352", "0.402", "87.6 %"],
    }
    cells = [row.locator("td").all_text_contents() for row in page.locator("#stages tbody tr").all()]
    assert cells == [list(row) for row in rows(summary)]
    cells = [row.locator("td").all_text_contents() for row in page.locator("#decision tbody tr").all()]
    assert cells == [
        ["PyTorch", "base", "20.0 ms", "100.0 %", "0.402", "6.50 MB", "-", "-"],
        ["PyTorch", "slimmed", "12.2 ms", "61.3 %", "0.352", "3.25 MB", "-", "-"],
        ["onnx", "base", "15.0 ms", "100.0 %", "0.401", "12.30 MB", "-", "-"],
        ["onnx", "slimmed", "9.8 ms", "65.0 %", "0.351", "6.12 MB", "62.5 %", "1.3e-05"],
        ["onnx", "base at 288 px", "12.0 ms", "80.0 %", "0.390", "-", "-", "-"],
    ]
    layers = page.locator("#layers tbody tr").evaluate_all(
        "rows => rows.map(r => [...r.cells].map(c => c.textContent))"
    )
    assert [row[:4] for row in layers] == [
        [layer["name"], layer["stage"], str(layer["before"]), str(layer["after"])] for layer in summary["layers"]
    ]


def test_points_stand_where_their_values_are(report, opened):
    """The base is at 2 G MACs and the last round at 1.08 G MACs, of the axis that begins at 0."""
    page = opened(report[0])
    area = page.locator("#chart-trajectory .area").bounding_box()
    boxes = [page.locator("#chart-trajectory .point").nth(i).bounding_box() for i in (3, 5)]
    base, last = (box["x"] + box["width"] / 2 - area["x"] for box in boxes)
    assert last / base == pytest.approx(1.08 / 2, abs=0.01)


def test_a_tooltip_describes_its_point(report, opened):
    page = opened(report[0])
    bar = page.locator("#chart-layers .bar").nth(12)
    bar.hover()
    tip = "getComputedStyle(document.querySelectorAll('#chart-layers .bar')[12], '::after').content"
    assert page.evaluate(tip) == r'"model.0.conv\a 10 of 16 channels (62%)"'


def test_charts_follow_a_change_of_the_colour_scheme(report, opened):
    page = opened(report[0])
    color = "getComputedStyle(document.querySelector('#chart-layers .bar')).backgroundColor"
    light = page.evaluate(color)
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(color) != light


def test_eighty_classes_stay_readable(tmp_path, opened):
    summary = made_up()
    for name, value in (("base", 0.5), ("final", 0.4)):
        summary[name]["per_class"] = {f"class {i}": value + i / 1000 for i in range(80)}
    page = opened(write_report(write(summary, tmp_path)), width=390)
    rows = [row.bounding_box() for row in page.locator("#classes tbody tr").all()]
    assert len(rows) == 80
    assert min(row["height"] for row in rows) >= 16
    assert page.locator("#classes .scroll").bounding_box()["height"] < 800
    assert page.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize("width", [1200, 390])
def test_the_other_pages_are_drawn_and_fit(width, tmp_path, opened):
    names = ("one/a-run-with-a-rather-long-name", "two/a-run-with-a-rather-long-name")
    for name in names:
        (tmp_path / name).parent.mkdir()
    criterion = "mean(expressiveness:deviation)*global(taylor)"
    runs = [write(made_up(criterion=criterion, options={"epochs": 24}), tmp_path / name) for name in names]
    page = opened(write_comparison(runs, tmp_path / "comparison.html"), width=width)
    assert page.locator("#chart-macs .point").count() == 2 * 3
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert width == 390 or _cut(page) == []
    page = opened(write_sensitivity(sensitivity(), tmp_path / "sensitivity.html"), "dark", width)
    assert page.locator("#heat-map .cell").count() == 3 * 3
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page = opened(write_frontier(frontier(), tmp_path), width=width)
    assert page.locator("#chart-macs .point").count() == 2 + 2 + 1 + 1
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert width == 390 or _cut(page) == []


def test_a_report_with_photographs_is_small(tmp_path):
    """The drawings of a run have 480 pixels at the longer side. Noise has more detail than a photograph."""
    summary = full(tmp_path)
    images = {kind: f"examples/a-{kind}.jpg" for kind in ("base", "final", "labels")}
    for name in images.values():
        save(Image.effect_noise((480, 360), 25).convert("RGB"), tmp_path / name)
    summary["examples"] = [{"name": f"{i}.jpg", **images} for i in range(4)]
    assert write_report(write(summary, tmp_path)).stat().st_size < 1_500_000
