"""What the file of a model may ask for, and what an opened model must have."""

import os

import pytest
import torch
import yaml

from tests.host.checkpoints import save_slimmed
from yolo_prune import YOLO, RequestError
from yolo_prune.api import load


def _yaml(path, **changes):
    stock = YOLO("yolov8n.yaml").model.yaml
    content = {key: stock[key] for key in ("nc", "scales", "backbone", "head")} | changes
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": [[-1, 10**30, "Conv", [64, 3, 2]]]}, r"backbone\[0\] is repeated .* at most 1000"),
        ({"scales": {"n": [10**9, 0.25, 1024]}}, r"backbone\[\d\] is repeated \d+ times"),
        ({"backbone": [[-1, 1, "Conv", [10**9, 3, 2]]]}, "it has the number 1000000000; at most 100000"),
        ({"nc": 10**12}, "it has the number 1000000000000"),
        ({"nc": float("nan")}, "it has the number nan"),
    ],
)
def test_a_yaml_that_asks_for_too_much_is_refused_before_anything_is_built(changes, message, tmp_path):
    with pytest.raises(RequestError, match=message) as error:
        load(_yaml(tmp_path / "model.yaml", **changes))
    assert "\n" not in str(error.value)


def test_a_yaml_whose_aliases_stand_for_very_many_values_is_refused(tmp_path):
    lines = [f"b{i}: &b{i} [{', '.join([f'*b{i - 1}'] * 9) if i else '1'}]" for i in range(9)]
    (tmp_path / "model.yaml").write_text("\n".join([*lines, "nc: *b8", "backbone: []", "head: []"]))
    with pytest.raises(RequestError, match="too many values"):
        load(tmp_path / "model.yaml")


@pytest.mark.parametrize("name", ["model.yaml", "model.pt"])
def test_a_pipe_is_not_waited_for(name, tmp_path):
    os.mkfifo(tmp_path / name)
    with pytest.raises(RequestError, match=rf"^model .*{name}: "):
        load(tmp_path / name)


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("names", 3, "the names of its classes are 3"),
        ("task", ["detect"], r"its task is \['detect'\]; it must be one of detect"),
        ("yaml", None, "its yaml, which says how it is built, is None"),
        ("prune_info", [], r"record of how the model was slimmed .* is damaged: it is \[\]; it must be a dictionary"),
        ("prune_info", {"history": {}}, "history is {}; it must be a list"),
        ("prune_info", {"history": [{"plan": {"cost": {"base": {}}}}]}, r"history\[0\].plan.cost lacks 'final'"),
        ("prune_info", {"history": [{"plan": {}, "imgsz": float("nan")}]}, r"history\[0\].imgsz is nan"),
    ],
)
def test_a_checkpoint_that_records_nonsense_is_refused_in_one_line(attribute, value, message, models, tmp_path):
    save_slimmed(models("yolov8n.yaml"), tmp_path / "slim.pt")
    checkpoint = torch.load(tmp_path / "slim.pt", weights_only=False)
    setattr(checkpoint["model"], attribute, value)
    torch.save(checkpoint, tmp_path / "damaged.pt")
    with pytest.raises(RequestError, match=message) as error:
        load(tmp_path / "damaged.pt")
    assert "\n" not in str(error.value)
