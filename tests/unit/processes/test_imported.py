"""What the fork server finds when the app is imported."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from spoolsim.processes.imported import functions


@pytest.fixture(autouse=True)
def uwsgi(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of an app that has no handler."""
    module = ModuleType("uwsgi")
    monkeypatch.setitem(sys.modules, "uwsgi", module)
    monkeypatch.delitem(sys.modules, "uwsgidecorators", raising=False)
    return module


def decorate(monkeypatch: pytest.MonkeyPatch, uwsgi: ModuleType, **names: object) -> None:
    """As an app that imports uwsgidecorators and decorates these."""

    def manage_spool_request(env: object) -> None: ...

    decorators = ModuleType("uwsgidecorators")
    decorators.__dict__["spooler_functions"] = names
    monkeypatch.setitem(sys.modules, "uwsgidecorators", decorators)
    uwsgi.__dict__["spooler"] = manage_spool_request


def test_an_app_without_tasks() -> None:
    """Has no function."""
    assert functions() == []


def test_an_app_that_was_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong option ends the start before there is a module."""
    monkeypatch.delitem(sys.modules, "uwsgi")
    assert functions() == []


def test_a_handler_of_ones_own(uwsgi: ModuleType) -> None:
    """Is named as the app names it."""
    uwsgi.__dict__["spooler"] = lambda env: -2
    assert functions() == ["uwsgi.spooler"]


def test_decorated_functions(monkeypatch: pytest.MonkeyPatch, uwsgi: ModuleType) -> None:
    """Are named, sorted; an app that only imports the decorators has none."""
    decorate(monkeypatch, uwsgi)
    assert functions() == []
    decorate(monkeypatch, uwsgi, pay=print, mail=print)
    assert functions() == ["mail", "pay"]


def test_a_handler_beside_the_decorators(monkeypatch: pytest.MonkeyPatch, uwsgi: ModuleType) -> None:
    """The one that the app has set is the one that runs."""
    decorate(monkeypatch, uwsgi)
    uwsgi.__dict__["spooler"] = lambda env: -2
    assert functions() == ["uwsgi.spooler"]
