"""Damaged and hostile files for everything that yolo-prune reads: none may do more than be refused in one line.

    python -m benchmarks.fuzz [--cases 1000] [--seed 0] [--json FILE] [READER ...]

For each reader a valid example is damaged in many ways (benchmarks/mutations.py) and read. A case is well if the file
is accepted, or refused by a RequestError of one line. It failed if there was another exception, if it took over ten
seconds or two gigabytes, or if anything was written outside the directory that was asked for. Each case depends only on
the seed, the reader and its number, so that `--only NUMBER` makes it again. Checkpoints are loaded as with --safe-load.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import io
import json
import logging
import os
import resource
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

SECONDS, GIGABYTES = 10, 2  # for one case; seconds of a processor, so that other work makes no difference
WAITING = 60  # seconds that a case may take if it only waits
SHOWN = 5  # failures of each reader


class TooSlow(BaseException):
    """A case took too long. No reader catches it, because it is no Exception."""


@dataclass
class Count:
    """What became of the cases of one reader."""

    cases: int = 0
    accepted: int = 0
    refused: int = 0
    failures: list[str] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("readers", nargs="*", metavar="READER", help="default: all")
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, metavar="NUMBER", help="one case, with its traceback")
    parser.add_argument("--json", metavar="FILE", help="where to write the counts")
    args = parser.parse_args()
    written = args.json and Path(args.json).resolve()
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(_home(Path(directory).resolve()))
        from benchmarks.environment import describe  # Ultralytics reads the environment that _home() prepared
        from benchmarks.readers import READERS

        if unknown := {*args.readers} - READERS.keys():
            parser.error(f"there is no reader {sorted(unknown)[0]!r}; choose from {', '.join(READERS)}")
        print(describe(), f"seed {args.seed}", sep="; ")
        print("| reader | cases | accepted | refused in one line | failed |\n|---|---|---|---|---|", flush=True)
        counts = {}
        for name in args.readers or READERS:
            sandbox = Sandbox(Path(directory).resolve(), name, READERS[name])
            numbers = range(args.cases) if args.only is None else [args.only]
            counts[name] = count = sandbox.fuzz(numbers, args.seed, verbose=args.only is not None)
            row = (name, count.cases, count.accepted, count.refused, len(count.failures))
            print(f"| {' | '.join(map(str, row))} |", flush=True)
            for failure in count.failures[:SHOWN]:
                print(f"  {failure}", file=sys.stderr, flush=True)
        os.chdir("/")
    if written:
        written.write_text(json.dumps({name: vars(count) for name, count in counts.items()}, indent=2) + "\n")
    raise SystemExit(any(count.failures for count in counts.values()))


def _home(root: Path) -> Path:
    """Prepare the folders and the environment of all cases, before Ultralytics is imported. Returns where to work."""
    for name in ("config", "datasets", "runs", "weights", "temporary", "outside", "work"):
        (root / name).mkdir()
    (root / "outside" / "kept.txt").write_text("nobody may change this")
    settings = {f"{name}_dir": str(root / name) for name in ("datasets", "runs", "weights")}
    os.environ |= {"YOLO_CONFIG_DIR": str(root / "config"), "TMPDIR": str(root / "temporary"), "YOLO_OFFLINE": "true",
                   "ULTRALYTICS_SAFE_LOAD": "1", "YOLO_AUTOINSTALL": "false", "MPLBACKEND": "agg"}  # fmt: skip
    tempfile.tempdir = None  # it is the folder above, from now on
    from ultralytics.utils import LOGGER, SETTINGS

    SETTINGS.update(settings)
    import ultralytics.data.converter
    import ultralytics.data.utils

    for module in (ultralytics.data.utils, ultralytics.data.converter, sys.modules["ultralytics.utils"]):
        module.DATASETS_DIR = root / "datasets"  # they read the setting when they were imported
    LOGGER.setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore")
    return root / "work"


class Sandbox:
    """The folder in which one reader is tried, and what lies around it.

    Attributes:
        root: everything that a case might touch.
        directory: what the reader is asked to read and, if at all, to write to.
    """

    def __init__(self, root: Path, name: str, reader: Any):
        self.root, self.name, self.reader = root, name, reader
        self.directory = root / "work" / "case"
        self.valid = root / f"valid-{name}"
        shutil.rmtree(self.directory, ignore_errors=True)
        with _silent():
            self.prepared = reader.prepare(self.valid)

    def fuzz(self, numbers: Any, seed: int, verbose: bool = False) -> Count:
        """Read the undamaged example, then all cases, and count."""
        count = Count()
        self._require_valid()
        before = self._around()
        for number in numbers:
            draw = Random(f"{seed} {self.name} {number}")
            self.directory.mkdir()
            self.reader.damage(self.prepared, self.directory, draw)
            outcome = self._outcome(verbose)
            shutil.rmtree(self.directory)
            if (after := self._around()) != before:
                changed = sorted(str(path) for path, _ in before ^ after)
                outcome, before = f"wrote outside: {', '.join(changed[:3])}", after
            count.cases += 1
            count.accepted += outcome == "accepted"
            count.refused += outcome == "refused"
            if outcome not in ("accepted", "refused"):
                count.failures.append(f"{self.name} --seed {seed} --only {number}: {outcome}")
        return count

    def _require_valid(self) -> None:
        """Read the example as it is, which also fills caches and folders of Ultralytics."""
        shutil.copytree(self.valid, self.directory, symlinks=True)
        with _limited(), _silent():
            self.reader.read(self.prepared, self.directory)
        shutil.rmtree(self.directory)

    def _outcome(self, verbose: bool) -> str:
        """Read the case. Return "accepted", "refused", or what went wrong."""
        from yolo_prune import RequestError

        before = _memory("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the peak of memory is counted anew
        try:
            with _limited(), _silent(verbose):
                self.reader.read(self.prepared, self.directory)
            outcome = "accepted"
        except RequestError as error:
            message = str(error)
            if verbose:
                print(message)
            broken = len(message.splitlines()) != 1 or len(message) > 2000
            outcome = f"a message that is not one short line: {message[:200]!r}" if broken else "refused"
        except TooSlow:
            outcome = f"took too long in {_innermost(sys.exc_info()[2])}"
        except (Exception, SystemExit) as error:
            if verbose:
                traceback.print_exc()
            place = _innermost(error.__traceback__)
            outcome = f"{type(error).__name__} in {place}: {' '.join(str(error).split())[:200]}"
        grown = _memory("VmHWM") - before
        return f"took {grown / 2**30:.1f} GB" if grown > GIGABYTES * 2**30 else outcome

    def _around(self) -> set[tuple[str, Any]]:
        """Return all files around the case, with their size and the time of their last change."""
        own = {self.directory, *(self.root / name for name in self.reader.writes)}
        found = set()
        for folder, folders, files in os.walk(self.root):
            folders[:] = [name for name in folders if Path(folder, name) not in own and name != "__pycache__"]
            for name in (*folders, *files):
                status = os.lstat(os.path.join(folder, name))
                is_folder = name in folders
                found.add((os.path.join(folder, name), None if is_folder else (status.st_size, status.st_mtime_ns)))
        return found


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """Raise TooSlow in the block after SECONDS. End the process if even that does not help."""

    def stop(*_: Any) -> None:
        raise TooSlow

    most = resource.getrlimit(resource.RLIMIT_AS)
    timers = {signal.ITIMER_PROF: (signal.SIGPROF, SECONDS), signal.ITIMER_REAL: (signal.SIGALRM, WAITING)}
    previous = {number: signal.signal(number, stop) for number, _ in timers.values()}
    for timer, (_, seconds) in timers.items():
        signal.setitimer(timer, seconds, 1)  # again and again, should it be lost in a destructor
    faulthandler.dump_traceback_later(2 * WAITING, exit=True)
    resource.setrlimit(resource.RLIMIT_AS, (_memory("VmSize") + 8 * 2**30, most[1]))
    try:
        yield
    finally:
        for timer in timers:
            signal.setitimer(timer, 0)
        for number, handler in previous.items():
            signal.signal(number, handler)
        faulthandler.cancel_dump_traceback_later()
        resource.setrlimit(resource.RLIMIT_AS, most)


@contextlib.contextmanager
def _silent(verbose: bool = False) -> Iterator[None]:
    """Discard what the block prints, also from libraries in C."""
    if verbose:
        yield
        return
    real = os.dup(1), os.dup(2)
    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(io.StringIO()):
        for number in (1, 2):
            os.dup2(nothing.fileno(), number)
        try:
            yield
        finally:
            for number, copy in zip((1, 2), real, strict=True):
                os.dup2(copy, number)
                os.close(copy)


def _memory(name: str) -> int:
    """Return a figure of /proc/self/status in bytes: VmSize, VmRSS, or VmHWM, the peak."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split(f"{name}:")[1].split()[0]) * 1024


def _innermost(frames: Any) -> str:
    """Return the innermost place of this package in a traceback, and the innermost of all."""
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(frames)]
    own = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(frames)
           if "yolo_prune" in frame.filename]  # fmt: skip
    return " < ".join(dict.fromkeys([*places[-1:], *own[-1:]]))


if __name__ == "__main__":
    main()
