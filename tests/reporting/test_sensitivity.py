import json
import re

import pytest
from rich.console import Console

from tests.reporting.summaries import sensitivity
from yolo_prune.reporting.sensitivity import sensitivity_table, write_sensitivity


@pytest.mark.parametrize(("figure", "sign"), [("loss", 1), ("mAP50-95", -1)])
def test_the_heat_map_shows_the_change_with_a_stronger_colour_where_it_is_worse(figure, sign, tmp_path):
    analysis = sensitivity() | {"figure": figure}
    page = write_sensitivity(analysis, tmp_path / "sensitivity.html").read_text(encoding="utf-8")
    for theme in ("light", "dark"):
        charts = json.loads(re.search(r'id="figures">(.*?)</script>', page, re.DOTALL)[1])[theme]
        (heat,) = charts["sensitivity"]["data"]
        assert heat["text"][1] == ["+0.010", "+0.200", "+1.500"]
        assert heat["text"][2] == ["+0.020", "+0.300", ""]
        assert heat["z"][1] == pytest.approx([sign * 0.01, sign * 0.2, sign * 1.5])
        assert heat["z"][2][2] is None
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
