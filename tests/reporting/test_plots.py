import matplotlib
import pytest
from matplotlib import pyplot
from PIL import Image

from tests.reporting.summaries import full, made_up
from yolo_prune.errors import RequestError
from yolo_prune.reporting.plots import write_plots


def test_each_chart_is_an_image_and_the_callers_plots_stay_unchanged(tmp_path):
    settings, figures = dict(matplotlib.rcParams), pyplot.get_fignums()
    paths = write_plots(full(tmp_path), tmp_path / "plots")
    assert [path.stem for path in paths] == ["trajectory", "layers", "scores", "classes"]
    for path in paths:
        with Image.open(path) as image:
            assert image.format == "PNG"
            assert len(image.convert("RGB").getcolors(1 << 24)) > 10  # something is drawn
    assert (dict(matplotlib.rcParams), pyplot.get_fignums()) == (settings, figures)
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == sorted(path.name for path in paths)


def test_a_chart_grows_with_the_number_of_classes(tmp_path):
    heights = []
    for count in (5, 80):
        summary = made_up()
        for name in ("base", "final"):
            summary[name]["per_class"] = {f"class {i}": 0.5 for i in range(count)}
        write_plots(summary, tmp_path / str(count))
        with Image.open(tmp_path / str(count) / "classes.png") as image:
            heights.append(image.height)
    assert heights[1] > 5 * heights[0]


def test_names_are_drawn_as_they_are_and_a_plot_has_room_for_any_number_of_them(tmp_path):
    summary = made_up(metric={"key": "metrics/mAP50-95(B)", "title": "$\\frac{$", "part": "box"})
    summary["scores"] = [
        {"edges": [0.0, 1.0], "removed": [1], "kept": [2], "held": [0], "title": "$\\sqrt$"} for _ in range(200)
    ]
    for name in ("base", "final"):
        summary[name]["per_class"] = {f"$x_{{{i}$": 0.5 for i in range(3000)}
    assert len(write_plots(summary, tmp_path / "plots")) == 3


def test_plots_are_not_written_through_a_link(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "plots").symlink_to(tmp_path / "outside")
    with pytest.raises(RequestError, match="plots: must be a folder"):
        write_plots(made_up(), tmp_path / "plots")
    assert not [*(tmp_path / "outside").iterdir()]
