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
    "spoolsim/spool/packet.py": ["tests/unit/spool/test_packet.py", "tests/property/test_packet.py"],
    "spoolsim/spool/names.py": ["tests/unit/spool/test_names.py", "tests/property/test_names.py"],
    "spoolsim/spool/directory.py": ["tests/unit/spool/test_directory.py"],
    "spoolsim/spool/file.py": ["tests/unit/spool"],
    "spoolsim/spool/scan.py": ["tests/unit/spool"],
    "spoolsim/spool/claim.py": ["tests/unit/spool"],
    "spoolsim/spool/settle.py": ["tests/unit/spool"],
    "spoolsim/work/outcome.py": ["tests/unit/work/test_work_outcome.py", "tests/property/test_outcome.py"],
    "spoolsim/processes/lifecycle.py": ["tests/unit/processes/test_lifecycle.py", "tests/property/test_lifecycle.py"],
}


def main() -> int:
    """Run, report, and return the exit status."""
    tests = sorted({test for reaching in MODULES.values() for test in reaching})
    with tempfile.TemporaryDirectory() as home:
        environ = {**os.environ, "COVERAGE_FILE": str(Path(home) / "coverage")}
        coverage = [sys.executable, "-m", "coverage"]
        measured = [*coverage, "run", "--branch", f"--include={','.join(MODULES)}", "-m", "pytest", "-q", *tests]
        status = subprocess.run(measured, cwd=ROOT, env=environ, check=False).returncode
        report = [*coverage, "report", "-m", "--fail-under=100"]
        return status or subprocess.run(report, cwd=ROOT, env=environ, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
