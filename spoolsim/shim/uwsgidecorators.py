"""Decorators for uWSGI apps, with the names and the behaviour of the `uwsgidecorators` module that uWSGI installs.

    @spool  @spoolraw  @spoolforever             a function becomes a task: calling it enqueues
    @timer  @rbtimer  @mstimer  @cron  @filemon  a function becomes the handler of a uwsgi signal that something raises
    @signal  @rpc  @erlang                       a function is registered under a number or a name
    @postfork  @lock  @harakiri  @thread         when and how a function runs
    @mule  @muleloop  @mulemsg  @mulefunc  @farm what mules do

It needs nothing but `import uwsgi` and so works over the real module too. Where spoolsim is safer than uWSGI it asks
`uwsgi._spoolsim`, which the real module lacks: `.policy` (what to do as uWSGI does) and `.note(code, detail)`.
Importing it sets `uwsgi.spooler`, `uwsgi.post_fork_hook` and `uwsgi.mule_msg_hook`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, TypeVar

    F = TypeVar("F", bound=Callable[..., Any])
    Fields = Mapping[str, Any] | Iterable[tuple[str, Any]]
    # the real module has no types, and which of its names exist depends on how it was started
    uwsgi: Any
else:
    import uwsgi

if uwsgi.masterpid() == 0:
    raise Exception("you have to enable the uWSGI master process to use this module")

#: functions that tasks name, by bare __name__: a later function of the same name replaces the first
spooler_functions: dict[str, Callable[..., Any]] = {}
#: functions that messages to mules name
mule_functions: dict[str, Callable[..., Any]] = {}
#: called one after the other in each new process
postfork_chain: list[Callable[[], Any]] = []

#: one variable of a task holds fewer bytes than this; uWSGI cuts a longer one to its length modulo this
_VARIABLE_LIMIT = 65536
#: keyword arguments that concern the task, not the function, in the order in which they are written
_TASK_FIELDS = ("message_dict", "spooler", "priority", "at", "body")


# --- tasks --------------------------------------------------------------------------------------------------------


def _to_bytes(value: Any) -> Any:
    return value.encode("utf-8") if isinstance(value, str) else value


def _to_text(value: Any) -> Any:
    return value.decode("utf-8") if isinstance(value, bytes) else value


def _no_spooler(decorator: str) -> Exception:
    """The error of a decorator where no spooler is configured, with what to do under spoolsim."""
    error = Exception(f"you have to enable the uWSGI spooler to use @{decorator} decorator")
    runtime = getattr(uwsgi, "_spoolsim", None)
    if runtime is not None and runtime.policy.explains:
        if "spooler-external" in uwsgi.opt:
            error.add_note(
                "only spooler-external is configured, and uWSGI's decorators ask for `spooler`; "
                "add spooler = DIRECTORY, or enqueue with uwsgi.spool({b'ud_spool_func': b'NAME', ...})"
            )
        else:
            error.add_note(
                "no spooler is configured; add spooler = DIRECTORY to the configuration, or --spooler DIRECTORY"
            )
    return error


class _spoolraw:
    """A function whose call enqueues a task; in the spooler its result, as an int, says what becomes of the task.

    f: the function itself; `f.spool` is set to this object's call.
    pass_arguments: True: the arguments are pickled and f gets them back; False: the call takes one dict, or keyword
        arguments, of text or bytes, and f gets one dict of text.
    Raises Exception where no spooler is configured; mirrors uWSGI's @spoolraw.
    """

    #: outcome written into the task, which then wins over what the function returns; None: none
    _outcome: str | None = None

    def __init__(self, f: Callable[..., Any], pass_arguments: bool) -> None:
        if "spooler" not in uwsgi.opt:
            raise _no_spooler(type(self).__name__)
        self.f = f
        self.pass_arguments = pass_arguments
        name = f.__name__
        spooler_functions[name] = f
        self.base_dict = {"ud_spool_func": name}
        if self._outcome is not None:
            self.base_dict["ud_spool_ret"] = self._outcome
        f.spool = self.__call__  # type: ignore[attr-defined]  # the attribute is uWSGI's interface

    def __call__(self, *args: Any, **kwargs: Any) -> bytes:
        """Enqueue; returns the path of the task's file. Raises what `uwsgi.spool` raises."""
        fields: dict[Any, Any] = dict(self.base_dict)
        if self.pass_arguments:
            fields.update((name, kwargs.pop(name)) for name in _TASK_FIELDS if name in kwargs)
            fields["args"] = self._pickled("args", args)
            fields["kwargs"] = self._pickled("kwargs", kwargs)
        else:
            if args:
                fields.update(args[0])
            fields.update(kwargs)
        path: bytes = uwsgi.spool({_to_bytes(key): _to_bytes(value) for key, value in fields.items()})
        return path

    def spool(self, *args: Any, **kwargs: Any) -> bytes:
        """The same as calling the object."""
        return self(*args, **kwargs)

    def _pickled(self, field: str, value: object) -> bytes:
        import pickle

        data = pickle.dumps(value)
        if len(data) >= _VARIABLE_LIMIT:
            self._too_big(f"{field} of {self.base_dict['ud_spool_func']}(): {len(data)} bytes pickled")
        return data

    def _too_big(self, detail: str) -> None:
        """Refuse the call, unless uWSGI itself is at work or is to be followed to the letter."""
        runtime = getattr(uwsgi, "_spoolsim", None)
        if runtime is None or not runtime.policy.refuses_long_pickles:
            return
        runtime.note("pickle-cut", detail)
        error = ValueError("unable to spool job")
        error.add_note(f"{detail}, and at most {_VARIABLE_LIMIT - 1} fit: hand big data over in a file, by its path")
        raise error


