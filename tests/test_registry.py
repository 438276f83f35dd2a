import subprocess
import sys

import pytest

from yolo_prune import RequestError
from yolo_prune.costs import kind_names
from yolo_prune.registry import Registry


def test_the_modules_of_a_package_register_before_the_first_look_up():
    assert {"macs", "params"} <= {*kind_names()}


def test_a_thing_is_found_by_its_name_and_the_nearest_name_is_offered():
    registry = Registry("runtime", "yolo_prune.demo")  # a package that registers nothing here
    registry.add("onnx", 1)
    registry.add("openvino", 2)
    assert registry.names() == ["onnx", "openvino"]
    assert "onnx" in registry
    assert registry.get("openvino") == 2
    with pytest.raises(
        RequestError, match=r"runtime 'onx' does not exist; did you mean 'onnx'\? there are: onnx, open"
    ):
        registry.get("onx")
    registry.add("onnx", 3)  # the later one counts
    assert registry.get("onnx") == 3


def test_what_was_registered_first_by_others_replaces_what_the_package_registers():
    code = """if True:
        from yolo_prune import criteria
        mine = criteria.register("l2")(lambda layer, _: layer.weight.flatten(1).sum(1))
        assert criteria.get("l2").function is mine
    """
    subprocess.run([sys.executable, "-c", code], check=True)
