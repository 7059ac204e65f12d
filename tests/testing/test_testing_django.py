"""Django's databases under `live_spooler`: those of the test, however Django is configured, or none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

DATABASES = """{"default": {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": HERE + "/production.sqlite3",
    "TEST": {"NAME": HERE + "/test.sqlite3"},
}}"""
SETTINGS = f"""
import os
HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SECRET_KEY = "x"
INSTALLED_APPS = ["shop"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {DATABASES}
"""
CONFIGURE = f"""
import os
import django
from django.conf import settings
HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if not settings.configured:
    settings.configure(
        SECRET_KEY="x", INSTALLED_APPS=["shop"], DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        DATABASES={DATABASES}
    )
    django.setup()
"""
#: how Django is configured -> (shop/boot.py, conftest.py, pytest's own option)
WAYS = {
    "settings": ("import os, django\n{}django.setup()\n", "", "DJANGO_SETTINGS_MODULE = shop.settings"),
    "configure": (CONFIGURE, "def pytest_configure():\n    import shop.boot\n", ""),
    "configured late": (CONFIGURE, "", ""),
}
MODELS = """
from django.db import models

class Order(models.Model):
    shipped = models.BooleanField(default=False)
"""
TASKS = """
import shop.boot
from uwsgidecorators import spool

@spool
def ship(arguments):
    from shop.models import Order
    Order.objects.filter(id=int(arguments["id"])).update(shipped=True)
"""
TEST = """
import pytest

@pytest.mark.spoolsim(app="shop.tasks")
def test_it(live_spooler):
    from shop import tasks
    from shop.models import Order
    order = Order.objects.create()
    tasks.ship(id=str(order.id))
    live_spooler.drain()
    order.refresh_from_db()
    assert order.shipped
"""
#: where the app configures Django when it is imported, the test has no database
LATE = """
import pytest
from spoolsim.testing import HarnessError

@pytest.mark.spoolsim(app="shop.tasks")
def test_it(request):
    with pytest.raises(HarnessError, match="(?s)does not start.*'default'.*is not the test's"):
        request.getfixturevalue("live_spooler")
"""


@pytest.mark.parametrize("way", WAYS)
def test_workers_never_reach_the_configured_database(tmp_path: Path, way: str) -> None:
    """Rows of the test are seen and changed by the workers; the configured database is not even made."""
    boot, conftest, option = WAYS[way]
    shop = tmp_path / "shop"
    shop.mkdir()
    set_up = 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")\n'
    files = {
        shop / "__init__.py": "",
        shop / "boot.py": boot.format(set_up) if way == "settings" else boot,
        shop / "models.py": MODELS,
        shop / "tasks.py": TASKS,
        tmp_path / "conftest.py": conftest,
        tmp_path / "pytest.ini": f"[pytest]\npythonpath = .\n{option}\n",
        tmp_path / "test_it.py": LATE if way == "configured late" else TEST,
    }
    if way == "settings":
        files[shop / "settings.py"] = SETTINGS
    for path, text in files.items():
        path.write_text(text)
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "SPOOLSIM", "DJANGO"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", "test_it.py"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    assert not (tmp_path / "production.sqlite3").exists()
