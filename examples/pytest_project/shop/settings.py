"""Django's settings of the shop."""

from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
SECRET_KEY = "only a sample"
INSTALLED_APPS = ["shop"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": HERE / "production.sqlite3",
        # a file: the processes of `live_spooler` must find it
        "TEST": {"NAME": HERE / "test.sqlite3"},
    }
}
