"""What uWSGI imports: Django, then the jobs."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
django.setup()

import shop.tasks  # noqa: E402, F401 - registers the jobs
