"""The plot of a soak: one panel for each series that has to be flat."""

from __future__ import annotations

from collections.abc import Sequence

from tests.soak.flat import LIMITS, WARM_UP
from tests.soak.look import Sample


def draw(samples: Sequence[Sample], path: str, title: str) -> list[str]:
    """Write PATH.png and PATH.svg; returns the files. Raises ImportError when matplotlib is not installed."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "spoolsim"
    from matplotlib import pyplot

    columns = 3
    rows = -(-len(LIMITS) // columns)
    figure, panels = pyplot.subplots(rows, columns, figsize=(12, 2.1 * rows), layout="constrained", squeeze=False)
    step = -(-len(samples) // 300)
    shown = samples[::step]
    minutes = [sample.seconds / 60 for sample in shown]
    for panel, (name, limit) in zip(panels.flat, LIMITS.items(), strict=False):
        values = [sample.values[name] for sample in shown]
        panel.plot(minutes, values, color="#1f3b73", linewidth=0.8)
        panel.axvspan(0, samples[-1].seconds / 60 * WARM_UP, color="#dddddd", linewidth=0)
        panel.set_ylim(0, max(values) * 1.25 or 1)
        panel.set_title(f"{limit.title}{f' ({limit.unit})' if limit.unit else ''}", fontsize=8)
        panel.tick_params(labelsize=7)
    figure.supxlabel("minutes (grey: warm-up, not judged)", fontsize=8)
    figure.suptitle(title, fontsize=9)
    files = [f"{path}.png", f"{path}.svg"]
    for file in files:
        figure.savefig(file, dpi=90, metadata={"Date": None} if file.endswith("svg") else None)
    pyplot.close(figure)
    return files
