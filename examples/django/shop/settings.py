"""Settings, as few as possible."""

from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
SECRET_KEY = "an example"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "shop.urls"
INSTALLED_APPS = ["shop"]
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": HOME / "shop.db", "OPTIONS": {"timeout": 10}},
}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = True
