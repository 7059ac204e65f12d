"""The shop's table."""

from django.db import models


class Order(models.Model):
    """An order, and when it was shipped."""

    customer = models.CharField(max_length=100)
    shipped = models.BooleanField(default=False)
    pid = models.IntegerField(null=True)
