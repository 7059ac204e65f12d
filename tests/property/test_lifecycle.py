"""The life of a slot, walked at random beside a model of the processes, the fork servers and the lines to them."""

from __future__ import annotations

from collections import deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from spoolsim.processes import lifecycle
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
from tests.property import examples

SEATS = (0, 1)
GRACE = 8.0


class Process:
    """A living spooler. told: the master has asked it to leave. doomed: a kill is on its way."""

    def __init__(self, pid: int, seat: int, server: Server) -> None:
        self.pid = pid
        self.seat = seat
        self.server = server
        self.told = False
        self.doomed = False


class Server:
    """A fork server: what the master sent and it has not read, what it sent and the master has not read."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.inbox: deque[tuple[str, int]] = deque()
        self.outbox: deque[tuple[str, int, bool]] = deque()


class Walk(RuleBasedStateMachine):
    """One slot, its master, and every order in which messages, deaths and time can come."""

    def __init__(self) -> None:
        super().__init__()
        self.slot = lifecycle.new(0)
        self.now = 100.0
        self.servers = [Server(0)]
        self.alive: dict[int, Process] = {}
        self.pids = 1000
        self.stopped = False
        #: of processes whose death the master was told
        self.answered = 0

    @initialize(mercy=st.sampled_from([0.0, 3.0, 60.0]), flags=st.tuples(*[st.booleans()] * 3))
    def begin(self, mercy: float, flags: tuple[bool, bool, bool]) -> None:
        """Any rules."""
        cheap, at_once, backs_off = flags
        self.terms = lifecycle.Rules(mercy, cheap, at_once, backs_off)
        self.happen(Started())
        assert self.asked() == (0 if cheap else 1)

    # ---- the master ----

    def happen(self, event: Event) -> list[Action]:
        """An event, and its actions carried out as the master does; what they must never be is asserted here."""
        before = self.slot
        self.slot, actions = lifecycle.step(self.slot, event, self.now, self.terms)
        for action in actions:
            match action:
                case Spawn(number=0, seat=seat):
                    assert not self.stopped, "a spawn after stop"
                    self.servers[-1].inbox.append(("spawn", seat))
                case Leave(pid=pid):
                    self.order("leave", pid)
                case Kill(pid=pid):
                    self.order("kill", pid)
                case Respawning() | Ended() | BackingOff() | Crowding():
                    pass
                case _:
                    raise AssertionError(f"an unknown action: {action}")
        assert self.slot.number == before.number
        assert self.slot.spawns - before.spawns == sum(isinstance(action, Spawn) for action in actions)
        return actions

    def order(self, what: str, pid: int) -> None:
        process = self.alive.get(pid)
        if process is None:
            return  # it died just now
        process.told = True
        process.doomed |= what == "kill"
        process.server.inbox.append((what, pid))

    def asked(self) -> int:
        return sum(what == "spawn" for server in self.servers for what, _ in server.inbox)

    # ---- what can happen ----

    @rule(which=st.integers(0, 5), fails=st.booleans(), unlucky=st.integers(0, 4))
    def server_obeys(self, which: int, fails: bool, unlucky: int) -> None:
        """A fork server reads its next message; a fork may fail."""
        server = self.servers[which % len(self.servers)]
        if server.inbox:
            self.obey(server, fails and not unlucky)

    def obey(self, server: Server, fails: bool = False) -> None:
        what, number = server.inbox.popleft()
        if what == "spawn":
            if fails:
                server.outbox.append(("died", 0, False))
                return
            self.pids += 1
            self.alive[self.pids] = Process(self.pids, number, server)
            server.outbox.append(("spawned", self.pids, False))
        elif what == "kill" and number in self.alive:
            self.die(self.alive[number], False)

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), worked=st.booleans())
    def process_dies(self, data: st.DataObject, worked: bool) -> None:
        """Any process ends at any moment, for any reason."""
        pid = data.draw(st.sampled_from(sorted(self.alive)))
        self.die(self.alive[pid], worked)

    def die(self, process: Process, worked: bool) -> None:
        del self.alive[process.pid]
        process.server.outbox.append(("died", process.pid, worked))

    @rule(times=st.integers(1, 6), worked=st.booleans())
    def crash(self, times: int, worked: bool) -> None:
        """The serving process ends again and again, and all is told at once."""
        for _ in range(times):
            self.deliver()
            if self.slot.pid in self.alive:
                self.die(self.alive[self.slot.pid], worked)
        self.deliver()

    def deliver(self) -> None:
        for server in self.servers:
            while server.inbox:
                self.obey(server)
            while server.outbox:
                self.read(server)

    @rule(which=st.integers(0, 5))
    def master_reads(self, which: int) -> None:
        """The master reads the next message of a fork server."""
        server = self.servers[which % len(self.servers)]
        if server.outbox:
            self.read(server)

    def read(self, server: Server) -> None:
        what, pid, worked = server.outbox.popleft()
        if what == "spawned":
            self.happen(Spawned(pid))
            return
        serving = pid == self.slot.pid and self.slot.state in ("serving", "starting", "stale")
        failures = self.slot.failures
        actions = self.happen(Died(pid, worked))
        if not serving or self.stopped:
            return
        kinds = {type(action) for action in actions}
        assert (Ended if self.slot.state == lifecycle.CLOSED else Respawning) in kinds, "a death without a word"
        if Ended in kinds:
            assert self.terms.cheap
        elif self.slot.state == lifecycle.BACKOFF:
            assert self.slot.until > self.now
            assert not self.terms.at_once or (BackingOff in kinds and failures >= lifecycle.PATIENCE), (
                "a pause without a reason"
            )
        else:
            assert Spawn in kinds or self.slot.state == lifecycle.CROWDED, "a death without an answer"

    @rule(seconds=st.sampled_from([0.0, 0.1, 1.0, 5.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        """The clock goes on, and the master ticks."""
        self.now += seconds
        self.happen(TICK)

    @rule()
    def reload(self) -> None:
        """A new fork server is ready; at most a few in one walk."""
        if not self.stopped and len(self.servers) < 6:
            self.servers.append(Server(len(self.servers)))
            self.happen(ReloadAsked())

    @rule()
    def wanted(self) -> None:
        """Work was found (only asked for under spooler-cheap)."""
        if self.terms.cheap:
            self.happen(Wanted())

    @rule(grace=st.sampled_from([0.0, 1.0, GRACE]))
    def stop(self, grace: float) -> None:
        """The first signal, or one more of them."""
        self.stopped = True
        self.happen(StopAsked(self.now + grace))

    @rule()
    def kill(self) -> None:
        """The second signal."""
        self.stopped = True
        self.happen(KillAsked())
        for process in self.alive.values():
            assert process.doomed or self.unread(process), "a process that a kill forgot"

    def unread(self, process: Process) -> bool:
        """Does the master not know yet that it was spawned?"""
        return ("spawned", process.pid, False) in process.server.outbox

    # ---- what always holds ----

    @invariant()
    def one_serves(self) -> None:
        """Never two serving processes, the ones asked for counted too."""
        assert self.asked() + sum(not process.told for process in self.alive.values()) <= 1

    @invariant()
    def two_live(self) -> None:
        """Never more than two processes, and never two in one seat."""
        seats = [process.seat for process in self.alive.values()]
        seats += [seat for server in self.servers for what, seat in server.inbox if what == "spawn"]
        assert len(seats) <= 2
        assert len(set(seats)) == len(seats)
        assert set(seats) <= set(SEATS)

    @invariant()
    def known(self) -> None:
        """Every process that lives and was announced has its place in the slot."""
        rows = {pid for pid, _, _ in self.slot.leaving} | {self.slot.pid}
        assert all(process.pid in rows or self.unread(process) for process in self.alive.values())

    @invariant()
    def what_it_says(self) -> None:
        """A slot names a process and a seat where it has one, and nowhere else."""
        assert (self.slot.pid > 0) == (self.slot.state == lifecycle.SERVING)
        if self.slot.state in (lifecycle.STARTING, lifecycle.STALE, lifecycle.SERVING):
            assert self.slot.seat in SEATS
        else:
            assert (self.slot.pid, self.slot.seat) == (0, -1)

    # ---- the end ----

    def settle(self) -> None:
        """Deliver everything, and let time pass until the slot wants nothing more; only kills end a process."""
        for _ in range(100):
            self.deliver()
            if not any(server.inbox or server.outbox for server in self.servers):
                look = lifecycle.next_deadline(self.slot)
                if look is None:
                    return
                self.now = max(self.now, look)
                self.happen(TICK)
        raise AssertionError(f"it never comes to rest: {self.slot}")

    def teardown(self) -> None:
        """Left alone, one process of the newest code serves; after a stop, none is left."""
        if not hasattr(self, "terms"):
            return
        if not self.stopped:
            self.settle()
            serving = [process for process in self.alive.values() if not process.told]
            assert [process.server for process in serving] in ([self.servers[-1]], [] if self.terms.cheap else None)
            assert self.slot.state == (lifecycle.SERVING if serving else lifecycle.CLOSED)
            self.stopped = True
            self.happen(StopAsked(self.now + GRACE))
        self.settle()
        assert lifecycle.over(self.slot)
        assert not self.alive


Walk.TestCase.settings = settings(max_examples=examples(300), stateful_step_count=40, deadline=None)
TestLifecycle = Walk.TestCase
