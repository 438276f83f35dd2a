"""The pages in a real browser."""

import shutil
from itertools import pairwise

import pytest

from tests.reporting.summaries import full, made_up, sensitivity, write
from yolo_prune.reporting.compare import write_comparison
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
        page.wait_for_selector(f"html[data-drawn={scheme}]")
        requests.remove(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert messages == []
    assert [url for url in requests if not url.startswith("data:")] == []


@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_chart_is_drawn_and_the_page_fits(scheme, width, report, opened):
    page = opened(report[0], scheme, width)
    points = {
        "trajectory .scatterlayer .point": 3 + 3 + 1 + 1,  # before and after fine-tuning, base, final
        "layers .barlayer .point": 2 * 12,
        "scores-1 .barlayer .point": 3 * 4,
        "classes .scatterlayer .point": 2 * 5,
    }
    assert {selector: page.locator(f"#chart-{selector}").count() for selector in points} == points
    assert page.locator("#examples img").evaluate_all("all => all.map(image => image.naturalWidth)") == [64, 64]
    assert page.evaluate("document.documentElement.scrollWidth") == width


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
        ["PyTorch", "base", "20.0 ms", "100.0 %", "-", "6.50 MB", "0.402", "-"],
        ["PyTorch", "slimmed", "12.2 ms", "61.3 %", "-", "3.25 MB", "0.352", "-"],
        ["onnx", "base", "15.0 ms", "100.0 %", "-", "12.30 MB", "0.401", "-"],
        ["onnx", "slimmed", "9.8 ms", "65.0 %", "62.5 %", "6.12 MB", "0.351", "1.3e-05"],
        ["onnx", "base on images of 288 px", "12.0 ms", "80.0 %", "-", "-", "0.390", "-"],
    ]
    layers = page.locator("#layers tbody tr").evaluate_all(
        "rows => rows.map(r => [...r.cells].map(c => c.textContent))"
    )
    assert [row[:4] for row in layers] == [
        [layer["name"], layer["stage"], str(layer["before"]), str(layer["after"])] for layer in summary["layers"]
    ]
    lines = page.evaluate("document.getElementById('chart-trajectory').data.map(t => [t.name, t.x, t.y])")
    assert lines[0] == ["before fine-tuning", [2.0, 1.42, 1.08], [0.402, 0.312, 0.204]]
    assert lines[1] == ["after fine-tuning", [2.0, 1.42, 1.08], [0.402, 0.381, 0.352]]


def test_a_tooltip_describes_its_point(report, opened):
    page = opened(report[0])
    page.locator("#chart-layers .barlayer .point").nth(12).hover(force=True)
    assert page.locator("#chart-layers .hoverlayer").text_content() == "model.0.conv10 of 16 channels (63%)"


def test_charts_follow_a_change_of_the_colour_scheme(report, opened):
    page = opened(report[0])
    color = "getComputedStyle(document.querySelector('#chart-layers .legendtext')).fill"
    light = page.evaluate(color)
    page.emulate_media(color_scheme="dark")
    page.wait_for_selector("html[data-drawn=dark]")
    assert page.evaluate(color) != light


def test_eighty_classes_stay_readable(tmp_path, opened):
    summary = made_up()
    for name, value in (("base", 0.5), ("final", 0.4)):
        summary[name]["per_class"] = {f"class {i}": value + i / 1000 for i in range(80)}
    page = opened(write_report(write(summary, tmp_path)), width=390)
    boxes = [label.bounding_box() for label in page.locator("#chart-classes .ytick text").all()]
    heights = sorted(box["y"] for box in boxes)
    assert len(heights) == 80
    assert min(b - a for a, b in pairwise(heights)) >= 16
    assert page.locator(".frame.tall").bounding_box()["height"] < 800


def test_the_other_pages_are_drawn(tmp_path, opened):
    runs = [write(made_up(), tmp_path / name) for name in ("a", "b")]
    page = opened(write_comparison(runs, tmp_path / "comparison.html"), width=390)
    assert page.locator("#chart-macs .scatterlayer .point").count() == 2 * 4
    assert page.locator("#chart-latency .scatterlayer .point").count() == 2 * 4
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page = opened(write_sensitivity(sensitivity(), tmp_path / "sensitivity.html"), "dark", 390)
    assert page.locator("#chart-sensitivity .heatmap-label").count() == 3 * 3 - 1
    assert page.evaluate("document.documentElement.scrollWidth") == 390
