"""What a test needs of the machine: one table, which skips what cannot be shown and names it at the end of the run.

A test says `@pytest.mark.needs("strace")`, a fixture or the body of a test calls `need("strace")`. Where it is missing
the test is skipped, and the section "left out" at the end of the run has one line for each reason with the number of
tests. What is shown in part only calls `left_out(request.node, reason)`: it passes, and is named there all the same.
"""

from __future__ import annotations

import ctypes
import functools
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tests.oracle.launchers import NoOracle, find_uwsgi

#: What runs a command as process 1.
PROCESS_ONE = ("unshare", "-pf", "--mount-proc", "--kill-child")

#: The key under which a report carries a reason to the end of the run.
LEFT_OUT = "left_out"


def strace() -> str:
    """strace is there, and may trace."""
    found = shutil.which("strace")
    if not found:
        return "strace is not installed: `python -m tests` installs it where it is root and has apt-get"
    probe = subprocess.run([found, "-qq", "-o", os.devnull, "true"], capture_output=True, text=True, check=False)
    return f"strace cannot trace here: {' '.join(probe.stderr.split())}" if probe.returncode else ""


def groff() -> str:
    """groff is there, which renders manual pages."""
    return "" if shutil.which("groff") else "groff is not installed: apt-get install groff-base"


def compiler() -> str:
    """A C compiler is there."""
    return "" if any(map(shutil.which, ("cc", "gcc", "clang"))) else "there is no C compiler: install gcc or clang"


def root() -> str:
    """The tests run as root."""
    return "" if os.geteuid() == 0 else "only root can do this: run the tests as root too"


def not_root() -> str:
    """The tests run as another user than root."""
    return "" if os.geteuid() else "root may do what is refused here: run the tests as another user too"


def proc() -> str:
    """Linux's /proc is there."""
    return "" if os.path.isdir("/proc/self/fd") else "there is no /proc"


def linux() -> str:
    """This is Linux."""
    return "" if sys.platform == "linux" else f"this is {sys.platform}, not Linux"


def pid_namespace() -> str:
    """A command can be process 1 of a namespace of its own (`PROCESS_ONE`)."""
    if not shutil.which(PROCESS_ONE[0]):
        return "unshare is not installed: install util-linux"
    probe = subprocess.run([*PROCESS_ONE, "true"], capture_output=True, text=True, check=False)
    return f"no process namespaces here: {' '.join(probe.stderr.split())}" if probe.returncode else ""


def ipv6() -> str:
    """A socket can serve both IPv6 and IPv4."""
    return "" if socket.has_dualstack_ipv6() else "this machine has no IPv6"


def late_times() -> str:
    """The C library has more than 32 bits for times."""
    try:
        time.gmtime(1 << 32)
    except OverflowError:
        return "the C library has no times after 2038 (32 bits)"
    return ""


def long_64() -> str:
    """A C long has 64 bits, as in the uWSGI that is emulated."""
    return "" if ctypes.sizeof(ctypes.c_long) == 8 else "a C long has no 64 bits, unlike the emulated uWSGI's"


def unicode_names() -> str:
    """File names may hold characters outside of ASCII."""
    encoding = sys.getfilesystemencoding()
    return "" if encoding.lower() in ("utf-8", "utf8") else f"file names are {encoding}: set LANG=C.UTF-8"


def _built_with(what: str, *flags: str) -> Callable[[], str]:
    def probe() -> str:
        return (
            ""
            if uwsgi_features().intersection(flags)
            else f"this uWSGI is built without {what} (uwsgi --cflags): build it with it"
        )

    probe.__doc__ = f"The real uWSGI is built with {what}."
    return probe


#: name -> what says '' where it is there, else why not and what to do
NEEDS: dict[str, Callable[[], str]] = {
    "strace": strace,
    "compiler": compiler,
    "groff": groff,
    "root": root,
    "not-root": not_root,
    "proc": proc,
    "linux": linux,
    "ipv6": ipv6,
    "pid-namespace": pid_namespace,
    "late-times": late_times,
    "long-64": long_64,
    "unicode-names": unicode_names,
    "uwsgi-xml": _built_with("libxml2", "UWSGI_XML_LIBXML2"),  # expat reads some files in another way
    "uwsgi-ssl": _built_with("SSL", "UWSGI_SSL"),
    "uwsgi-yaml": _built_with("YAML", "UWSGI_YAML"),
    "uwsgi-json": _built_with("JSON", "UWSGI_JSON"),
    "uwsgi-pcre": _built_with("PCRE", "UWSGI_PCRE", "UWSGI_PCRE2"),
}


@functools.cache
def uwsgi_features() -> frozenset[str]:
    """The names that the real uWSGI was built with (`-DUWSGI_XML` and the like); empty without one."""
    try:
        binary = find_uwsgi()
    except NoOracle:
        return frozenset()
    said = subprocess.run([binary, "--cflags"], capture_output=True, text=True, check=False, timeout=300).stdout
    return frozenset(re.findall(r"-D(\w+)", said))


@functools.cache
def missing(name: str) -> str:
    """Return '' where `name` of NEEDS is there, else the reason; asked once in a process."""
    return NEEDS[name]()


def need(*names: str) -> None:
    """Skip the test where one of these is missing, with the reason."""
    for name in names:
        if why := missing(name):
            pytest.skip(why)


def left_out(item: pytest.Item, reason: str) -> None:
    """Name at the end of the run, with `reason`, what this test did not show although it passes."""
    item.user_properties.append((LEFT_OUT, reason))


def note(item: pytest.Item, section: str, line: str) -> None:
    """Have a line printed in a section at the end of the run; from a fixture's tear-down too."""
    item.user_properties.append((f"section {section}", line))


def notes(reports: Iterable[Any]) -> dict[str, list[str]]:
    """Return the lines of `note` by their sections."""
    found: dict[str, list[str]] = {}
    for report in reports:
        for name, line in getattr(report, "user_properties", ()):
            if name.startswith("section ") and report.when == "teardown":
                found.setdefault(name.removeprefix("section "), []).append(line)
    return found


def reasons(skipped: Iterable[Any], passed: Iterable[Any]) -> list[str]:
    """One line for each reason for which something was left out, with the number of tests, the most frequent first."""
    counts: Counter[str] = Counter()
    for report in skipped:
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        counts[why.removeprefix("Skipped: ")] += 1
    partly: Counter[str] = Counter(
        reason
        for report in passed
        if report.when == "call"
        for name, reason in report.user_properties
        if name == LEFT_OUT
    )
    lines = [f"{count} {'test' if count == 1 else 'tests'} not run: {reason}" for reason, count in counts.most_common()]
    return lines + [
        f"{count} {'test' if count == 1 else 'tests'} in part: {reason}" for reason, count in partly.most_common()
    ]


def unknown_name(item: pytest.Item) -> str:
    """Return the first name in a test's `needs` marks that NEEDS has not; '' without one."""
    return next((n for mark in item.iter_markers("needs") for n in mark.args if n not in NEEDS), "")
