"""Install every extra at the lowest version that pyproject.toml allows, all together, and run tests with what came.

`python .ci/minimums.py [pytest arguments]` makes a fresh environment in a temporary directory and runs the unit tests,
or what is named, with the real uWSGI of the environment that started it. Python 3.11 is needed: the oldest versions
have no wheels for later ones. Without arguments the extras of the long campaigns (bench, fuzz, mutation) are then
added; these are installed only.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: extras that are tested at their minimums, and those that are only installed so
TESTED, INSTALLED = ("procname", "pytest", "test"), ("bench", "fuzz", "mutation")
_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(\[[a-z]+\])?>=(?P<version>[A-Za-z0-9.]+)")


def minimums(extras: tuple[str, ...]) -> dict[str, str]:
    """name -> the lowest version that the runtime and these extras allow together; every requirement has one."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    lowest: dict[str, str] = {}
    for line in listed:
        found = _REQUIREMENT.fullmatch(line)
        if found is None:
            sys.exit(f"pyproject.toml: {line!r} has no minimum; write it as name>=version")
        name, version = found.group("name").lower(), found.group("version")
        if name not in lowest or _numbers(version) > _numbers(lowest[name]):
            lowest[name] = version
    return lowest


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def install(home: Path, extras: tuple[str, ...]) -> str:
    """Install these extras at their minimums into `home`/venv; return its Python; exit when they disagree."""
    if not (home / "venv").exists():
        venv.create(home / "venv", with_pip=True)
    python = str(home / "venv" / "bin" / "python")
    lowest = minimums(extras)
    constraints = home / "constraints.txt"
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in sorted(lowest.items())))
    print(f"minimums of {', '.join(extras)}: " + ", ".join(constraints.read_text().split()), flush=True)
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    wanted = f"{ROOT}[{','.join(extras)}]"
    _run([*pip, "install", "-q", "-c", str(constraints), "-e", wanted])
    _run([*pip, "check"])
    return python


def _run(command: list[str], env: dict[str, str] | None = None) -> None:
    status = subprocess.run(command, cwd=ROOT, env=env, check=False).returncode
    if status:
        sys.exit(f"minimums: {' '.join(command[:6])} … ended with {status}")


def main(words: list[str]) -> None:
    """Install and test."""
    if sys.version_info[:2] != (3, 11):
        sys.exit("minimums: this needs Python 3.11: the oldest versions have no wheels for later ones")
    with tempfile.TemporaryDirectory() as home:
        python = install(Path(home), TESTED)
        beside = Path(sys.executable).with_name("uwsgi")  # the real one of the environment that started this
        env = {**os.environ, "ORACLE_UWSGI": str(beside)} if beside.exists() else dict(os.environ)
        _run([python, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", *(words or ["tests/unit"])], env)
        if words:
            return
        install(Path(home), (*TESTED, *INSTALLED))


if __name__ == "__main__":
    main(sys.argv[1:])
