"""The command `yolo-prune`: parse, call, print."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rich_click as click
from click.shell_completion import CompletionItem

SAFE_LOAD = "ULTRALYTICS_SAFE_LOAD"
UNNAMED = "slim"

# The options are those of PruneConfig, which holds the defaults and checks the values: nothing is decided here.

SHOWN = click.RichHelpConfiguration(theme="default-slim", max_width=100)
CONTEXT = {"help_option_names": ["-h", "--help"], "rich_help_config": SHOWN}
IMAGES, TARGET, CHOICE, TRAINING, RESULTS = "Model and images", "Target", "Choice of channels", "Training", "Results"


class _Commands(click.RichGroup):
    """Commands by name; where none is named, slimming is meant."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args if args and args[0] in self.commands else [UNNAMED, *args])


class _Unnamed(click.RichCommand):
    """The command that is meant where none is named."""

    def make_context(self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any):
        return super().make_context(parent.info_name, args, **extra)


def _others(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What may stand for the first argument, for a shell that completes it."""
    return [CompletionItem(name) for name in cli.commands if name != UNNAMED and name.startswith(incomplete)]


def _option(panel: str, *names: str, **settings: Any) -> Callable[[Any], Any]:
    return click.option(*names, panel=panel, **settings)


def _flag(panel: str, *names: str, **settings: Any) -> Callable[[Any], Any]:
    return click.option(*names, panel=panel, is_flag=True, **settings)


JSON = _flag(RESULTS, "--json", "as_json", help="Print the results as JSON, all else on stderr.")
SAFE = _flag(IMAGES, "--safe-load", help="Run no code that is in a checkpoint.")
DEBUG = _flag(RESULTS, "--debug", help="Show where an error came from.")


@click.group(cls=_Commands, context_settings=CONTEXT)
def cli() -> None:
    """Slim an Ultralytics YOLO."""


@cli.command(UNNAMED, cls=_Unnamed, context_settings=CONTEXT)
@_option(IMAGES, "--model", metavar="FILE", help="Checkpoint or yaml; none: the embedded example.")
@_option(IMAGES, "--data", metavar="FILE", help="Dataset yaml or folder; default: the checkpoint's.")
@_option(IMAGES, "--calibration", metavar="KIND", help="images (default), representative, noise, a folder.")
@_option(IMAGES, "--samples", type=int, metavar="N", help="Calibration images; default: 256.")
@SAFE
@_option(TARGET, "--target-macs", metavar="T", help="MACs that stay; default: 54%; or 21.3G.")
@_option(TARGET, "--target-params", metavar="T", help="Parameters that stay: 45%, or 12M.")
@_option(TARGET, "--max-map-drop", type=float, metavar="X", help="Stop after a round that costs more mAP than X.")
@_option(TARGET, "--max-layer-ratio", type=float, metavar="R", help="At most this share off a layer; default: 0.9.")
@_option(TARGET, "--round-to", type=int, metavar="K", help="Layers keep multiples of K channels; default: 1.")
@_option(TARGET, "--protect", multiple=True, metavar="PATTERN", help="Layers that keep all channels; repeatable.")
@_option(CHOICE, "--criterion", metavar="EXPR", help="Default: expressiveness*taylor.")
@_option(CHOICE, "--allocation", metavar="HOW", help="global (default), uniform, or sensitivity.")
@_option(CHOICE, "--steps", type=int, metavar="S", help="Scorings in each round; default: 4 in all.")
@_option(CHOICE, "--reconstruct/--no-reconstruct", default=None, help="Solve layers anew; default: with images.")
@_option(CHOICE, "--search", metavar="TIME", help="Try other widths: for 10m, or N plans.")
@_option(CHOICE, "--cost-exponent", type=float, metavar="X", help="Scores over savings ** X; default: 1.")
@_option(CHOICE, "--normalize", metavar="HOW", help="mean, max, rank, zscore or global.")
@_option(CHOICE, "--group-reduction", metavar="HOW", help="mean (default), sum or max.")
@_option(TRAINING, "--rounds", type=int, metavar="R", help="Rounds, in geometric steps to the target; default: 1.")
@_option(TRAINING, "--epochs", type=int, metavar="E", help="Fine-tuning in each round; default: 10; 0: none.")
@_flag(TRAINING, "--distill", default=None, help="Learn from the model as it was, too.")
@_option(TRAINING, "--average/--no-average", default=None, help="Keep part of what training changed; see README.")
@_option(TRAINING, "--regularize", metavar="NAME:S", help="Train with a penalty first: contribution:1, ...")
@_option(RESULTS, "--out", metavar="DIR", help="New directory for the results.")
@_option(RESULTS, "--export", metavar="FORMAT,...", help='onnx (default), torchscript, or "" for none.')
@_option(RESULTS, "--resume", metavar="DIR", help="Go on with a run that was stopped.")
@_flag(RESULTS, "--dry-run", default=None, help="Only write the plan and its cost.")
@JSON
@DEBUG
@click.version_option(None, "--version", package_name="yolo-prune", panel=RESULTS)
@click.help_option("-h", "--help", panel=RESULTS)
@click.argument("train_args", nargs=-1, metavar="[KEY=VALUE ...]", shell_complete=_others)
def slim(
    model: str | None,
    resume: str | None,
    as_json: bool,
    safe_load: bool,
    debug: bool,
    train_args: tuple[str, ...],
    **options: Any,
) -> None:
    """Slim an Ultralytics YOLO: remove channels, fine-tune, measure, export.

    KEY=VALUE are Ultralytics train arguments, passed on: imgsz=640 batch=16 device=0 lr0=0.001

    Other commands, each with its --help: info, report, compare, sensitivity.
    """
    stdout = _prepared(as_json, safe_load)
    import yolo_prune
    from yolo_prune import demo
    from yolo_prune.errors import RequestError
    from yolo_prune.model import load
    from yolo_prune.reporting.table import table

    asked = {key: value for key, value in options.items() if value not in (None, ())}
    if resume is not None:
        if model is not None or asked or train_args:
            raise RequestError("resume goes on with a run as it was asked for; leave all other options out")
        result = yolo_prune.resume(resume)
    else:
        asked |= _train_args(train_args, asked)
        result = demo.prune(**asked) if model is None else load(model).prune(**asked)

    console = _console(stderr=as_json)
    console.print(table(result.summary))
    for exported in result.summary["exports"]:
        console.print(
            f"{exported['format']}: {exported['path']}, agrees with PyTorch to {exported['max_abs_diff']:.2g}, "
            f"{exported['latency_ms']:.1f} ms"
        )
    for note in result.summary["notes"]:
        console.print(f"note: {note}")
    console.print(f"results: {result.directory}")
    last = next(name for name in ("report.html", "plan.json") if (result.directory / name).exists())
    console.print(f"{last.partition('.')[0]}: {result.directory / last}")
    _print_json(result.summary, stdout)


@cli.command(context_settings=CONTEXT)
@click.argument("file")
@JSON
@SAFE
@DEBUG
def info(file: str, as_json: bool, safe_load: bool, debug: bool) -> None:
    """Say what was done to a slimmed checkpoint; with --json also by which plans."""
    stdout = _prepared(as_json, safe_load)
    from yolo_prune.model import load
    from yolo_prune.reporting.info import info_table, told

    found = told(load(file).model)
    if not as_json:
        _console().print(info_table(file, found))
    _print_json(found, stdout)


@cli.command(context_settings=CONTEXT)
@click.argument("directory", metavar="DIR")
@DEBUG
def report(directory: str, debug: bool) -> None:
    """Make a run's report.html and plots again, from its summary.json."""
    from yolo_prune.reporting.report import write_report

    _console().print(f"report: {write_report(Path(directory))}")


@cli.command(context_settings=CONTEXT)
@click.argument("directories", metavar="DIR DIR ...", nargs=-1, required=True)
@click.option("--out", metavar="FILE", default="comparison.html", help="The page to write; default: comparison.html.")
@DEBUG
def compare(directories: tuple[str, ...], out: str, debug: bool) -> None:
    """Put several runs on one page: what each loses at which MACs and latency."""
    from yolo_prune.reporting.compare import write_comparison

    _console().print(f"comparison: {write_comparison([Path(directory) for directory in directories], Path(out))}")


@cli.command(context_settings=CONTEXT)
@_option(IMAGES, "--model", metavar="FILE", required=True, help="Checkpoint (.pt).")
@_option(IMAGES, "--data", metavar="FILE", help="Dataset yaml (or folder); default: what the checkpoint records.")
@_option(IMAGES, "--samples", type=int, metavar="N", help="Training images that the loss is measured on; default: 64.")
@SAFE
@_option(CHOICE, "--criterion", metavar="EXPR", help="Which channels of a layer go first.")
@_option(CHOICE, "--figure", metavar="NAME", help="What is measured: loss (default, faster) or mAP.")
@_option(RESULTS, "--out", metavar="FILE", default="sensitivity.html", help="The page; default: sensitivity.html.")
@JSON
@DEBUG
@click.argument("train_args", nargs=-1, metavar="[KEY=VALUE ...]")
def sensitivity(
    out: str, as_json: bool, safe_load: bool, debug: bool, train_args: tuple[str, ...], **options: Any
) -> None:
    """Measure what is lost when one layer alone is cut by 25, 50 and 75 %, without training.

    KEY=VALUE are Ultralytics arguments: imgsz=640 batch=16 device=0
    """
    stdout = _prepared(as_json, safe_load)
    from yolo_prune.model import load
    from yolo_prune.reporting.sensitivity import sensitivity_table, write_sensitivity
    from yolo_prune.sensitivity import sensitivity as measure

    asked = {key: value for key, value in options.items() if value is not None}
    model = load(asked.pop("model"))
    found = measure(model, **asked, **_train_args(train_args, asked))
    console = _console(stderr=as_json)
    console.print(sensitivity_table(found))
    console.print(f"page: {write_sensitivity(found, Path(out))}")
    _print_json(found, stdout)


def _train_args(words: tuple[str, ...], asked: dict[str, Any]) -> dict[str, Any]:
    """Ultralytics' arguments, parsed as it parses them."""
    from ultralytics.cfg import smart_value

    from yolo_prune.errors import RequestError

    passed = {}
    for word in words:
        key, equals, value = word.partition("=")
        if word.endswith((".pt", ".yaml")) and not equals:
            raise RequestError(f"{word!r} stands alone; a model is named with --model, a dataset with --data")
        if not equals or not key:
            raise RequestError(f"{word!r} is not understood; Ultralytics train arguments are written key=value")
        passed[key] = smart_value(value)
    doubled = asked.keys() & passed
    if doubled:
        raise RequestError(f"{sorted(doubled)[0]!r} is given twice: as an option and as key=value")
    return passed


def _prepared(as_json: bool, safe_load: bool):
    """What must be so before Ultralytics is imported; the stdout for JSON, if it is wanted."""
    if safe_load:
        os.environ[SAFE_LOAD] = "1"
    return _only_json_on_stdout() if as_json else None


def _only_json_on_stdout():
    """Send whatever anybody prints to stderr (child processes too), and give the real stdout."""
    sys.stdout.flush()
    real = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return real


def _print_json(data: Any, stdout: Any) -> None:
    if stdout is not None:
        with stdout:
            json.dump(data, stdout, indent=2)
            stdout.write("\n")


def _console(stderr: bool = False):
    from rich.console import Console

    console = Console(stderr=stderr, soft_wrap=True)
    if not console.is_terminal:
        console.width = 120
    return console


def main() -> None:
    """Entry point. Exit status: 0 done, 2 the request is wrong, 1 anything else."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's end of time is as Ctrl-C
    try:
        if "_YOLO_PRUNE_COMPLETE" in os.environ:
            cli(prog_name="yolo-prune")  # a shell asks what could be typed next
        cli(prog_name="yolo-prune", standalone_mode=False)
    except click.ClickException as error:
        _fail(error.format_message(), 2)
    except click.Abort:
        _fail("stopped", 1)
    except Exception as error:
        from yolo_prune.errors import RequestError

        if "--debug" in sys.argv:
            raise
        _fail(str(error) or type(error).__name__, 2 if isinstance(error, RequestError) else 1)


def _fail(message: str, status: int) -> None:
    click.echo(f"yolo-prune: {' '.join(message.split())}", err=True)
    raise SystemExit(status)


if __name__ == "__main__":
    main()
