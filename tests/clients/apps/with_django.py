"""What the spooler of the Django project loads."""

import django

django.setup()
