"""A request enqueues when its transaction commits, never before: the spooler could not see the order yet."""

from __future__ import annotations

from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from shop.models import Order
from shop.tasks import pack


@csrf_exempt
def order(request: HttpRequest) -> JsonResponse:
    with transaction.atomic():
        made = Order.objects.create(item=request.POST["item"])
        transaction.on_commit(lambda: pack(order=str(made.pk)))
    return JsonResponse({"id": made.pk}, status=202)


def show(request: HttpRequest, number: int) -> JsonResponse:
    found = Order.objects.get(pk=number)
    return JsonResponse({"item": found.item, "state": found.state})
