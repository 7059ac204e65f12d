"""What the figures were measured on: the interpreter, how it was built, and the processor.

A CPython built without optimizations (pyenv's default) is a fifth slower than a distribution's, so a figure without
its build means little.
"""

from __future__ import annotations

import os
import platform
import shlex
import sys
import sysconfig
from typing import Any

#: flags of the C compiler that make a difference to speed
_SPEED = ("-O", "-flto", "-fprofile", "-march", "-mtune", "-fno-semantic-interposition", "-DNDEBUG")
#: the options of CPython's configure that do
_OPTIONS = (
    "--enable-optimizations",
    "--with-lto",
    "--with-computed-gotos",
    "--with-pydebug",
    "--disable-gil",
    "--enable-experimental-jit",
    "--with-tail-call-interp",
)


def interpreter() -> dict[str, Any]:
    """This Python: its version, compiler, configure options and the compiler's flags that matter for speed.

    optimized: "yes" by its configure options, else "no"; "unknown" for a distribution's, as Debian optimizes by profile
    with a command of its own and leaves no trace of it.
    """
    configured = shlex.split(str(sysconfig.get_config_var("CONFIG_ARGS") or ""))
    flags = shlex.split(str(sysconfig.get_config_var("PY_CFLAGS") or ""))
    flags += shlex.split(str(sysconfig.get_config_var("PY_CFLAGS_NODIST") or ""))
    options = [word for word in configured if word.startswith(_OPTIONS)]
    return {
        "implementation": sys.implementation.name,
        "version": platform.python_version(),
        "compiler": platform.python_compiler(),
        "configured_with": options,
        "flags": list(dict.fromkeys(flag for flag in flags if flag.startswith(_SPEED))),
        "optimized": _optimized(options),
    }


def _optimized(options: list[str]) -> str:
    if "--enable-optimizations" in options:
        return "yes"
    return "unknown" if sys.base_prefix == "/usr" else "no"


def processor() -> str:
    """The processor's name, as the kernel has it; the kind of machine where it has none."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip() == "model name":
                    return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def about() -> dict[str, Any]:
    """What every record says of its machine."""
    return {
        "python": platform.python_version(),
        "build": interpreter(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": processor(),
        "processors": os.cpu_count(),
    }


def line() -> str:
    """The same in one line, for a figure that is printed."""
    found = about()
    build = found["build"]
    kind = {
        "yes": "optimized",
        "no": "NOT optimized (no --enable-optimizations)",
        "unknown": "built by a distribution",
    }[build["optimized"]]
    words = " ".join([*build["configured_with"], *build["flags"]])
    return f"{build['implementation']} {build['version']}, {kind}, {build['compiler']}: {words}; {found['processor']}"
