"""The table and the JSON of a run. Pure: lines in, text out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.model import Line, Row, middle

_HEAD = ("what", "measured", "reference", "ratio", "goal", "")


def table(lines: Sequence[Line]) -> str:
    """A Markdown table that also reads well in a terminal: medians, in brackets the lowest and the highest round."""
    rows = [_HEAD, *(_cells(line) for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def _cells(line: Line) -> tuple[str, ...]:
    row = line.row
    ratio = "" if line.ratio is None else f"{line.ratio:.3g}{_spread(line.ratios)}"
    reference = _number(line.reference, row)
    if reference and row.reference != "uwsgi":
        reference += f" {row.reference}"
    if row.goal is not None and row.goal.of == "value":
        ratio = f"({ratio})" if ratio else ""
    subject = _number(line.subject, row)
    if subject and row.subject != "spoolsim":
        subject += f" {row.subject}"
    return row.title, subject, reference, ratio, "" if row.goal is None else str(row.goal), line.verdict


def _number(values: Sequence[float], row: Row) -> str:
    if not values:
        return ""
    number = middle(values, row)
    if row.unit == "/s":
        spread = f" [{min(values) / 1000:.3g}-{max(values) / 1000:.3g}]" if len(values) > 1 else ""
        return f"{number / 1000:.3g}{spread} k/s"
    return f"{number:.3g}{'' if row.total else _spread(values)} {row.unit}"


def _spread(values: Sequence[float]) -> str:
    return f" [{min(values):.3g}-{max(values):.3g}]" if len(values) > 1 else ""


def document(lines: Sequence[Line], about: Mapping[str, Any]) -> str:
    """The JSON of a run: `about` it, and every row with all its rounds."""
    rows = [
        {
            "experiment": line.experiment.name,
            "what": line.row.title,
            "unit": line.row.unit,
            "more_is_better": line.row.more,
            "subject": {"who": line.row.subject, "rounds": line.subject},
            "reference": {"who": line.row.reference, "rounds": line.reference},
            "ratio": line.ratio,
            "ratios": line.ratios,
            "goal": None if line.row.goal is None else str(line.row.goal),
            "limit": None if line.row.goal is None else line.row.goal.limit,
            "met": line.met,
            "missing": line.missing or None,
        }
        for line in lines
    ]
    return json.dumps({"about": dict(about), "rows": rows}, indent=1, ensure_ascii=False) + "\n"
