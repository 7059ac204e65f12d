"""What is measured, in the order of the table."""

from __future__ import annotations

from benchmarks.model import Experiment
from benchmarks.rows import deaths, drain, enqueue, growth, memory, peers, start, touch, wake

EXPERIMENTS: tuple[Experiment, ...] = tuple(
    experiment
    for module in (enqueue, drain, growth, wake, start, memory, deaths, touch, peers)
    for experiment in module.EXPERIMENTS
)
