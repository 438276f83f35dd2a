"""`yolo-prune benchmark`: checkpoints and exported files side by side."""

from __future__ import annotations

import rich_click as click

from yolo_prune.cli.shared import (
    CONTEXT,
    DEBUG,
    JSON,
    cli,
    console,
    from_table,
    only_imgsz,
    page_path,
    prepare,
    print_json,
)
from yolo_prune.run.options import IMAGES, RESULTS


@cli.command(context_settings=CONTEXT)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--data", metavar="FILE", panel=IMAGES, help="Dataset yaml, to measure the mAP of each file.")
@click.option("--runtime", metavar="R", panel=RESULTS, help="Export checkpoints first; default: run them in PyTorch.")
@from_table(["threads"])
@click.option("--out", metavar="FILE", panel=RESULTS, help="Also write a page with a plot.")
@JSON
@DEBUG
def benchmark(
    files: tuple[str, ...], data: str | None, runtime: str | None, threads: int | None, out: str | None, as_json: bool,
    debug: bool,
) -> None:  # fmt: skip
    """Time checkpoints and exported files alternately; with --data, measure their mAP.

    The last words may be imgsz=640, the size of the image that checkpoints are timed with.
    """
    stdout = prepare(as_json)
    from yolo_prune.host.console import output_of_run
    from yolo_prune.reporting.benchmark import benchmark_table, write_benchmark
    from yolo_prune.run.benchmark import benchmark_files

    page = out and page_path(out)
    imgsz = only_imgsz("benchmark", [word for word in files if "=" in word])
    paths = [word for word in files if "=" not in word]
    with output_of_run():
        measured = benchmark_files(paths, data, runtime, threads, imgsz)
    screen = console(stderr=as_json)
    screen.print(benchmark_table(measured))
    if page:
        screen.print(f"page: {write_benchmark(measured, page)}")
    print_json(measured, stdout)
