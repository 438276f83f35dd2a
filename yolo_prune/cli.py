"""The command `yolo-prune`: parse, call, print."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import click

SAFE_LOAD = "ULTRALYTICS_SAFE_LOAD"

# The options are those of PruneConfig, which holds the defaults and checks the values: nothing is decided here.


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--model", metavar="FILE", help="Checkpoint (.pt) or model yaml.")
@click.option("--data", metavar="FILE", help="Dataset yaml (or folder); default: what the checkpoint records.")
@click.option("--target-macs", metavar="T", help="MACs that stay: 54% of the model's (default), or 21.3G.")
@click.option("--target-params", metavar="T", help="Parameters that stay: 45% of the model's, or 12M.")
@click.option("--criterion", metavar="EXPR", help='Default: "expressiveness*taylor"; or "l2", ...')
@click.option("--calibration", metavar="KIND|DIR", help="images (default), representative, noise, or a folder.")
@click.option("--samples", type=int, metavar="N", help="Calibration images; default: 256.")
@click.option("--steps", type=int, metavar="S", help="Scorings on the way of a round; default: 4 in all rounds.")
@click.option("--reconstruct/--no-reconstruct", default=None, help="Solve layers anew; default: where images are.")
@click.option("--search", metavar="TIME|N", help="Try other widths, by mAP on training images: 10m, or N plans.")
@click.option("--rounds", type=int, metavar="R", help="Rounds, in geometric steps to the target; default: 4.")
@click.option("--epochs", type=int, metavar="E", help="Fine-tuning after each round; default: 10; 0: none.")
@click.option("--distill", is_flag=True, default=None, help="Fine-tuning also learns from the model as it was.")
@click.option("--regularize", metavar="NAME:S", help="Train with a penalty first: contribution:1, bn-scale:S, ...")
@click.option("--allocation", metavar="NAME", help="global (all channels ranked), uniform, or sensitivity (measured).")
@click.option("--normalize", metavar="HOW", help="Of layers' scores: mean, max, rank, zscore, global.")
@click.option("--group-reduction", metavar="mean|sum|max", help="Of channels that go together; default: mean.")
@click.option("--cost-exponent", type=float, metavar="X", help="Scores are divided by savings ** X; default: 1.")
@click.option("--round-to", type=int, metavar="K", help="Layers keep multiples of K channels; default: 1.")
@click.option("--protect", multiple=True, metavar="PATTERN", help="Layers that keep all channels; repeatable.")
@click.option("--max-layer-ratio", type=float, metavar="R", help="At most this share off a layer; default: 0.9.")
@click.option("--max-map-drop", type=float, metavar="X", help="Stop after the round that costs more mAP than X.")
@click.option("--export", metavar="FORMAT,...", help='onnx (default), torchscript, or "" for none.')
@click.option("--out", metavar="DIR", help="New directory for the results.")
@click.option("--resume", metavar="DIR", help="Go on with the run in DIR that was stopped; no other options.")
@click.option("--dry-run", is_flag=True, default=None, help="Only write the plan and its cost.")
@click.option("--json", "as_json", is_flag=True, help="Print summary.json on stdout, all else on stderr.")
@click.option("--safe-load", is_flag=True, help="Open checkpoints without running any code in them.")
@click.option("--debug", is_flag=True, help="Show where an error came from.")
@click.argument("train_args", nargs=-1, metavar="[key=value ...]")
@click.version_option(None, "--version", package_name="yolo-prune")
def command(
    model: str | None,
    resume: str | None,
    as_json: bool,
    safe_load: bool,
    debug: bool,
    train_args: tuple[str, ...],
    **options: Any,
) -> None:
    """Slim an Ultralytics YOLO: remove channels, fine-tune, measure, export.

    key=value are Ultralytics train arguments, passed on: imgsz=640 batch=16 device=0 lr0=0.001

    "yolo-prune info FILE" says what was done to a slimmed checkpoint.
    """
    stdout = _only_json_on_stdout() if as_json else None
    if safe_load:
        os.environ[SAFE_LOAD] = "1"  # before Ultralytics is imported
    from ultralytics.cfg import smart_value

    import yolo_prune
    from yolo_prune.errors import RequestError
    from yolo_prune.model import load
    from yolo_prune.reporting.table import table

    asked = {key: value for key, value in options.items() if value not in (None, ())}
    if resume is not None:
        if model is not None or asked or train_args:
            raise RequestError("resume goes on with a run as it was asked for; leave all other options out")
        result = yolo_prune.resume(resume)
    else:
        if model is None:
            raise RequestError("give the model to slim with --model, e.g. --model yolov8n.pt")
        passed = {}
        for item in train_args:
            key, equals, value = item.partition("=")
            if not equals or not key:
                raise RequestError(f"{item!r} is not understood; Ultralytics train arguments are written key=value")
            passed[key] = smart_value(value)
        doubled = asked.keys() & passed
        if doubled:
            raise RequestError(f"{sorted(doubled)[0]!r} is given twice: as an option and as key=value")
        result = load(model).prune(**asked, **passed)

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
    if stdout is not None:
        with stdout:
            json.dump(result.summary, stdout, indent=2)
            stdout.write("\n")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON, with the plans.")
@click.option("--safe-load", is_flag=True, help="Open it without running any code in it.")
@click.option("--debug", is_flag=True, hidden=True)
def info(file: str, as_json: bool, safe_load: bool, debug: bool) -> None:
    """Say what was done to a slimmed checkpoint."""
    stdout = _only_json_on_stdout() if as_json else None
    if safe_load:
        os.environ[SAFE_LOAD] = "1"
    from yolo_prune.model import load
    from yolo_prune.reporting.info import info_table, told

    found = told(load(file).model)
    if stdout is not None:
        with stdout:
            json.dump(found, stdout, indent=2)
            stdout.write("\n")
    else:
        _console().print(info_table(file, found))


def _console(stderr: bool = False):
    from rich.console import Console

    console = Console(stderr=stderr, soft_wrap=True)
    if not console.is_terminal:
        console.width = 120
    return console


def _only_json_on_stdout():
    """Send whatever anybody prints to stderr (child processes too), and give the real stdout."""
    sys.stdout.flush()
    real = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return real


def main() -> None:
    """Entry point. Exit status: 0 done, 2 the request is wrong, 1 anything else."""
    arguments = sys.argv[1:]
    try:
        if arguments[:1] == ["info"]:
            info(arguments[1:], prog_name="yolo-prune info", standalone_mode=False)
        else:
            command(arguments, prog_name="yolo-prune", standalone_mode=False)
    except click.ClickException as error:
        _fail(error.format_message(), 2)
    except click.Abort:
        _fail("stopped", 1)
    except Exception as error:
        from yolo_prune.errors import RequestError

        if "--debug" in arguments:
            raise
        _fail(str(error) or type(error).__name__, 2 if isinstance(error, RequestError) else 1)


def _fail(message: str, status: int) -> None:
    click.echo(f"yolo-prune: {' '.join(message.split())}", err=True)
    raise SystemExit(status)


if __name__ == "__main__":
    main()
