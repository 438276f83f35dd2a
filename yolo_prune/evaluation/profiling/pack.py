"""A pack: the folder that a device measures, with the sources of this package that it needs, as one zip file."""

from __future__ import annotations

import shutil
from pathlib import Path

from yolo_prune.evaluation.runtimes import Runtime
from yolo_prune.files import atomic

# The sources that measuring needs besides the file of the runtime. None of them imports torch.
SOURCES = (
    "errors.py", "plain.py", "registry.py", "evaluation/timing.py", "evaluation/profiling/device.py",
    "evaluation/runtimes/__init__.py", "evaluation/runtimes/runtime.py",
)  # fmt: skip
README = """\
Measures {title} on this machine for {model} at {imgsz} pixels. It needs Python 3.10 and:

    pip install numpy {package}
    python measure.py

It takes some minutes, and goes on where it was stopped. It writes profile.json. Copy that file back and use it:

    yolo-prune --model ... --target-latency 60% --profile profile.json
"""
SCRIPT = "from yolo_prune.evaluation.profiling.device import main\n\nmain()\n"


def write_pack(folder: Path, runtime: Runtime, model: str, imgsz: int, path: Path) -> None:
    """Add the sources and a script to a folder that a device measures, and write all of it as a zip file.

    Args:
        folder: as `write_folder` wrote it.
        runtime: that is measured.
        model: its name, for the instructions.
        imgsz: pixels.
        path: of the zip file.
    """
    package = Path(__file__).parents[2]
    for source in (*SOURCES, f"evaluation/runtimes/{runtime.name}.py"):
        target = folder / "yolo_prune" / source
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(package / source, target)
    for directory in ("", "evaluation", "evaluation/profiling"):
        (folder / "yolo_prune" / directory / "__init__.py").write_text("")
    (folder / "measure.py").write_text(SCRIPT)
    text = README.format(title=runtime.title, model=model, imgsz=imgsz, package=runtime.package, runtime=runtime.name)
    (folder / "README.txt").write_text(text)
    with atomic(path) as temporary:
        made = shutil.make_archive(str(temporary), "zip", folder)
        Path(made).replace(temporary)
