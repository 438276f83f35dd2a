"""Damage to files: to the values of JSON and YAML, and to the bytes of any file. `benchmarks.fuzz` feeds it to readers.

Each function takes a `random.Random`, so that a case can be made again from its seed.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from random import Random
from typing import Any

import yaml

Path = tuple[Any, ...]  # keys and indices that lead to a value
SAME, DEEP = "@@same@@", "@@deep@@"  # replaced in the text: a key that is there twice, and lists in lists
TOO_LONG = "x" * 5000  # for the name of a file
OUTSIDE = ("../outside/written", "../../outside", "/nowhere/at/all", "/dev/zero", "/proc/self/mem", "~", ".", "..", "")
STRINGS = (
    *OUTSIDE, TOO_LONG, "a\x00b", "a\nb\r\x1b[31m", "\ud800",
    "‮abc", "é漢字", "$\\frac{", "$x$", "<script>alert(1)</script>",
    "javascript:alert(1)", "%s{0}%n", "nan", "1e999", "null", "\\", "'", "*", "[",  "a" * 300 + ".jpg",
)  # fmt: skip
NUMBERS = (
    0, 1, -1, 2, 0.5, -0.0, 1e-320, 1e308, 10**9, 10**30, -(10**30), 10**400, float("nan"), float("inf"), float("-inf"),
    2**31, 2**63, True, False,
)  # fmt: skip
OTHERS = (None, [], {}, [[]], [None], [{}], {"": None}, {"a": {"b": []}}, [1, "a", None], [[0, 1], [2]])


def damaged_json(data: Any, draw: Random) -> bytes:
    """Return plain data as JSON with one or several faults, in its values or in its bytes."""
    return _damaged(data, draw, lambda value: json.dumps(value, ensure_ascii=draw.random() < 0.8))


def damaged_yaml(data: Any, draw: Random) -> bytes:
    """Return plain data as YAML with one or several faults. A few have aliases that stand for very many values."""
    if draw.random() < 0.03:
        bomb = "".join(f"b{i}: &b{i} [{', '.join([f'*b{i - 1}'] * 9) if i else '1, 1'}]\n" for i in range(12))
        key = draw.choice([*map(str, data)])
        kept = {name: value for name, value in data.items() if name != key}
        return f"{bomb}{yaml.safe_dump(kept)}\n{key}: {draw.choice(['*b11', '[*b11]', '{0: *b11}'])}\n".encode()
    return _damaged(data, draw, lambda value: yaml.safe_dump(value, sort_keys=False, allow_unicode=True))


def damaged_bytes(content: bytes, draw: Random, most: int = 8) -> bytes:
    """Return bytes after 1 to `most` faults: flipped, removed, inserted, repeated, cut off, or not UTF-8."""
    content = bytearray(content)
    for _ in range(draw.randint(1, most)):
        at, length = draw.randrange(len(content) + 1), draw.choice((1, 1, 2, 4, 16, 200))
        kind = draw.randrange(7)
        if kind <= 1 and content:
            content[at % len(content)] ^= 1 << draw.randrange(8)
        elif kind == 2:
            content[at : at + length] = draw.randbytes(length)
        elif kind == 3:
            content[at:at] = draw.choice((b"\xff\xfe", b"\x00", b"\xc3\x28", b"\xed\xa0\x80", draw.randbytes(length)))
        elif kind == 4:
            del content[at : at + length]
        elif kind == 5:
            content[at:at] = content[at : at + length]
        elif draw.random() < 0.4:
            del content[at:]
    return bytes(content)


def damaged_value(value: Any, draw: Random) -> Any:
    """Return another value in place of one: of another type, or of the same type and unlikely."""
    kind = draw.randrange(6)
    if kind == 0:
        return draw.choice(STRINGS)
    if kind == 1:
        return draw.choice(NUMBERS)
    if kind == 2:
        return copy.deepcopy(draw.choice(OTHERS))
    if kind == 3 and isinstance(value, list):
        return [value[:-1], value * 2, [*value, None], value[::-1], value[:1] * 1000][draw.randrange(5)]
    if kind == 3 and isinstance(value, (int, float)) and not isinstance(value, bool):
        return [-value, value * 1000, str(value), [value], f"{value}x"][draw.randrange(5)]
    if kind == 3 and isinstance(value, str):
        return [value + draw.choice(STRINGS), value.upper(), value[1:], [value], {"a": value}][draw.randrange(5)]
    return [[copy.deepcopy(value)], {"value": copy.deepcopy(value)}, str(value)[:200], DEEP][draw.randrange(4)]


def damaged_values(data: Any, draw: Random) -> Any:
    """Return a copy of plain data with one or several faults: keys or values that are dropped, renamed or replaced."""
    data = copy.deepcopy(data)
    for _ in range(draw.choice((1, 1, 1, 2, 3, 8))):
        paths = _paths(data)
        if not paths:
            return damaged_value(data, draw)
        path = draw.choice(paths if draw.random() < 0.5 else [path for path in paths if len(path) <= 2])
        _damage(_value(data, path[:-1]), path[-1], draw)
    return damaged_value(data, draw) if draw.random() < 0.02 else data


def _damage(parent: Any, key: Any, draw: Random) -> None:
    """Change what a dictionary or list has under a key."""
    kind = draw.randrange(6)
    if kind == 0:
        del parent[key]
    elif kind == 1 and isinstance(parent, dict):
        parent[draw.choice((f"{key}x", "", "../../x", TOO_LONG, "a\nb", "__class__", "1" * 30))] = parent.pop(key)
    elif kind == 2 and isinstance(parent, dict) and isinstance(key, str):
        parent[key + SAME] = damaged_value(parent[key], draw)
    else:
        parent[key] = damaged_value(parent[key], draw)


def _damaged(data: Any, draw: Random, write: Callable[[Any], str]) -> bytes:
    """Return data with faults in its values (most often), or in its bytes, or in both."""
    kind = draw.random()
    text = write(damaged_values(data, draw) if kind < 0.8 else data)
    depth = draw.choice((2, 50, 500, 5000, 100_000))
    for quoted in (f'"{DEEP}"', f"'{DEEP}'"):
        text = text.replace(quoted, "[" * depth + "]" * depth)
    content = text.replace(SAME, "").encode("utf-8", "surrogatepass")
    return damaged_bytes(content, draw) if kind > 0.75 else content


def _paths(data: Any, path: Path = ()) -> list[Path]:
    """Return the paths of all values below a dictionary or a list."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [found for key, value in items for found in ((*path, key), *_paths(value, (*path, key)))]


def _value(data: Any, path: Path) -> Any:
    for key in path:
        data = data[key]
    return data
