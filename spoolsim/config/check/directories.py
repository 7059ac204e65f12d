"""Findings about the spool directories, as they are on this machine."""

from __future__ import annotations

import os
import stat

from spoolsim.config.check.findings import Finding, elsewhere, without_comment
from spoolsim.options import Options, Setting


def of_directories(settings: list[Setting], options: Options, root: str, production: bool) -> list[Finding]:
    """The spool directories, and who serves the external ones."""
    found: list[Finding] = []
    own = {os.path.realpath(os.path.join(root, path)) for path, external in options.spoolers if not external}
    seen: set[tuple[str, str]] = set()
    for setting in settings:
        if setting.name not in ("spooler", "spooler-external") or setting.role != "option":
            continue
        path = setting.value if isinstance(setting.value, str) else ""
        if (setting.name, path) in seen:
            continue
        seen.add((setting.name, path))
        if without_comment(path) != path:
            continue  # found as a comment
        found += _directory(setting, path, root, options, production)
        if setting.name == "spooler-external" and not _served(path, own, settings, root):
            why = f"{path}: no spooler of this configuration, of those beside it or of a running spoolsim serves it"
            advice = "see that another instance serves this very path: tasks put there are never run otherwise"
            found.append(Finding("external-unserved", "warning", setting.source, why, advice))
    return found


def _directory(setting: Setting, path: str, root: str, options: Options, production: bool) -> list[Finding]:
    found = []

    def add(name: str, severity: str, why: str, advice: str) -> None:
        found.append(Finding(name, severity, setting.source, f"{path}: {why}", advice))

    full = os.path.join(root, path)
    if not os.path.isabs(path):
        moved = options.chdir is not None
        why = "a relative directory is taken from where uWSGI is started" + (", not from chdir" if moved else "")
        add("directory-relative", "warning", why, "write an absolute path, or %d before it")
    if os.path.islink(full.rstrip("/")) or (os.path.exists(full) and os.path.realpath(full) != os.path.normpath(full)):
        resolved = os.path.realpath(full)
        why = f"goes through a symbolic link; uWSGI compares the resolved path {resolved} with the `spooler` of a task"
        add("directory-symlink", "warning", why, "configure the resolved path")
    try:
        status = os.stat(full)
    except FileNotFoundError:
        if not os.path.isdir(os.path.dirname(full.rstrip("/")) or "."):
            parent = os.path.dirname(full.rstrip("/"))
            if elsewhere(path, root, production):
                why = f"neither it nor {parent} is here; where {parent} is missing, uWSGI refuses to start"
                add("directory-missing", "info", why, "see that it is there in production; --production checks it")
            else:
                why = f"it is missing and so is {parent}: uWSGI refuses to start"
                add("directory-missing", "error", why, f"mkdir -p {parent}")
        else:
            why = "it is missing: uWSGI makes it at its start, with mode 0750 and the starting user as owner"
            add("directory-missing", "info", why, "make it, owned by the user that runs uWSGI")
        return found
    except OSError as error:
        add("directory-unusable", "error", f"cannot be looked at: {error.strerror}", "correct the permissions")
        return found
    if not stat.S_ISDIR(status.st_mode):
        add(
            "directory-not-a-directory", "error", "it is not a directory: uWSGI refuses to start", "choose another path"
        )
        return found
    who, writable = _may_write(full, status, options)
    if not writable:
        why = f"{who} cannot read, write and enter it: tasks are neither put nor run"
        add("directory-not-writable", "error", why, f"give it to {who}")
    if status.st_mode & stat.S_IWOTH:
        why = "everybody may write to it, and so run tasks with whatever arguments"
        why += "" if status.st_mode & stat.S_ISVTX else " and remove those of others"
        add("directory-world-writable", "warning", why, "chmod o-w")
    return found


def _may_write(path: str, status: os.stat_result, options: Options) -> tuple[str, bool]:
    """(the user that will run the spooler, whether it may read, write and enter the directory)."""
    try:
        import grp
        import pwd
    except ImportError:  # no POSIX, and no users by number
        return "the user that runs this", os.access(path, os.R_OK | os.W_OK)

    wanted = options.opt.get("uid")
    name = wanted.decode("utf-8", "replace") if isinstance(wanted, bytes) else ""
    try:
        user = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except (KeyError, ValueError):
        user = None
    if user is None or user.pw_uid == os.geteuid():
        return "the user that runs this", os.access(path, os.R_OK | os.W_OK | os.X_OK)
    if user.pw_uid == 0:
        return user.pw_name, True
    groups = {user.pw_gid} | {group.gr_gid for group in grp.getgrall() if user.pw_name in group.gr_mem}
    if status.st_uid == user.pw_uid:
        bits = status.st_mode >> 6
    elif status.st_gid in groups:
        bits = status.st_mode >> 3
    else:
        bits = status.st_mode
    return user.pw_name, bits & 7 == 7


def _served(path: str, own: set[str], settings: list[Setting], root: str) -> bool:
    full = os.path.realpath(os.path.join(root, path))
    if full in own:
        return True
    # A running spoolsim marks the first directory that it serves; other configurations may stand beside this one.
    if os.path.isdir(os.path.join(full, ".spoolsim", "run")) and os.listdir(os.path.join(full, ".spoolsim", "run")):
        return True
    from spoolsim.config.argv import file_kind
    from spoolsim.config.readers import read
    from spoolsim.errors import SpoolsimError

    places = {os.path.dirname(s.source.rpartition(":")[0]) or root for s in settings if ":" in s.source} or {root}
    for place in places:
        for name in sorted(os.listdir(place)) if os.path.isdir(place) else []:
            if file_kind(name, with_section=False) not in ("ini", "yaml", "xml", "json"):
                continue
            try:
                others = read(os.path.join(place, name))
            except SpoolsimError:
                continue
            for other in others:
                value = other.value if other.name == "spooler" and isinstance(other.value, str) else None
                if value is not None and os.path.realpath(os.path.join(root, value)) == full:
                    return True
    return False
