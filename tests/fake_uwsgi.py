"""A `uwsgi` module that does nothing and writes down what it is asked, for tests of the decorators alone."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any


class FakeUwsgi(ModuleType):
    """Any attribute that was not set is a function: its call goes to `calls`, its answer comes from `answers`."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__("uwsgi")
        self.calls: list[tuple[Any, ...]] = []
        self.answers: dict[str, Any] = {"masterpid": 42, "spool": b"/sp/file", "worker_id": 0, "mule_id": 0}
        self.absent: set[str] = {"_spoolsim"}
        self.opt: dict[str, Any] = {"spooler": b"/sp"}
        self.SPOOL_OK, self.SPOOL_RETRY, self.SPOOL_IGNORE = -2, -1, 0
        self.__dict__.update(attributes)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in self.absent:
            raise AttributeError(f"module 'uwsgi' has no attribute {name!r}")

        def function(*args: Any) -> Any:
            self.calls.append((name, *args))
            answer = self.answers.get(name)
            return answer(*args) if callable(answer) else answer

        return function


@contextmanager
def decorators_over(uwsgi: FakeUwsgi, path: str) -> Iterator[Any]:
    """The module in the file `path`, imported as `uwsgidecorators` over `uwsgi`; both are gone afterwards."""
    names = ("uwsgi", "uwsgidecorators")
    before = {name: sys.modules.get(name) for name in names}
    spec = importlib.util.spec_from_file_location("uwsgidecorators", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules |= {"uwsgi": uwsgi, "uwsgidecorators": module}
    try:
        spec.loader.exec_module(module)
        uwsgi.calls.clear()
        yield module
    finally:
        for name in names:
            del sys.modules[name]
            if (old := before[name]) is not None:
                sys.modules[name] = old