class _spool(_spoolraw):
    """As _spoolraw, but the task is done whatever the function returns; an exception retries it."""

    _outcome = str(uwsgi.SPOOL_OK)


class _spoolforever(_spoolraw):
    """As _spoolraw, but the task is always run again."""

    _outcome = str(uwsgi.SPOOL_RETRY)


def spool_decorate(
    f: Callable[..., Any] | None = None, pass_arguments: bool = False, _class: type[_spoolraw] = _spoolraw
) -> Any:
    """Decorate f with `_class`, or return a decorator that does when f is missing."""
    if f:
        return _class(f, pass_arguments)
    from functools import partial

    return partial(_class, pass_arguments=pass_arguments)


def spoolraw(f: Callable[..., Any] | None = None, pass_arguments: bool = False) -> Any:
    """Decorator: calling f enqueues; f's result is the outcome: SPOOL_OK, SPOOL_RETRY or SPOOL_IGNORE."""
    return spool_decorate(f, pass_arguments, _spoolraw)


def spool(f: Callable[..., Any] | None = None, pass_arguments: bool = False) -> Any:
    """Decorator: calling f enqueues; the task is done once f returns, whatever it returns."""
    return spool_decorate(f, pass_arguments, _spool)


def spoolforever(f: Callable[..., Any] | None = None, pass_arguments: bool = False) -> Any:
    """Decorator: calling f enqueues; the task is run again on every scan."""
    return spool_decorate(f, pass_arguments, _spoolforever)


def _decoded(task: dict[Any, Any]) -> dict[Any, Any]:
    """`task` with text values. Raises UnicodeDecodeError, after telling spoolsim which variable is not text."""
    fields: dict[Any, Any] = {}
    for key, value in task.items():
        try:
            fields[key] = _to_text(value)
        except UnicodeDecodeError:
            runtime = getattr(uwsgi, "_spoolsim", None)
            if runtime is not None:
                name = task.get("ud_spool_func", b"an unnamed function")
                name = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
                runtime.note("not-utf8", f"{key!r} of a task for {name}")
            raise
    return fields


