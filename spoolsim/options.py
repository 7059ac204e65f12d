"""The one table of options: each declared once; command line, config readers, exporter and docs follow from it.

Pure, and on the start path: no clock, no file, no import but the errors.
"""

from __future__ import annotations

from spoolsim.errors import OptionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


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
        "Seconds between two looks at an idle directory.",
        aliases=("spooler-freq",),
        default=30,
        metavar="SECONDS",
        uwsgiconf="poll_interval",
    ),
    _O(
        "spooler-ordered",
        "flag",
        "ordered",
        "Run tasks in the order of their names, and those of priority directories first.",
        uwsgiconf="order_tasks",
    ),
    _O("spooler-quiet", "flag", "quiet", "Leave out the three log lines of each task.", uwsgiconf="quiet"),
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
        "Replace a process after it has handled this many tasks; 0 is never.",
        uwsgiconf="max_tasks",
    ),
    _O(
        "spooler-harakiri",
        "int",
        "harakiri",
        "Kill a process whose task takes longer than this; 0 is never.",
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
        "Have a process only while a directory holds tasks.",
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
        "Load a WSGI file (.py, .wsgi) or MODULE:CALLABLE at a mountpoint; each of them counts.",
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
    _O("uid", "str", "uid", "The user whom uWSGI runs as; spoolsim runs as you, and says so.", metavar="USER"),
    _O("gid", "str", "gid", "The group that uWSGI runs as; spoolsim runs as you, and says so.", metavar="GROUP"),
    _O("lazy-apps", "flag", "lazy_apps", "Load the app in each worker instead of the master.", aliases=("lazy",)),
    _O("master", "flag", "master", "Have a master process; a spooler option has one anyway."),
    _O("die-on-term", "flag", "die_on_term", "Stop, rather than reload, on SIGTERM."),
    _O("no-orphans", "flag", "no_orphans", "Kill the web workers of a dead master; spoolers end by themselves."),
    _O(
        "reload-mercy",
        "int",
        "reload_mercy",
        "Seconds that running work is given when the processes are reloaded.",
        default=60,
        metavar="SECONDS",
    ),
    _O("auto-procname", "flag", "auto_procname", "Name the processes in ps."),
    _O("procname-prefix", "str", "procname_prefix", "Text before the names of the processes in ps.", metavar="TEXT"),
    _O(
        "socket",
        "list",
        "sockets",
        "Take tasks over the network here; needs the stand-in worker.",
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
    _O("cache2", "list", "caches", "Have a cache: name=NAME,items=N[,blocksize=N].", metavar="SPEC"),
    _O("cache", "int", "cache_items", "Have a cache named default with this many items.", metavar="N"),
    _O(
        "cache-blocksize",
        "int",
        "cache_blocksize",
        "The largest value in the cache of --cache, in bytes.",
        default=65536,
        metavar="BYTES",
    ),
    _O("locks", "int", "locks", "Number of locks for uwsgi.lock() besides number 0.", metavar="N"),
    _O("enable-metrics", "flag", "metrics_enabled", "Have metrics."),
    _O("metric", "list", "metrics", "Have this metric: NAME, or name=NAME,initial_value=N.", metavar="SPEC"),
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
    _O("inline", "flag", "inline", "Run the tasks in this one process.", ours=True),
    _O(
        "inline-harakiri",
        "flag",
        "inline_harakiri",
        "Kill this one process, too, when a task takes longer than its harakiri.",
        ours=True,
    ),
    _O(
        "drain",
        "flag",
        "drain",
        "Run what is due and stop; the exit status tells whether something is left.",
        aliases=("burst",),
        ours=True,
    ),
    _O("stand-in-worker", "flag", "stand_in_worker", "Have a process that stands in for web worker 1.", ours=True),
    _O("faithful", "flag", "faithful", "Do exactly as uWSGI does, also where that loses tasks.", ours=True),
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
        "Rewrite paths that begin with FROM, in every option; may be given several times.",
        metavar="FROM=TO",
        ours=True,
    ),
    _O("silence", "codes", "silence", "Leave out production notes of these codes.", ours=True),
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
        "Look at watched source every second, where changes send no events (container mounts are recognised).",
        ours=True,
    ),
    _O(
        "not-emulated",
        "choice",
        "not_emulated",
        "What a function of `uwsgi` that is not emulated does when it is called.",
        choices=("raise", "warn"),
        default="raise",
        metavar="raise|warn",
        ours=True,
    ),
    _O("no-journal", "flag", "no_journal", "Keep no journal of outcomes.", ours=True),
    _O(
        "max-attempts",
        "int",
        "max_attempts",
        "Move a task to .spoolsim/failed/ after it has failed N times in a row.",
        metavar="N",
        ours=True,
    ),
    _O(
        "max-retries",
        "int",
        "max_retries",
        "The same after it has asked N times in a row to be kept: SPOOL_RETRY, SPOOL_IGNORE, @spoolforever.",
        metavar="N",
        ours=True,
    ),
    _O(
        "retry-delay",
        "seconds",
        "retry_delay",
        "Seconds before a task that is retried may run again.",
        default=0.0,
        ours=True,
    ),
    _O(
        "max-body",
        "int",
        "max_body",
        "Set a task aside whose file has more bytes; 0 for no limit.",
        metavar="BYTES",
        ours=True,
    ),
    _O("durable", "flag", "durable", "Sync each spool file to the disk before spool() returns.", ours=True),
    _O("log-json", "flag", "log_json", "Write the log as one JSON object a line.", ours=True),
)

