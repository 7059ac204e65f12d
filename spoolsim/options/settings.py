"""`Setting`: one option as it was given; `Options`: what all of them add up to."""

from __future__ import annotations

from spoolsim.options.policy import SAFER, UWSGI, Policy
from spoolsim.options.table import BY_NAME, OPTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


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


def policy_in(names: Iterable[str]) -> Policy:
    """The policy that these names of options ask for, before they are built."""
    return UWSGI if "faithful" in names else SAFER


def style_in(settings: Iterable[Setting]) -> str:
    """The `log-style` that these settings ask for, before they are built; one that is refused later is "auto"."""
    wanted = [str(setting.value) for setting in settings if setting.name == "log-style"]
    return wanted[-1] if wanted and wanted[-1] in BY_NAME["log-style"].choices else "auto"


#: field -> its value when nothing sets it
DEFAULTS: dict[str, object] = {option.field: option.default for option in OPTIONS if option.field}
DEFAULTS.update(preloads=(), opt={}, not_run=(), without_effect=(), mules=0, farms=(), unknown_ini=(), notes=())


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

    __slots__ = tuple(DEFAULTS)

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
    history_size: int
    history_locals: bool
    max_attempts: int
    max_retries: int
    retry_delay: float
    max_body: int
    durable: bool
    stop_grace: float
    log_style: str
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

    @property
    def policy(self) -> Policy:
        """What --faithful decides: `UWSGI` with it, else `SAFER`."""
        return UWSGI if self.faithful else SAFER

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
