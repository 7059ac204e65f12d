"""What the module tells of the instance, of requests, of mules, and remote procedure calls."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from spoolsim.emulate import instance as told
from spoolsim.emulate import rpc, stand_ins
from spoolsim.errors import NotEmulated
from spoolsim.spool.packet import encode
from spoolsim.work import app as apps


def test_a_packet_in_a_file_is_read(instance: Any, tmp_path: Path):
    """parsefile gives the variables of a packet with modifier1 0 or 17, as bytes; else None, and a line in the log."""
    instance()
    packet = encode([(b"a", b"bc"), (b"d", b"")])
    path = tmp_path / "packet"
    for first, expected in ((17, {b"a": b"bc", b"d": b""}), (0, {b"a": b"bc", b"d": b""}), (5, None)):
        path.write_bytes(bytes((first,)) + packet[1:] + b"body")
        assert told.parsefile(str(path)) == expected
    path.write_bytes(packet[:-1])
    assert told.parsefile(str(path)) is None
    assert told.parsefile(str(tmp_path / "missing")) is None
    assert 'missing"): No such file or directory' in instance.log.read_text()
    with pytest.raises(TypeError):
        told.parsefile(os.fsencode(path))


def test_memory_and_time_are_those_of_this_process(instance: Any):
    """mem() is (resident, virtual) in bytes and grows with the process; micros() is the clock."""
    instance()
    resident, virtual = told.mem()
    assert 2**20 < resident <= virtual
    block = bytearray(os.urandom(2**10)) * 2**15
    assert told.mem()[0] - resident > len(block) // 2
    assert abs(told.micros() - time.time() * 1e6) < 1e6


@pytest.mark.skipif(sys.platform != "linux", reason="the short name is Linux's")
def test_the_process_is_renamed(instance: Any):
    """setprocname changes the name that the system shows; where setproctitle is missing, the first 15 characters."""
    instance()
    names = Path("/proc/self/comm"), Path("/proc/self/cmdline")
    before = [name.read_text() for name in names]
    child = os.fork()
    if not child:
        told.setprocname("a name of its own")
        os._exit(0 if any(name.read_text().startswith("a name of its o") for name in names) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [name.read_text() for name in names] == before


@pytest.mark.skipif(sys.platform != "linux", reason="the short name is Linux's")
def test_a_process_whose_environment_was_replaced_is_renamed():
    """setproctitle finds no place for the name then, and says nothing of it: the short name is changed."""
    code = (
        "import os; os.environ.clear()\n"
        "from spoolsim.emulate.instance import setprocname\n"
        "setprocname('a name of its own'); print(open('/proc/self/comm').read())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("a name of its o")


def test_workers_are_those_of_the_configuration(instance: Any):
    """With a socket there is one entry for each worker, idle; only the stand-in is a process."""
    instance(socket=":0", processes="2").become(apps.WORKER, worker_id=1)
    first, second = told.workers()
    assert (first["id"], first["pid"], first["status"]) == (1, os.getpid(), b"idle")
    assert (second["id"], second["pid"]) == (2, 0)
    assert told.listen_queue() == 0
    instance(processes="2")
    assert told.workers() == ()
    with pytest.raises(ValueError, match="unable to find socket 0"):
        told.listen_queue()


def test_without_a_master_reload_and_stop_say_so(instance: Any):
    """Where no master runs, reload() and stop() are NotEmulated; nothing is signalled."""
    instance()
    for function in (told.reload, told.stop):
        with pytest.raises(NotEmulated, match="here none is running"):
            function()


def test_logvars_are_of_the_thread(instance: Any):
    """set_logvar gives bytes back in its own thread alone; in a spooler, where uWSGI crashes, it is NotEmulated."""
    instance()
    stand_ins.set_logvar("user", b"me")
    assert (stand_ins.get_logvar(b"user"), stand_ins.get_logvar("other")) == (b"me", None)
    found: list[Any] = []
    other = threading.Thread(target=lambda: found.append(stand_ins.get_logvar("user")))
    other.start()
    other.join()
    assert found == [None]
    instance(role=apps.SPOOLER)
    with pytest.raises(NotEmulated, match="outside of one it crashes"):
        stand_ins.get_logvar("user")
    with pytest.raises(TypeError):
        stand_ins.set_logvar("user", 5)


def test_nothing_is_silently_left_out(instance: Any):
    """log_this_request, farm_msg and a call of an unknown function say once why nothing happens."""
    instance()
    for _ in range(2):
        stand_ins.log_this_request()
        stand_ins.farm_msg("f", "x")
        assert rpc.call(b"unknown") is None
    lines = instance.log.read_text().splitlines()
    assert len(lines) == 3
    assert all(line.startswith("[spoolsim] uwsgi.") for line in lines)


def test_what_the_configuration_asks_for_is_not_emulated(instance: Any):
    """With mules or legions configured their functions raise NotEmulated instead of uWSGI's answer without them."""
    instance(mules="2", legion="l")
    for function, arguments in (
        (stand_ins.mule_msg, ("x",)),
        (stand_ins.farm_msg, ("f", "x")),
        (stand_ins.i_am_the_lord, ("l",)),
        (stand_ins.lord_scroll, ("l",)),
        (stand_ins.scrolls, ("l",)),
    ):
        with pytest.raises(NotEmulated, match=f"uwsgi.{function.__name__}\\(\\) is not emulated"):
            function(*arguments)
    instance()
    with pytest.raises(ValueError, match="no mule configured"):
        stand_ins.mule_msg("x")


def test_functions_are_called_by_name(instance: Any, capsys: pytest.CaptureFixture[str]):
    """rpc() gives what the function returned, None for what fails, printing why; another node: NotEmulated."""
    instance()
    assert rpc.register_rpc("add", lambda a, b: a + b, 2) is True
    rpc.register_rpc("fails", lambda: {}["on purpose"])
    assert rpc.rpc_list() == (b"add", b"fails")
    assert 'registered RPC function "add" on worker 0' in instance.log.read_text()
    assert [rpc.rpc(node, b"add", b"1", b"2") for node in ("", b"", None)] == [b"12"] * 3
    assert rpc.call(b"add", b"1") is None
    assert rpc.call(b"fails") is None
    assert "KeyError: 'on purpose'" in capsys.readouterr().err
    with pytest.raises(NotEmulated, match="spoolsim calls no other node"):
        rpc.rpc(b"127.0.0.1:3031", b"add", b"1", b"2")
    with pytest.raises(ValueError, match="unable to call rpc function"):
        rpc.rpc("", "add")
    instance(role=apps.SPOOLER)
    with pytest.raises(ValueError, match="unable to register rpc function"):
        rpc.register_rpc("late", len)


def test_importers_find_nothing(instance: Any):
    """Nothing is embedded: SymbolsImporter finds no module, the others cannot be made."""
    instance()
    assert stand_ins.SymbolsImporter().find_module("os") is None
    with pytest.raises(ImportError):
        stand_ins.SymbolsImporter().load_module("os")
    with pytest.raises(ValueError, match="unable to find symbol"):
        stand_ins.SymbolsZipImporter("x")
    with pytest.raises(NotEmulated):
        stand_ins.ZipImporter("x")
    with pytest.raises(ValueError, match="unable to find symbol x"):
        stand_ins.embedded_data("x")
