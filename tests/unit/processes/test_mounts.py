"""Which file systems do not tell of changes."""

from __future__ import annotations

import pytest

from spoolsim.processes.mounts import silent_type

TABLE = r"""22 27 0:20 / /proc rw,relatime shared:5 - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 27 0:31 / /home/ann/project rw - 9p share rw
31 30 0:32 / /home/ann/project/build rw - tmpfs tmpfs rw
32 27 0:33 / /mnt/with\040blank rw - fuse.sshfs ann@box:/ rw
33 27 0:34 / /mnt/disk rw - fuseblk /dev/sdb1 rw
34 27 0:35 / /mnt/twice rw - nfs4 box:/ rw
35 27 0:36 / /mnt/twice rw - ext4 /dev/sdc rw
a line that is none
"""


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/srv/app.py", ""),
        ("/home/ann/project", "9p"),
        ("/home/ann/project/app.py", "9p"),
        ("/home/ann/projects/app.py", ""),
        ("/home/ann/project/build/x.py", ""),
        ("/mnt/with blank/x.py", "fuse.sshfs"),
        ("/mnt/disk/x.py", ""),
        ("/mnt/twice/x.py", ""),
    ],
)
def test_the_nearest_mount_decides(path: str, found: str) -> None:
    """The longest mount point above the path; of two on one point, the later."""
    assert silent_type(path, TABLE) == found
