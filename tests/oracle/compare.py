"""Recorded answers, and how two answers differ, key by key."""

from __future__ import annotations

import json
import os
from typing import Any

EXPECTED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "expected")


def recorded_path(name: str) -> str:
    """Return the path of a scenario's recorded answer."""
    return os.path.join(EXPECTED, name + ".json")


def recorded(name: str) -> dict[str, Any]:
    """Return the recorded answer of a scenario; FileNotFoundError where none was recorded."""
    with open(recorded_path(name)) as f:
        out: dict[str, Any] = json.load(f)
    return out


def record(name: str, facts: dict[str, Any]) -> None:
    """Write the answer of a scenario."""
    with open(recorded_path(name), "w") as f:
        json.dump(facts, f, indent=1, sort_keys=True)
        f.write("\n")


class _Absent:
    def __repr__(self) -> str:
        return "(absent)"


ABSENT: Any = _Absent()


def differences(want: Any, got: Any, at: str = "") -> list[str]:
    """Return one entry per key (or list index) at which two answers differ; empty when they are equal."""
    if isinstance(want, dict) and isinstance(got, dict):
        keys = [*want, *(k for k in got if k not in want)]
        return [d for k in keys for d in differences(want.get(k, ABSENT), got.get(k, ABSENT), f"{at}.{k}" if at else k)]
    if isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        return [d for n, (w, g) in enumerate(zip(want, got, strict=True)) for d in differences(w, g, f"{at}[{n}]")]
    if type(want) is type(got) and want == got:
        return []
    return [f"{at or 'answer'}:\n      wanted {want!r}\n      got    {got!r}"]
