"""The pytest plugin: fixtures `spooler`, `live_spooler` and `spool_dir`.

Nothing happens until a fixture is used. Where test modules import the app at their top, which imports `uwsgi`, say
so in pytest's configuration, by `spoolsim_config = uwsgi.ini` or `spoolsim = true`: `import uwsgi` then works while
tests are collected. This module is imported by every pytest run of an environment that has spoolsim: it imports
nothing but pytest.
"""

from __future__ import annotations

import os

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path
    from typing import Any

    from spoolsim.testing.engine import SpoolerHarness
    from spoolsim.testing.live import LiveSpooler

MARKER = (
    "spoolsim(app=None, config=None, errors='raise', timeout=10, **options): what the spooler fixtures of this test "
    "run: app is a module or its name or a handler; options are uWSGI's, with underscores"
)
_OURS: tuple[str, ...] = ("errors", "timeout")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("spoolsim")
    group.addoption("--spoolsim", action="store_true", help="let `import uwsgi` work while tests are collected")
    parser.addini("spoolsim", "let `import uwsgi` work while tests are collected", type="bool", default=False)
    parser.addini("spoolsim_config", "uWSGI configuration file that the spooler fixtures use", default="")
    parser.addini("spoolsim_app", "module that the spooler fixtures run; default: what the configuration imports")


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    """Be there before the first conftest, and before pytest-django has Django import its apps."""
    if (
        early_config.known_args_namespace.spoolsim
        or early_config.getini("spoolsim")
        or early_config.getini("spoolsim_config")
    ):
        _make_session_module(early_config)
    return (yield)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    timer = config.pluginmanager.hasplugin("faulthandler") and config.getini("faulthandler_timeout")
    if not timer:  # there is one in a process, and it is not pytest's own
        config.stash[_standard_error] = os.dup(2)  # before pytest captures it


def pytest_unconfigure(config: pytest.Config) -> None:
    """Close what `pytest_configure` opened."""
    if _standard_error in config.stash:
        os.close(config.stash[_standard_error])
        del config.stash[_standard_error]


def _make_session_module(config: pytest.Config) -> None:
    """The `uwsgi` module of a run of pytest as a whole; tasks spooled while modules are imported are never run."""
    from spoolsim.system import another_python

    if why := another_python():
        raise pytest.UsageError(why)
    from spoolsim.testing.session import SessionModule

    module = SessionModule(_config_file(config))
    config.add_cleanup(module.close)
    config.stash[_session_module] = module


