"""Makes this Python look like one on Windows, as far as names and the file system's manners go: a `sitecustomize`.

The names, in names.txt, are those that typeshed has for Linux and not for win32. Beyond names: no descriptor
of a directory, no `dir_fd`, no times by descriptor, and what is open can be neither removed nor renamed.
"""

import os
import select
import signal
import subprocess  # before its own needs are hidden: on Windows it has other ones
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "names.txt"), encoding="ascii") as _file:
    _words = _file.read().replace("\n  ", " ").splitlines()
NAMES = {line.partition(":")[0]: line.partition(":")[2].split() for line in _words}


class NoPosix:
    """Finds none of the modules that Windows lacks."""

    def find_spec(self, name, path=None, target=None):
        if name in NAMES["modules"]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


_real = {
    name: getattr(os, name) for name in ("open", "stat", "unlink", "rename", "replace", "utime", "scandir", "mkdir")
}
_isdir, _fstat, _listdir, _remove = os.path.isdir, os.fstat, os.listdir, os.remove


def _no_directories(path, flags, mode=0o777, *, dir_fd=None):
    _refuse(dir_fd)
    if _isdir(path):
        raise PermissionError(13, "Permission denied", path)
    return _real["open"](path, flags, mode)


def _refuse(*descriptors):
    if any(each is not None for each in descriptors):
        raise NotImplementedError("dir_fd unavailable on this platform")


def _no_descriptor(path):
    if isinstance(path, int):
        raise TypeError("path should be string, bytes or os.PathLike, not int")


def _not_open(path):
    try:
        there = _real["stat"](path)
    except OSError:
        return
    for fd in _listdir("/proc/self/fd"):
        try:
            mine = _fstat(int(fd))
        except OSError:
            continue
        if (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino):
            raise PermissionError(13, "The process cannot access the file because it is being used", path)


def _unlink(path, *, dir_fd=None):
    _refuse(dir_fd)
    _not_open(path)
    _real["unlink"](path)


def _rename(source, target, *, src_dir_fd=None, dst_dir_fd=None):
    _refuse(src_dir_fd, dst_dir_fd)
    _not_open(source)
    if os.path.exists(target):
        raise FileExistsError(17, "Cannot create a file when that file already exists", source)
    _real["rename"](source, target)


def _replace(source, target, *, src_dir_fd=None, dst_dir_fd=None):
    _refuse(src_dir_fd, dst_dir_fd)
    _not_open(source)
    _not_open(target)
    _real["replace"](source, target)


def _utime(path, times=None, *, ns=None, dir_fd=None, follow_symlinks=True):
    _refuse(dir_fd)
    _no_descriptor(path)
    _real["utime"](path, times) if ns is None else _real["utime"](path, ns=ns)


def _scandir(path="."):
    _no_descriptor(path)
    return _real["scandir"](path)


def _stat(path, *, dir_fd=None, follow_symlinks=True):
    _refuse(dir_fd)
    return _real["stat"](path, follow_symlinks=follow_symlinks)


def _mkdir(path, mode=0o777, *, dir_fd=None):
    _refuse(dir_fd)
    _real["mkdir"](path, mode)


def _kill(pid, number):
    if number == 0:
        raise AssertionError("os.kill(pid, 0) is Ctrl-C on Windows")
    _real_kill(pid, number)


_real_kill = os.kill
subprocess._USE_POSIX_SPAWN = False  # documented; since 3.14 it would use what is hidden below
sys.meta_path.insert(0, NoPosix())
for _name in NAMES["modules"]:
    sys.modules.pop(_name, None)
for _module in (os, signal, select, time):
    for _name in NAMES[_module.__name__]:
        if hasattr(_module, _name):
            delattr(_module, _name)
for _set in (os.supports_dir_fd, os.supports_fd, os.supports_effective_ids):
    _set.clear()
os.open, os.stat, os.unlink, os.remove, os.rename = _no_directories, _stat, _unlink, _unlink, _rename
os.replace, os.utime, os.scandir, os.mkdir, os.kill = _replace, _utime, _scandir, _mkdir, _kill
signal.set_wakeup_fd = None  # takes sockets alone there
