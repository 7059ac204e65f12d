"""The soak: a million tasks through one running instance while everything that can happen to it does happen.

`python -m tests.soak --minutes 30 --tasks 1000000 --seed 1 --out tests/records/soak` writes soak.json, .png and .svg
there. Every
acknowledged task has to be done exactly once, or its second run explained by a dead spooler; nothing may be left
behind; and what the processes hold (descriptors, memory, disk) has to stay flat.
"""
