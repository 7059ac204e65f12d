"""Fuzzing what reads bytes and names that somebody else wrote: the codec, the order of names, a spool directory.

    python -m tests.fuzz --inputs 10000000 --seed 7       all targets, guided by coverage (atheris)
    python -m tests.fuzz packet --inputs 1000000          one of them

What was ever found, and a small set that reaches everything, is kept in `corpus/` and replayed by the tests.
"""

#: the targets, and what share of the inputs each gets: a directory takes a thousand times as long as a name
SHARES = {"packet": 0.6, "names": 0.39, "directory": 0.01}
