"""Which program a process is, by its command line."""

from __future__ import annotations

import pytest

from spoolsim.tasks.processes import OURS, UWSGI, kind_of


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("/srv/spoolsim/.venv/bin/uwsgi --master --spooler /srv/spoolsim/spool", UWSGI),
        ("/srv/spoolsim/.venv/bin/python /srv/spoolsim/.venv/bin/pyuwsgi --master", UWSGI),
        ("uwsgi-core --spooler spool", UWSGI),
        ("/srv/uwsgi/bin/python -m spoolsim run", OURS),
        ("/srv/uwsgi/bin/python -X dev -m spoolsim run", OURS),
        ("/srv/uwsgi/bin/python /srv/uwsgi/bin/spoolsim ls", OURS),
        ("/usr/bin/spoolsim run", OURS),
        ("/srv/spoolsim/.venv/bin/python -m pytest", ""),
        ("/srv/spoolsim/.venv/bin/python manage.py shell", ""),
        ("vim spoolsim", ""),
        ("/bin/spoolsim-clone/sleep 5", ""),
        ("", ""),
    ],
)
def test_the_program_decides_and_not_its_path(line: str, kind: str):
    """A clone, a virtual environment or a spool below a directory of this name changes nothing."""
    assert kind_of(line.split(" ")) == kind


def test_a_worker_has_the_command_line_of_its_fork_server():
    """The code after -c names the package."""
    assert kind_of(["/usr/bin/python3", "-P", "-c", "import sys\nimport spoolsim.processes.forkserver"]) == OURS
    assert kind_of(["/usr/bin/python3", "-c", "import shop"]) == ""
