"""The version of a virtual environment, told from its files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from spoolsim.errors import AppError
from spoolsim.work.virtualenv import enter, version

OURS = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.mark.parametrize(
    ("settings", "directories", "found"),
    [
        ("version = 3.8.1\n", [], "3.8"),
        ("home = /usr/bin\nversion_info = 3.9.2.final.0\n", [], "3.9"),
        ("", ["python3.8"], "3.8"),
        ("", ["python3.8", f"python{OURS}", "pythonesque"], OURS),
        ("", [], ""),
    ],
)
def test_the_version_is_told_by_the_settings_or_the_library(
    tmp_path: Path, settings: str, directories: list[str], found: str
):
    """venv and virtualenv write it under two names; a bare Python has a directory of its version."""
    if settings:
        (tmp_path / "pyvenv.cfg").write_text(settings)
    for name in directories:
        (tmp_path / "lib" / name).mkdir(parents=True)
    assert version(str(tmp_path)) == found


def test_another_version_is_refused_and_a_missing_directory_is_not(tmp_path: Path):
    """Nothing is changed in either case."""
    before = list(sys.path), sys.prefix
    (tmp_path / "pyvenv.cfg").write_text("version = 3.8.1\n")
    with pytest.raises(AppError, match=rf"has Python 3.8, and spoolsim runs on Python {OURS}; install spoolsim there"):
        enter(str(tmp_path))
    assert enter(str(tmp_path / "none")) is False
    assert enter(sys.prefix) is True
    assert before == (list(sys.path), sys.prefix)
