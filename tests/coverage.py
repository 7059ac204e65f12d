"""`python -m tests.coverage`: every branch of the modules that put, find, claim and settle a task is tested, and of
those that decide what becomes of it.

By the fast tests alone: units and properties. The exit status is 1 where a branch is missing; it is named.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

#: module -> the tests that are to reach all of it, the fastest first
MODULES = {
    "spoolsim.spool.packet": ["tests/unit/spool/test_packet.py", "tests/property/test_packet.py"],
    "spoolsim.spool.names": ["tests/unit/spool/test_names.py", "tests/property/test_names.py"],
    "spoolsim.spool.directory": ["tests/unit/spool/test_directory.py"],
    "spoolsim.spool.file": ["tests/unit/spool"],
    "spoolsim.spool.scan": ["tests/unit/spool"],
    "spoolsim.spool.claim": ["tests/unit/spool"],
    "spoolsim.spool.settle": ["tests/unit/spool"],
    "spoolsim.spool.verdicts": ["tests/unit/work/test_work_verdict.py"],
    "spoolsim.work.verdict": ["tests/unit/work/test_work_verdict.py"],
    "spoolsim.work.outcome": ["tests/unit/work/test_work_outcome.py", "tests/property/test_outcome.py"],
    "spoolsim.processes.lifecycle": ["tests/unit/processes/test_lifecycle.py", "tests/property/test_lifecycle.py"],
}


def source_of(module: str) -> str:
    """Its file, below ROOT."""
    return f"{module.replace('.', '/')}.py"


def main() -> int:
    """Run, report, and return the exit status."""
    tests = sorted({test for reaching in MODULES.values() for test in reaching})
    with tempfile.TemporaryDirectory() as home:
        environ = {**os.environ, "COVERAGE_FILE": str(Path(home) / "coverage")}
        coverage = [sys.executable, "-m", "coverage"]
        include = f"--include={','.join(map(source_of, MODULES))}"
        measured = [*coverage, "run", "--branch", include, "-m", "pytest", "-q", *tests]
        status = subprocess.run(measured, cwd=ROOT, env=environ, check=False).returncode
        report = [*coverage, "report", "-m", "--fail-under=100"]
        return status or subprocess.run(report, cwd=ROOT, env=environ, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
