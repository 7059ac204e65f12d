"""Ids: stable, short, unique; a task is found by id, beginning, name or path, and an error names the candidates."""

from __future__ import annotations

from collections import namedtuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spoolsim.tasks import ids

Task = namedtuple("Task", "digest id name path origin task")


def tasks(*names: str) -> list[Task]:
    wholes = ids.digests((name.rpartition("/")[2], name) for name in names)
    shorts = ids.shorten(wholes)
    rows = zip(wholes, shorts, names, strict=True)
    return [
        Task(whole, short, name.rpartition("/")[2], f"/spool/.spoolsim/held/{name}", f"/spool/{name}", name)
        for whole, short, name in rows
    ]


def test_an_id_is_six_digits_and_depends_on_the_name_alone() -> None:
    """The same file name has the same id, whatever other tasks there are."""
    (alone,) = tasks("uwsgi_spoolfile_on_a_1_1_1_1_1")
    among = tasks("uwsgi_spoolfile_on_b_1_1_1_1_1", "uwsgi_spoolfile_on_a_1_1_1_1_1")
    assert alone.id == among[1].id == "df9cb3"
    assert len(alone.digest) == 40


def test_ids_that_begin_alike_are_longer() -> None:
    """Two hashes that share six digits or more get as many as tell them apart; others keep six."""
    assert ids.shorten(["abcdef12" + "0" * 32, "abcdef13" + "0" * 32, "b" * 40]) == ["abcdef12", "abcdef13", "bbbbbb"]


@given(st.lists(st.text("0123456789abcdef", min_size=10, max_size=10), unique=True, max_size=40))
def test_every_short_id_is_unique(wholes: list[str]) -> None:
    """No short id is the beginning of another hash."""
    for short, whole in zip(ids.shorten(wholes), wholes, strict=True):
        assert [other for other in wholes if other.startswith(short)] == [whole]
        assert len(short) >= ids.SHORT


def test_one_name_in_two_places_is_two_tasks() -> None:
    """Priority directories may hold the same name: each gets an id of its own."""
    one, other, third = tasks("1/7", "2/7", "8")
    assert one.id != other.id
    assert third.id == tasks("8")[0].id


@pytest.mark.parametrize("text", ["{id}", "#{id}", "{id:.3}", "{name}", "5/{name}", "/spool/5/{name}", "{digest}"])
def test_a_task_is_found_by(text: str) -> None:
    """By its id, the beginning of it, its file name, its path below the spool directory, and its whole path."""
    there = tasks("5/uwsgi_spoolfile_on_a", "uwsgi_spoolfile_on_b", "uwsgi_spoolfile_on_c")
    asked = text.format(id=there[0].id, name=there[0].name, digest=there[0].digest)
    assert ids.choose(asked, there) is there[0]


def test_upper_case_digits_are_digits() -> None:
    """An id may be typed in capitals."""
    there = tasks("uwsgi_spoolfile_on_a_1_1_1_1_1")
    assert ids.choose("DF9", there) is there[0]


def test_an_ambiguous_beginning_names_the_candidates() -> None:
    """The error is one line with each id that would do."""
    there = tasks(*(f"uwsgi_spoolfile_on_{n}" for n in range(40)))
    digit = there[0].id[0]
    alike = [task.id for task in there if task.id.startswith(digit)]
    assert len(alike) > 1
    with pytest.raises(ids.AmbiguousTask) as caught:
        ids.choose(digit, there)
    message = str(caught.value)
    assert message.startswith(f"'{digit}' names {len(alike)} tasks: ")
    assert all(one in message for one in alike[:8])
    assert "\n" not in message
    assert caught.value.exit_code == 2


def test_an_ambiguous_name_names_ids_and_places() -> None:
    """The same file name in two priorities: the error shows how to tell them apart."""
    there = tasks("1/7", "2/7")
    with pytest.raises(ids.AmbiguousTask, match=rf"{there[0].id} \(1/7\), {there[1].id} \(2/7\); name one by its id"):
        ids.choose("7", there)


def test_an_unknown_task_names_what_there_is() -> None:
    """Nothing fits: the error lists the ids, or says that there are none."""
    there = tasks("uwsgi_spoolfile_on_a")
    with pytest.raises(ids.NoSuchTask, match=f"no task 'zebra'; there are: {there[0].id}"):
        ids.choose("zebra", there)
    with pytest.raises(ids.NoSuchTask, match="there are no tasks"):
        ids.choose("3fa", [])
    with pytest.raises(ids.NoSuchTask):
        ids.choose("", there)