def manage_spool_request(vars: dict[Any, Any]) -> int:
    """Run the function that a task names; what `uwsgi.spooler` is set to.

    vars: the task, as uWSGI hands it over. Returns the outcome: the task's own `ud_spool_ret`, else the function's
    result. Raises KeyError for a task of no known function, UnicodeDecodeError for binary, what the function raises.
    Unpickles a variable named `args`: whoever can write the spool directory can run code (as in uWSGI).
    """
    task = {_to_text(key): value for key, value in vars.items()}
    if "args" in task:
        import pickle

        args = pickle.loads(task.pop("args"))
        kwargs = pickle.loads(task.pop("kwargs"))
        fields = _decoded(task)
        result = spooler_functions[fields["ud_spool_func"]](*args, **kwargs)
    else:
        fields = _decoded(task)
        result = spooler_functions[fields["ud_spool_func"]](fields)
    # looked up after the call: the function may have changed the dict it was given
    return int(fields.get("ud_spool_ret", result))


# --- uwsgi signals ------------------------------------------------------------------------------------------------


def get_free_signal() -> int:
    """The lowest signal number nobody registered. Raises Exception when all 256 are taken."""
    runtime = getattr(uwsgi, "_spoolsim", None)
    # a program beside a run imports what the run does, and has to come to the same numbers
    registered = runtime.signals.handlers.__contains__ if runtime is not None else uwsgi.signal_registered
    for number in range(256):
        if not registered(number):
            return number
    raise Exception("No free uwsgi signal available")


class _Handler:
    """Registers a function as a signal's handler, then what raises that signal.

    num: signum=, or the first number free when the decorator is made (not when it is applied).
    target: target=, such as 'spooler'; '' is uWSGI's default, the first worker. Other keywords are dropped.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        # uWSGI asks for a free number even where one is given, and fails when there is none
        free = get_free_signal()
        self.num: int = options.get("signum", free)
        self.target: str = options.get("target", "")

    def __call__(self, f: F) -> F:
        uwsgi.register_signal(self.num, self.target, f)
        self._arm()
        return f

    def _arm(self) -> None:
        """Have something raise the signal."""


class signal(_Handler):
    """Decorator: f(number) handles uwsgi signal `num`. target=: who runs it. Mirrors uwsgi.register_signal."""

    def __init__(self, num: int, **kwargs: Any) -> None:
        self.num = num
        self.target = kwargs.get("target", "")


class timer(_Handler):
    """Decorator: f(signal number) runs every `secs` seconds. target=, signum=. Mirrors uwsgi.add_timer."""

    def __init__(self, secs: int, **kwargs: Any) -> None:
        super().__init__(kwargs)
        self.secs = secs

    def _arm(self) -> None:
        uwsgi.add_timer(self.num, self.secs)


class rbtimer(_Handler):
    """Decorator: as timer, kept by the master in a tree. Takes no iterations: uWSGI drops them here.

    Mirrors uwsgi.add_rb_timer.
    """

    def __init__(self, secs: int, **kwargs: Any) -> None:
        super().__init__(kwargs)
        self.secs = secs

    def _arm(self) -> None:
        uwsgi.add_rb_timer(self.num, self.secs)


class cron(_Handler):
    """Decorator: f(signal number) runs in the minutes that match; -1 any, -N every N. Mirrors uwsgi.add_cron."""

    def __init__(self, minute: int, hour: int, day: int, month: int, dayweek: int, **kwargs: Any) -> None:
        super().__init__(kwargs)
        self.minute = minute
        self.hour = hour
        self.day = day
        self.month = month
        self.dayweek = dayweek

    def _arm(self) -> None:
        uwsgi.add_cron(self.num, self.minute, self.hour, self.day, self.month, self.dayweek)


class filemon(_Handler):
    """Decorator: f(signal number) runs when the path `fsobj` changes. Mirrors uwsgi.add_file_monitor."""

    def __init__(self, fsobj: str, **kwargs: Any) -> None:
        super().__init__(kwargs)
        self.fsobj = fsobj

    def _arm(self) -> None:
        uwsgi.add_file_monitor(self.num, self.fsobj)


# --- registered under a name --------------------------------------------------------------------------------------


class rpc:
    """Decorator: f can be called by `name` from other instances. Mirrors uwsgi.register_rpc."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, f: F) -> F:
        uwsgi.register_rpc(self.name, f)
        return f


