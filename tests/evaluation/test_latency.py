import torch

from yolo_prune.evaluation.latency import eager_run, time_models


def test_models_are_timed_alternately_as_fused_copies(models):
    model = models("yolov8n.yaml")
    first, second = time_models([model, model], 64, seconds=0.1)
    assert first.median_ms > 0
    assert second.median_ms > 0
    assert first.ratio == 1
    assert not model.is_fused()


def test_an_eager_run_computes_what_the_model_computes_and_leaves_the_threads(models):
    model, image, threads = models("yolov8n.yaml"), torch.rand(1, 3, 64, 64), torch.get_num_threads()
    with torch.inference_mode():
        expected = model(image)[0]
    actual = eager_run(model, threads=threads + 1)(image.numpy())[0]
    assert abs(actual - expected.numpy()).max() < 1e-3
    assert torch.get_num_threads() == threads
