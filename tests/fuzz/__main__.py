"""The command; see the package."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz import SHARES

CORPUS = Path(__file__).parent / "corpus"
#: so many of the smallest inputs that reached something new are kept for a target
KEPT = 40
_DONE = re.compile(r"^Done (\d+) runs", re.MULTILINE)


def main() -> int:
    """The exit status: 1 where a target failed, 2 without atheris."""
    ap = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    ap.add_argument("target", nargs="?", choices=list(SHARES), help="one alone")
    ap.add_argument("--inputs", type=int, default=100_000, help="how many in all")
    ap.add_argument("--seed", type=int, default=None)
    ap.add_argument("--json", type=Path, help="write the totals to this file")
    ap.add_argument("--keep", action="store_true", help="add what reached something new to the corpus")
    ap.add_argument("--one", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    a = ap.parse_args()
    if a.one is not None:
        return _fuzz(a.target, a.one)
    try:
        import atheris  # noqa: F401 - is it there?
    except ImportError:
        print("atheris is missing: pip install 'spoolsim[fuzz]'")
        return 2
    seed = int.from_bytes(os.urandom(3)) if a.seed is None else a.seed
    targets = [a.target] if a.target else list(SHARES)
    totals: dict[str, int] = {}
    failed = []
    began = time.monotonic()
    for target in targets:
        inputs = a.inputs if a.target else round(a.inputs * SHARES[target])
        totals[target], crash = _campaign(target, inputs, seed, keep=a.keep)
        if crash:
            failed.append(target)
    seconds = round(time.monotonic() - began)
    print(f"{sum(totals.values())} inputs ({totals}) in {seconds} s, seed {seed}; failed: {failed or 'none'}")
    if a.json:
        counts = {"inputs": sum(totals.values()), "by_target": totals, "seed": seed, "failed": failed}
        a.json.write_text(json.dumps({**counts, "seconds": seconds}, indent=1) + "\n")
    return 1 if failed else 0


def _campaign(target: str, inputs: int, seed: int, *, keep: bool) -> tuple[int, bool]:
    """Fuzz one target in a process of its own; how many inputs it took, and whether one failed."""
    with tempfile.TemporaryDirectory() as home:
        found = Path(home) / "corpus"
        shutil.copytree(CORPUS / target, found)
        options = [str(found), f"-runs={inputs}", f"-seed={seed}", "-max_len=400", "-timeout=60"]
        options += [f"-artifact_prefix={home}/", "-verbosity=1", "-print_final_stats=0", "-rss_limit_mb=4096"]
        command = [sys.executable, "-m", "tests.fuzz", target, "--one", *options]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        said = done.stdout + done.stderr
        count = _DONE.search(said)
        if done.returncode or count is None:
            for crash in Path(home).glob("*-*"):
                if crash.is_file():
                    kept = CORPUS / target / crash.name
                    shutil.copy(crash, kept)
                    print(f"{target}: kept the input that failed as {kept.relative_to(CORPUS.parent)}")
            print(said[-4000:])
        if keep:
            for path in sorted(found.iterdir(), key=lambda path: path.stat().st_size)[:KEPT]:
                shutil.copy(path, CORPUS / target / path.name)
        return int(count[1]) if count else 0, bool(done.returncode)


def _fuzz(target: str, options: list[str]) -> int:
    import atheris

    with atheris.instrument_imports(include=["spoolsim.spool", "spoolsim.work"]):
        from tests.fuzz.targets import make  # and with it all that is fuzzed
    atheris.Setup([sys.argv[0], *options], make(target))
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
