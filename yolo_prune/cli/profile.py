"""`yolo-prune profile`: how long layers take on a device."""

from __future__ import annotations

import rich_click as click

from yolo_prune.cli.shared import CONTEXT, DEBUG, SAFE, TRAIN_ARGS, cli, from_table, only_imgsz, page_path, prepare
from yolo_prune.run.options import IMAGES, RESULTS, TARGET


@cli.command(context_settings=CONTEXT)
@click.option("--model", metavar="FILE", required=True, panel=IMAGES, help="Checkpoint (.pt).")
@SAFE
@click.option("--runtime", metavar="R", required=True, panel=TARGET, help="onnx, openvino or ncnn.")
@from_table(["threads"])
@click.option("--out", metavar="FILE", default="profile.json", panel=RESULTS, help="Default: profile.json.")
@click.option("--pack", metavar="FILE.zip", panel=RESULTS, help="Measure another device: write what it needs.")
@DEBUG
@TRAIN_ARGS
def profile(
    model: str, runtime: str, threads: int | None, out: str, pack: str | None, safe_load: bool, debug: bool,
    train_args: tuple[str, ...],
) -> None:  # fmt: skip
    """Measure how long the layers of a model take on a device, for --target-latency.

    A pack needs Python and the runtime only, so that it runs on a Raspberry Pi. It measures the CPU. The only
    KEY=VALUE is imgsz=640.
    """
    prepare(safe_load=safe_load)
    from yolo_prune.api import load
    from yolo_prune.host.console import output_of_run
    from yolo_prune.run.profile import write_pack_of, write_profile

    imgsz, path = only_imgsz("profile", train_args), page_path(pack or out)
    with output_of_run():
        if pack:
            write_pack_of(load(model), runtime, path, imgsz)
        else:
            write_profile(load(model), runtime, path, imgsz, threads)
