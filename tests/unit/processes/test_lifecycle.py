"""Each row of the table of slot states."""

from __future__ import annotations

import inspect

import pytest

from spoolsim.processes import events, lifecycle
from spoolsim.processes.events import (
    TICK,
    Action,
    BackingOff,
    Crowding,
    Died,
    Ended,
    Event,
    Kill,
    KillAsked,
    Leave,
    ReloadAsked,
    Respawning,
    Spawn,
    Spawned,
    Started,
    StopAsked,
    Wanted,
)
from spoolsim.processes.lifecycle import BACKOFF, CLOSED, CROWDED, SERVING, STALE, STARTING, Rules, Slot, new, step

RULES = Rules(mercy=60.0)
NOW = 50.0


def slot(state: str, **more: object) -> Slot:
    """A slot in a state, as it comes to be there."""
    fields: dict[str, object] = {"state": state}
    if state in (STARTING, STALE, SERVING):
        fields["seat"] = 0
    if state == SERVING:
        fields["pid"] = 7
    if state == BACKOFF:
        fields["until"] = 60.0
    if state == CROWDED:
        fields["leaving"] = ((8, 0, 90.0), (9, 1, 95.0))
    made: Slot = new(3)._replace(**{**fields, **more})
    return made


def test_a_new_slot_is_closed_and_over() -> None:
    """Before the start there is no process, none that was, and nothing to wait for."""
    begin = new(3)
    assert (begin.number, begin.state, begin.stopping) == (3, CLOSED, False)
    assert (begin.pid, begin.seat, begin.leaving) == (0, -1, ())
    assert (begin.spawns, begin.failures, begin.since, begin.until) == (0, 0, 0, 0)
    assert lifecycle.over(begin)
    assert lifecycle.next_deadline(begin) is None


def test_without_options_a_slot_follows_uwsgis() -> None:
    """A reload leaves a running task 60 seconds, as `reload-mercy` does when it is not given."""
    assert Rules() == Rules(mercy=60.0, cheap=False, at_once=True, backs_off=True)


@pytest.mark.parametrize(
    ("state", "event", "after", "actions"),
    [
        (CLOSED, Started(), STARTING, [Spawn(3, 0)]),
        (CLOSED, Wanted(), STARTING, [Spawn(3, 0)]),
        (CLOSED, ReloadAsked(), CLOSED, []),
        (CLOSED, Spawned(7), CLOSED, []),
        (CLOSED, Died(7, True), CLOSED, []),
        (CLOSED, TICK, CLOSED, []),
        (STARTING, Wanted(), STARTING, []),
        (STARTING, Spawned(7), SERVING, []),
        (STARTING, Died(0, False), STARTING, [Respawning(0), Spawn(3, 0)]),
        (STARTING, Died(6, False), STARTING, []),
        (STARTING, ReloadAsked(), STALE, []),
        (STALE, ReloadAsked(), STALE, []),
        (STALE, Spawned(7), STARTING, [Leave(7), Spawn(3, 1)]),
        (STALE, Died(0, False), STARTING, [Respawning(0), Spawn(3, 0)]),
        (SERVING, Wanted(), SERVING, []),
        (SERVING, Died(7, True), STARTING, [Respawning(7), Spawn(3, 0)]),
        (SERVING, Died(6, True), SERVING, []),
        (SERVING, TICK, SERVING, []),
        (SERVING, ReloadAsked(), STARTING, [Leave(7), Spawn(3, 1)]),
        (BACKOFF, Wanted(), BACKOFF, []),
        (BACKOFF, TICK, BACKOFF, []),
        (BACKOFF, ReloadAsked(), STARTING, [Spawn(3, 0)]),
        (CROWDED, ReloadAsked(), CROWDED, []),
        (CROWDED, Died(9, False), STARTING, [Spawn(3, 1)]),
        (CROWDED, Died(8, False), STARTING, [Spawn(3, 0)]),
        (CROWDED, Died(6, False), CROWDED, []),
        (CROWDED, TICK, CROWDED, []),
    ],
)
def test_row(state: str, event: Event, after: str, actions: list[Action]) -> None:
    """In this state, this event leads to that state with those actions; the slot says what process it has."""
    found, did = step(slot(state, spawns=4, since=40.0), event, NOW, RULES)
    assert (found.state, did) == (after, actions)
    spawned = [action.seat for action in actions if isinstance(action, Spawn)]
    assert (found.spawns, found.since) == ((5, NOW) if spawned else (4, 40.0))
    assert found.pid == (7 if after == SERVING else 0)
    assert found.seat == ((spawned or [0])[0] if after in (STARTING, STALE, SERVING) else -1)


