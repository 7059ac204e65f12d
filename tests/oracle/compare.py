"""How two answers differ, key by key."""

from __future__ import annotations

from typing import Any


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
