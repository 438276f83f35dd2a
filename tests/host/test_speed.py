import torch
from torch import nn

from tests.networks import build
from yolo_prune.host.speed import in_fast_layout, in_half_precision


def test_another_layout_keeps_parameters_shapes_and_outputs():
    model = build("yolov8n.yaml").eval()
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    parameters = [*model.parameters()]
    with torch.no_grad():
        before = model(image)[0]
        after = in_fast_layout(model)(image)[0]
    assert all(own is parameter for own, parameter in zip(model.parameters(), parameters, strict=True))
    assert after.shape == before.shape
    assert torch.allclose(after, before, rtol=1e-4, atol=1e-3)


def test_half_precision_stays_close():
    layer = nn.Conv2d(8, 8, 3)
    image = torch.rand(2, 8, 16, 16, generator=torch.Generator().manual_seed(0))
    expected = layer(image)
    with in_half_precision(torch.device("cpu")):
        found = layer(image)
    assert (found.float() - expected).norm() < 0.01 * expected.norm()
