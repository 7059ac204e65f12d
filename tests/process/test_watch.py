"""--watch: a change of Python source reloads."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from tests.conftest import poll_until
from tests.process.conftest import Instance, Start


def changed_to(it: Instance, app: str, version: str, *, again: bool = False) -> None:
    """Write the source, and wait until tasks are run by it. again: every two seconds, until the watch has begun."""
    written = -10.0

    def answered() -> bool:
        nonlocal written
        if written < 0 or (again and time.monotonic() - written > 2):
            (it.home / "app.py").write_text(f"{app}VERSION = {version!r}\n")
            written = time.monotonic()
        it.put("note('version', VERSION)")
        return f"version {version}" in it.runs() and "source changed" in it.output()

    poll_until(answered, 30, version)


def test_source_below_the_path(start: Start, home_app: str) -> None:
    """New source answers; several writes at once are one reload, or at least fewer than writes."""
    it = start("--watch", ".", app=home_app + "VERSION = 'one'\n")
    changed_to(it, home_app, "watched", again=True)
    before = it.output().count("source changed")
    for n in range(20):
        (it.home / f"part{n}.py").write_text("x = 1\n")
    changed_to(it, home_app, "two")
    poll_until(lambda: it.output().count("source changed") > before, 20, "the reload that is said")
    assert it.output().count("source changed") - before < 20
    assert it.stop() == 0


def test_a_program_that_never_stops_writing(start: Start, home_app: str) -> None:
    """It delays the reload for a while, not forever; how long, tests/unit/processes/test_touch.py shows."""
    it = start("--watch", ".", app=home_app + "VERSION = 'one'\n")
    changed_to(it, home_app, "watched", again=True)
    before = it.output().count("source changed")

    def reloaded() -> bool:
        (it.home / "generated.py").write_text(f"x = {time.monotonic_ns()}\n")
        return it.output().count("source changed") >= before + 2

    poll_until(reloaded, 30, "two reloads during the writing")
    assert it.stop() == 0


@pytest.mark.parametrize("option", [("--watch", "."), ("--py-autoreload", "1")])
def test_a_touched_source(start: Start, home_app: str, option: tuple[str, str]) -> None:
    """New times alone are a change."""
    it = start(*option, app=home_app + "VERSION = 'one'\n")
    changed_to(it, home_app, "watched", again=True)
    before = it.output().count("source changed")
    os.utime(it.home / "app.py")
    poll_until(lambda: it.output().count("source changed") > before, 30, "the reload")
    assert it.stop() == 0


def test_a_watched_directory_that_is_another_one(start: Start, home_app: str, tmp_path: Path) -> None:
    """Renamed away, with another one in its place: that one is read, and watched from then on."""
    root = tmp_path / "root"
    app = home_app + f"sys.path.insert(0, {str(root)!r})\nimport part\nVERSION = part.VERSION\n"

    def written(place: Path, version: str) -> None:
        place.mkdir(exist_ok=True)
        (place / "part.py").write_text(f"VERSION = {version!r}\n")

    def answers(version: str) -> bool:
        it.put("note('version', VERSION)")
        return f"version {version}" in it.runs()

    written(root, "one")
    it = start("--watch", str(root), app=app)
    poll_until(lambda: answers("one"), 30, "the first answer")
    written(tmp_path / "next", "the second")
    root.rename(tmp_path / "old")
    (tmp_path / "next").rename(root)
    poll_until(lambda: answers("the second"), 30, "the other directory's code")
    written(root, "a third one")
    poll_until(lambda: answers("a third one"), 30, "what was written there later")
    assert it.stop() == 0


def test_what_is_no_source(start: Start, home_app: str, home: Path) -> None:
    """Other files, caches and what editors drop beside a file reload nothing."""
    it = start("--watch", ".", app=home_app + "VERSION = 'one'\n")
    changed_to(it, home_app, "watched", again=True)
    before = it.output().count("source changed")
    (home / "__pycache__").mkdir(exist_ok=True)
    for name in ("notes.txt", ".#app.py", "#app.py#", ".app.py.swp", "app.py~", "__pycache__/y.py", "app.pyc"):
        (home / name).write_text("x")
    for n in range(5):
        it.put(f"note('ran', {n})")
        it.wait_runs(f"ran {n}")
    changed_to(it, home_app, "two")
    poll_until(lambda: it.output().count("source changed") > before, 20, "the reload that is said")
    assert it.output().count("source changed") == before + 1
    assert it.stop() == 0


def test_a_path_that_is_not_there(start: Start) -> None:
    """It is said, and the instance runs without."""
    it = start("--watch", "nowhere")
    it.put("note('ran')")
    it.wait_runs("ran")
    it.spawned.wait_output("--watch nowhere: there is no such file or directory")
    assert it.stop() == 0


def test_py_autoreload_follows_the_imported_modules(start: Start, home_app: str, tmp_path: Path) -> None:
    """Modules far from the working directory, and those of spooler-import; a file that nobody imports is nothing."""
    library = tmp_path / "library"
    (library / "package").mkdir(parents=True)
    (library / "package" / "__init__.py").touch()
    part, late = library / "package" / "part.py", library / "late.py"
    part.write_text("VERSION = 'one'\n")
    late.write_text("VERSION = 'one'\n")
    app = (
        home_app
        + "import package.part\ndef versions():\n    import late\n    return package.part.VERSION + late.VERSION\n"
    )
    it = start("--py-autoreload", "1", "--pythonpath", str(library), "--spooler-import", "late", app=app)

    def answers(wanted: str) -> bool:
        it.put("note('version', versions())")
        return f"version {wanted}" in it.runs()

    poll_until(lambda: answers("oneone"), 30, "the first answer")
    (library / "unused.py").write_text("x = 1\n")
    part.write_text("VERSION = 'two'\n")
    poll_until(lambda: answers("twoone"), 30, "the new package.part")
    late.write_text("VERSION = 'three'\n")
    poll_until(lambda: answers("twothree"), 30, "the new late")
    assert it.stop() == 0


def test_py_autoreload_when_a_package_is_made_again(start: Start, home_app: str, tmp_path: Path) -> None:
    """As by a checkout of another branch: its directory is removed and made, and still watched, time after time."""
    library = tmp_path / "library"
    library.mkdir()

    def make(version: str) -> None:
        shutil.rmtree(library / "package", ignore_errors=True)
        (library / "package").mkdir()
        (library / "package" / "__init__.py").touch()
        (library / "package" / "part.py").write_text(f"VERSION = {version!r}\n")

    def answers(wanted: str) -> bool:
        it.put("note('version', package.part.VERSION)")
        return f"version {wanted}" in it.runs()

    make("one")
    it = start("--py-autoreload", "1", "--pythonpath", str(library), app=home_app + "import package.part\n")
    poll_until(lambda: answers("one"), 30, "the first answer")
    for again in ("made again", "and once more"):
        make(again)
        poll_until(lambda again=again: answers(again), 30, "the package that was made again")
    (library / "package" / "part.py").write_text("VERSION = 'written'\n")
    poll_until(lambda: answers("written"), 30, "what was written there")
    assert it.stop() == 0


def test_py_autoreload_when_the_import_fails(start: Start, home_app: str, home: Path) -> None:
    """From the start, or later: mending the file that failed is enough."""
    (home / "part.py").write_text("1 / 0\n")
    it = start("--py-autoreload", "1", app=home_app + "import part\n")
    it.spawned.wait_output("nothing runs yet")
    (home / "part.py").write_text("VERSION = 'mended'\n")
    it.put("note('version', part.VERSION)")
    it.wait_runs("version mended")
    (home / "part.py").write_text("this is no Python\n")
    it.spawned.wait_output("still serving the old code")
    it.put("note('still', part.VERSION)")
    it.wait_runs("still mended")
    (home / "part.py").write_text("VERSION = 'again'\n")

    def answered() -> bool:
        it.put("note('version', part.VERSION)")
        return "version again" in it.runs()

    poll_until(answered, 30, "the code that was mended again")
    assert it.stop() == 0


def test_watch_polling(start: Start, home_app: str) -> None:
    """Where no events come, looking finds the change too."""
    it = start("--watch", ".", "--watch-polling", app=home_app + "VERSION = 'one'\n")
    changed_to(it, home_app, "polled", again=True)
    assert it.stop() == 0
