"""Production notes: where spoolsim differs from uWSGI on purpose, or follows it into something surprising.

One registry of codes. spoolsim logs a note once for each thing it is about. A code can be silenced, and --faithful,
under which every observation equals uWSGI's, silences all of them. Each statement about uWSGI here is staged against
a real one: `tests/oracle/statements.py` names the test. Pure: a note goes to the function handed in.
"""

from __future__ import annotations

from spoolsim.errors import OptionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Note:
    """One production note.

    code: stable name, for silencing and for the JSON log.
    safer: True where spoolsim does better than uWSGI; False where it does the same and warns.
    uwsgi: what uWSGI does here.
    advice: what to do about it.
    """

    __slots__ = ("advice", "code", "safer", "uwsgi")

    def __init__(self, code: str, *, safer: bool, uwsgi: str, advice: str) -> None:
        self.code = code
        self.safer = safer
        self.uwsgi = uwsgi
        self.advice = advice


def _note(code: str, uwsgi: str, advice: str, *, safer: bool = False) -> Note:
    return Note(code, safer=safer, uwsgi=uwsgi, advice=advice)


#: every note, in the order of the reference page
NOTES: tuple[Note, ...] = (
    _note(
        "broken-file",
        "uWSGI would have deleted this file without running it",
        "read the reason in the .why file beside it in .spoolsim/broken/",
        safer=True,
    ),
    _note(
        "body-too-large",
        "uWSGI would have read the whole body into memory",
        "raise --max-body, or pass the path of a file instead of the data",
        safer=True,
    ),
    _note(
        "busy-wait",
        "uWSGI would have run this task only at its next poll, because the spooler was busy when the task was enqueued",
        "lower spooler-frequency, or raise spooler-processes",
        safer=True,
    ),
    _note(
        "own-file-replaced",
        "the running task's file was replaced by another task; uWSGI would have deleted the new one without running it",
        "enqueue with uwsgi.spool(), whose file names are unique",
        safer=True,
    ),
    _note(
        "own-file-removed",
        "the handler removed its own task file; uWSGI would have ended this spooler process",
        "return uwsgi.SPOOL_OK and let the spooler remove the file",
        safer=True,
    ),
    _note(
        "value-cut",
        "uWSGI would have silently cut this key or value to its length modulo 65536",
        "pass large data as b'body'",
        safer=True,
    ),
    _note(
        "priority-path",
        "uWSGI would have followed this priority as a path, even out of the spool directory",
        "use a number as the priority",
        safer=True,
    ),
    _note(
        "empty-call",
        "uWSGI would have accepted this call as a task without variables",
        "pass a dictionary with bytes keys",
        safer=True,
    ),
    _note(
        "pickle-cut",
        "uWSGI would have cut the pickled arguments, and the task would fail at every scan",
        "pass the path of a file, or use a task without pass_arguments and put the data into its body",
        safer=True,
    ),
    _note(
        "return-overflow",
        "the handler returned an int that does not fit a C long; uWSGI would have failed the next task "
        "instead of this one",
        "return uwsgi.SPOOL_OK, SPOOL_RETRY or SPOOL_IGNORE",
        safer=True,
    ),
    _note(
        "late-import",
        "uWSGI keeps '' on sys.path, so this import in a task would have found a file in the spool directory",
        "import at the top of the module, and keep Python files out of the spool directory",
        safer=True,
    ),
    _note(
        "frequency-zero",
        "uWSGI would poll without a pause and keep a CPU busy",
        "set spooler-frequency to 1 or more",
        safer=True,
    ),
    _note(
        "no-master",
        "uWSGI starts a spooler without a master, but it never runs a task",
        "set master = true, or leave master out: a spooler option turns it on",
        safer=True,
    ),
    _note(
        "crash-loop",
        "uWSGI would restart this spooler at once, every time",
        "find what ends the process: sys.exit, a crash in C code, or a kill",
        safer=True,
    ),
    _note(
        "poison-task",
        "uWSGI would run this task again at once, losing a spooler each time, and never reach the tasks "
        "sorted after it",
        "find what the task does to its process; `spoolsim show` shows its attempts",
        safer=True,
    ),
    _note(
        "directory-gone",
        "uWSGI would exit and restart in a loop until the directory is back",
        "do not remove a spool directory while it is being served",
        safer=True,
    ),
    _note(
        "graceful-stop",
        "uWSGI would have killed the running tasks at once; they run again at the next start",
        "write handlers that survive a kill at any line",
        safer=True,
    ),
    _note(
        "graceful-reload",
        "uWSGI would have killed the running tasks at once and run them again after the reload",
        "write handlers that survive a kill at any line",
        safer=True,
    ),
    _note(
        "sigterm",
        "uWSGI without die-on-term takes SIGTERM as a brutal reload and keeps running",
        "set die-on-term = true, or stop with SIGINT",
        safer=True,
    ),
    _note(
        "stop-reloads",
        "uWSGI with die-on-term takes SIGQUIT, which uwsgi.stop() sends, as a brutal reload and keeps running",
        "stop with SIGTERM or SIGINT, as in os.kill(uwsgi.masterpid(), signal.SIGTERM)",
        safer=True,
    ),
    _note(
        "atexit-skipped",
        "uWSGI kills its spoolers when it stops, so their atexit functions would not have run",
        "do not rely on atexit in a spooler: clean up at the end of each task",
        safer=True,
    ),
    _note(
        "fresh-code",
        "for a touch of touch-spoolers-reload uWSGI imports only the spooler-import modules again; it "
        "would have kept the old code of the rest",
        "load new code with SIGHUP, uwsgi.reload() or a restart, or move the tasks to spooler-import",
        safer=True,
    ),
    _note(
        "autoreload-no-worker",
        "uWSGI checks for py-autoreload in a web worker, and this configuration starts none; it would not reload",
        "add a socket in production's configuration, or reload with SIGHUP",
        safer=True,
    ),
    _note(
        "descriptor-zero",
        "uWSGI may put /dev/null in place of the first file or socket that spooler-import or a post-fork hook opens",
        "open a throwaway file first, as in os.open(os.devnull, os.O_RDONLY), or connect in the task",
        safer=True,
    ),
    _note(
        "inline-cwd",
        "uWSGI runs each task with the spool directory as working directory, at nice 19, with /dev/null as stdin",
        "use absolute paths in handlers; run without --inline to see the difference",
        safer=True,
    ),
    _note(
        "inline-harakiri",
        "uWSGI would have killed this process at that moment and run the task again",
        "shorten the task or raise spooler-harakiri; --inline-harakiri kills here, too",
        safer=True,
    ),
    _note(
        "signal-number",
        "uWSGI would have wrapped this signal number modulo 256",
        "use a number from 0 to 255",
        safer=True,
    ),
    _note(
        "import-failed",
        "uWSGI would have started without this module and logged for each task that it finds no function; "
        "if the module calls sys.exit, uWSGI exits with its status",
        "fix the import",
        safer=True,
    ),
    _note(
        "no-file-events",
        "this file system reports no changes, so these files are polled every second; uWSGI's "
        "py-autoreload always polls",
        "nothing to do; --watch-polling polls everything",
        safer=True,
    ),
    _note(
        "no-cache",
        "uWSGI would have returned None, because no cache is configured",
        "add cache2 = name=default,items=1000",
        safer=True,
    ),
    _note(
        "no-metrics",
        "uWSGI would have done nothing, because metrics are not enabled",
        "add enable-metrics and metric = NAME",
        safer=True,
    ),
    _note(
        "at-not-a-number",
        "uWSGI silently reads this 'at' as an arbitrary number",
        "pass whole epoch seconds as text, such as b'1767225600'",
    ),
    _note(
        "arguments-dropped",
        "uWSGI silently drops everything passed beside the dictionary",
        "put everything into one dictionary",
    ),
    _note(
        "body-removed",
        "uWSGI removes b'body' from the dictionary it is given, so this second task of the same dictionary has no body",
        "pass a copy each time",
    ),
    _note(
        "empty-key",
        "uWSGI accepts an empty key when it writes the task, and drops the task as broken when it reads it",
        "never use an empty key",
    ),
    _note(
        "priority-unordered",
        "uWSGI never runs tasks with a priority unless spooler-ordered is set",
        "set spooler-ordered = true",
    ),
    _note(
        "priority-not-number",
        "uWSGI never enters a priority directory whose name is not all digits",
        "use a number as the priority",
    ),
    _note(
        "retry-spins",
        "with spooler-max-tasks, a task that is retried every time restarts the process again and again "
        "without a pause",
        "return SPOOL_OK when there is nothing left to try",
    ),
    _note(
        "user-harakiri-armed",
        "uWSGI kills the spooler when this deadline passes, even after the task is over",
        "disarm it with set_user_harakiri(0) before the handler returns",
    ),
    _note(
        "not-utf8",
        "@spool decodes everything as UTF-8, so this task fails at every scan",
        "pass binary data to a raw handler, or encode it as text",
    ),
    _note(
        "lock-skipped",
        "in a spooler, uWSGI's @lock returns None without calling the function",
        "call the function without @lock in tasks; a lock between processes, such as fcntl.lockf on a "
        "file, works everywhere",
    ),
    _note(
        "shared-connection",
        "a connection that is open before the fork is shared by all spoolers and web workers, whose "
        "answers get mixed up",
        "connect inside the task, or in a function with @postfork",
    ),
    _note(
        "version-2.1",
        "uWSGI 2.0 does not know this option: on the command line it refuses to start, in a file it ignores it",
        "remove it, or say --uwsgi 2.1",
    ),
    _note(
        "unknown-key",
        "uWSGI silently ignores a key that it does not know",
        "correct the key; with strict = true uWSGI refuses to start",
    ),
    _note(
        "option-value",
        "uWSGI reads this value differently from how it looks",
        "write a plain whole number, or true or false for a flag",
    ),
    _note(
        "own-uwsgi",
        "uWSGI's own module is built in, so this file is never imported there",
        "rename the file",
    ),
    _note(
        "other-user",
        "uWSGI, started as root, would run the app and its tasks as this user or group; here they run as you",
        "nothing here; in production this user needs access to the spool directory and to the app's files",
    ),
    _note(
        "lock-twice",
        "uWSGI blocks here forever, because this thread already holds the lock",
        "unlock it first",
    ),
    _note(
        "no-worker",
        "uWSGI would run this handler in a web worker, a mule or a farm; spoolsim starts none",
        "add --stand-in-worker",
    ),
    _note(
        "signal-target",
        "this configuration starts no process that takes this signal, so uWSGI never runs its handler",
        "use target='spooler', or configure the process: a socket for web workers, mules = N for mules, "
        "farm = NAME:N for a farm",
    ),
)