#: every long name, aliases included -> its option
BY_NAME: dict[str, Option] = {name: option for option in OPTIONS for name in (option.name, *option.aliases)}

#: processes for each directory: more are a slip of the pen; uWSGI finds no memory for many more
MOST_PROCESSES = 1000

#: the words of a flag, in any case; any other is read as true
FALSE = frozenset(("false", "off", "no", "0"))
TRUE = frozenset(("", "true", "on", "yes", "1"))


class Setting:
    """One option as it was given.

    name: the long name in full, as written (an alias stays an alias: `uwsgi.opt` shows it so).
    value: the text, or True for a flag of the command line.
    source: "command line", "argument" (a bare file name there), "uwsgi.ini:3", "environment UWSGI_SPOOLER".
    role: "option"; "unknown" (a key that neither uWSGI nor spoolsim knows); "placeholder" (made by
        set-placeholder); "assigned" (made by set, and unknown).
    """

    __slots__ = ("name", "role", "source", "value")

    def __init__(self, name: str, value: str | bool, source: str = "command line", role: str = "option") -> None:
        self.name = name
        self.value = value
        self.source = source
        self.role = role

    def _key(self) -> tuple[str, str | bool, str, str]:
        return self.name, self.value, self.source, self.role

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, Setting) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"Setting{self._key()}"


