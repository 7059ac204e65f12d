"""uwsgi.metric_*(): numbers shared by all processes of one instance.

With `enable-metrics` those exist that the option `metric` names, and uWSGI's own, which are 0 here and cannot be set.
Without it uWSGI does nothing; so does spoolsim under --faithful, else every name works, and a note says so.
"""

from __future__ import annotations

from spoolsim.emulate import stand_ins
from spoolsim.emulate.arguments import long, quotient, text, wrapped
from spoolsim.emulate.store import Store, store
from spoolsim.work import program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from spoolsim.options import Options


def configured(options: Options) -> dict[str, int]:
    """The metrics that the option `metric` makes: name -> first value."""
    found = {}
    for spec in options.metrics:
        pairs = dict(pair.partition("=")[::2] for pair in spec.split(",")) if "=" in spec else {"name": spec}
        first = pairs.get("initial_value", "")
        found[pairs.get("name", "")] = int(first) if first.lstrip("-").isdigit() else 0
    return found


def _first(function: str, name: str) -> int | None:
    """The first value of a metric; None when there is none of that name."""
    app = program.in_this_process()
    if app.options.metrics_enabled:
        return configured(app.options).get(text(function, name))
    if not app.policy.measures_unconfigured:
        return None
    stand_ins.note("no-metrics", "metric_*")
    return 0


def metric_get(name: str, /) -> int:
    """The value of a metric, 0 when there is none."""
    first = _first("metric_get", text("metric_get", name))
    if first is None:
        return 0
    with store() as shared:
        return _value(shared, name, first)


def metric_set(name: str, value: int = 1, /) -> bool | None:
    """Set a metric; None when there is none, as for all that follow."""
    return _change("metric_set", name, value, lambda old, new: new)


def metric_inc(name: str, value: int = 1, /) -> bool | None:
    """Add to a metric."""
    return _change("metric_inc", name, value, lambda old, by: old + by)


def metric_dec(name: str, value: int = 1, /) -> bool | None:
    """Subtract from a metric."""
    return _change("metric_dec", name, value, lambda old, by: old - by)


def metric_mul(name: str, value: int = 1, /) -> bool | None:
    """Multiply a metric."""
    return _change("metric_mul", name, value, lambda old, by: old * by)


def metric_div(name: str, value: int = 1, /) -> bool | None:
    """Divide a metric, towards zero; None for a division by 0."""
    if value == 0:
        text("metric_div", name)
        return None
    return _change("metric_div", name, value, quotient)


def metric_set_max(name: str, value: int = 1, /) -> bool | None:
    """Set a metric if the value is greater."""
    return _change("metric_set_max", name, value, max)


def metric_set_min(name: str, value: int = 1, /) -> bool | None:
    """Set a metric if the value is less."""
    return _change("metric_set_min", name, value, min)


def _value(shared: Store, name: str, first: int) -> int:
    row = shared.one("select value from metric where name = ?", name)
    return row[0] if row else first


def _change(function: str, name: str, value: int, change: Callable[[int, int], int]) -> bool | None:
    text(function, name)
    number = long(value)
    first = _first(function, name)
    if first is None:
        return None
    with store() as shared:
        new = wrapped(change(_value(shared, name, first), number))
        shared.run("insert or replace into metric values (?, ?)", name, new)
    return True
