"""`spoolsim ls`, `show`, `why`, `retry` and the others: each state, each exit status, --json by its schema."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

from spoolsim.cli.commands import commands
from spoolsim.spool import settle
from spoolsim.spool.claim import Claim, take
from spoolsim.spool.directory import FAILED, SpoolDir
from spoolsim.spool.journal import Journal
from spoolsim.spool.lock import lock
from spoolsim.spool.names import PREFIX
from spoolsim.spool.scan import Level
from spoolsim.spool.verdicts import Aside
from spoolsim.tasks.ids import digest
from spoolsim.tasks.records import SCHEMAS
from tests.oracle.packets import packet
from tests.unit.cli.conftest import put

Run = Callable[..., Result]

TASK = packet({b"user": b"42"}) + b"the body"
MAIL = packet({b"ud_spool_func": b"mail", b"to": b"xeno"})


def set_aside(spool: SpoolDir, name: str, state: str = FAILED, why: str = "raised ValueError: no") -> str:
    """Claim a task and move it to the state directory, as a spooler does."""
    home, base = os.path.split(f"{spool.path}/{name}")
    fd = os.open(home, os.O_RDONLY)
    try:
        claim = take(Level(spool, home, fd), base, time.time())
        assert isinstance(claim, Claim)
        return settle.apply(claim, Aside(state, why))
    finally:
        os.close(fd)


def records(result: Result, kind: str) -> list[dict[str, Any]]:
    """What --json printed, each line valid by the schema that ships."""
    assert result.exit_code == 0, result.output
    schema = json.loads(Path(SCHEMAS, f"{kind}.json").read_text())
    found = [json.loads(line) for line in result.stdout.splitlines()]
    for record in found:
        jsonschema.validate(record, schema)
    return found


def short(name: str) -> str:
    return digest(os.path.basename(name))[:6]


@pytest.fixture
def every(spool: SpoolDir) -> Any:
    """One task in each state."""
    put(spool, f"{PREFIX}queued", MAIL)
    put(spool, f"{PREFIX}delayed", TASK, age=-3600)
    put(spool, f"{PREFIX}empty", b"")
    put(spool, f"5/{PREFIX}deep", TASK)
    put(spool, f"{PREFIX}tried", TASK, age=-50)
    for name, home in (("failed", "failed"), ("broken", "broken"), ("held", "held")):
        put(spool, PREFIX + name, MAIL)
        set_aside(spool, PREFIX + name, home)
    journal = Journal(spool)
    for _ in range(3):
        journal.add(f"{PREFIX}queued", "retry", 5, "returned None instead of an int")
    journal.add(f"{PREFIX}tried", "retry", 5, "raised KeyError: 'x'")
    journal.done(f"{PREFIX}gone", 2_000_000)
    journal.flush()
    held = os.open(put(spool, f"{PREFIX}running", TASK), os.O_RDWR)
    lock(held)
    yield
    os.close(held)


STATES = {
    "queued": "queued", "delayed": "delayed", "empty": "unfinished", "deep": "never-runs", "tried": "retry-delayed",
    "failed": "failed", "broken": "broken", "held": "held", "running": "running",
}  # fmt: skip


@pytest.mark.usefixtures("every")
def test_each_state_is_listed(spool: SpoolDir, run: Run) -> None:
    """State, call, attempts and reason of each task; nothing is changed by looking."""
    before = sorted(str(path) for path in Path(spool.path).rglob("*"))
    lines = run("ls").output.splitlines()
    told = {line.split()[0]: line for line in lines[1:-1]}
    for name, state in STATES.items():
        assert told[short(PREFIX + name)].split()[1] == state
    assert "3      now  mail(to='xeno')  returned None" in told[short(f"{PREFIX}queued")]
    assert "spooler(user='42', body=<8 bytes>)" in told[short(f"{PREFIX}delayed")]
    assert lines[-1].startswith("9 tasks: 1 queued, 1 running, ")
    assert sorted(str(path) for path in Path(spool.path).rglob("*")) == before


@pytest.mark.usefixtures("every")
def test_ls_as_json(run: Run) -> None:
    """One object a line, valid by the schema."""
    found = {record["task"].rpartition("_")[2]: record for record in records(run("ls", "--json"), "ls")}
    assert {name: record["state"] for name, record in found.items()} == STATES
    assert found["queued"]["attempts"] == 3
    assert found["running"]["pid"] is None  # this process itself is no other
    (gone,) = records(run("ls", "--json", "--state", "done"), "ls")
    assert (gone["task"], gone["attempts"]) == (f"{PREFIX}gone", 1)


@pytest.mark.usefixtures("every")
@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--state", "failed"], {"failed"}),
        (["--state", "failed,held", "--state", "broken"], {"failed", "held", "broken"}),
        (["--func", "mail", "--state", "queued"], {"queued"}),
        (["--grep", "KEYERROR"], {"tried"}),
        (["--older", "1h"], set()),
        (["--older", "0s", "--state", "queued"], {"queued"}),
    ],
)
def test_filters(run: Run, options: list[str], names: set[str]) -> None:
    """Each filter leaves what fits; several must all hold."""
    assert set(run("ls", "-q", *options).output.split()) == {short(PREFIX + name) for name in names}


def test_the_newest_comes_first(spool: SpoolDir, run: Run) -> None:
    """By the time in the names that uwsgi.spool() makes."""
    for at in (1_700_000_001, 1_700_000_003, 1_700_000_002):
        put(spool, f"{PREFIX}host_1_1_1_{at}_5", TASK)
    names = [record["task"].split("_")[-2] for record in records(run("ls", "--json"), "ls")]
    assert names == ["1700000003", "1700000002", "1700000001"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ls", "--state", "lost"], "--state lost: there is no such state"),
        (["ls", "--older", "soon"], "'soon' is not a span of time"),
        (["hold"], "which task?"),
        (["hold", "--all", "abc"], "not both"),
        (["why", "zzz"], "no task 'zzz'; there are no tasks"),
        (["edit", "abc", "--priority", "high"], "not a number"),
        (["rerun", "abc", "--set", "novalue"], "expected KEY=VALUE"),
    ],
)
def test_what_is_not_understood_is_one_line_and_status_2(run: Run, words: list[str], message: str) -> None:
    """The option or task is named; nothing is done."""
    result = run(*words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


@pytest.mark.usefixtures("every")
def test_show(run: Run) -> None:
    """Variables, body and each attempt, for people and as JSON."""
    output = run("show", short(f"{PREFIX}queued")).output
    assert "variable   'to': 'xeno'" in output
    assert output.count("attempt    ") == 3
    (record,) = records(run("show", "--json", short(f"{PREFIX}delayed")), "show")
    assert record["variables"] == [{"name": "user", "value": "42"}]
    assert record["body"] == {"bytes": 8, "preview": "'the body'"}
    (gone,) = records(run("show", "--json", short(f"{PREFIX}gone")), "show")
    assert [each["outcome"] for each in gone["history"]] == ["done"]


@pytest.mark.usefixtures("every")
def test_why_as_json(run: Run) -> None:
    """Reasons with their codes, for each task that is named."""
    found = records(run("why", "--json", short(f"{PREFIX}delayed"), short(f"{PREFIX}held")), "why")
    assert [record["reasons"][0]["code"] for record in found] == ["at", "held"]


@pytest.mark.usefixtures("every")
def test_log(run: Run) -> None:
    """Each attempt; filtered by task, function and outcome."""
    assert len(run("log").output.splitlines()) == 5
    assert len(records(run("log", "--json", "--func", "mail"), "log")) == 3
    assert len(records(run("log", "--json", "--failed"), "log")) == 4
    assert len(records(run("log", "--json", "--since", "1h", "--task", short(f"{PREFIX}gone")), "log")) == 1


@pytest.mark.usefixtures("every")
def test_stats(run: Run) -> None:
    """Runs, retries and times by function; what waits by its age."""
    found = {record["function"]: record for record in records(run("stats", "--json"), "stats")}
    assert (found["mail"]["runs"], found["mail"]["retries"]) == (3, 3)
    assert (found["(not recorded)"]["done"], found["(not recorded)"]["seconds"]["max"]) == (1, 0.002)
    assert sum(found["uwsgi.spooler"]["waiting"].values()) == 3
    assert "FUNCTION" in run("stats").output


@pytest.mark.parametrize("name", [f"{PREFIX}one", f"7/{PREFIX}deep", f"{PREFIX}a line\nbreak", f"{PREFIX}tab\there"])
def test_what_failed_comes_back_whole(spool: SpoolDir, run: Run, name: str) -> None:
    """To where it came from, under its own name, due at once, and without its note."""
    path = put(spool, name, TASK, age=1000)
    set_aside(spool, name)
    assert not os.path.exists(path)
    (record,) = records(run("retry", "--json"), "action")
    assert (record["outcome"], record["path"]) == ("did", path)
    assert Path(path).read_bytes() == TASK
    assert os.stat(path).st_mtime > time.time() - 500
    assert os.listdir(spool.state_dir(FAILED)) == []


@pytest.mark.parametrize("name", [f"{PREFIX}one", f"7/{PREFIX}deep", f"{PREFIX}a line\nbreak"])
def test_what_is_removed_comes_back_whole(spool: SpoolDir, run: Run, name: str) -> None:
    """rm, undo, hold, release: each leaves the bytes, the time and the mode as they were."""
    path = put(spool, name, TASK, age=1000)
    os.chmod(path, 0o640)
    before = os.stat(path)
    for there, back in (("rm", "undo"), ("hold", "release")):
        options = ["--yes"] if there == "rm" else ["--spooler-ordered"]
        records(run(there, "--json", "--all", *options), "action")
        assert not os.path.exists(path)
        records(run(back, "--json", "--all"), "action")
        after = os.stat(path)
        assert Path(path).read_bytes() == TASK
        assert (after.st_mtime_ns, after.st_mode) == (before.st_mtime_ns, before.st_mode)


def test_one_of_several_comes_back(spool: SpoolDir, run: Run) -> None:
    """Those that are named; a name that is not there is an error that lists what is."""
    for name in ("a", "b"):
        put(spool, PREFIX + name, TASK)
        set_aside(spool, PREFIX + name)
    wrong = run("retry", f"{PREFIX}c")
    assert wrong.exit_code == 2
    assert short(f"{PREFIX}a") in wrong.stderr
    assert run("retry", f"{PREFIX}b").exit_code == 0
    assert sorted(name for name in os.listdir(spool.path) if name.startswith(PREFIX)) == [f"{PREFIX}b"]


def test_a_task_is_not_brought_back_over_another(spool: SpoolDir, run: Run) -> None:
    """Where its name was taken meanwhile, both stay as they are, and the status is 1."""
    put(spool, f"{PREFIX}a", TASK)
    aside = set_aside(spool, f"{PREFIX}a")
    put(spool, f"{PREFIX}a", MAIL)
    result = run("retry")
    assert result.exit_code == 1
    assert "something has that name; move it away first" in result.stderr
    assert Path(aside).read_bytes() == TASK
    assert Path(spool.path, f"{PREFIX}a").read_bytes() == MAIL


@pytest.mark.parametrize(
    "note", ["{tmp}/spool-not/{name}\nwhy\n", "/etc/passwd\nwhy\n", "{spool}/../x\nwhy\n", "", "\n"]
)
def test_a_note_leads_nowhere_else(spool: SpoolDir, run: Run, tmp_path: Path, note: str) -> None:
    """Whatever the note beside a failed task says, it comes back inside of its spool directory."""
    (tmp_path / "spool-not").mkdir()
    put(spool, f"{PREFIX}a", TASK)
    aside = set_aside(spool, f"{PREFIX}a")
    Path(f"{aside}.why").write_text(note.format(tmp=tmp_path, name=f"{PREFIX}a", spool=spool.path))
    assert run("retry").exit_code == 0
    assert os.listdir(tmp_path / "spool-not") == []
    assert Path(spool.path, f"{PREFIX}a").read_bytes() == TASK


def test_a_name_like_a_reason_is_a_task(spool: SpoolDir, run: Run) -> None:
    """A task that ends in .why is listed when it was set aside, and comes back; the reasons of tasks are not listed."""
    for name in (f"{PREFIX}a", f"{PREFIX}b.why"):
        put(spool, name, TASK)
        set_aside(spool, name)
    assert set(run("ls", "-q").output.split()) == {short(f"{PREFIX}a"), short(f"{PREFIX}b.why")}
    assert run("retry").exit_code == 0
    assert Path(spool.path, f"{PREFIX}b.why").read_bytes() == TASK
    assert os.listdir(spool.state_dir(FAILED)) == []


@pytest.mark.parametrize("note", ["", "/spool/x\nheld\n"])
def test_a_note_without_its_task_is_no_task(spool: SpoolDir, run: Run, note: str) -> None:
    """Another command has begun to set a task aside, or died: its note alone, empty yet, is not listed."""
    put(spool, f"{PREFIX}a", TASK)
    Path(spool.make_state_dir("held"), f"{PREFIX}a.why").write_text(note)
    assert [record["state"] for record in records(run("ls", "--json"), "ls")] == ["queued"]


@pytest.mark.parametrize(
    ("data", "size", "told"),
    [
        (TASK, 1 << 41, f"body       {(1 << 41) - len(TASK) + 8} bytes"),
        (TASK, len(TASK) - 8, "'user': '42'"),
        (packet({b"user": b"v" * 65_000}), 80_000, f"body       {80_000 - 65_012} bytes"),
        (b"\x11\xff\xff\x00", 1 << 41, "an empty key"),
    ],
    ids=["sparse", "no body", "much", "broken"],
)
def test_a_body_is_not_read_for_its_size(spool: SpoolDir, run: Run, data: bytes, size: int, told: str) -> None:
    """More than memory holds: the variables are shown all the same, and how long the body is."""
    os.truncate(put(spool, f"{PREFIX}big", data), size)
    output = run("show", f"{PREFIX}big").output
    assert told in output
    assert ("  body  " in output) == told.startswith("body")


def test_rm_asks(spool: SpoolDir, run: Run, tmp_path: Path) -> None:
    """Without a terminal to ask on it wants --yes, and removes nothing."""
    path = put(spool, f"{PREFIX}a", TASK)
    result = run("rm", "--all")
    assert (result.exit_code, os.path.exists(path)) == (2, True)
    assert "add --yes" in result.stderr


def test_undo_brings_back_the_last_rm_alone(spool: SpoolDir, run: Run) -> None:
    """Two rm: undo brings back the second; again the first; then there is nothing."""
    paths = [put(spool, PREFIX + name, TASK) for name in "abc"]
    assert run("rm", "--yes", f"{PREFIX}a").exit_code == 0
    assert run("rm", "--yes", "--all").exit_code == 0
    assert [os.path.exists(path) for path in paths] == [False] * 3
    assert run("undo").exit_code == 0
    assert [os.path.exists(path) for path in paths] == [False, True, True]
    assert run("undo").exit_code == 0
    assert os.path.exists(paths[0])
    nothing = run("undo")
    assert (nothing.exit_code, "the trash is empty" in nothing.stderr) == (1, True)


def test_undo_brings_a_failed_task_back_among_the_failed(spool: SpoolDir, run: Run) -> None:
    """With its reason."""
    put(spool, f"{PREFIX}a", TASK)
    set_aside(spool, f"{PREFIX}a")
    before = run("ls").output
    assert run("rm", "--yes", "--all", "--state", "failed").exit_code == 0
    assert "removed" in run("ls", "--state", "removed").output
    assert run("undo").exit_code == 0
    assert "raised ValueError: no" in before
    assert [line.split()[:2] + line.split()[4:] for line in run("ls").output.splitlines()[1:]] == [
        line.split()[:2] + line.split()[4:] for line in before.splitlines()[1:]
    ]


@pytest.mark.parametrize("action", [["hold"], ["release"], ["rm", "--yes"], ["undo"], ["retry"]])
def test_an_action_twice_is_the_same_as_once(spool: SpoolDir, run: Run, action: list[str]) -> None:
    """The second time says that it is so already, and ends well."""
    put(spool, f"{PREFIX}a", TASK)
    (first,) = records(run(*action, "--json", f"{PREFIX}a"), "action")
    (second,) = records(run(*action, "--json", f"{PREFIX}a"), "action")
    assert second["outcome"] == "already"
    assert first["path"] == second["path"]


def test_a_running_task_is_left_alone(spool: SpoolDir, run: Run) -> None:
    """Locked: each action refuses, says so, ends with 1, and changes nothing."""
    path = put(spool, f"{PREFIX}a", TASK)
    fd = os.open(path, os.O_RDWR)
    lock(fd)
    for words in (["hold"], ["rm", "--yes"], ["edit", "--set", "a=b"], ["mv"]):
        last = [spool.path] if words == ["mv"] else []
        (Path(spool.path).parent / "other").mkdir(exist_ok=True)
        last = [str(Path(spool.path).parent / "other")] if words == ["mv"] else []
        result = run(*words, f"{PREFIX}a", *last)
        assert result.exit_code == 1, words
        assert "runs now" in result.stderr
        assert result.stdout == ""
    os.close(fd)
    assert Path(path).read_bytes() == TASK


def test_edit_changes_the_variables_alone(spool: SpoolDir, run: Run) -> None:
    """--set, --unset and --at; the body, the name and the id stay."""
    path = put(spool, f"{PREFIX}a", packet({b"user": b"42", b"old": b"1"}) + b"the body", age=100)
    assert run("edit", f"{PREFIX}a", "--set", "user=7", "--unset", "old", "--at", "+3600").exit_code == 0
    (record,) = records(run("show", "--json", f"{PREFIX}a"), "show")
    assert record["state"] == "delayed"
    assert record["variables"][0] == {"name": "user", "value": "7"}
    assert [each["name"] for each in record["variables"]] == ["user", "at"]
    assert record["body"]["preview"] == "'the body'"
    assert record["path"] == path
    assert run("edit", f"{PREFIX}a", "--priority", "5").exit_code == 0
    assert not os.path.exists(path)
    assert os.path.exists(f"{spool.path}/5/{PREFIX}a")


def test_edit_in_an_editor(spool: SpoolDir, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables as a dictionary of literals; what cannot be read changes nothing."""
    path = put(spool, f"{PREFIX}a", TASK)
    monkeypatch.setenv("EDITOR", "sed -i s/42/43/")
    assert run("edit", f"{PREFIX}a").exit_code == 0
    assert Path(path).read_bytes() == packet({b"user": b"43"}) + b"the body"
    monkeypatch.setenv("EDITOR", "sed -i s/{/(/")
    result = run("edit", f"{PREFIX}a")
    assert (result.exit_code, "nothing was changed" in result.stderr) == (2, True)
    monkeypatch.setenv("EDITOR", "true")
    assert run("edit", f"{PREFIX}a").exit_code == 1
    assert Path(path).read_bytes() == packet({b"user": b"43"}) + b"the body"


