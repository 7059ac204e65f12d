"""What one kill, and all of them together, came to."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Point:
    """One kill: of what kind, with which drawn circumstances, at which system call (from 1)."""

    kind: str
    seed: int
    at: int

    def __str__(self) -> str:
        return f"{self.kind}:{self.seed}:{self.at}"

    @classmethod
    def parse(cls, text: str) -> Point:
        kind, seed, at = text.split(":")
        return cls(kind, int(seed), int(at))


@dataclass
class Verdict:
    """What was seen after one kill. struck: the process got as far as the chosen system call."""

    struck: bool = False
    acknowledged: int = 0
    empty: int = 0
    twice: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass
class Ledger:
    """All kills of a campaign."""

    seed: int
    tried: Counter[str] = field(default_factory=Counter)
    #: calls that failed, and files that somebody was at
    disturbed: Counter[str] = field(default_factory=Counter)
    #: kind -> at which of its system calls, how often
    calls: dict[str, Counter[int]] = field(default_factory=dict)
    acknowledged: int = 0
    empty: int = 0
    twice: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def enter(self, point: Point, verdict: Verdict) -> None:
        """Count one in; a process that never got to the chosen system call was not killed, but was looked at."""
        counter = self.disturbed if point.kind.startswith(("failing", "raced")) else self.tried
        counter[point.kind] += verdict.struck
        if verdict.struck and point.at:
            self.calls.setdefault(point.kind, Counter())[point.at] += 1
        self.acknowledged += verdict.acknowledged
        self.empty += verdict.empty
        self.twice += verdict.twice
        self.wrong += [f"{point}: {what}" for what in verdict.wrong]

    @property
    def kills(self) -> int:
        return sum(self.tried.values())

    def to_json(self) -> str:
        """The counts, to keep."""
        counts = {
            "seed": self.seed,
            "kills": self.kills,
            "kills_by_kind": dict(sorted(self.tried.items())),
            "disturbed_without_a_kill": dict(sorted(self.disturbed.items())),
            "system_calls_struck_at": {kind: _told(at) for kind, at in sorted(self.calls.items())},
            "tasks_acknowledged": self.acknowledged,
            "lost_or_half_written_or_unexplained": len(self.wrong),
            "empty_files_left_by_killed_producers": self.empty,
            "run_twice_because_their_process_died_or_their_unlink_failed": self.twice,
            "wrong": self.wrong[:100],
            "seconds": round(self.seconds),
        }
        return json.dumps(counts, indent=1) + "\n"

    def __str__(self) -> str:
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self.tried.items()))
        beside = ", ".join(f"{kind} {count}" for kind, count in sorted(self.disturbed.items())) or "nothing"
        return (
            f"{self.kills} kills ({kinds}), beside them {beside}, in {self.seconds:.0f} s, seed {self.seed}: "
            f"{self.acknowledged} tasks acknowledged, {len(self.wrong)} wrong, {self.empty} empty files left, "
            f"{self.twice} run twice because their process died in them or their unlink failed"
        )


def _told(calls: Counter[int]) -> dict[str, object]:
    """Which of the system calls from the first to the last one were struck at."""
    last = max(calls)
    missed = [at for at in range(1, last + 1) if at not in calls]
    return {"first": min(calls), "last": last, "missed": missed[:50], "missed_count": len(missed)}