@pytest.mark.parametrize(
    ("state", "after", "actions"),
    [
        (CLOSED, CLOSED, []),
        (STARTING, STARTING, []),
        (STALE, STALE, []),
        (SERVING, CLOSED, [Leave(7)]),
        (BACKOFF, CLOSED, []),
        (CROWDED, CLOSED, []),
    ],
)
def test_stop(state: str, after: str, actions: list[tuple[object, ...]]) -> None:
    """A stop asks the serving process to leave and wants no other; a fork under way is waited for."""
    found, did = step(slot(state), StopAsked(NOW + 8), NOW, RULES)
    assert (found.state, found.stopping, did) == (after, True, actions)
    assert (found.pid, found.seat) == (0, 0 if after in (STARTING, STALE) else -1)
    for event in (Wanted(), ReloadAsked(), TICK, Died(7, False)):
        after_it, more = step(found, event, NOW + 1, RULES)
        assert not any(isinstance(action, Spawn) for action in more)
        assert after_it.stopping


@pytest.mark.parametrize("state", [STARTING, STALE])
def test_a_fork_that_comes_after_the_stop_leaves_at_once(state: str) -> None:
    """What was being forked when the stop came is asked to leave, and killed at the same deadline as the others."""
    stopped, _ = step(slot(state), StopAsked(58.0), NOW, RULES)
    assert not lifecycle.over(stopped)
    found, did = step(stopped, Spawned(7), NOW + 1, RULES)
    assert (found.state, found.leaving, did) == (CLOSED, ((7, 0, 58.0),), [Leave(7)])
    assert step(found, TICK, 58.0, RULES)[1] == [Kill(7)]


@pytest.mark.parametrize("state", [STARTING, STALE])
def test_a_fork_that_fails_after_the_stop_is_the_end(state: str) -> None:
    """What was being forked when the stop came, and could not be, is not tried again."""
    stopped, _ = step(slot(state), StopAsked(58.0), NOW, RULES)
    found, did = step(stopped, Died(0, False), NOW + 1, RULES)
    assert (found.state, did) == (CLOSED, [])
    assert lifecycle.over(found)


def test_a_stop_brings_deadlines_forward_only() -> None:
    """A process that leaves after a reload has until the earlier of its mercy's end and the stop's."""
    found, _ = step(slot(CROWDED), StopAsked(92.0), NOW, RULES)
    assert found.leaving == ((8, 0, 90.0), (9, 1, 92.0))


def test_kill() -> None:
    """A kill strikes the serving and the leaving ones alike, and wants no other process."""
    both = slot(SERVING, seat=1, leaving=((8, 0, 90.0),))
    found, did = step(both, KillAsked(), NOW, RULES)
    assert sorted(did) == [Kill(7), Kill(8)]
    assert (found.state, found.stopping) == (CLOSED, True)
    assert lifecycle.next_deadline(found) is None
    for pid in (8, 7):
        assert not lifecycle.over(found)
        found, did = step(found, Died(pid, False), NOW, RULES)
        assert did == []
    assert lifecycle.over(found)


def test_a_leaver_is_killed_once_at_its_deadline() -> None:
    """Not before its mercy has run out, and not twice; its death frees the seat."""
    renewed, _ = step(slot(SERVING), ReloadAsked(), NOW, RULES)
    assert renewed.leaving == ((7, 0, NOW + 60),)
    assert lifecycle.next_deadline(renewed) == NOW + 60
    assert step(renewed, TICK, NOW + 59, RULES) == (renewed, [])
    killed, did = step(renewed, TICK, NOW + 60, RULES)
    assert did == [Kill(7)]
    assert step(killed, TICK, NOW + 70, RULES)[1] == []
    assert step(killed, Died(7, False), NOW + 70, RULES)[0].leaving == ()


