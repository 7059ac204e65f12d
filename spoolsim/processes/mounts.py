"""Which file systems tell of changes? Those of containers and networks do not tell of what the other side changes.

Pure: the text of /proc/self/mountinfo is handed in.
"""

from __future__ import annotations

#: types (as mountinfo names them) whose files can be changed on another machine, without an event on this one
SILENT = frozenset(
    (
        *("9p", "vboxsf", "vmhgfs", "prl_fs", "virtiofs", "fakeowner"),  # virtual machines and containers
        *("afs", "beegfs", "ceph", "cifs", "glusterfs", "lustre", "nfs", "nfs4", "smb3", "smbfs"),  # networks
    )
)


def silent_type(path: str, mountinfo: str) -> str:
    """The type of the file system that the absolute `path` is on, if it is a silent one; else ''.

    Every FUSE file system but a block device's (`fuseblk`) counts as silent: sshfs, Docker's and VMware's shares.
    """
    longest, found = -1, ""
    for line in mountinfo.splitlines():
        left, separator, right = line.partition(" - ")
        fields = left.split(" ")
        if not separator or len(fields) < 5:
            continue
        point = _plain(fields[4])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= longest:  # of two on one point, the later hides the earlier
            longest, found = len(point), right.split(" ")[0]
    return found if found in SILENT or found == "fuse" or found.startswith("fuse.") else ""


def _plain(text: str) -> str:
    """A path as mountinfo writes it, with its blanks and backslashes back."""
    for code, sign in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, sign)
    return text