class Options:
    """What a run is told to do. Built by `build`; compared by value; crosses processes as plain data.

    Each field carries the name of `Option.field`; these have more to say:

    spoolers: (path as typed, is external) in option order.
    processes_per_spooler: never below 1.
    frequency: seconds, as uWSGI's integer reading; 0 is a busy loop there.
    max_tasks, harakiri: 0 is off; harakiri and reload_mercy in seconds.
    preloads: (kind, value) in the order in which uWSGI loads them: every shared-import, every import, the last
        module, the last wsgi-file, every mount, as the module or the wsgi-file that it names. uWSGI leaves the file out
        when the module gave an app.
    sockets, web_sockets: not empty means that uWSGI has a web worker.
    mules, farms: how many mules, and the names of the farms, that uWSGI would start (`mule`, `mules`, `farm`).
    opt: what `uwsgi.opt` shows: the last value of each name, as typed (2.1: a list of all, if there are several);
        True for a flag of the command line.
    not_run: (name, source) of uWSGI's options that act on spoolers or on what they load, and do nothing here.
    without_effect: uWSGI's options without effect on spoolers, in order.
    unknown_ini: (key, source) of the keys in configuration files that uWSGI silently ignores.
    notes: (code of `spoolsim.diagnose`, detail) for each value that reads differently from how it looks.
    """

    __slots__ = (
        "aliases",
        "auto_procname",
        "buffer_size",
        "cache_blocksize",
        "cache_items",
        "caches",
        "callable",
        "chdir",
        "chdir_task",
        "cheap",
        "die_on_term",
        "drain",
        "durable",
        "early_envdirs",
        "env",
        "envdirs",
        "eval",
        "faithful",
        "farms",
        "frequency",
        "gid",
        "harakiri",
        "imports",
        "ini_paste",
        "inline",
        "inline_harakiri",
        "late_aliases",
        "lazy_apps",
        "limit_as",
        "locks",
        "log_json",
        "map",
        "master",
        "max_attempts",
        "max_body",
        "max_fd",
        "max_retries",
        "max_tasks",
        "metrics",
        "metrics_enabled",
        "modules",
        "mounts",
        "mules",
        "need_app",
        "no_journal",
        "no_orphans",
        "not_emulated",
        "not_run",
        "notes",
        "opt",
        "optimize",
        "ordered",
        "paste",
        "paste_logger",
        "preloads",
        "processes_per_spooler",
        "procname_prefix",
        "py_autoreload",
        "pyargv",
        "pyrun",
        "pythonpath",
        "quiet",
        "reload_mercy",
        "retry_delay",
        "shared_imports",
        "signal_as_task",
        "silence",
        "sockets",
        "spooler_imports",
        "spoolers",
        "stand_in_worker",
        "stats",
        "stats_http",
        "stop_grace",
        "strict",
        "touch_all",
        "touch_reload",
        "uid",
        "umask",
        "unknown_ini",
        "uwsgi",
        "virtualenv",
        "watch",
        "watch_polling",
        "web_processes",
        "web_sockets",
        "without_effect",
        "wsgi_files",
    )

    spoolers: tuple[tuple[str, bool], ...]
    processes_per_spooler: int
    frequency: int | float
    ordered: bool
    quiet: bool
    chdir_task: str | None
    max_tasks: int
    harakiri: int
    touch_reload: tuple[str, ...]
    cheap: bool
    signal_as_task: bool
    imports: tuple[str, ...]
    spooler_imports: tuple[str, ...]
    shared_imports: tuple[str, ...]
    modules: tuple[str, ...]
    wsgi_files: tuple[str, ...]
    mounts: tuple[str, ...]
    preloads: tuple[tuple[str, str], ...]
    pythonpath: tuple[str, ...]
    virtualenv: str | None
    chdir: str | None
    env: tuple[str, ...]
    lazy_apps: bool
    master: bool
    die_on_term: bool
    no_orphans: bool
    reload_mercy: int
    auto_procname: bool
    procname_prefix: str | None
    sockets: tuple[str, ...]
    web_processes: int
    web_sockets: tuple[str, ...]
    stats: str | None
    stats_http: bool
    caches: tuple[str, ...]
    cache_items: int
    cache_blocksize: int
    locks: int
    metrics: tuple[str, ...]
    metrics_enabled: bool
    py_autoreload: int
    strict: bool
    need_app: bool
    inline: bool
    inline_harakiri: bool
    drain: bool
    stand_in_worker: bool
    faithful: bool
    uwsgi: str
    map: tuple[str, ...]
    silence: tuple[str, ...]
    watch: tuple[str, ...]
    watch_polling: bool
    not_emulated: str
    no_journal: bool
    max_attempts: int
    max_retries: int
    retry_delay: float
    max_body: int
    durable: bool
    stop_grace: float
    log_json: bool
    opt: dict[str, bytes | bool | list[bytes | bool]]
    without_effect: tuple[str, ...]
    callable: str | None
    paste: str | None
    paste_logger: bool
    ini_paste: str | None
    eval: str | None
    pyrun: str | None
    pyargv: str | None
    aliases: tuple[str, ...]
    late_aliases: tuple[str, ...]
    optimize: int
    envdirs: tuple[str, ...]
    early_envdirs: tuple[str, ...]
    umask: str | None
    limit_as: int
    max_fd: int
    uid: str | None
    gid: str | None
    touch_all: tuple[str, ...]
    buffer_size: int
    not_run: tuple[tuple[str, str], ...]
    mules: int
    farms: tuple[str, ...]
    unknown_ini: tuple[tuple[str, str], ...]
    notes: tuple[tuple[str, str], ...]

    def __init__(self, **values: object) -> None:
        """Defaults, with `values` in their place. Raises TypeError for a name that is not a field."""
        for name, default in DEFAULTS.items():
            setattr(self, name, default)
        self.opt = {}
        for name, value in values.items():
            if name not in DEFAULTS:
                raise TypeError(f"Options has no field {name!r}")
            setattr(self, name, value)

    def replace(self, **values: object) -> Options:
        """A copy with some fields changed."""
        return Options(**{**self.to_plain(), **values})

    def to_plain(self) -> dict[str, object]:
        """All fields as builtins that `marshal` can carry."""
        return {name: getattr(self, name) for name in DEFAULTS}

    @classmethod
    def from_plain(cls, plain: dict[str, object]) -> Options:
        """The reverse of `to_plain`."""
        return cls(**plain)

    def __eq__(self, other: object) -> bool:
        return self.to_plain() == other.to_plain() if isinstance(other, Options) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # Python's own way to say: cannot be hashed

    def __repr__(self) -> str:
        set_fields = [f"{k}={v!r}" for k, v in self.to_plain().items() if k == "opt" or v != DEFAULTS[k]]
        return f"Options({', '.join(set_fields)})"


