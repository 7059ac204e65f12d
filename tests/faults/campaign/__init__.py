"""The kill campaign: every process of a spooler is killed at each of its system calls in turn, and nothing is lost.

    python -m tests.faults.campaign --minutes 10 --seed 7         as many kills as fit
    python -m tests.faults.campaign --points 2000                 so many kills
    python -m tests.faults.campaign --point producer:7:3          one of them again

After each kill: what was acknowledged is done, or there, whole and runnable; nothing half-written is visible; only a
task whose process died in it runs twice; no lock is held, no process left; and the spooler starts again by itself.
"""
