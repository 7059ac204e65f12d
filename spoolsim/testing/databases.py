"""Imported first in a live instance: Django's databases there are those of the test, never the configured ones.

Every way of configuring Django passes `ConnectionHandler.configure_settings`; those who read the names from the
settings themselves find the test's there too, once any connection was looked at.
"""

from __future__ import annotations

import json
import os
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.utils import ConnectionHandler

_names: dict[str, str] = json.loads(os.environ["SPOOLSIM_TEST_DATABASES"])
_configure = ConnectionHandler.configure_settings


def _configure_for_test(self: Any, databases: Any) -> Any:
    configured = _configure(self, databases)
    for alias, database in configured.items():
        if alias in _names:
            database["NAME"] = _names[alias]
        elif database["ENGINE"] != "django.db.backends.dummy":
            raise ImproperlyConfigured(
                f"live_spooler: the database {alias!r} ({database['NAME']}) is not the test's: pytest-django did not "
                "know it when the test began; configure Django by DJANGO_SETTINGS_MODULE or in pytest_configure"
            )
    return configured


ConnectionHandler.configure_settings = _configure_for_test
