import json
import re

import pytest

from tests.reporting.summaries import sensitivity
from yolo_prune.reporting.sensitivity import write_sensitivity


@pytest.mark.parametrize(("figure", "sign"), [("loss", 1), ("mAP50-95", -1)])
def test_the_heat_map_shows_the_change_and_is_darker_where_it_is_worse(figure, sign, tmp_path):
    found = sensitivity() | {"figure": figure}
    page = write_sensitivity(found, tmp_path / "sensitivity.html").read_text(encoding="utf-8")
    for theme in ("light", "dark"):
        charts = json.loads(re.search(r'id="figures">(.*?)</script>', page, re.DOTALL)[1])[theme]
        (heat,) = charts["sensitivity"]["data"]
        assert heat["text"][1] == ["+0.010", "+0.200", "+1.500"]
        assert heat["text"][2] == ["+0.020", "+0.300", ""]
        assert heat["z"][1] == pytest.approx([sign * 0.01, sign * 0.2, sign * 1.5])
        assert heat["z"][2][2] is None
    assert "model<1>" not in page
