"""The reference of the command, as Markdown: `python -m yolo_prune.cli.reference > docs/options.md`."""

from __future__ import annotations

from collections.abc import Iterator

import click

from yolo_prune.cli.slim import slim
from yolo_prune.run.options import table

INTRODUCTION = """# Options of `yolo-prune`

This page is made from the table of options in the code: `python -m yolo_prune.cli.reference > docs/options.md`.

```text
yolo-prune --model FILE [options] [key=value ...]
```

`key=value` are Ultralytics train arguments, passed on. They win over yolo-prune's own recipe. In Python the options
have the same names with underscores: `--round-to 8` is `prune(round_to=8)`.

A percentage says what is kept: `54%` removes 46 %. MACs are counted as torch-pruning counts them; Ultralytics' GFLOPs
are about twice the MACs. `imgsz` defaults to the size that the checkpoint was trained at: plan at the size you deploy
at.

Exit status: 0 done; 2 the request is wrong (one line says what, nothing is written); 1 anything else.
"""


def reference() -> str:
    """Return the page."""
    groups: dict[str, list[click.Option]] = {}
    for option in slim.params:
        if isinstance(option, click.Option):
            groups.setdefault(option.panel, []).append(option)
    return "\n".join([INTRODUCTION, *(line for group, options in groups.items() for line in _section(group, options))])


def _section(group: str, options: list[click.Option]) -> Iterator[str]:
    more = {entry.flag: entry.more for entry in table()}
    yield from (f"## {group}", "", "| option | meaning |", "|---|---|")
    for option in options:
        flags = [name for name in (*option.opts, *option.secondary_opts) if name.startswith("--")]
        written = ", ".join(f"`{flag} {option.metavar}`" if option.metavar else f"`{flag}`" for flag in flags)
        text = " ".join(filter(None, (option.help, more.get(flags[0], ""))))
        yield f"| {written} | {text.replace('|', chr(92) + '|')} |"
    yield ""


if __name__ == "__main__":
    print(reference(), end="")