#: field -> its value when nothing sets it
DEFAULTS: dict[str, object] = {option.field: option.default for option in OPTIONS if option.field}
DEFAULTS.update(preloads=(), opt={}, not_run=(), without_effect=(), mules=0, farms=(), unknown_ini=(), notes=())


def atoi(text: str) -> int:
    """A number as uWSGI reads it: leading digits after blanks and a sign, 0 without any; wraps at 32 bits."""
    text = text.lstrip(" \t\n\v\f\r")
    end = 1 if text[:1] in ("+", "-") else 0
    while text[end : end + 1] in _DIGITS:
        end += 1
    digits = text[:end].lstrip("+-").lstrip("0")
    number = int(digits or "0") if len(digits) < 20 else 1 << 64
    number = max(-number, -(1 << 63)) if text[:1] == "-" else min(number, (1 << 63) - 1)
    return (number + (1 << 31)) % (1 << 32) - (1 << 31)


_DIGITS = frozenset("0123456789")


def truth(value: str | bool) -> bool:
    """A flag's value as uWSGI reads it: false, off, no (in any case) and 0 are off, everything else is on."""
    return value if isinstance(value, bool) else value.lower() not in FALSE


def refuse(message: str, exit_code: int = 2) -> OptionError:
    """An error to raise; exit code 1 goes with uWSGI's own line, 2 with ours."""
    error = OptionError(message)
    error.exit_code = exit_code
    return error