@pytest.mark.parametrize("state", [CLOSED, STARTING, STALE, SERVING, BACKOFF])
def test_the_death_of_a_leaver_changes_nothing_but_its_seat(state: str) -> None:
    """Only where both seats were held it is answered by a spawn."""
    before = slot(state, leaving=((8, 1, 90.0),))
    found, did = step(before, Died(8, False), NOW, RULES)
    assert (found, did) == (before._replace(leaving=()), [])


@pytest.mark.parametrize(("dead", "left"), [(8, (9, 1, 95.0)), (9, (8, 0, 90.0))])
def test_the_other_leaver_stays(dead: int, left: tuple[int, int, float]) -> None:
    """Of two that leave, the one that lives keeps its seat and its deadline."""
    found, _ = step(slot(CROWDED), Died(dead, False), NOW, RULES)
    assert found.leaving == (left,)


@pytest.mark.parametrize("leaver", [6, 8])
def test_the_death_of_the_serving_process_is_not_taken_for_a_leavers(leaver: int) -> None:
    """Pids come in any order: they begin again when the system has used them all."""
    found, did = step(slot(SERVING, leaving=((leaver, 1, 90.0),)), Died(7, True), NOW, RULES)
    assert (found.state, found.leaving) == (STARTING, ((leaver, 1, 90.0),))
    assert did == [Respawning(7), Spawn(3, 0)]


def test_a_pid_is_known_by_its_number() -> None:
    """What is read from a fork server is another object, and large."""
    serving = slot(SERVING, pid=int("70000"), leaving=((int("70001"), 1, 90.0),))
    assert step(serving, Died(int("70000"), True), NOW, RULES)[1][0] == Respawning(70000)
    assert step(serving, Died(int("70001"), True), NOW, RULES)[0].leaving == ()


@pytest.mark.parametrize("state", [STARTING, STALE, SERVING, BACKOFF, CROWDED])
def test_a_slot_that_has_or_wants_a_process_is_not_over(state: str) -> None:
    """It is over when it is closed, and nobody leaves any more."""
    assert not lifecycle.over(slot(state))
    assert not lifecycle.over(slot(CLOSED, leaving=((8, 0, 90.0),)))
    assert lifecycle.over(slot(CLOSED))


def test_two_reloads_during_a_task_wait_for_a_seat() -> None:
    """With both seats held by leavers the next process starts when one of them is gone."""
    first, _ = step(slot(SERVING), ReloadAsked(), NOW, RULES)
    serving, _ = step(first, Spawned(8), NOW, RULES)
    crowded, did = step(serving, ReloadAsked(), NOW, RULES)
    assert (crowded.state, did) == (CROWDED, [Leave(8), Crowding(NOW + 60)])
    free, did = step(crowded, Died(8, False), NOW, RULES)
    assert (free.state, did) == (STARTING, [Spawn(3, 1)])


def test_deaths_without_work_are_answered_slower_and_slower() -> None:
    """The first ones at once; then with a pause that doubles up to ten seconds, each named with its count."""
    found = slot(SERVING)
    pauses = []
    for death in range(1, 13):
        found, did = step(found, Died(found.pid, False), NOW, RULES)
        if death <= lifecycle.PATIENCE:
            assert found.state == STARTING
        else:
            assert found.state == BACKOFF
            assert did == [Respawning(7), BackingOff(found.until - NOW, death)]
            pauses.append(found.until - NOW)
            assert lifecycle.next_deadline(found) == found.until
            found, did = step(found, TICK, found.until, RULES)
            assert did == [Spawn(3, 0)]
        found, _ = step(found, Spawned(7), NOW, RULES)
    assert pauses == [0.5, 1, 2, 4, 8, 10, 10, 10, 10]
    assert step(found, Died(7, True), NOW, RULES)[0].failures == 0