def test_rerun_makes_a_new_task(spool: SpoolDir, run: Run) -> None:
    """The bytes of this one, changed where it is said; this one stays."""
    path = put(spool, f"{PREFIX}a", TASK)
    set_aside(spool, f"{PREFIX}a")
    (record,) = records(run("rerun", "--json", f"{PREFIX}a"), "action")
    assert Path(record["path"]).read_bytes() == TASK
    assert not os.path.exists(path)
    arguments = ["--set", "user=7", "--at", "2000000000", "--priority", "3"]
    (record,) = records(run("rerun", "--json", f"{PREFIX}a", *arguments), "action")
    expected = packet({b"user": b"7", b"at": b"2000000000", b"priority": b"3"}) + b"the body"
    assert Path(record["path"]).read_bytes() == expected
    assert os.path.dirname(record["path"]) == f"{spool.path}/3"
    assert os.stat(record["path"]).st_mtime == 2_000_000_000


def test_rerun_of_a_task_whose_bytes_are_gone(spool: SpoolDir, run: Run) -> None:
    """The journal holds no bytes: the error says so."""
    journal = Journal(spool)
    journal.done(f"{PREFIX}gone", 5)
    journal.flush()
    result = run("rerun", f"{PREFIX}gone")
    assert (result.exit_code, "its bytes were not recorded" in result.stderr) == (1, True)