def pytest_collection_finish(session: pytest.Session) -> None:
    """From here on tests run: one that spools without a fixture has forgotten it."""
    module = session.config.stash.get(_session_module, None)
    if module is not None:
        module.refuse()


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Say what to do where a test module imports an app that imports `uwsgi`, and nothing made that work."""
    report = yield
    if report.failed and _NO_UWSGI in str(report.longrepr) and _session_module not in collector.config.stash:
        report.sections.append(("spoolsim", _HINT))
    return report


_NO_UWSGI = "No module named 'uwsgi"
_HINT = (
    "The app imports uwsgi while tests are collected. Say so in pytest's configuration: `spoolsim_config = uwsgi.ini`, "
    "or `spoolsim = true` where there is no configuration file.\n"
)
_session_module: pytest.StashKey[Any] = pytest.StashKey()
_standard_error: pytest.StashKey[int] = pytest.StashKey()


def _config_file(config: pytest.Config) -> str | None:
    name = config.getini("spoolsim_config")
    return os.path.join(config.rootpath, name) if name else None


def _wanted(request: pytest.FixtureRequest) -> tuple[Any, Any, dict[str, Any]]:
    """(app, options, the engine's own arguments) from the markers and pytest's configuration."""
    from spoolsim.system import another_python

    if why := another_python():
        pytest.fail(why, pytrace=False)
    given: dict[str, Any] = {}
    for mark in reversed(list(request.node.iter_markers("spoolsim"))):
        given.update(mark.kwargs)
        if mark.args:
            given["app"] = mark.args[0]
    app = given.get("app") or request.config.getini("spoolsim_app") or None
    file = given.get("config")
    file = os.path.join(request.config.rootpath, file) if file else _config_file(request.config)
    own = {key: given[key] for key in _OURS if key in given}
    options = {key: value for key, value in given.items() if key not in ("app", "config", *_OURS)}
    if file is None:
        return app, options, own
    from spoolsim.testing.configured import settings_of

    return app, settings_of(file) + settings_of(options), own


@pytest.fixture
def spool_dir(tmp_path: Path) -> Path:
    """The directory that the spooler fixtures of this test use; with several spoolers theirs are in it."""
    path = tmp_path / "spool"
    path.mkdir(0o750, exist_ok=True)
    return path


@pytest.fixture
def spooler(request: pytest.FixtureRequest, spool_dir: Path) -> Iterator[SpoolerHarness]:
    """A SpoolerHarness: the spooler inside the test's process. Configure it by the marker `spoolsim`."""
    app, options, own = _wanted(request)
    from spoolsim.testing.engine import SpoolerHarness
    from spoolsim.testing.limit import last_word

    last_word.descriptor = request.config.stash.get(_standard_error, None)
    _tell_modules(request)
    with SpoolerHarness(app, options, directory=spool_dir, **own) as harness:
        _report_of(request, harness)
        yield harness


@pytest.fixture
def live_spooler(request: pytest.FixtureRequest, spool_dir: Path) -> Iterator[LiveSpooler]:
    """A LiveSpooler: a real instance with processes. Configure it by the marker `spoolsim`.

    With pytest-django its processes use the test database, and the test runs without a transaction around it.
    """
    app, options, own = _wanted(request)
    from spoolsim.testing.live import LiveSpooler

    own.pop("errors", None)
    _tell_modules(request)
    with LiveSpooler(app, options, directory=spool_dir, databases=_databases(request), **own) as live:
        _report_of(request, live)
        yield live


def _tell_modules(request: pytest.FixtureRequest) -> None:
    """Handlers that test modules set themselves, when they are imported, are each their own."""
    from spoolsim.testing import swap

    stash = request.session.stash
    if _modules not in stash:
        modules = (getattr(item, "module", None) for item in request.session.items)
        stash[_modules] = frozenset(module.__name__ for module in modules if module is not None)
    swap.test_modules = stash[_modules]
    swap.test_module = getattr(getattr(request.node, "module", None), "__name__", "")


_modules: pytest.StashKey[frozenset[str]] = pytest.StashKey()


def _databases(request: pytest.FixtureRequest) -> dict[str, str] | None:
    """Django's test databases, made ready for other processes; None without pytest-django.

    None of them where Django is not configured yet: an app that configures it later would reach its real ones.
    """
    if not request.config.pluginmanager.hasplugin("django"):
        return None
    try:
        from django.conf import settings
    except ImportError:
        return None

    if not settings.configured and not os.environ.get("DJANGO_SETTINGS_MODULE"):
        return {}
    from django.db import connections

    from spoolsim.errors import HarnessError

    if any(connections[alias].in_atomic_block for alias in connections):
        raise HarnessError(
            "live_spooler: the test's transaction hides its rows from the spooler's processes: "
            "mark it with @pytest.mark.django_db(transaction=True)"
        )
    request.node.add_marker(pytest.mark.django_db(transaction=True))
    request.getfixturevalue("transactional_db")
    names = {alias: str(connections[alias].settings_dict["NAME"]) for alias in connections}
    for alias, name in names.items():
        if connections[alias].vendor == "sqlite" and (":memory:" in name or "mode=memory" in name):
            raise HarnessError(
                f"live_spooler: the test database {alias!r} is in memory, where no other process finds it: set "
                f"DATABASES[{alias!r}]['TEST'] = {{'NAME': 'test.sqlite3'}} in Django's settings"
            )
    return names


def _report_of(request: pytest.FixtureRequest, reporter: Any) -> None:
    """Show what was queued, run and left when this test fails."""
    manager = request.config.pluginmanager
    if not manager.hasplugin("spoolsim-reports"):
        manager.register(_Reports(), "spoolsim-reports")
    request.node.stash[_key] = reporter


_key: pytest.StashKey[Any] = pytest.StashKey()


class _Reports:
    """Registered with the first use of a fixture."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: Any) -> Generator[None, Any, Any]:
        report = yield
        reporter = item.stash.get(_key, None)
        if reporter is not None and report.failed:
            report.sections.append(("spoolsim", reporter.report()))
        return report