class erlang:
    """Decorator: f receives the messages to the Erlang process `name`. Mirrors uwsgi.erlang_register_process."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, f: F) -> F:
        uwsgi.erlang_register_process(self.name, f)
        return f


# --- when and how a function runs ---------------------------------------------------------------------------------


class postfork:
    """Decorator: f() runs in each new process, spoolers too; @postfork(N) only in worker N.

    With a number the decorated name becomes None, as in uWSGI.
    """

    def __init__(self, f: Any) -> None:
        self.f: Any = f if callable(f) else None
        self.wid: Any = 0 if callable(f) else f
        postfork_chain.append(self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.f is None:
            self.f = args[0]
            return None
        if self.wid > 0 and uwsgi.worker_id() != self.wid:
            return None
        return self.f()


def postfork_chain_hook() -> None:
    """Run what was registered for a new process; what `uwsgi.post_fork_hook` is set to."""
    for hook in postfork_chain:
        hook()


class lock:
    """Decorator: f runs while holding uwsgi's lock 0. In a spooler it does not run at all and gives None."""

    def __init__(self, f: Callable[..., Any]) -> None:
        self.f = f

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if uwsgi.i_am_the_spooler():
            runtime = getattr(uwsgi, "_spoolsim", None)
            if runtime is not None:
                runtime.note("lock-skipped", f"{getattr(self.f, '__name__', 'the function')}()")
            return None
        uwsgi.lock()
        try:
            return self.f(*args, **kwargs)
        finally:
            uwsgi.unlock()


class harakiri:
    """Decorator: uWSGI kills the process if f takes more than `seconds`. Stays armed if f raises, as in uWSGI.

    Mirrors uwsgi.set_user_harakiri.
    """

    def __init__(self, seconds: int) -> None:
        self.s = seconds

    def real_call(self, *args: Any, **kwargs: Any) -> Any:
        """Call the decorated function under its deadline."""
        uwsgi.set_user_harakiri(self.s)
        result = self.f(*args, **kwargs)
        uwsgi.set_user_harakiri(0)
        return result

    def __call__(self, f: Callable[..., Any]) -> Callable[..., Any]:
        self.f = f
        return self.real_call


class thread:
    """Decorator: calling f(*args) starts a daemon thread that runs it, and returns f."""

    def __init__(self, f: Callable[..., Any]) -> None:
        self.f = f

    def __call__(self, *args: Any) -> Callable[..., Any]:
        from threading import Thread

        Thread(target=self.f, args=args, daemon=True).start()
        return self.f


# --- mules and farms: under spoolsim none exist, so what speaks to one fails at the call -----------------------------


class mulefunc:
    """Decorator: calling f has a mule run it. @mulefunc(N) names the mule, @mulefunc('name') the farm."""

    def __init__(self, f: Any) -> None:
        self.fname: str | None = None
        self.mule: Any = f
        if callable(f):
            self.mule = 0
            self._register(f)

    def _register(self, f: Callable[..., Any]) -> None:
        self.fname = f.__name__
        mule_functions[f.__name__] = f

    def real_call(self, *args: Any, **kwargs: Any) -> None:
        """Send the call to the mule."""
        import pickle

        call = {"service": "uwsgi_mulefunc", "func": self.fname, "args": args, "kwargs": kwargs}
        uwsgi.mule_msg(pickle.dumps(call), self.mule)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.fname is None:
            self._register(args[0])
            return self.real_call
        return self.real_call(*args, **kwargs)


def mule_msg_dispatcher(message: bytes) -> Any:
    """In a mule: run the function that a message of @mulefunc names; what `uwsgi.mule_msg_hook` is set to."""
    import pickle

    call = pickle.loads(message)
    if call["service"] != "uwsgi_mulefunc":
        return None
    return mule_functions[call["func"]](*call["args"], **call["kwargs"])


class mule_brain:
    """In mule `num`: run f once. Whatever f raises is printed and ends the mule with status 1."""

    def __init__(self, f: Callable[[], Any], num: int) -> None:
        self.f = f
        self.num = num

    def __call__(self) -> None:
        if uwsgi.mule_id() == self.num:
            self._run()

    def _run(self) -> None:
        try:
            self.f()
        except BaseException:
            import sys
            import traceback

            traceback.print_exc()
            sys.exit(1)