def build(settings: Iterable[Setting]) -> Options:
    """The options that `settings` add up to, in order.

    Raises OptionError, naming option, source, value and what is accepted; under --faithful with uWSGI's own line and
    exit code 1 where it has one.
    """
    settings = list(settings)
    options = Options()
    for setting in settings:  # these two decide how the others are read
        if setting.name in ("faithful", "uwsgi"):
            _apply(options, BY_NAME[setting.name], setting)
    absent = "2.1" if options.faithful and options.uwsgi == "2.0" else ""
    # uWSGI passes over the options more than once: an unknown one is refused if strict holds where it stands or at
    # the end.
    strict = truth(next((s.value for s in reversed(settings) if s.name == "strict"), False))
    explicit_master: bool | None = None
    sockets: list[tuple[str, str]] = []
    for setting in settings:
        option = BY_NAME.get(setting.name)
        if setting.role == "placeholder":
            option = None
        elif setting.role in ("unknown", "assigned") or (option is not None and option.since == absent):
            _unknown(options, setting, strict or options.strict)
            option = None
        elif option is None:
            _leave_out(options, setting)
            _count_mules(options, setting)
        elif option.name == "master":
            explicit_master = truth(setting.value)
        if option is not None:
            _apply(options, option, setting)
            if option.field == "sockets":
                sockets.append((setting.name, setting.source))
            elif option.field == "mounts" and mounted(str(setting.value)) is None:
                options.not_run += ((f"{setting.name} = {setting.value}", setting.source),)
            if option.since == "2.1" and options.uwsgi == "2.0":
                _note(options, "version-2.1", setting)
        if (option is None or not option.ours) and setting.source != "argument":
            _show(options, setting)
    # uWSGI turns the master on for a spooler, but lets an explicit false win wherever it stands.
    options.master = bool(options.spoolers) if explicit_master is None else explicit_master
    options.stand_in_worker = options.stand_in_worker or bool(options.pyrun)
    if not options.stand_in_worker:
        options.not_run += tuple(sockets)
    options.preloads = (
        *(("shared-import", name) for name in options.shared_imports),
        *(("import", name) for name in options.imports),
        *(("module", name) for name in options.modules[-1:]),
        *(("wsgi-file", name) for name in options.wsgi_files[-1:]),
        *(("paste", name) for name in (options.paste, options.ini_paste and f"config:{options.ini_paste}") if name),
        *(("eval", code) for code in (options.eval,) if code),
        *(app for mount in options.mounts if (app := mounted(mount)) is not None),
    )
    return options


def _leave_out(options: Options, setting: Setting) -> None:
    """An option that spoolsim does not act on: what is not run here is named at the start of a run."""
    from spoolsim.effects import ALWAYS, NOT_RUN

    if setting.name in NOT_RUN:
        options.not_run += ((setting.name, setting.source),)
    elif setting.name not in ALWAYS:
        options.without_effect += (setting.name,)


def _count_mules(options: Options, setting: Setting) -> None:
    """How many mules and which farms uWSGI would start: what signals may be sent to."""
    text = setting.value if isinstance(setting.value, str) else ""
    if setting.name == "mule":
        options.mules += 1
    elif setting.name == "mules":
        options.mules += max(atoi(text), 0)
    elif setting.name == "farm":
        options.farms += (text.partition(":")[0],)


def mounted(mount: str) -> tuple[str, str] | None:
    """What a `mount` loads, as an entry of `preloads`; None where it is nothing for Python, as in uWSGI."""
    app = mount.partition("=")[2]
    if app.endswith((".py", ".wsgi")):
        return "mount-file", app
    if ":" not in app:
        return None
    return ("paste" if app.endswith(".ini") else "mount"), app


def _show(options: Options, setting: Setting) -> None:
    """Put a setting into `opt`: uWSGI 2.0 keeps the last value of a name, 2.1 all of them in a list."""
    value = setting.value if isinstance(setting.value, bool) else setting.value.encode("utf-8", "surrogateescape")
    before = options.opt.get(setting.name)
    if before is not None and options.uwsgi == "2.1":
        options.opt[setting.name] = [*before, value] if isinstance(before, list) else [before, value]
    else:
        options.opt[setting.name] = value


def _unknown(options: Options, setting: Setting, strict: bool) -> None:
    if strict and options.faithful:
        raise refuse(f"[strict-mode] unknown config directive: {setting.name}", 1)
    if strict:
        raise refuse(
            f"{setting.name} ({setting.source}): uWSGI knows no such option, and strict makes it refuse to start"
        )
    if setting.role == "assigned":
        return
    if setting.source == "command line":
        raise refuse(f"uwsgi: unrecognized option '--{setting.name}'", 1)
    if not setting.source.startswith("environment UWSGI_"):
        options.unknown_ini += ((setting.name, setting.source),)


def _note(options: Options, code: str, setting: Setting, detail: str = "") -> None:
    given = setting.name if isinstance(setting.value, bool) else f"{setting.name} = {setting.value}"
    note = (code, f"{given} ({setting.source}){detail}")
    if note not in options.notes:
        options.notes += (note,)


