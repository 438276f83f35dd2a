import pytest
from PIL import Image

from yolo_prune import YOLO, demo
from yolo_prune.evaluation.whole_call import PARTS, time_parts


@pytest.mark.slow
def test_every_part_of_a_call_has_a_time_and_the_network_takes_most(tmp_path):
    Image.new("RGB", (320, 320), "gray").save(tmp_path / "a.jpg")
    models = {"base": YOLO(demo.MODEL), "final": YOLO(demo.MODEL)}
    times = time_parts(models, [tmp_path / "a.jpg"], {"imgsz": 320, "device": "cpu"})
    assert {*times} == {"base", "final"}
    for parts in times.values():
        assert {*parts} == {*PARTS}
        assert all(ms > 0 for ms in parts.values())
        assert max(parts, key=parts.__getitem__) == "inference"
