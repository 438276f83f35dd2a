"""`yolo-prune sensitivity`: what is lost when one layer alone is cut."""

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
    page_path,
    prepare,
    print_json,
    with_train_args,
)
from yolo_prune.run.options import CHOICE, IMAGES, RESULTS


@cli.command(context_settings=CONTEXT)
@click.option("--model", metavar="FILE", required=True, panel=IMAGES, help="Checkpoint (.pt).")
@from_table(["data"])
@click.option("--samples", type=int, metavar="N", panel=IMAGES, help="Training images to measure on; default: 64.")
@SAFE
@from_table(["criterion"])
@click.option("--figure", metavar="NAME", panel=CHOICE, help="What is measured: loss (default, faster) or mAP.")
@click.option("--out", metavar="FILE", panel=RESULTS, help="The page; default: below Ultralytics' runs directory.")
@from_table(["verbose"])
@JSON
@DEBUG
@TRAIN_ARGS
def sensitivity(
    model: str, out: str | None, as_json: bool, safe_load: bool, train_args: tuple[str, ...], **options: Any
) -> None:
    """Measure what is lost when one layer alone is cut by 25, 50 and 75 %, without training.

    KEY=VALUE are Ultralytics arguments: imgsz=640 batch=16 device=0
    """
    stdout = prepare(as_json, safe_load)
    from yolo_prune import api
    from yolo_prune.host.settings import new_run_directory
    from yolo_prune.reporting.sensitivity import sensitivity_table, write_sensitivity

    options.pop("debug")
    page = out and page_path(out)
    analysis = api.sensitivity(api.load(model), **with_train_args(given(options), train_args))
    page = page or page_path(str(new_run_directory(f"{Path(model).stem}-sensitivity") / "sensitivity.html"))
    screen = console(stderr=as_json)
    screen.print(sensitivity_table(analysis))
    screen.print(f"page: {write_sensitivity(analysis, page)}")
    print_json(analysis, stdout)
