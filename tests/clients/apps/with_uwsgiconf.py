"""An app of uwsgiconf's runtime spooler."""

from notes import note
from uwsgiconf.runtime.spooler import Spooler

note("spoolers", Spooler.get_spoolers(), Spooler.get_by_basename("sp"))


@Spooler.task()
def plain(word, times=1):
    note("plain", word * times)
    return True


@Spooler.task(priority=2)
def with_priority(word):
    note("priority", word)
    return True


def attempt(label, function, *arguments, **keywords):
    try:
        note(label, type(function(*arguments, **keywords)).__name__)
    except Exception as error:
        note(label, repr(error))
