"""The plot of a run, PNG and SVG: how many times as good as the reference, and where the goal is."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.contestants import Missing
from benchmarks.model import Line


def draw(lines: Sequence[Line], path: str, title: str) -> list[str]:
    """Write PATH.png and PATH.svg; returns the files. Raises Missing when matplotlib is not installed."""
    try:
        import matplotlib as mpl
    except ImportError:
        raise Missing("no plot: matplotlib is not installed: pip install 'spoolsim[bench]'") from None
    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "spoolsim"
    from matplotlib import pyplot

    shown = [line for line in lines if line.ratio and line.row.goal is not None and line.row.goal.of == "ratio"]
    if not shown:
        return []
    figure, axes = pyplot.subplots(figsize=(10, 0.32 * len(shown) + 1.4), layout="constrained")
    for place, line in enumerate(reversed(shown)):
        goal = line.row.goal
        assert goal is not None and line.ratio
        better = _better(line.ratio, line.row.more)
        rounds = [_better(ratio, line.row.more) for ratio in line.ratios if ratio]
        axes.barh(place, better - 1, left=1, color="#3a7d44" if line.met else "#c8553d", height=0.62)
        axes.plot([min(rounds), max(rounds)], [place, place], color="black", linewidth=1)
        axes.plot(_better(goal.limit, line.row.more), place, marker="|", color="#1f3b73", markersize=13, mew=2)
    axes.set_yticks(range(len(shown)), [_label(line) for line in reversed(shown)], fontsize=8)
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8, linestyle=":")
    axes.set_xlabel(
        "times as good as the reference (dotted: equal; blue: goal; black: spread of the rounds)", fontsize=8
    )
    axes.set_title(title, fontsize=9)
    files = [f"{path}.png", f"{path}.svg"]
    for file in files:
        figure.savefig(file, dpi=120, metadata={"Date": None} if file.endswith("svg") else None)
    pyplot.close(figure)
    return files


def _better(ratio: float, more: bool) -> float:
    return ratio if more else 1 / ratio


def _label(line: Line) -> str:
    return line.row.title
