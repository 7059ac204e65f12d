"""The views of django-uwsgi-ng."""

import os

from django.contrib import admin
from django.urls import include, path

urlpatterns = [path("admin/", admin.site.urls)]
if os.environ.get("APPLICATION") == "django_uwsgi":
    urlpatterns.append(path("uwsgi/", include("django_uwsgi.urls")))