def test_mv_goes_to_the_other_directory(spool: SpoolDir, run: Run, tmp_path: Path) -> None:
    """Bytes, time and priority stay; a failed task goes to the queue there; again is refused or already so."""
    (tmp_path / "other").mkdir()
    put(spool, f"5/{PREFIX}a", TASK, age=100)
    put(spool, f"{PREFIX}b", TASK)
    set_aside(spool, f"{PREFIX}b")
    found = records(run("mv", "--json", "--all", str(tmp_path / "other")), "action")
    assert [record["outcome"] for record in found] == ["did", "did"]
    assert (tmp_path / "other" / "5" / f"{PREFIX}a").read_bytes() == TASK
    assert (tmp_path / "other" / f"{PREFIX}b").read_bytes() == TASK
    assert os.listdir(spool.state_dir(FAILED)) == []
    assert run("ls", "-q").output == ""


def test_directories_come_from_a_configuration(
    spool: SpoolDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--config FILE, or what `run` would find; its spooler-ordered holds; nothing at all is an error with advice."""
    put(spool, f"5/{PREFIX}deep", TASK)
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    nothing = runner.invoke(commands, ["ls"])
    assert (nothing.exit_code, "add --spooler DIR or --config FILE" in nothing.stderr) == (2, True)
    (tmp_path / "other.ini").write_text("[uwsgi]\nspooler = spool\nspooler-ordered = true\n")
    named = runner.invoke(commands, ["ls", "--json", "--config", "other.ini"])
    assert [record["state"] for record in records(named, "ls")] == ["queued"]
    (tmp_path / "other.ini").rename("uwsgi.ini")
    for words in (["ls", "--json"], ["ls", "--json", "--spooler", "spool"]):
        assert [record["state"] for record in records(runner.invoke(commands, words), "ls")] == ["queued"]
    (tmp_path / "uwsgi.ini").write_text("[uwsgi]\nmaster = true\n")
    empty = runner.invoke(commands, ["ls"])
    assert (empty.exit_code, "names no spool directory" in empty.stderr) == (2, True)


def test_quiet_and_verbose(spool: SpoolDir, run: Run) -> None:
    """-q: nothing but errors; -v: where the task is now."""
    put(spool, f"{PREFIX}a", TASK)
    assert run("hold", "-q", f"{PREFIX}a").output == ""
    assert spool.path in run("release", "-v", f"{PREFIX}a").output
    assert spool.path in run("ls", "-v").output


HOSTILE = "\x1b[31mred\n\u202e".encode()


@pytest.mark.parametrize("command", ["ls", "show", "why", "log", "stats", "hold"])
def test_hostile_data_is_harmless(spool: SpoolDir, run: Run, command: str) -> None:
    """Escape sequences and right-to-left marks in names, variables and errors are printed as escapes."""
    name = f"{PREFIX}\x1b[31mred\u202e"
    put(spool, name, packet({b"ud_spool_func": HOSTILE, HOSTILE: HOSTILE}) + HOSTILE)
    journal = Journal(spool)
    journal.add(name, "retry", 5, "raised ValueError: \x1b[31mred\u202e")
    journal.flush()
    output = run(command, *([short(name)] if command in ("show", "why", "hold") else [])).output
    assert "red" in output
    assert output.replace("\n", "").isprintable()


def completed(words: str, incomplete: str) -> list[str]:
    """What the shell would be offered behind these words."""
    from click.shell_completion import BashComplete

    found = BashComplete(commands, {}, "spoolsim", "_X").get_completions(words.split(), incomplete)
    return [item.value for item in found]


def test_completion(spool: SpoolDir, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Commands, ids, functions, states."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "uwsgi.ini").write_text("[uwsgi]\nspooler = spool\n")
    put(spool, f"{PREFIX}a", MAIL)
    task = short(f"{PREFIX}a")
    assert completed("", "re") == ["retry", "rerun", "release"]
    assert completed("why", task[:2]) == [task]
    assert completed(f"hold --spooler {spool.path}", "") == [task]
    assert completed("ls --func", "ma") == ["mail"]
    assert completed("ls --state", "failed,re") == ["failed,retry-delayed", "failed,removed"]
    assert completed("run", "--spooler-ord") == ["--spooler-ordered"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    """Each shell gets its script."""
    result = CliRunner().invoke(commands, ["completion", shell])
    assert result.exit_code == 0
    assert "_SPOOLSIM_COMPLETE" in result.output


@pytest.fixture
def configured(spool: SpoolDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a task in a directory that `other.ini` names, in the working directory."""
    monkeypatch.chdir(tmp_path)
    Path("other.ini").write_text("[uwsgi]\nspooler = spool\n[second]\nspooler = spool\n")
    put(spool, f"{PREFIX}one", packet({b"user": b"42"}))
    Journal(spool).add(f"{PREFIX}one", "retry", 5, "raised ValueError")
    return short(f"{PREFIX}one")


@pytest.mark.usefixtures("spool")
@pytest.mark.parametrize("command", ["ls", "log", "stats"])
@pytest.mark.parametrize("given", [["other.ini"], ["other.ini:second"], ["--config", "other.ini"], ["./other.ini"], []])
def test_a_configuration_file_beside_the_options(configured: str, command: str, given: list[str]) -> None:
    """As an argument, by --config, and found as `run` finds it, in the environment, too."""
    environ = {} if given else {"UWSGI_INI": "other.ini"}
    done = CliRunner(env=environ).invoke(commands, [command, "--json", *given])
    assert done.exit_code == 0, done.output
    assert configured in done.stdout or command == "stats"
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("command", ["show", "why", "retry", "hold", "rm"])
def test_a_configuration_for_a_command_with_tasks(configured: str, command: str) -> None:
    """--config FILE; a file among the tasks is an error that says so."""
    yes = ["--yes"] if command == "rm" else []
    done = CliRunner().invoke(commands, [command, "--config", "other.ini", "--json", configured, *yes])
    assert done.exit_code == 0, done.output
    assert configured in done.stdout
    done = CliRunner().invoke(commands, [command, "other.ini", configured])
    assert done.exit_code == 2
    assert "other.ini is not a task but a configuration file: say --config other.ini" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ls", "other.ini", "--config", "other.ini"], "give one configuration file"),
        (["ls", "spool"], "spool is a directory: say --spooler spool"),
        (["log", "3fa"], "3fa is not a configuration file; of a task tell `show`, `why` and `log --task`"),
        (["stats", "absent.ini"], "absent.ini"),
    ],
)
@pytest.mark.usefixtures("configured")
def test_an_argument_that_is_no_configuration(words: list[str], message: str) -> None:
    """It is named, with what to write."""
    done = CliRunner().invoke(commands, words)
    assert done.exit_code == 2
    assert message in done.stderr


@pytest.mark.parametrize("given", [["other.ini"], ["--config", "other.ini"], ["--spooler", "spool"]])
@pytest.mark.usefixtures("configured")
def test_sweep_of_a_configuration(spool: SpoolDir, given: list[str]) -> None:
    """It sweeps the directories that the file names."""
    left = put(spool, f"{PREFIX}empty", b"", age=7200)
    done = CliRunner().invoke(commands, ["sweep", *given])
    assert done.exit_code == 0, done.output
    assert left in done.stdout
