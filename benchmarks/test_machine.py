"""Every record names the interpreter's build."""

from __future__ import annotations

import platform
import sys
import sysconfig

import pytest

from benchmarks import machine


def test_a_record_names_the_build() -> None:
    """Version, compiler, configure options, the compiler's optimization level, and the processor."""
    found = machine.about()
    assert found["build"]["version"] == platform.python_version()
    assert found["build"]["compiler"] == platform.python_compiler()
    assert any(flag.startswith("-O") for flag in found["build"]["flags"])
    assert found["processor"]
    assert found["build"]["version"] in machine.line()


@pytest.mark.parametrize(
    ("configured", "prefix", "optimized"),
    [
        ("'--enable-shared' '--enable-optimizations' '--with-lto'", "/usr/local", "yes"),
        ("'--enable-shared'", "/opt/python", "no"),
        ("'--enable-shared'", "/usr", "unknown"),
    ],
)
def test_a_build_without_optimizations_is_named(
    monkeypatch: pytest.MonkeyPatch, configured: str, prefix: str, optimized: str
) -> None:
    """pyenv's default build is told from a distribution's."""
    known = {"CONFIG_ARGS": configured, "PY_CFLAGS": "-Wall -O3 -DNDEBUG", "PY_CFLAGS_NODIST": "-flto"}
    monkeypatch.setattr(sysconfig, "get_config_var", known.get)
    monkeypatch.setattr(sys, "base_prefix", prefix)
    build = machine.interpreter()
    assert build["optimized"] == optimized
    assert build["flags"] == ["-O3", "-DNDEBUG", "-flto"]
    assert ("NOT optimized" in machine.line()) == (optimized == "no")