@pytest.mark.parametrize(("tick", "state"), [(59.9, BACKOFF), (60.0, STARTING), (75.0, STARTING)])
def test_a_pause_ends_with_the_first_tick_after_it(tick: float, state: str) -> None:
    """Not before; a master that was busy may tick late."""
    assert step(slot(BACKOFF, failures=4), TICK, tick, RULES)[0].state == state


def test_a_reload_begins_with_new_patience() -> None:
    """The new code is not slowed for the old one's deaths: its first ones are answered at once, as at the start."""
    found, _ = step(slot(BACKOFF, failures=9), ReloadAsked(), NOW, RULES)
    answers = []
    for _ in range(lifecycle.PATIENCE + 1):
        found, _ = step(found, Spawned(7), NOW, RULES)
        found, _ = step(found, Died(7, False), NOW, RULES)
        answers.append(found.state)
    assert answers == [STARTING] * lifecycle.PATIENCE + [BACKOFF]
    assert found.until == NOW + 0.5


def test_faithful_answers_each_death_after_a_second() -> None:
    """uWSGI's master looks once a second, and knows no back-off."""
    rules = Rules(at_once=False)
    found = slot(SERVING)
    for _ in range(10):
        found, did = step(found, Died(7, False), NOW, rules)
        assert (found.state, found.until, did) == (BACKOFF, NOW + 1, [Respawning(7)])
        found, _ = step(found, TICK, NOW + 1, rules)
        found, _ = step(found, Spawned(7), NOW + 1, rules)
        assert found.state == SERVING


def test_without_a_back_off_each_death_is_answered_at_once() -> None:
    """However many there were."""
    found = slot(SERVING, failures=50)
    assert step(found, Died(7, False), NOW, Rules(backs_off=False))[1] == [Respawning(7), Spawn(3, 0)]


def test_cheap_starts_nothing_until_wanted() -> None:
    """No process at the start nor after an end; one when there is work; crashing again and again is still slowed."""
    rules = Rules(cheap=True)
    assert step(slot(CLOSED), Started(), NOW, rules) == (slot(CLOSED), [])
    assert step(slot(CLOSED), Wanted(), NOW, rules)[1] == [Spawn(3, 0)]
    ended, did = step(slot(SERVING), Died(7, True), NOW, rules)
    assert (ended.state, did) == (CLOSED, [Ended(7)])
    for before, after, kinds in ((2, CLOSED, [Ended]), (3, BACKOFF, [Respawning, BackingOff])):
        crashed, did = step(slot(SERVING, failures=before), Died(7, False), NOW, rules)
        assert (crashed.state, [type(action) for action in did]) == (after, kinds)
    assert step(ended, TICK, NOW + 100, rules) == (ended, [])


@pytest.mark.parametrize(
    ("state", "event"),
    [
        *((state, Started()) for state in (STARTING, STALE, SERVING, BACKOFF, CROWDED)),
        *((state, Spawned(8)) for state in (SERVING, BACKOFF, CROWDED)),
    ],
    ids=str,
)
def test_what_cannot_happen_raises(state: str, event: Event) -> None:
    """A start where a process is, or a fork that nobody asked for, is a fault of ours, and named."""
    with pytest.raises(lifecycle.Impossible, match=f"{type(event).__name__}.* cannot happen to .*state='{state}'"):
        step(slot(state), event, NOW, RULES)


def test_values_are_equal_to_their_own_kind_alone() -> None:
    """A leave is no kill of the same process, and no tuple; values do not change."""
    assert Leave(7) == Leave(7) != Kill(7)
    assert Leave(7) != (7,)
    assert len({Leave(7), Leave(7), Kill(7)}) == 2
    with pytest.raises(AttributeError):
        Leave(7).pid = 8  # type: ignore[misc]


def test_each_value_has_a_type_for_each_field() -> None:
    """The annotations are those of the fields, in their order."""
    named = [*vars(events).values(), Slot, Rules]
    kinds = [each for each in named if isinstance(each, type) and hasattr(each, "_fields")]
    assert len(kinds) > 14
    for kind in kinds:
        assert tuple(inspect.get_annotations(kind)) == kind._fields, kind
