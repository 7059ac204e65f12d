"""Production notes: where spoolsim differs from uWSGI on purpose, or follows it into something surprising.

One registry of codes. A note is said once for each thing it is about, can be silenced by its code, and is never
said under --faithful, where every observation equals uWSGI's. Pure: what is said goes to the function handed in.
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
        "look at the file and the reason beside it in .spoolsim/broken/",
        safer=True,
    ),
    _note(
        "body-too-large",
        "uWSGI would have read the whole body into memory",
        "raise --max-body, or hand big data over by a path",
        safer=True,
    ),
    _note(
        "busy-wait",
        "uWSGI would have run this task only at its next poll: the spooler was busy when it was enqueued",
        "lower spooler-frequency, or add spooler-processes",
        safer=True,
    ),
    _note(
        "own-file-replaced",
        "uWSGI would have removed the new file unrun: another one was moved to the name of the running task",
        "enqueue through uwsgi.spool(), whose names are never the same",
        safer=True,
    ),
    _note(
        "own-file-removed",
        "uWSGI would have ended this spooler process: the handler removed its own task file",
        "return SPOOL_OK and let the spooler remove it",
        safer=True,
    ),
    _note(
        "lock-lost",
        "uWSGI would have lost the lock of this task when the handler opened and closed its file",
        "do not open the task's own file in the handler",
        safer=True,
    ),
    _note(
        "value-cut",
        "uWSGI would have cut this key or value to its length modulo 65536, in silence",
        "pass big data as 'body'",
        safer=True,
    ),
    _note(
        "priority-path",
        "uWSGI would have taken this priority as a path, wherever it leads",
        "use a number as priority",
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
        "uWSGI would have cut the pickled arguments and the task would fail for ever",
        "pass the path of a file, or use a task without pass_arguments and its body",
        safer=True,
    ),
    _note(
        "return-overflow",
        "uWSGI would have failed the next task in this one's place: the handler returned an int too big for a C long",
        "return uwsgi.SPOOL_OK, SPOOL_RETRY or SPOOL_IGNORE",
        safer=True,
    ),
    _note(
        "late-import",
        "uWSGI keeps '.' and '' on sys.path: a late import in a task is looked up in the spool directory first",
        "import at the top of the module",
        safer=True,
    ),
    _note(
        "frequency-zero",
        "uWSGI would poll without any pause and take a whole processor",
        "set spooler-frequency to 1 or more",
        safer=True,
    ),
    _note(
        "crash-loop",
        "uWSGI would restart this spooler at once, again and again",
        "find out what ends the process: sys.exit, a crash in C code, a kill",
        safer=True,
    ),
    _note(
        "poison-task",
        "uWSGI would run this task again at once, each time killing a spooler, and starve the tasks sorted after it",
        "find out what it does to the process; `spoolsim show` shows its attempts",
        safer=True,
    ),
    _note(
        "directory-gone",
        "uWSGI would exit and respawn in a loop until the directory is back",
        "do not remove a spool directory while it is served",
        safer=True,
    ),
    _note(
        "graceful-stop",
        "uWSGI would have killed the running tasks at once; they run again at the next start",
        "write handlers that can be killed at any line",
        safer=True,
    ),
    _note(
        "sigterm",
        "uWSGI without die-on-term takes SIGTERM as a brutal reload and goes on",
        "set die-on-term = true, or stop it with SIGINT",
        safer=True,
    ),
    _note(
        "fresh-code",
        "uWSGI would have gone on with the old code: it does not import the app again",
        "restart uWSGI to load new code",
        safer=True,
    ),
    _note(
        "inline-cwd",
        "uWSGI runs each task with the spool directory as its working directory, at nice 19, with stdin closed",
        "use absolute paths in handlers; run without --inline to see the difference",
        safer=True,
    ),
    _note(
        "inline-harakiri",
        "uWSGI would have killed this process then, and run the task again",
        "make it shorter, or spooler-harakiri longer; --inline-harakiri kills here, too",
        safer=True,
    ),
    _note(
        "signal-number",
        "uWSGI would have wrapped this signal number modulo 256",
        "use a number from 0 to 255",
        safer=True,
    ),
    _note(
        "at-not-a-number",
        "uWSGI reads this 'at' as an arbitrary number, without a word",
        "pass whole epoch seconds as text, such as b'1767225600'",
    ),
    _note(
        "arguments-dropped",
        "uWSGI silently drops what is passed beside the dictionary",
        "put everything into the one dictionary",
    ),
    _note(
        "body-removed",
        "uWSGI removes b'body' from the dictionary passed in: this second task of the same dictionary has none",
        "pass a copy each time",
    ),
    _note(
        "empty-key",
        "uWSGI accepts an empty key, and then drops the task as broken when it reads it",
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
        "use a number as priority",
    ),
    _note(
        "retry-spins",
        "with spooler-max-tasks a task that is always retried recycles the process again and again, without a pause",
        "return SPOOL_OK, or SPOOL_IGNORE, when there is nothing left to try",
    ),
    _note(
        "user-harakiri-armed",
        "uWSGI kills the spooler when this deadline passes, though the task is over",
        "disarm with set_user_harakiri(0) before the handler returns",
    ),
    _note(
        "not-utf8",
        "@spool decodes everything as UTF-8: this task fails for ever",
        "pass binary data to a raw handler, or encode it as text",
    ),
    _note(
        "version-2.1",
        "uWSGI 2.0 does not know this option and refuses to start",
        "drop it, or say --uwsgi 2.1",
    ),
    _note(
        "unknown-key",
        "uWSGI silently ignores a key that it does not know",
        "correct it; with strict = true uWSGI refuses to start",
    ),
    _note(
        "option-value",
        "uWSGI reads this value differently from how it looks",
        "write a plain whole number; for what is on or off, true or false",
    ),
    _note(
        "own-uwsgi",
        "uWSGI's own module is built in, so this file is never imported",
        "rename it",
    ),
    _note(
        "other-user",
        "uWSGI, started as root, would run the app and its tasks as this user or group; here they run as you",
        "nothing here; in production this user needs access to the spool directory and to the app's files",
    ),
    _note(
        "import-failed",
        "uWSGI would have started without this module, and said for each task that it finds no function; where the "
        "module calls sys.exit, uWSGI ends with its status",
        "mend the import",
        safer=True,
    ),
    _note(
        "no-file-events",
        "py-autoreload of uWSGI looks at the files every N seconds, wherever they are; so are these, every second",
        "nothing; --watch-polling does it for all",
        safer=True,
    ),
    _note(
        "no-cache",
        "uWSGI would have returned None: no cache is configured",
        "add cache2 = name=default,items=1000",
        safer=True,
    ),
    _note(
        "no-metrics",
        "uWSGI would have done nothing: metrics are not enabled",
        "add enable-metrics and metric = NAME",
        safer=True,
    ),
    _note(
        "lock-twice",
        "uWSGI hangs here for ever: this thread holds the lock already",
        "unlock it first",
    ),
    _note(
        "no-worker",
        "in uWSGI this signal would run in a web worker, a mule or a farm; here there is none",
        "add --stand-in-worker",
    ),
    _note(
        "signal-target",
        "uWSGI knows no such target: each time the signal is raised it says so, and no handler runs",
        "write 'spooler', 'worker', 'workers', 'active-workers', 'workerN' (of the configured processes), 'mules', "
        "'muleN' or 'farm_NAME'",
    ),
)

BY_CODE: dict[str, Note] = {note.code: note for note in NOTES}


def _no_code(code: str) -> OptionError:
    from difflib import get_close_matches

    near = get_close_matches(code, BY_CODE, n=1)
    hint = f"did you mean {near[0]}?" if near else "see spoolsim help production-notes"
    return OptionError(f"silence: {code!r} is no code of a production note; {hint}")


#: how many things a note remembers having been said about
_REMEMBERED = 10_000


class Notes:
    """Says each production note once for each thing it is about.

    say: called with (code, sentence).
    silenced: codes never said; `enabled=False` (--faithful) silences all.
    first: called with (code, thing): is it to be said now? By default, what this object has not said.

    Raises OptionError for a code that is none.
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
        """Say note `code` about `about` (a file, an option) unless that was said; True if it was said now."""
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