def _apply(options: Options, option: Option, setting: Setting) -> None:
    field, value = option.field, setting.value
    if field is None:
        return
    if option.kind == "config":
        options.ini_paste = str(value)
        options.paste_logger = options.paste_logger or setting.name == "ini-paste-logged"
        return
    if option.kind == "flag":
        if isinstance(value, str) and value.lower() not in FALSE and value.lower() not in TRUE:
            _note(options, "option-value", setting, " is on")
        setattr(options, field, truth(value))
        return
    text = "" if isinstance(value, bool) else value
    if option.kind == "int":
        setattr(options, field, _int(options, option, setting, text))
    elif option.kind == "list":
        if option.name == "env" and text.startswith("=") and not options.faithful:
            raise refuse(f"env ({setting.source}): {text!r} names no variable; write KEY=VALUE, or KEY to unset it")
        if option.name == "mount" and "=" not in text:
            if options.faithful:
                raise refuse(f"invalid mountpoint: {text}", 1)
            raise refuse(f"mount ({setting.source}): {text!r} names no mountpoint; write /PATH=APP")
        setattr(options, field, (*getattr(options, field), text))
    elif option.kind == "spooler":
        options.spoolers += ((text, option.name == "spooler-external"),)
    elif option.kind == "codes":
        codes = [code.strip() for code in text.split(",")]
        setattr(options, field, (*getattr(options, field), *(code for code in codes if code)))
    elif option.kind == "choice":
        if text not in option.choices:
            raise refuse(f"{option.name} ({setting.source}): {text!r} is not one of {', '.join(option.choices)}")
        setattr(options, field, text)
    elif option.kind == "seconds":
        setattr(options, field, _seconds(option, setting, text))
    else:
        if field == "umask":
            _check_umask(options, setting, text)
        elif field in ("uid", "gid"):
            _note(options, "other-user", setting)
        setattr(options, field, text)


def umask_of(text: str) -> int:
    """A umask as uWSGI reads it: three octal digits, or the last three of four; 0 for a shorter text."""
    if len(text) < 3:
        return 0
    mask = 0
    for digit in text[:3] if len(text) == 3 else text[1:4]:
        mask = (mask << 3) + ord(digit) - ord("0")
    return mask & 0o777


def _check_umask(options: Options, setting: Setting, text: str) -> None:
    read = umask_of(text)
    if len(text) not in (3, 4) or f"{read:04o}" != text.rjust(4, "0"):
        _note(options, "option-value", setting, f" is read as {read:03o}")


def _int(options: Options, option: Option, setting: Setting, text: str) -> int:
    if option.ours:  # nobody but us reads it: nothing is to be matched
        if not _DIGITS.issuperset(text.strip() or "-"):
            raise refuse(f"{option.name} ({setting.source}): {text!r} is not a whole number, 0 or more")
        return int(text)
    number = atoi(text)
    if number < 0:
        raise _bad_number(options, setting, "a whole number, 0 or more")
    if option.field == "frequency" and number == 0:
        _note(options, "frequency-zero", setting, "" if text.strip() == "0" else " is read as 0")
    elif text.strip().lstrip("+").lstrip("0") != (str(number) if number else ""):
        _note(options, "option-value", setting, f" is read as {number}")
    if option.field == "buffer_size":
        return min(number, 65535)
    if option.field == "processes_per_spooler":
        if number > MOST_PROCESSES and not options.faithful:
            raise _bad_number(options, setting, f"at most {MOST_PROCESSES} processes")
        return max(number, 1)
    return number


def _bad_number(options: Options, setting: Setting, expected: str) -> OptionError:
    if options.faithful:
        return refuse(f'invalid value for option "{setting.name}": must be > 0', 1)
    return refuse(f"{setting.name} = {setting.value} ({setting.source}): expected {expected}")


def _seconds(option: Option, setting: Setting, text: str) -> float:
    try:
        number = float(text)
        if 0 <= number < float("inf"):
            return number
    except ValueError:
        pass
    raise refuse(f"{option.name} ({setting.source}): {text!r} is not a number of seconds, 0 or more")
