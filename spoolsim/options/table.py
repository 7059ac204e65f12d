"""The one table of options: each declared once; command line, config readers, exporter and docs follow from it.

Pure, and on the start path: no clock, no file.
"""

from __future__ import annotations


class Option:
    """One option.

    name: uWSGI's long name; aliases: its other long names.
    kind: how the value is read: "flag", "int" (as C's atoi), "str" (the last one counts), "list" (all count),
        "spooler" (a directory), "seconds" (a float), "choice", "codes" (names separated by commas),
        "config" (a file whose settings take its place), "placeholder" (k=v).
    field: the attribute of `Options` that it sets, or None.
    argument: "required", "optional" (only as --name=value) or "none".
    default: the value of the field without the option.
    since: the first uWSGI that has it, "2.0" or "2.1".
    ours: spoolsim's own; uWSGI lacks it.
    uwsgiconf: its parameter in uwsgiconf's Spooler section, or None.
    help: one sentence; metavar: the name of the argument in help.
    """

    __slots__ = (
        "aliases",
        "argument",
        "choices",
        "default",
        "field",
        "help",
        "kind",
        "metavar",
        "name",
        "ours",
        "since",
        "uwsgiconf",
    )

    name: str
    ours: bool
    since: str

    def __init__(
        self,
        name: str,
        kind: str,
        field: str | None,
        help: str,
        *,
        aliases: tuple[str, ...] = (),
        argument: str = "",
        choices: tuple[str, ...] = (),
        default: object = None,
        metavar: str = "",
        ours: bool = False,
        since: str = "2.0",
        uwsgiconf: str | None = None,
    ) -> None:
        self.name = name
        self.kind = kind
        self.field = field
        self.help = help
        self.aliases = aliases
        self.argument = argument or ("none" if kind == "flag" else "required")
        self.choices = choices
        self.default = _NOTHING.get(kind) if default is None else default
        self.metavar = metavar or _METAVARS.get(kind, "")
        self.ours = ours
        self.since = since
        self.uwsgiconf = uwsgiconf

    def __repr__(self) -> str:
        return f"Option({self.name!r})"


_NOTHING: dict[str, object] = {"flag": False, "int": 0, "list": (), "spooler": (), "codes": ()}
_METAVARS = {
    "int": "N",
    "seconds": "SECONDS",
    "spooler": "DIR",
    "config": "FILE",
    "placeholder": "KEY=VALUE",
    "str": "VALUE",
    "list": "VALUE",
    "codes": "CODE,...",
}
_O = Option