BY_CODE: dict[str, Note] = {note.code: note for note in NOTES}


def _no_code(code: str) -> OptionError:
    from difflib import get_close_matches

    near = get_close_matches(code, BY_CODE, n=1)
    hint = f"did you mean {near[0]}?" if near else "see spoolsim help production-notes"
    return OptionError(f"silence: {code!r} is not the code of a production note; {hint}")


#: how many (code, subject) pairs are remembered as logged
_REMEMBERED = 10_000


class Notes:
    """Logs each production note once for each thing it is about.

    say: called with (code, sentence).
    silenced: codes that are never logged; `enabled=False` (--faithful) silences all.
    first: called with (code, thing); whether to log it now. By default, what this object has not logged.

    Raises OptionError for an unknown code.
    """

    __slots__ = ("_enabled", "_said", "_say", "_silenced", "first")

    def __init__(
        self,
        say: Callable[[str, str], None],
        *,
        silenced: Iterable[str] = (),
        enabled: bool = True,
        first: Callable[[str, str], bool] | None = None,
    ) -> None:
        self._say = say
        self._silenced = frozenset(silenced)
        for code in self._silenced - BY_CODE.keys():
            raise _no_code(code)
        self._enabled = enabled
        self._said: dict[tuple[str, str], None] = {}
        self.first = first or self._first

    def give(self, code: str, about: str = "", detail: str = "") -> bool:
        """Log note `code` about `about` (a file, an option) unless it was logged before; True if it is logged now."""
        note = BY_CODE[code]
        if not self._enabled or code in self._silenced or not self.first(code, about):
            return False
        what = ": ".join(part for part in (about, detail) if part)
        self._say(code, f"{what}: {note.uwsgi}; {note.advice}" if what else f"{note.uwsgi}; {note.advice}")
        return True

    def _first(self, code: str, about: str) -> bool:
        key = (code, about)
        if key in self._said:
            return False
        if len(self._said) >= _REMEMBERED:
            del self._said[next(iter(self._said))]
        self._said[key] = None
        return True
