"""`yolo-prune`: slim a model."""

from __future__ import annotations

from typing import Any

import rich_click as click
from click.shell_completion import CompletionItem

from yolo_prune.cli.shared import (
    CONTEXT,
    DEBUG,
    JSON,
    SAFE,
    UNNAMED,
    cli,
    console,
    from_table,
    given,
    prepare,
    print_json,
    with_train_args,
)
from yolo_prune.run.options import CHOICE, IMAGES, RESULTS, TARGET, TRAINING


class _Unnamed(click.RichCommand):
    """The command without a name of its own."""

    def make_context(self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any):
        return super().make_context(parent.info_name, args, **extra)


def _other_commands(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the commands that may stand for the first argument, for a shell that completes it."""
    return [CompletionItem(name) for name in cli.commands if name != UNNAMED and name.startswith(incomplete)]


@cli.command(UNNAMED, cls=_Unnamed, context_settings=CONTEXT)
@click.option("--model", metavar="FILE", panel=IMAGES, help="Checkpoint or yaml; none: the embedded example.")
@from_table(group=IMAGES)
@SAFE
@from_table(group=TARGET)
@from_table(group=CHOICE)
@from_table(group=TRAINING)
@from_table(group=RESULTS)
@click.option("--resume", metavar="DIR", panel=RESULTS, help="Go on with a run that was stopped.")
@JSON
@DEBUG
@click.version_option(None, "--version", package_name="yolo-prune", panel=RESULTS)
@click.help_option("-h", "--help", panel=RESULTS)
@click.argument("train_args", nargs=-1, metavar="[KEY=VALUE ...]", shell_complete=_other_commands)
def slim(
    model: str | None, resume: str | None, as_json: bool, safe_load: bool, train_args: tuple[str, ...], **options: Any
) -> None:
    """Slim an Ultralytics YOLO: remove channels, fine-tune, measure, export.

    KEY=VALUE are Ultralytics train arguments, passed on: imgsz=640 batch=16 device=0 lr0=0.001

    Other commands, each with its --help: frontier, profile, benchmark, info, report, compare, sensitivity, sweep.
    """
    stdout = prepare(as_json, safe_load)
    from yolo_prune import api
    from yolo_prune.errors import RequestError

    options.pop("debug")
    asked = given(options)
    if resume is not None:
        if model is not None or asked or train_args:
            raise RequestError("resume goes on with a run as it was asked for; leave out all other options")
        result = api.resume(resume)
    else:
        asked = with_train_args(asked, train_args)
        result = api.prune_demo(**asked) if model is None else api.load(model).prune(**asked)
    _print_result(result, stderr=as_json)
    print_json(result.summary, stdout)


def _line(exported: dict[str, Any], summary: dict[str, Any]) -> str:
    """Return what the terminal shows of an export."""
    profile, metric = summary["profile"], exported["map50_95"]
    predicted, base_ms, difference = (
        exported[key] for key in ("predicted_latency_ms", "base_latency_ms", "max_abs_diff")
    )
    parts = [
        f"{exported['format']} {exported['precision']}: {exported['path']}",
        f"{exported['latency_ms']:.1f} ms, {exported['latency_ratio']:.0%} of the base's {base_ms:.1f} ms",
        f"{predicted / profile['base_ms']:.0%} predicted" if predicted else "",
        f"agrees with PyTorch to {difference:.2g}" if difference is not None else "",
        "" if metric is None else f"{summary['metric']['title']} {metric:.3f} of {exported['base_map50_95']:.3f}",
    ]
    return ", ".join(filter(None, parts))


def _print_result(result: Any, stderr: bool) -> None:
    """Print the table of a run, its exports, its notes, and where the results are."""
    from yolo_prune.reporting.table import table

    out = console(stderr)
    out.print(table(result.summary))
    for exported in result.summary["exports"]:
        out.print(_line(exported, result.summary))
    for note in result.summary["notes"]:
        out.print(f"note: {note}")
    out.print(f"results: {result.directory}")
    last = next(name for name in ("report.html", "plan.json") if (result.directory / name).exists())
    out.print(f"{last.partition('.')[0]}: {result.directory / last}")
