import pytest
from rich.console import Console

from tests.reporting.summaries import sensitivity
from yolo_prune.reporting.sensitivity import heat_map, sensitivity_table, write_sensitivity


@pytest.mark.parametrize(("figure", "shades"), [("loss", [1, 13, 100]), ("mAP50-95", [0, 0, 0])])
def test_the_heat_map_shows_the_change_with_a_stronger_colour_where_it_is_worse(figure, shades):
    """Of a loss that rises, and of an accuracy that rises."""
    rows = heat_map(sensitivity() | {"figure": figure})
    assert [cell.text for cell in rows[1].cells] == ["+0.010", "+0.200", "+1.500"]
    assert [cell.text for cell in rows[2].cells] == ["+0.020", "+0.300", ""]
    assert [cell.shade for cell in rows[1].cells] == shades
    assert rows[2].cells[2].shade == 0


def test_tooltips_name_the_layers_of_the_group_and_what_a_cut_saves():
    row = heat_map(sensitivity())[1]
    assert row.tip == "32 channels\nmodel.1.cv1.conv\nmodel.1.cv2.conv"
    assert row.cells[0].tip == "saves 10.0 M MACs"


def test_the_page_escapes_names(tmp_path):
    page = write_sensitivity(sensitivity(), tmp_path / "sensitivity.html").read_text(encoding="utf-8")
    assert "model&lt;1&gt;.pt" in page
    assert "model<1>" not in page


def test_the_table_has_a_row_for_each_group():
    console = Console(width=100)
    with console.capture() as capture:
        console.print(sensitivity_table(sensitivity()))
    lines = [line.split() for line in capture.get().splitlines() if line.strip()]
    assert "model<1>.pt at 320 px: loss 1.000 on 64 images" in " ".join(lines[0])
    assert lines[-3:] == [
        ["model.0.cv1.conv", "32", "+0.000", "+0.100", "+1.500"],
        ["model.1.cv1.conv", "32", "+0.010", "+0.200", "+1.500"],
        ["model.2.cv1.conv", "32", "+0.020", "+0.300", "-"],
    ]
