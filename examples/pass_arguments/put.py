"""Call it like any function."""

import datetime

import tasks

tasks.report([1, 2, 3], day=datetime.date(2026, 1, 1))
