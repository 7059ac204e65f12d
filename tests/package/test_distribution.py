"""What is uploaded: the sdist, and the wheel made from it, checked as PyPI does, and used in a fresh environment."""

from __future__ import annotations

import email.message
import email.parser
import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.metadata import Metadata
from readme_renderer import markdown

ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / ".github" / "workflows"
FORMS = ROOT / ".github" / "ISSUE_TEMPLATE"


def run(*words: str | Path, cwd: Path, env: dict[str, str] | None = None, timeout: float = 300) -> str:
    """What a command prints; fails unless it ends with 0."""
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"{words} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


class Distribution:
    """The sdist, unpacked in `source`, and the wheel that pip built from it."""

    def __init__(self, home: Path) -> None:
        run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", home / "dist", cwd=ROOT)
        (self.sdist,) = (home / "dist").glob("*.tar.gz")
        with tarfile.open(self.sdist) as archive:
            archive.extractall(home / "unpacked", filter="data")
        (self.source,) = (home / "unpacked").iterdir()
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
        run(*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", home / "dist", self.sdist, cwd=home)
        (self.wheel,) = (home / "dist").glob("*.whl")
        with zipfile.ZipFile(self.wheel) as archive:
            self.names = archive.namelist()
            self.metadata = archive.read(next(n for n in self.names if n.endswith(".dist-info/METADATA")))

    @property
    def headers(self) -> email.message.Message:
        """The metadata of the wheel."""
        return email.parser.Parser().parsestr(self.metadata.decode())


@pytest.fixture(scope="module")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> Distribution:
    """Both, built once."""
    return Distribution(tmp_path_factory.mktemp("distribution"))


def test_the_wheel_works_in_a_clean_environment(distribution: Distribution, tmp_path: Path):
    """Installed with nothing but its dependencies: the version, each help page, the quickstart from the sdist."""
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    scripts = tmp_path / "venv" / "bin"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", scripts / "python"]
    run(*pip, "install", "-q", distribution.wheel, cwd=tmp_path)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "UWSGI_", "SPOOLSIM_"))}
    env["PATH"] = os.pathsep.join([str(scripts), env.get("PATH", os.defpath)])

    assert distribution.headers["Version"] in run("spoolsim", "--version", cwd=tmp_path, env=env)
    listed = run("spoolsim", "help", cwd=tmp_path, env=env).rpartition(":\n")[2].splitlines()
    topics = [line.split()[0] for line in listed]
    assert "differences" in topics
    for topic in topics:
        assert run("spoolsim", "help", topic, cwd=tmp_path, env=env).startswith("# ")

    home = tmp_path / "quickstart"
    shutil.copytree(distribution.source / "examples" / "quickstart", home)
    said = run("spoolsim", "run", "--drain", cwd=home, env=env)
    assert said.count("done with task") == 3


def test_the_wheel_holds_the_package_and_nothing_else(distribution: Distribution):
    """Every file of the package is in it: the pages, the marker for type checkers, the modules an app imports."""
    package = [p.relative_to(ROOT).as_posix() for p in (ROOT / "spoolsim").rglob("*") if p.suffix in (".py", ".md")]
    assert set(package) | {"spoolsim/py.typed"} <= set(distribution.names)
    elsewhere = [n for n in distribution.names if not n.startswith(("spoolsim/", "spoolsim-"))]
    assert elsewhere == []


def test_the_sdist_holds_what_the_tests_need(distribution: Distribution):
    """The tests, examples, benchmarks and checks of the repository, so that a packager can run them."""
    for name in (
        "tests/__main__.py",
        "examples/quickstart/tasks.py",
        "benchmarks/__init__.py",
        ".ci/run",
        "CHANGELOG.md",
    ):
        assert (distribution.source / name).is_file(), name
    assert not list(distribution.source.rglob("*.pyc"))


def test_the_metadata_is_what_pypi_accepts(distribution: Distribution):
    """Valid core metadata; each version of Python that CI runs has its classifier; a licence, addresses, extras."""
    metadata = Metadata.from_email(distribution.metadata, validate=True)
    versions = {c.rpartition(" ")[2] for c in metadata.classifiers or () if re.search(r":: 3\.\d+$", c)}
    tested = yaml.safe_load((WORKFLOWS / "tests.yml").read_text())["jobs"]["linux"]["strategy"]["matrix"]["python"]
    assert versions == set(tested)
    assert {"Documentation", "Source", "Changelog"} <= set(metadata.project_urls or {})
    assert all(url.startswith("https://") for url in (metadata.project_urls or {}).values())
    assert metadata.license_expression == "MIT"
    assert {"pytest", "test"} <= set(metadata.provides_extra or ())


def test_the_readme_renders_on_pypi(distribution: Distribution):
    """It renders, and no link or image is relative: there is nothing beside it on PyPI."""
    headers = distribution.headers
    assert headers["Description-Content-Type"] == "text/markdown"
    rendered = markdown.render(headers.get_payload(), variant="GFM")
    assert rendered is not None
    targets = re.findall(r'(?:href|src)="([^"]*)"', rendered)
    assert [target for target in targets if not target.startswith(("https://", "#"))] == []
    assert "spoolsim help" in rendered


def test_the_front_door_names_what_there_is():
    """Each path, page and command in CONTRIBUTING, README and the workflows exists."""
    texts = [ROOT / "README.md", ROOT / ".github" / "CONTRIBUTING.md", *WORKFLOWS.glob("*.yml")]
    for text in texts:
        said = text.read_text()
        said = re.sub(r"python -m pip install.*\n.*pytest_project.*|--deselect\S+", "", said)  # paths in that project
        for path in re.findall(r"(?<![\w/.-])((?:tests|examples|benchmarks|spoolsim|\.ci|\.github)/[\w./-]*\w)", said):
            assert (ROOT / path).exists(), f"{text.name} names {path}"
        for topic in re.findall(r"spoolsim help ([a-z][a-z-]+)", said):
            assert (ROOT / "spoolsim" / "help" / f"{topic}.md").exists(), f"{text.name} names the page {topic}"
        for module in re.findall(r"python -m (tests\.[\w.]+)", said):
            assert any((ROOT / f"{module.replace('.', '/')}{end}").exists() for end in (".py", "/__main__.py")), module


def test_workflows_and_issue_forms_are_well_formed():
    """Three systems, each with all versions of Python; a step names what does not run; each form is complete."""
    jobs = yaml.safe_load((WORKFLOWS / "tests.yml").read_text())["jobs"]
    for name in ("linux", "macos", "windows"):
        assert jobs[name]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13", "3.14"]
    for name in ("macos", "windows"):
        assert any(step.get("name") == "What does not run here" for step in jobs[name]["steps"])
    forms = [form for form in FORMS.glob("*.yml") if form.name != "config.yml"]
    assert len(forms) >= 2
    for form in forms:
        held = yaml.safe_load(form.read_text())
        assert {"name", "description", "body"} <= set(held)
        inputs = [part for part in held["body"] if part["type"] != "markdown"]
        assert len({part["id"] for part in inputs}) == len(inputs)
        assert all(part["attributes"]["label"] for part in inputs)
