"""What a drain did not get done, from the workers' reports to the last line."""

from __future__ import annotations

import os

from spoolsim.work.notices import DROPPED, KEPT, MOVED, STUCK
from spoolsim.work.remains import Remains, reporter


def test_reports_arrive_whole():
    """Any path, any reason, however the pipe cuts them; a long reason is cut, its path is not."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    report, remains = reporter(writer), Remains()
    nasty = "/spool/a\nb\\n\udcff"
    report(KEPT, nasty, "raised X: \udfff\n\0 end")
    report(KEPT, "/spool/long", "x" * 10_000)
    remains.collect(reader)
    report(MOVED, "/spool/moved", "broken")
    report(DROPPED, "/spool/dropped", "broken")
    report(STUCK, "/spool/stuck", "done")
    remains.collect(reader)
    assert remains.reasons[nasty] == "raised X: \\udfff\n  end"
    assert 3000 < len(remains.reasons["/spool/long"]) < 4096
    assert remains.reasons["/spool/stuck"] == "done"
    assert (remains.aside, remains.dropped) == ({"/spool/moved": "broken"}, {"/spool/dropped": "broken"})
    os.close(writer)
    remains.collect(reader)
    os.close(reader)


def test_nobody_reads():
    """A report to a master that is gone is no reason for a task to fail."""
    reader, writer = os.pipe()
    os.close(reader)
    reporter(writer)(KEPT, "/spool/a", "b")
    os.close(writer)
