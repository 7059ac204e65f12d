"""Short ids for tasks, derived from the file name, as git's are from a commit: a unique prefix is enough.

    name of the file      ids
    unlike all others     the first 6 hex digits of its hash; more where two hashes begin alike
    in two places         the hash of name and place, for each of the two

A task keeps its id when it is held, fails, or comes back, as its file keeps its name.
Pure: names are handed in.
"""

from __future__ import annotations

from hashlib import blake2b
from itertools import pairwise

from spoolsim.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Protocol, TypeVar

    class Named(Protocol):
        """What `choose` looks at, all of it text.

        path: where the file is now, absolute. task: the path that it has, or had, below the spool directory.
        origin: the same, absolute. name: its base name.
        """

        @property
        def digest(self) -> str: ...
        @property
        def id(self) -> str: ...
        @property
        def name(self) -> str: ...
        @property
        def origin(self) -> str: ...
        @property
        def path(self) -> str: ...
        @property
        def task(self) -> str: ...

    N = TypeVar("N", bound=Named)

#: hex digits of an id, where no other id begins alike
SHORT = 6
#: candidates that an error names
_SHOWN = 8
_HEX = frozenset("0123456789abcdef")


class NoSuchTask(UsageError):
    """A task was named that there is not; the message says what there is."""


class AmbiguousTask(UsageError):
    """A task was named by a prefix that several have; the message lists them."""


def digest(name: str, place: str = "") -> str:
    """The whole hash of a file's base name, in 40 hex digits.

    place: where it is, for a name that is there twice.
    """
    text = f"{name}\0{place}" if place else name
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=20).hexdigest()


def digests(keys: Iterable[tuple[str, str]]) -> list[str]:
    """The hash of each (base name, place), different for all of them."""
    pairs = list(keys)
    seen: set[str] = set()
    twice: set[str] = set()
    for name, _ in pairs:
        (twice if name in seen else seen).add(name)
    return [digest(name, place if name in twice else "") for name, place in pairs]


def shorten(wholes: Sequence[str]) -> list[str]:
    """The shortest beginning of each hash, of at least `SHORT` digits, that no other one has."""
    order = sorted(range(len(wholes)), key=wholes.__getitem__)
    sizes = [SHORT] * len(wholes)
    for one, other in pairwise(order):
        size = _common(wholes[one], wholes[other]) + 1
        sizes[one] = max(sizes[one], size)
        sizes[other] = max(sizes[other], size)
    return [whole[:size] for whole, size in zip(wholes, sizes, strict=True)]


def _common(one: str, other: str) -> int:
    size = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        size += 1
    return size


def choose(text: str, tasks: Sequence[N]) -> N:
    """The one task that `text` names: by id or its beginning, by file name, or by path.

    text: such as `3fa`, `#3fa1c2`, `uwsgi_spoolfile_on_...`, `5/uwsgi_spoolfile_on_...` or an absolute path.
    Raises NoSuchTask or AmbiguousTask, in one line that names the candidates.
    """
    exact = [
        task for task in tasks if text in (task.path, task.origin, task.task, task.name, task.path.rpartition("/")[2])
    ]
    prefix = text.removeprefix("#").lower()
    found = exact or [task for task in tasks if _is_hex(prefix) and task.digest.startswith(prefix)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise NoSuchTask(f"no task {text!r}; {_there(tasks)}")
    shown = ", ".join(f"{task.id} ({task.task})" if exact else task.id for task in found[:_SHOWN])
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    advice = "name one by its id" if exact else "give more digits"
    raise AmbiguousTask(f"{text!r} names {len(found)} tasks: {shown}{more}; {advice}")


def _is_hex(text: str) -> bool:
    return bool(text) and _HEX.issuperset(text)


def _there(tasks: Sequence[Named]) -> str:
    if not tasks:
        return "there are no tasks"
    ids = ", ".join(task.id for task in tasks[:_SHOWN])
    return f"there are: {ids}" + (f" and {len(tasks) - _SHOWN} more" if len(tasks) > _SHOWN else "")
