"""uwsgi.spool(): from a dictionary to a spool file.

Errors carry uWSGI's own sentence; which key or value it was, and what to write instead, rides as an exception note
(PEP 678), so that str(error) stays equal.
"""

from __future__ import annotations

import os
import time

from spoolsim.errors import PacketError
from spoolsim.options.policy import SAFER
from spoolsim.spool import file, names, wake
from spoolsim.spool.packet import MODIFIER1, decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from spoolsim.diagnose import Notes
    from spoolsim.log import Log
    from spoolsim.options import Policy
    from spoolsim.spool.directory import SpoolDir

NOT_BYTES = "spooler callable dictionary must contains only bytes"
UNABLE = "unable to spool job"
#: variables that say where and when; an empty key is only told of
_STEERING = frozenset((b"at", b"priority", b"spooler", b""))
#: so many digits may be too many for 64 bits
_SAFE_DIGITS = 19


class Producer:
    """Writes the spool files of one process.

    directories: in option order; a job that names none goes to the first, also if that one is external.
    ordered: is `spooler-ordered` set; only to say so when a priority is used without it.
    policy: where spoolsim is safer than uWSGI.
    quiet: no line for each file written (`spooler-quiet`).
    durable: sync each file to the disk before it is acknowledged (--durable).
    stamp: write the mtime from this process's clock, for frozen time.
    write_file: writes a spool file, as `file.write` does.
    """

    __slots__ = (
        "_stripped",
        "directories",
        "durable",
        "log",
        "notes",
        "ordered",
        "policy",
        "quiet",
        "stamp",
        "write_file",
    )

    def __init__(
        self,
        directories: Sequence[SpoolDir],
        *,
        log: Log,
        notes: Notes,
        ordered: bool = False,
        policy: Policy = SAFER,
        quiet: bool = False,
        stamp: bool = False,
        durable: bool = False,
    ) -> None:
        self.directories = tuple(directories)
        self.log = log
        self.notes = notes
        self.ordered = ordered
        self.policy = policy
        self.quiet = quiet
        self.stamp = stamp
        self.durable = durable
        self.write_file: Callable[[str, str, bytes, bytes, float, bool], str] = file.write
        self._stripped: dict[object, object] | None = None

    def spool(self, job: dict[object, object]) -> bytes:
        """Write one task; returns the absolute path of its file.

        job: bytes keys, bytes values. `b'body'` (if bytes) follows the variables and is removed from the
            dictionary, as uWSGI does; `b'at'` (epoch seconds as text), `b'priority'` and `b'spooler'` steer and stay.

        Raises ValueError with uWSGI's sentence.
        """
        body = dict.get(job, b"body")
        if isinstance(body, bytes):
            dict.pop(job, b"body")
            self._stripped = job
        else:
            body = b""
            if job is self._stripped:  # the same dictionary again: its body went with the first call
                self.notes.give("body-removed")
        variables: Iterable[tuple[Any, Any]] = dict.items(job)
        for key, value in variables:
            if type(key) is not bytes or type(value) is not bytes:
                variables = [(_key(key), _value(key, value)) for key, value in variables]
                break
        refused = ""
        try:
            data = encode(variables, truncate=not self.policy.refuses_long_values)
        except PacketError as error:
            refused = str(error)
        if refused:  # raised out of that block: uWSGI's error has no context
            if "holds at most" in refused:
                self.notes.give("value-cut")
            else:
                self.log.line("[uwsgi-spooler] args buffer is limited to 64k, use the 'body' for bigger values")
            raise _unable(f"{refused}; pass big data as b'body'")
        if _STEERING.isdisjoint(dict.keys(job)):
            return self._write(self._directory(b""), data, body, 0, b"")
        at, priority, name = self._steered(variables)
        return self._write(self._directory(name), data, body, at, priority)

    def _steered(self, variables: Iterable[tuple[Any, Any]]) -> tuple[int, bytes, bytes]:
        """When, with which priority and into which directory a task goes."""
        at = 0
        priority = name = b""
        for key, value in variables:
            if key == b"at":
                at = self._at(value)
            elif key == b"priority":
                priority = value
            elif key == b"spooler":
                name = value
            elif not key:
                self.notes.give("empty-key")
        return at, priority, name

    def packet(self, variables: bytes) -> bytes:
        """Write one task that came over the network, its variables as they are; returns the path of its file.

        Raises ValueError with uWSGI's sentence. Broken variables are taken too, as uWSGI does.
        """
        data = bytes((MODIFIER1, len(variables) & 0xFF, len(variables) >> 8, 0)) + variables
        try:
            steering, _ = decode(data)
        except PacketError:
            steering = {}
        directory = self._directory(steering.get(b"spooler", b""))
        return self._write(directory, data, b"", self._at(steering.get(b"at", b"")), steering.get(b"priority", b""))

    def _directory(self, name: bytes) -> SpoolDir:
        if not self.directories:
            self.log.line("[uwsgi-spooler] no spooler available")
            raise _unable("no spooler is configured; add --spooler DIR")
        if not name:
            return self.directories[0]
        for directory in self.directories:
            if directory.bpath == name:
                return directory
        shown = name if self.policy.explains else name.partition(b"\0")[0]
        self.log.line(f'[uwsgi-spooler] unable to find spooler "{os.fsdecode(shown)}"')
        known = ", ".join(repr(directory.bpath) for directory in self.directories)
        raise _unable(f"b'spooler' must be the resolved absolute path of a configured spooler: {known}; got {name!r}")

    def _at(self, text: bytes) -> int:
        head = text.partition(b".")[0]
        if head.isdigit() and len(head) < _SAFE_DIGITS:
            return int(head)
        read = number(head)
        if head and not (head.isdigit() and (read or not head.strip(b"0"))):
            self.notes.give("at-not-a-number", repr(text), f"read as {read}")
        return read

    def _write(self, directory: SpoolDir, data: bytes, body: bytes, at: int, priority: bytes) -> bytes:
        target = directory.path
        if priority:
            target = self._priority(directory, priority)
        name = file.next_name()
        path = why = ""
        try:
            if self.durable and priority:  # always: who made the priority directory may not have synced it
                file.sync(os.path.dirname(target))
            stamp: float = at if at > 0 else time.time() if self.stamp else 0
            path = self.write_file(target, name, data, body, stamp, self.durable)
        except OSError as error:
            why = error.strerror or str(error)
        except OverflowError as error:  # a time after 2038, where the C library has 32 bits for it
            why = str(error)
        if not path:
            self.log.line(f'open("{target}/{name}"): {why} [core/spooler.c line 286]', "error")
            raise _unable(f"{target}: {why}; see that the directory exists, is writable, has room")
        if self.log.story is not None and not self.quiet:
            self.log.story.queued(name, data, body, at - time.time() if at > 0 else 0.0)
        elif not self.quiet:
            self.log.line(f"[spooler] written {len(data) + len(body)} bytes to file {path}", "dim")
        if priority or not self.policy.watches_directory:
            wake.notify(directory)
        return os.fsencode(path)

    def _priority(self, directory: SpoolDir, priority: bytes) -> str:
        """The priority's sub-directory, made if it is missing, one level only, as uWSGI does."""
        text = os.fsdecode(priority)
        if not self.policy.confines_priorities:
            text = text.partition("\0")[0]
        elif "/" in text or "\0" in text or text.startswith("."):
            self.notes.give("priority-path", repr(priority))
            raise _unable(f"b'priority' {priority!r} is no name of a sub-directory; use a number")
        if not names.counts(text, True):
            self.notes.give("priority-not-number", repr(priority))
        elif not self.ordered:
            self.notes.give("priority-unordered")
        target = f"{directory.path}/{text}"
        try:
            os.mkdir(target, 0o777)
        except OSError:
            pass  # there already; what else may be wrong, writing the file will tell
        return target


