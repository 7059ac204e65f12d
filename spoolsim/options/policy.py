"""Where spoolsim is safer than uWSGI: one table, each row a named field that the code asks.

`SAFER` is the default: every field is true. `UWSGI` is --faithful: every field is false. Nothing else asks for
--faithful. `spoolsim help differences` is made from the rows; a real uWSGI stages each of them (tests/oracle).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NoReturn, overload


class Difference:
    """One row of the page, and the field that decides it.

    what: the situation. uwsgi, spoolsim: what each does in it, in the words of the page.
    note: the code of the production note that says so; "" without one.
    """

    name: str

    def __init__(self, what: str, *, uwsgi: str, spoolsim: str, note: str = "") -> None:
        self.what = what
        self.uwsgi = uwsgi
        self.spoolsim = spoolsim
        self.note = note

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    if TYPE_CHECKING:  # of a policy the value, of the class the row

        @overload
        def __get__(self, policy: None, owner: type) -> Difference: ...
        @overload
        def __get__(self, policy: Policy, owner: type) -> bool: ...
        def __get__(self, policy: Policy | None, owner: type) -> Difference | bool: ...


_D = Difference


class Policy:
    """What spoolsim does where it may differ from uWSGI: a bool for each row. Frozen; compared by identity."""

    quarantines_broken = _D(
        "a broken spool file",
        uwsgi="deletes it without running it",
        spoolsim="moves it to `.spoolsim/broken/`, with the reason in a `.why` file",
        note="broken-file",
    )
    wakes_while_busy = _D(
        "a task enqueued while the spooler is busy",
        uwsgi="waits for the next poll, up to `spooler-frequency`",
        spoolsim="runs it when the running task ends",
        note="busy-wait",
    )
    watches_directory = _D(
        "a file that another program puts into the directory",
        uwsgi="waits for the next poll",
        spoolsim="runs it at once",
    )
    keeps_state = _D(
        "`.spoolsim/` in a spool directory",
        uwsgi="writes nothing but tasks",
        spoolsim="keeps its journal there, and what it has set aside",
    )
    refuses_long_values = _D(
        "a variable of 64 KiB or more",
        uwsgi="silently cuts it to its length modulo 65536",
        spoolsim="refuses it",
        note="value-cut",
    )
    confines_priorities = _D(
        "a `priority` with a path in it",
        uwsgi="follows it out of the spool directory",
        spoolsim="refuses it",
        note="priority-path",
    )
    refuses_empty_call = _D(
        "`spool(**{})`",
        uwsgi="accepts it as an empty task",
        spoolsim="refuses it, as `spool()` is refused",
        note="empty-call",
    )
    keeps_lock = _D(
        "a handler that opens and closes its own task file",
        uwsgi="loses the lock; another process runs the task, too",
        spoolsim="keeps the lock",
    )
    survives_removed_file = _D(
        "a handler that removes its own task file",
        uwsgi="the spooler process dies",
        spoolsim="continues",
        note="own-file-removed",
    )
    keeps_replacing_file = _D(
        "another task moved to the name of the running one",
        uwsgi="deletes the new task without running it",
        spoolsim="keeps it and runs it",
        note="own-file-replaced",
    )
    retries_overflow = _D(
        "a handler that returns an int too large for a C long",
        uwsgi="fails the next task instead",
        spoolsim="retries this task",
        note="return-overflow",
    )
    survives_stray_errors = _D(
        "an exception that a signal handler of the app raises between two tasks",
        uwsgi="raises it in the next task",
        spoolsim="logs it and continues (with `--faithful` the spooler ends)",
    )
    postpones_deadly_tasks = _D(
        "a task whose spooler dies again and again",
        uwsgi="runs it again at once, every time",
        spoolsim="names it each time; from the third death on it waits 2 s, then longer, up to 5 minutes",
        note="poison-task",
    )
    shares_tries = _D(
        "several processes of an ordered directory",
        uwsgi="each tries every file",
        spoolsim="each leaves out the files that another has just tried",
    )
    refuses_long_pickles = _D(
        "pickled arguments of 64 KiB or more",
        uwsgi="cuts them; the task fails at every scan",
        spoolsim="refuses the call",
        note="pickle-cut",
    )
    pauses_between_polls = _D(
        "`spooler-frequency = 0`",
        uwsgi="polls without a pause",
        spoolsim="pauses 0.1 s between polls",
        note="frequency-zero",
    )
    makes_paths_absolute = _D(
        "`.` and `''` on `sys.path`",
        uwsgi="an import in a task also finds files in the spool directory",
        spoolsim="only the start directory, as an absolute path",
        note="late-import",
    )
    finishes_tasks_on_stop = _D(
        "SIGINT, or SIGTERM with `die-on-term`",
        uwsgi="kills running tasks",
        spoolsim="lets them finish for up to `--stop-grace` (8 s); the second signal ends at once",
        note="graceful-stop",
    )
    stops_on_sigterm = _D(
        "SIGTERM without `die-on-term`",
        uwsgi="kills the tasks and starts everything again",
        spoolsim="stops, as above",
        note="sigterm",
    )
    stops_when_asked = _D(
        "`uwsgi.stop()`, or SIGQUIT, with `die-on-term`",
        uwsgi="kills the tasks and starts everything again",
        spoolsim="stops, as above",
        note="stop-reloads",
    )
    runs_atexit = _D(
        "atexit functions of a spooler when the instance stops or reloads",
        uwsgi="never run: the process is killed",
        spoolsim="run",
        note="atexit-skipped",
    )
    finishes_tasks_on_reload = _D(
        "a reload by SIGHUP, `uwsgi.reload()` or a touch",
        uwsgi="kills running tasks",
        spoolsim="lets them finish within `reload-mercy`",
        note="graceful-reload",
    )
    reload_imports_anew = _D(
        "a touch of `touch-spoolers-reload`",
        uwsgi="imports only the `spooler-import` modules again",
        spoolsim="imports the whole app again",
        note="fresh-code",
    )
    keeps_timers_on_reload = _D(
        "SIGHUP, `uwsgi.reload()` and timers, crons, waiting signals, `set_spooler_frequency`",
        uwsgi="starts all of them again: crons and rb timers fire at once, signals are lost",
        spoolsim="keeps them, if they are registered again",
    )
    counts_timers_once = _D(
        "a timer that a web worker registers, and registers again after its death",
        uwsgi="has it twice",
        spoolsim="has it once",
    )
    monitors_paths = _D(
        "a file monitor whose file appears later, or is replaced",
        uwsgi="watches the file that was there at the start, and nothing else",
        spoolsim="watches the path",
    )
    notices_every_touch = _D(
        "a touched file whose time goes backwards",
        uwsgi="does not reload",
        spoolsim="reloads, as for any change of it",
    )
    reloads_without_worker = _D(
        "`py-autoreload` without a web worker",
        uwsgi="never reloads",
        spoolsim="reloads",
        note="autoreload-no-worker",
    )
    limits_reload_import = _D(
        "an import that hangs during a reload",
        uwsgi="hangs with it, without a spooler",
        spoolsim="gives up after 60 s (5 s if touched again), or three times the previous import time if longer",
    )
    explains_targets = _D(
        "a signal target that does not exist in this configuration",
        uwsgi="logs a line each time it is raised, for most targets",
        spoolsim="logs the same line, and a note when it is registered",
        note="signal-target",
    )
    serves_without_master = _D(
        "`master = false` beside a spooler",
        uwsgi="starts the spooler, which never runs a task",
        spoolsim="serves it",
        note="no-master",
    )
    respawn_pause = _D(
        "a spooler that dies again and again",
        uwsgi="restarts it at once, every time",
        spoolsim="restarts it at once three times, then with growing pauses up to 10 s",
        note="crash-loop",
    )
    notices_deaths_at_once = _D(
        "any other death of a spooler",
        uwsgi="notices it within a second",
        spoolsim="notices it at once",
    )
    ends_with_master = _D(
        "a master that is killed while a spooler imports or scans",
        uwsgi="the spooler ends when its scan is through",
        spoolsim="the spooler ends at once, or after its running task",
    )
    harakiri_at_deadline = _D(
        "harakiri",
        uwsgi="strikes 0.8 to 2.5 s after the deadline",
        spoolsim="strikes at the deadline",
    )
    waits_for_directory = _D(
        "the spool directory removed while it is served",
        uwsgi="exits and restarts in a loop",
        spoolsim="waits for it",
        note="directory-gone",
    )
    refuses_failed_imports = _D(
        "a module that cannot be imported at the start",
        uwsgi="starts without it",
        spoolsim="does not start, exit status 1",
        note="import-failed",
    )
    refuses_signal_numbers = _D(
        "a signal number above 255",
        uwsgi="wraps it modulo 256",
        spoolsim="raises ValueError",
        note="signal-number",
    )
    ignores_ctrl_c = _D(
        "Ctrl-C, which the whole process group gets",
        uwsgi="ends spoolers in the middle of their task",
        spoolsim="only the master acts on it",
    )
    keeps_first_descriptor = _D(
        "the first file or socket that `spooler-import` or a post-fork hook opens",
        uwsgi="may be replaced by `/dev/null`, if it got descriptor 0",
        spoolsim="always stays open",
        note="descriptor-zero",
    )
    spawns_for_due_tasks = _D(
        "`spooler-cheap` (2.1)",
        uwsgi="future files start a process; priority directories never do",
        spoolsim="due tasks start one, including those with a priority or a time",
    )
    keeps_own_directory = _D(
        "the working directory of a task under `--inline`",
        uwsgi="the spool directory",
        spoolsim="that of the program",
        note="inline-cwd",
    )
    caches_unconfigured = _D(
        "`uwsgi.cache_*()` without a cache in the configuration",
        uwsgi="does nothing",
        spoolsim="has a cache without limits",
        note="no-cache",
    )
    measures_unconfigured = _D(
        "`uwsgi.metric_*()` without `enable-metrics`",
        uwsgi="does nothing",
        spoolsim="has every metric that is named",
        note="no-metrics",
    )
    extends_stats = _D(
        "the statistics of `stats`",
        uwsgi="its own keys",
        spoolsim="the same, and one more, `spoolsim`",
    )
    explains = _D(
        "the log",
        uwsgi="its own lines",
        spoolsim="the same lines, with lines of spoolsim's own and production notes among them",
    )
    writes_for_people = _D(
        "the log on a terminal",
        uwsgi="as in a file",
        spoolsim="one aligned line for each thing that happens to a task; `--log-style=uwsgi` gives uWSGI's lines",
    )
    folds_tracebacks = _D(
        "the same traceback again",
        uwsgi="prints it in full",
        spoolsim="prints one line",
    )
    explains_errors = _D(
        "an option or a configuration file that uWSGI refuses",
        uwsgi="logs a line, exit status 1",
        spoolsim="says where it was given and what is accepted, exit status 2",
    )
    refuses_unread_settings = _D(
        "a configuration file that uWSGI silently reads in part, or not at all",
        uwsgi="starts with what it has read",
        spoolsim="refuses it, exit status 2",
    )
    takes_sections = _D(
        "`FILE:SECTION` without an option such as `--ini`, or in `include`",
        uwsgi="refuses it",
        spoolsim="reads that section",
    )
    set_wins = _D(
        "`--set` and a bare file that sets the same option",
        uwsgi="takes the value of the file",
        spoolsim="takes the value of `--set`",
    )
    knows_later_options = _D(
        "an option of uWSGI 2.1",
        uwsgi="2.0 refuses it on the command line and ignores it in a file",
        spoolsim="accepts it",
        note="version-2.1",
    )
    needs_configuration = _D(
        "a start without a spooler and a configuration file",
        uwsgi="starts, without a spooler",
        spoolsim="does not start, exit status 2",
    )

    def __init__(self, safer: bool) -> None:
        # found before the rows, as those are no data descriptors: reading a field costs no call
        self.__dict__.update(dict.fromkeys((row.name for row in rows()), safer))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a policy is frozen: {name} cannot be set")


def rows() -> Iterator[Difference]:
    """The rows, in the order of the page."""
    return (row for row in vars(Policy).values() if isinstance(row, Difference))


SAFER = Policy(True)
UWSGI = Policy(False)

#: where --faithful changes nothing
ALWAYS = (
    _D("`sys.executable`", uwsgi="the uwsgi binary", spoolsim="the Python interpreter"),
    _D(
        "the parent of a spooler, `uwsgi.masterpid()`",
        uwsgi="the master",
        spoolsim="the fork server, which imported the app; signals sent to it reach the master",
    ),
    _D(
        "web workers, mules, farms, sockets",
        uwsgi="started, if configured",
        spoolsim="not emulated; `--stand-in-worker` gives one process that stands in for web worker 1, the mules and "
        "the farms",
        note="no-worker",
    ),
    _D(
        "large tasks, and tasks with `at`",
        uwsgi="written under their own name",
        spoolsim="written under a name with a dot, then renamed",
    ),
    _D(
        "`--inline`",
        uwsgi="does not exist",
        spoolsim="tasks run in the foreground process: its working directory, nice, umask, stdin and signal handlers "
        "stay; harakiri strikes with `--inline-harakiri`",
        note="inline-cwd",
    ),
)