class mule_brainloop(mule_brain):
    """In mule `num`: run f again and again."""

    def _run(self) -> None:
        while True:
            super()._run()


class mulemsg_loop:
    """In mule `num`: f(message) for each message that is not empty."""

    def __init__(self, f: Callable[[bytes], Any], num: int) -> None:
        self.f = f
        self.num = num

    def __call__(self) -> None:
        if uwsgi.mule_id() != self.num:
            return
        while True:
            message = uwsgi.mule_get_msg()
            if message:
                self.f(message)


class farm_loop:
    """In each mule of the farm: f(message) for each message that is not empty."""

    def __init__(self, f: Callable[[bytes], Any], farm: str | None) -> None:
        self.f = f
        self.farm = farm

    def __call__(self) -> None:
        if uwsgi.mule_id() == 0 or not uwsgi.in_farm(self.farm):
            return
        while True:
            message = uwsgi.farm_get_msg()
            if message:
                self.f(message)


# each of these leaves None under the decorated name, as in uWSGI


class mule:
    """Decorator: f() is what mule `num` does, once."""

    _brain: type[mule_brain] = mule_brain

    def __init__(self, num: int) -> None:
        self.num = num

    def __call__(self, f: Callable[[], Any]) -> None:
        postfork_chain.append(self._brain(f, self.num))


class muleloop(mule):
    """Decorator: f() is what mule `num` does, again and again."""

    _brain = mule_brainloop


class mulemsg:
    """Decorator: f(message) for each message to mule `num`."""

    def __init__(self, num: int) -> None:
        self.num = num

    def __call__(self, f: Callable[[bytes], Any]) -> None:
        postfork_chain.append(mulemsg_loop(f, self.num))


class farm:
    """Decorator: f(message) for each message to the farm `name`."""

    def __init__(self, name: str | None = None, **kwargs: Any) -> None:
        self.name = name

    def __call__(self, f: Callable[[bytes], Any]) -> None:
        postfork_chain.append(farm_loop(f, self.name))


# --- the module's interface ---------------------------------------------------------------------------------------

#: `from uwsgidecorators import *` has always given these modules and classes too, and apps lean on it
_MODULES = {
    "pickle": ("pickle", ""),
    "sys": ("sys", ""),
    "Thread": ("threading", "Thread"),
    "partial": ("functools", "partial"),
}

__all__ = [
    "cron",
    "erlang",
    "farm",
    "farm_loop",
    "filemon",
    "get_free_signal",
    "harakiri",
    "lock",
    "manage_spool_request",
    "mule",
    "mule_brain",
    "mule_brainloop",
    "mule_functions",
    "mule_msg_dispatcher",
    "mulefunc",
    "muleloop",
    "mulemsg",
    "mulemsg_loop",
    "postfork",
    "postfork_chain",
    "postfork_chain_hook",
    "rbtimer",
    "rpc",
    "signal",
    "spool",
    "spool_decorate",
    "spooler_functions",
    "spoolforever",
    "spoolraw",
    "thread",
    "timer",
    "uwsgi",
]
__all__.extend(_MODULES)

# uWSGI 2.0 has neither the function nor the decorator: importing the name fails there, as in production
if hasattr(uwsgi, "add_ms_timer"):

    class mstimer(_Handler):
        """Decorator: f(signal number) runs every `msecs` milliseconds (uWSGI 2.1). Mirrors uwsgi.add_ms_timer."""

        def __init__(self, msecs: int, **kwargs: Any) -> None:
            super().__init__(kwargs)
            self.msecs = msecs

        def _arm(self) -> None:
            uwsgi.add_ms_timer(self.num, self.msecs)

    __all__.append("mstimer")


def __getattr__(name: str) -> Any:
    """The modules of `_MODULES`, imported when first asked for: most apps never ask."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _MODULES[name]
    found = import_module(module)
    return getattr(found, attribute) if attribute else found


uwsgi.spooler = manage_spool_request
uwsgi.post_fork_hook = postfork_chain_hook
uwsgi.mule_msg_hook = mule_msg_dispatcher
