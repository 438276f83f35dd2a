from pathlib import Path

from PIL import Image

from yolo_prune import YOLO
from yolo_prune.demo.scenes import write_scenes
from yolo_prune.evaluation.examples import COUNT, example_paths, write_examples


def test_predictions_of_each_model_are_drawn_in_a_few_images(tmp_path):
    data = Path(write_scenes(tmp_path / "data", train=1, val=9, size=96)).parent
    images = example_paths([str(path) for path in (data / "images" / "val").iterdir()])
    assert len({*images}) == COUNT
    models = {"base": YOLO("yolov8n.yaml"), "final": YOLO("yolov8n.yaml")}
    examples = write_examples(models, images, tmp_path, {"imgsz": 64})
    assert [example["name"] for example in examples] == [path.name for path in images]
    for example in examples:
        for name in models:
            assert Image.open(tmp_path / example[name]).size == (96, 96)


def test_there_may_be_fewer_images_than_are_wanted():
    assert example_paths(["b", "a"]) == [Path("a"), Path("b")]
