"""pass_arguments=True: the arguments are pickled, and the function gets them as it was called."""

from __future__ import annotations

import datetime

from uwsgidecorators import spool


@spool(pass_arguments=True)
def report(numbers: list[int], *, day: datetime.date) -> None:
    """Together, pickled, they must have less than 64 KiB; hand big data over in a file, by its path."""
    print(f"{day:%A}: {sum(numbers)}", flush=True)
