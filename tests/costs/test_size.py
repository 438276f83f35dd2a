import pytest

from tests.structure.plans import random_plan
from yolo_prune import YOLO
from yolo_prune.costs import CostModel
from yolo_prune.costs.size import Size
from yolo_prune.structure import Network


@pytest.mark.parametrize("yaml", ["yolov8n.yaml", "yolo11n.yaml"])
def test_the_bytes_of_a_slimmed_checkpoint_are_predicted(models, tmp_path, yaml):
    yolo = YOLO(yaml).around(models(yaml))
    yolo.save(tmp_path / "base.pt")
    network, size = Network.of(models(yaml), 64), (tmp_path / "base.pt").stat().st_size
    costs = CostModel(network, ("size",), {"size": Size(size, network)})
    assert costs.full["size"] == size
    plan = random_plan(models(yaml), seed=1)
    yolo.apply_plan(plan).save(tmp_path / "slim.pt")
    assert costs.total(plan.widths)["size"] == pytest.approx((tmp_path / "slim.pt").stat().st_size, rel=0.02)