#: Every option that spoolsim acts on, in the order of the help.
OPTIONS: tuple[Option, ...] = (
    _O("spooler", "spooler", "spoolers", "Serve this directory; may be given several times.", uwsgiconf="work_dir"),
    _O(
        "spooler-external",
        "spooler",
        "spoolers",
        "Allow tasks to be put into this directory, which another instance serves.",
    ),
    _O(
        "spooler-processes",
        "int",
        "processes_per_spooler",
        "Number of processes for each directory; 0 is read as 1.",
        default=1,
        uwsgiconf="process_count",
    ),
    _O(
        "spooler-frequency",
        "int",
        "frequency",
        "Seconds between two polls of an idle directory.",
        aliases=("spooler-freq",),
        default=30,
        metavar="SECONDS",
        uwsgiconf="poll_interval",
    ),
    _O(
        "spooler-ordered",
        "flag",
        "ordered",
        "Run tasks in the order of their names, those in priority directories first.",
        uwsgiconf="order_tasks",
    ),
    _O("spooler-quiet", "flag", "quiet", "Do not log the three lines of each task.", uwsgiconf="quiet"),
    _O(
        "spooler-chdir",
        "str",
        "chdir_task",
        "Change to this directory before each task; a relative one is taken from the task's directory.",
        metavar="DIR",
        uwsgiconf="change_dir",
    ),
    _O(
        "spooler-max-tasks",
        "int",
        "max_tasks",
        "Replace a process after this many tasks; 0 means never.",
        uwsgiconf="max_tasks",
    ),
    _O(
        "spooler-harakiri",
        "int",
        "harakiri",
        "Kill a process whose task takes longer than this; 0 means never.",
        metavar="SECONDS",
        uwsgiconf="harakiri",
    ),
    _O(
        "touch-spoolers-reload",
        "list",
        "touch_reload",
        "Restart the spooler processes when this file is touched.",
        metavar="FILE",
        uwsgiconf="touch_reload",
    ),
    _O("touch-reload", "list", "touch_all", "Reload everything when this file is touched.", metavar="FILE"),
    _O(
        "spooler-cheap",
        "flag",
        "cheap",
        "Run a process only while the directory holds tasks.",
        since="2.1",
        uwsgiconf="cheap",
    ),
    _O(
        "spooler-signal-as-task",
        "flag",
        "signal_as_task",
        "Count a handled uwsgi signal as a task for spooler-max-tasks.",
        since="2.1",
        uwsgiconf="signal_as_task",
    ),
    _O(
        "import",
        "list",
        "imports",
        "Import a module or a .py file before the spoolers start.",
        aliases=("pyimport", "py-import", "python-import"),
        metavar="MODULE",
    ),
    _O(
        "spooler-import",
        "list",
        "spooler_imports",
        "Import a module or a .py file in each spooler process.",
        aliases=("spooler-pyimport", "spooler-py-import", "spooler-python-import"),
        metavar="MODULE",
    ),
    _O(
        "shared-import",
        "list",
        "shared_imports",
        "Import a module or a .py file in the master, with lazy-apps too.",
        aliases=("shared-pyimport", "shared-py-import", "shared-python-import"),
        metavar="MODULE",
    ),
    _O(
        "module",
        "list",
        "modules",
        "Load a WSGI module, MODULE or MODULE:CALLABLE; the last one counts.",
        aliases=("wsgi",),
        metavar="MODULE",
    ),
    _O(
        "wsgi-file",
        "list",
        "wsgi_files",
        "Load a WSGI file; the last one counts.",
        aliases=("file",),
        metavar="FILE",
    ),
    _O(
        "callable",
        "str",
        "callable",
        "The name of the app in the WSGI module or file, instead of application.",
        metavar="NAME",
    ),
    _O("paste", "str", "paste", "Load an app with paste.deploy.", metavar="config:FILE"),
    _O("paste-logger", "flag", "paste_logger", "Set up logging from the file of --paste."),
    _O("eval", "str", "eval", "Load the app from this Python code.", metavar="CODE"),
    _O(
        "mount",
        "list",
        "mounts",
        "Load a WSGI file (.py, .wsgi) or MODULE:CALLABLE at a mountpoint; may be given several times.",
        aliases=("worker-mount",),
        metavar="/PATH=APP",
    ),
    _O(
        "pyrun",
        "str",
        "pyrun",
        "Run a script in the stand-in worker, and stop when it ends.",
        aliases=("py", "python"),
        metavar="FILE",
    ),
    _O("pyargv", "str", "pyargv", "Arguments for sys.argv, separated by blanks.", metavar="WORDS"),
    _O(
        "pymodule-alias",
        "list",
        "aliases",
        "Make a module or a .py file (with a / in its path) importable as NAME, before anything is imported.",
        metavar="NAME=MODULE",
    ),
    _O(
        "post-pymodule-alias",
        "list",
        "late_aliases",
        "The same, after the modules of --import.",
        metavar="NAME=MODULE",
    ),
    _O(
        "pythonpath",
        "list",
        "pythonpath",
        "Add a directory, or the matches of a pattern, to sys.path.",
        aliases=("python-path", "pp"),
        metavar="DIR",
    ),
    _O(
        "virtualenv",
        "str",
        "virtualenv",
        "Import packages from this virtual environment; it needs the Python version that runs spoolsim.",
        aliases=("venv", "home", "pyhome"),
        metavar="DIR",
    ),
    _O(
        "optimize",
        "int",
        "optimize",
        "Python's optimization level: 1 drops assert statements, 2 docstrings as well.",
        metavar="LEVEL",
    ),
    _O("chdir", "str", "chdir", "Change to this directory before the app is loaded.", metavar="DIR"),
    _O("env", "list", "env", "Set an environment variable.", metavar="KEY=VALUE"),
    _O("unenv", "list", "env", "Unset an environment variable.", metavar="KEY"),
    _O("envdir", "list", "envdirs", "Set a variable from each file of a directory, after --env.", metavar="DIR"),
    _O("early-envdir", "list", "early_envdirs", "The same, before --env.", metavar="DIR"),
    _O("umask", "str", "umask", "File mode creation mask, in octal.", metavar="MASK"),
    _O("limit-as", "int", "limit_as", "Limit the address space of each process, in MiB.", metavar="MIB"),
    _O("max-fd", "int", "max_fd", "Limit the open file descriptors of each process.", metavar="N"),
    _O("uid", "str", "uid", "The user that uWSGI runs as; spoolsim runs as you, and warns about it.", metavar="USER"),
    _O("gid", "str", "gid", "The group that uWSGI runs as; spoolsim runs as you, and warns about it.", metavar="GROUP"),
    _O("lazy-apps", "flag", "lazy_apps", "Load the app in each worker instead of the master.", aliases=("lazy",)),
    _O("master", "flag", "master", "Run a master process; with a spooler option there is one anyway."),
    _O("die-on-term", "flag", "die_on_term", "Stop, rather than reload, on SIGTERM."),
    _O("no-orphans", "flag", "no_orphans", "Kill the web workers when the master dies; spoolers end by themselves."),
    _O(
        "reload-mercy",
        "int",
        "reload_mercy",
        "Seconds that running tasks get to finish at a reload.",
        default=60,
        metavar="SECONDS",
    ),
    _O("auto-procname", "flag", "auto_procname", "Give the processes names in ps."),
    _O("procname-prefix", "str", "procname_prefix", "Text before the process names in ps.", metavar="TEXT"),
    _O(
        "socket",
        "list",
        "sockets",
        "Take tasks over the network at this address; needs --stand-in-worker.",
        aliases=("uwsgi-socket",),
        metavar="ADDRESS",
    ),
    _O(
        "http-socket",
        "list",
        "web_sockets",
        "A socket of a web worker; spoolsim serves no web requests.",
        aliases=(
            "suwsgi-socket",
            "ssl-socket",
            "http11-socket",
            "https-socket",
            "fastcgi-socket",
            "fastcgi-nph-socket",
            "scgi-socket",
            "scgi-nph-socket",
            "raw-socket",
            "puwsgi-socket",
            "http",
            "https",
            "https2",
            "httprouter",
        ),
        metavar="ADDRESS",
    ),
    _O(
        "buffer-size",
        "int",
        "buffer_size",
        "The largest request that --socket takes, in bytes.",
        default=4096,
        metavar="BYTES",
    ),
    _O(
        "processes",
        "int",
        "web_processes",
        "Number of web workers; spoolsim serves no web requests.",
        aliases=("workers",),
        default=1,
    ),
    _O(
        "stats",
        "str",
        "stats",
        "Serve statistics as JSON at this address.",
        aliases=("stats-server",),
        metavar="ADDRESS",
    ),
    _O(
        "py-autoreload",
        "int",
        "py_autoreload",
        "Reload when the source of a module that the app imported changes (installed packages are left out).",
        aliases=("py-auto-reload", "python-autoreload", "python-auto-reload"),
        metavar="SECONDS",
    ),
    _O("cache2", "list", "caches", "Create a cache: name=NAME,items=N[,blocksize=N].", metavar="SPEC"),
    _O("cache", "int", "cache_items", "Create a cache named default with this many items.", metavar="N"),
    _O(
        "cache-blocksize",
        "int",
        "cache_blocksize",
        "The largest value in the cache of --cache, in bytes.",
        default=65536,
        metavar="BYTES",
    ),
    _O("locks", "int", "locks", "Number of locks for uwsgi.lock(), besides lock 0.", metavar="N"),
    _O("enable-metrics", "flag", "metrics_enabled", "Turn metrics on."),
    _O("metric", "list", "metrics", "Create this metric: NAME, or name=NAME,initial_value=N.", metavar="SPEC"),
    _O("stats-http", "flag", "stats_http", "Send an HTTP header before the statistics."),
    _O("strict", "flag", "strict", "Refuse a configuration file with a key that uWSGI does not know."),
    _O("need-app", "flag", "need_app", "Refuse to start when no app could be loaded.", argument="optional"),
    _O("ini", "config", None, "Read settings from an ini file, FILE or FILE:SECTION."),
    _O("yaml", "config", None, "Read settings from a yaml file.", aliases=("yml",)),
    _O("json", "config", None, "Read settings from a json file.", aliases=("js",)),
    _O("xml", "config", None, "Read settings from an xml file.", aliases=("xmlconfig",)),
    _O("ini-paste", "config", "ini_paste", "Read settings from an ini file, and load its app with paste.deploy."),
    _O("ini-paste-logged", "config", "ini_paste", "The same, and set up logging from the file."),
    _O("include", "config", None, "Read settings from a file of any format."),
    _O("inherit", "config", None, "Read settings from a file of any format, after all others."),
    _O("set", "placeholder", None, "Set a placeholder or an option."),
    _O("set-placeholder", "placeholder", None, "Set a placeholder.", aliases=("set-ph",)),
    # Ours: names that uWSGI lacks.
    _O(
        "inline",
        "flag",
        "inline",
        "Run the tasks in one process, this one, in the foreground; breakpoint() works in a task.",
        ours=True,
    ),
    _O(
        "inline-harakiri",
        "flag",
        "inline_harakiri",
        "With --inline, kill this process when a task takes longer than its harakiri.",
        ours=True,
    ),
    _O(
        "drain",
        "flag",
        "drain",
        "Run what is due, then stop; exit status 1 if a due task is left.",
        aliases=("burst",),
        ours=True,
    ),
    _O("stand-in-worker", "flag", "stand_in_worker", "Run a process that stands in for web worker 1.", ours=True),
    _O("faithful", "flag", "faithful", "Do exactly what uWSGI does, even where that loses tasks.", ours=True),
    _O(
        "uwsgi",
        "choice",
        "uwsgi",
        "The uWSGI that is emulated.",
        choices=("2.0", "2.1"),
        default="2.0",
        metavar="2.0|2.1",
        ours=True,
    ),
    _O(
        "map",
        "list",
        "map",
        "Rewrite paths that begin with FROM, in all options; may be given several times.",
        metavar="FROM=TO",
        ours=True,
    ),
    _O("silence", "codes", "silence", "Do not log the production notes with these codes.", ours=True),
    _O(
        "stop-grace",
        "seconds",
        "stop_grace",
        "Seconds that running tasks may take to finish after the first SIGINT or SIGTERM.",
        default=8.0,
        ours=True,
    ),
    _O("watch", "list", "watch", "Reload when Python source under this path changes.", metavar="PATH", ours=True),
    _O(
        "watch-polling",
        "flag",
        "watch_polling",
        "Check watched files every second, for file systems without change events (container mounts are detected).",
        ours=True,
    ),
    _O(
        "not-emulated",
        "choice",
        "not_emulated",
        "What calling an unemulated uwsgi function does: raise NotEmulated, or warn once and return None.",
        choices=("raise", "warn"),
        default="raise",
        metavar="raise|warn",
        ours=True,
    ),
    _O("no-journal", "flag", "no_journal", "Record no attempts: neither journal nor history.", ours=True),
    _O(
        "history-size",
        "int",
        "history_size",
        "Bytes of history to keep per spool directory (what past tasks held, printed, raised); 0 turns it off.",
        default=67_108_864,
        metavar="BYTES",
        ours=True,
    ),
    _O(
        "history-locals",
        "flag",
        "history_locals",
        "When a task raises, record the values of local variables too, not only their names.",
        ours=True,
    ),
    _O(
        "max-attempts",
        "int",
        "max_attempts",
        "Move a task to .spoolsim/failed/ after N failed attempts in a row.",
        metavar="N",
        ours=True,
    ),
    _O(
        "max-retries",
        "int",
        "max_retries",
        "The same after N attempts in a row that returned SPOOL_RETRY or SPOOL_IGNORE, or of @spoolforever.",
        metavar="N",
        ours=True,
    ),
    _O(
        "retry-delay",
        "seconds",
        "retry_delay",
        "Seconds to wait before a failed task runs again.",
        default=0.0,
        ours=True,
    ),
    _O(
        "max-body",
        "int",
        "max_body",
        "Quarantine tasks larger than this many bytes; 0 means no limit.",
        metavar="BYTES",
        ours=True,
    ),
    _O("durable", "flag", "durable", "Sync each spool file to the disk before spool() returns.", ours=True),
    _O(
        "log-style",
        "choice",
        "log_style",
        "Log for people (pretty), as uWSGI does, or one JSON object per line; auto is pretty on a terminal.",
        choices=("auto", "pretty", "uwsgi", "json"),
        default="auto",
        metavar="auto|pretty|uwsgi|json",
        ours=True,
    ),
)

#: every long name, aliases included -> its option
BY_NAME: dict[str, Option] = {name: option for option in OPTIONS for name in (option.name, *option.aliases)}

#: processes for each directory: more are a slip of the pen; uWSGI finds no memory for many more
MOST_PROCESSES = 1000

#: the words of a flag, in any case; any other is read as true
FALSE = frozenset(("false", "off", "no", "0"))
TRUE = frozenset(("", "true", "on", "yes", "1"))
