"""What stands beside an exported configuration in production: the reasons, a systemd unit, a container file."""

from __future__ import annotations

from spoolsim.options import BY_NAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spoolsim.options import Options, Setting

#: where the unit and the container file have the app
UNIT_HOME, CONTAINER_HOME = "/srv/app", "/app"

#: option -> why it matters in production, one line
REASONS: dict[str, str] = {
    "master": "The master starts, watches and restarts the spoolers; without it none is served.",
    "strict": "A misspelled option stops the start, instead of being without effect in silence.",
    "die-on-term": "SIGTERM, which systemd and containers send, stops uWSGI; without this it reloads.",
    "spooler": "Tasks are files in this directory: keep it on a disk that survives, and back it up.",
    "spooler-external": "Tasks are put here for another instance, which has to serve this very path.",
    "spooler-processes": "Processes for each spooler directory.",
    "spooler-frequency": "A retried task, and one enqueued while the spooler is busy, waits up to this many seconds.",
    "spooler-ordered": "Priorities work only with this.",
    "spooler-quiet": "The three log lines of each task are left out: a lost task leaves no trace in the log.",
    "spooler-max-tasks": "A new process after this many tasks holds memory leaks in check.",
    "spooler-harakiri": "A task that takes longer is killed, and run again by the next process: make it repeatable.",
    "spooler-chdir": "A relative path is taken from the directory of the task, not from that of the start.",
    "touch-spoolers-reload": "The spoolers are killed when this file is touched; only spooler-import is read again.",
    "import": "Read once, before the spoolers start: new code needs a restart.",
    "spooler-import": "Read in each spooler process: new code comes with the next process.",
    "lazy-apps": "import is loaded in the web workers only: the spooler needs spooler-import or shared-import.",
}


def advice(settings: list[Setting], here: str, there: str) -> str:
    """Which options name paths in the directory `here`, and how they are exported for `there`; empty if none does."""
    names = [s.name for s in settings if isinstance(s.value, str) and not _is_dropped(s) and _lies_in(s.value, here)]
    if not names:
        return ""
    return f"{', '.join(dict.fromkeys(names))}: in {here}; for an app in {there} export with --map {here}={there}"


def _is_dropped(setting: Setting) -> bool:
    option = BY_NAME.get(setting.name)
    return option is not None and (option.ours or option.kind in ("config", "placeholder"))


def _lies_in(value: str, directory: str) -> bool:
    paths = (value, value.partition("=")[2])  # where --map looks
    return any(path == directory or path.startswith(directory.rstrip("/") + "/") for path in paths)


def unit(options: Options, config: str, form: str, adapt: str = "") -> str:
    """A systemd unit that runs `config`, a path to a file of that form; to be adapted where it says so.

    adapt: what else is to be adapted, in one line.
    """
    return f"""\
# Adapt: User, WorkingDirectory (relative spooler directories are taken from it), the paths in ExecStart.
{_remark(adapt)}[Unit]
Description=uWSGI with spooler
After=network.target

[Service]
User=www-data
WorkingDirectory={UNIT_HOME}
ExecStart={UNIT_HOME}/venv/bin/uwsgi --{form} {config}
# {_why_signal(options)}
KillSignal={_signal(options)}
# uWSGI kills a running task at once when it stops; its file stays and runs again at the next start.
TimeoutStopSec=90
Restart=on-failure
Type=notify
NotifyAccess=all

[Install]
WantedBy=multi-user.target
"""


def container(options: Options, config: str, form: str, adapt: str = "") -> str:
    """A container file that runs `config`, a file name in the application's directory, of that form.

    adapt: what else is to be adapted, in one line.
    """
    volumes = [path for path, _ in options.spoolers]
    held = "".join(f"VOLUME {_volume(path)}\n" for path in dict.fromkeys(volumes))
    return f"""\
# Adapt: the version of Python, the requirements of the app.
{_remark(adapt)}FROM python:3.12-slim
RUN apt-get update && apt-get install -y --no-install-recommends build-essential && rm -rf /var/lib/apt/lists/*
{_install(options)}
WORKDIR {CONTAINER_HOME}
COPY . .
# The tasks live in these directories: without a volume they go with the container.
{held}# {_why_signal(options)}
STOPSIGNAL {_signal(options)}
CMD ["uwsgi", "--{form}", "{config}"]
"""


def _remark(text: str) -> str:
    return f"# Adapt: {text}\n" if text else ""


def _signal(options: Options) -> str:
    return "SIGTERM" if options.die_on_term else "SIGINT"


def _why_signal(options: Options) -> str:
    if options.die_on_term:
        return "die-on-term is set: SIGTERM stops uWSGI."
    return "die-on-term is not set: SIGTERM would reload uWSGI, SIGINT stops it."


def _install(options: Options) -> str:
    line = 'RUN pip install --no-cache-dir "uwsgi==2.0.31"'
    if options.uwsgi == "2.0":
        return line
    return f"# uWSGI 2.1 is not on PyPI: build it from its repository instead of this line.\n{line}"


def _volume(path: str) -> str:
    from json import dumps
    from posixpath import join, normpath

    return dumps([normpath(join(CONTAINER_HOME, path))])