def _unable(why: str) -> ValueError:
    error = ValueError(UNABLE)
    error.add_note(why)
    return error


def _not_bytes(why: str) -> ValueError:
    error = ValueError(NOT_BYTES)
    error.add_note(why)
    return error


def _key(key: object) -> bytes:
    if isinstance(key, bytes):
        return key
    raise _not_bytes(f"the key {key!r} is {_a(key)}; keys are bytes, such as b{str(key)!r}")


def _value(key: object, value: object) -> bytes:
    """What the C call "object to bytes" makes of a value: __bytes__, a buffer, or an iterable of small ints.

    bytes() itself would also take a number, as a length.
    """
    if type(value) is bytes:
        return value
    made = None
    try:
        made = _to_bytes(value)
    except Exception:
        pass  # raised below, out of this block: uWSGI's error has no context
    if made is None:
        hint = f"write b'{value}'" if isinstance(value, int | float) else "encode it"
        raise _not_bytes(f"the value of {key!r} is {_a(value)}; values are bytes: {hint}")
    return made


def _to_bytes(value: Any) -> bytes | None:
    method = getattr(type(value), "__bytes__", None)
    if method is not None:
        made = method(value)
        return made if isinstance(made, bytes) else None
    if isinstance(value, str):
        return None
    try:
        view = memoryview(value)
    except TypeError:
        return bytes(iter(value))
    return view.tobytes()


def _a(thing: object) -> str:
    name = type(thing).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def number(text: bytes) -> int:
    """uWSGI's reading of a number: each byte minus 48, by its decimal place, whatever the byte is.

    A sum beyond 64 bits is no time at all: 0.
    """
    total = 0
    for byte in text:
        total = total * 10 + (byte - 48 if byte < 128 else byte - 304)
    return total if -(2**63) <= total < 2**63 else 0
