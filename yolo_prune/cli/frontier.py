"""`yolo-prune frontier`: what is there for what cost, without training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from yolo_prune.cli.shared import (
    CONTEXT,
    DEBUG,
    JSON,
    SAFE,
    TRAIN_ARGS,
    cli,
    console,
    from_table,
    given,
    prepare,
    print_json,
    with_train_args,
)
from yolo_prune.run.options import CHOICE, IMAGES, RESULTS, TARGET


@cli.command(context_settings=CONTEXT)
@click.option("--model", metavar="FILE", required=True, panel=IMAGES, help="Checkpoint (.pt).")
@from_table(["data", "calibration", "samples"])
@SAFE
@click.option("--points", type=int, metavar="N", panel=TARGET, help="Plans, from 90 to 30 % of the cost; default: 8.")
@click.option("--sizes", metavar="S,S,...", panel=TARGET, help="Judge every plan at these image sizes, too.")
@from_table(
    ["target_macs", "target_latency", "max_map_drop", "runtime", "profile", "max_layer_ratio", "round_to", "protect"]
)
@from_table(["criterion", "allocation", "reconstruct"])
@click.option("--run", metavar="DIR", panel=CHOICE, help="A finished run, to estimate what recovery would bring.")
@from_table(["threads", "verbose"])
@click.option("--out", metavar="DIR", panel=RESULTS, help="New directory; default: below Ultralytics' runs directory.")
@JSON
@DEBUG
@TRAIN_ARGS
def frontier(
    model: str, sizes: str | None, out: str | None, run: str | None, as_json: bool, safe_load: bool,
    train_args: tuple[str, ...], **options: Any,
) -> None:  # fmt: skip
    """Plan at many costs and judge each plan without training: how small can it get?

    KEY=VALUE are Ultralytics arguments: imgsz=640 batch=16 device=0
    """
    stdout = prepare(as_json, safe_load)
    from yolo_prune import api
    from yolo_prune.reporting.frontier import frontier_table, next_command

    options.pop("debug")
    asked = with_train_args(given(options), train_args)
    measured = api.frontier(api.load(model), out=out, sizes=_sizes(sizes), run=run and Path(run), **asked)
    screen = console(stderr=as_json)
    screen.print(frontier_table(measured))
    if (following := next_command(measured)) is not None:
        screen.print(f"chosen: {following}", soft_wrap=True)
    screen.print(f"page: {Path(measured['directory']) / 'frontier.html'}")
    print_json(measured, stdout)


def _sizes(text: str | None) -> tuple[int, ...]:
    """Read "320,288,256". Raises RequestError."""
    from yolo_prune.errors import RequestError

    words = [word.strip() for word in (text or "").split(",") if word.strip()]
    if not all(word.isdecimal() for word in words):
        raise RequestError(f"sizes is {text!r}; give image sizes in pixels, as 320,288,256")
    return tuple(int(word) for word in words)
