"""uwsgi.metric_*()."""

from __future__ import annotations

from typing import Any

import pytest

from spoolsim.emulate import metrics


def test_a_configured_metric_counts(instance: Any):
    """Each function changes the metric as in uWSGI: division is towards zero, sums wrap at 64 bits."""
    instance("enable-metrics", metric=["m", "name=i,type=gauge,initial_value=5"])
    assert metrics.metric_get("i") == 5
    for change, by, result, expected in (
        (metrics.metric_set, 10, True, 10),
        (metrics.metric_inc, 5, True, 15),
        (metrics.metric_dec, 1, True, 14),
        (metrics.metric_mul, 3, True, 42),
        (metrics.metric_div, 0, None, 42),
        (metrics.metric_set_max, 3, True, 42),
        (metrics.metric_set_min, 4, True, 4),
        (metrics.metric_set, -7, True, -7),
        (metrics.metric_div, 2, True, -3),
        (metrics.metric_set, 2**63 - 1, True, 2**63 - 1),
        (metrics.metric_inc, 1, True, -(2**63)),
    ):
        assert change("m", by) is result
        assert metrics.metric_get("m") == expected
    assert (metrics.metric_mul("i"), metrics.metric_inc("i"), metrics.metric_get("i")) == (True, True, 6)


def test_an_unknown_metric_is_zero_and_stays(instance: Any):
    """With metrics enabled, a name that no option makes, uWSGI's own included, is 0 and cannot be changed."""
    instance("enable-metrics", metric="m")
    for name in ("other", "worker.1.requests"):
        assert (metrics.metric_set(name, 5), metrics.metric_inc(name), metrics.metric_get(name)) == (None, None, 0)


def test_without_the_option_it_works_with_a_note_and_not_when_faithful(instance: Any):
    """Metrics that are not enabled work and say so once; under --faithful they are None and 0, as in uWSGI."""
    instance()
    assert (metrics.metric_inc("m"), metrics.metric_get("m")) == (True, 1)
    assert instance.log.read_text().count("(no-metrics)") == 1
    instance("faithful")
    assert (metrics.metric_inc("m"), metrics.metric_get("m")) == (None, 0)


def test_wrong_types_are_refused(instance: Any):
    """A name that is no text is a TypeError, a number too big an OverflowError."""
    instance("enable-metrics", metric="m")
    with pytest.raises(TypeError):
        metrics.metric_get(b"m")
    with pytest.raises(TypeError):
        metrics.metric_inc("m", "1")
    with pytest.raises(OverflowError):
        metrics.metric_inc("m", 2**70)
