"""Imported first in a live instance: Django's databases there are those of the test, never the configured ones."""

from __future__ import annotations

import json
import os
from typing import Any

from django.conf import LazySettings

_names: dict[str, str] = json.loads(os.environ["SPOOLSIM_TEST_DATABASES"])
_setup = LazySettings._setup


def _setup_for_test(self: Any, name: str | None = None) -> None:
    _setup(self, name)
    for alias, database in _names.items():
        self.DATABASES[alias]["NAME"] = database


LazySettings._setup = _setup_for_test
