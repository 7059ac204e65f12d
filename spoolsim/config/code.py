"""What an app's code says about the spooler, read with ast: nothing of it is imported or run."""

from __future__ import annotations

import ast
import os
import re
from collections import Counter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DECORATORS = frozenset(("spool", "spoolraw", "spoolforever"))
#: decorators that register a signal where they stand, and functions of uwsgi that do
_REGISTERING = frozenset(("signal", "timer", "rbtimer", "cron", "filemon", "fsmon"))
_REGISTER = frozenset(("register_signal", "add_timer", "add_rb_timer", "add_cron", "add_file_monitor"))
_MULES = frozenset(("mule", "muleloop", "mulemsg"))
_KNOWN = DECORATORS | _REGISTERING | _MULES
_PUTS = frozenset(("spool", "send_to_spooler"))
_SKIPPED = frozenset(("node_modules", "site-packages", "__pycache__", "tests", "test", "build", "dist"))
_MOST_FILES = 20_000
#: A file without these words puts nothing and handles nothing; only its imports are wanted, and those are found faster
#: without ast.
_WORDS = (b"uwsgi", b"priority")
_IMPORTS = re.compile(
    r"""^[ \t]*(?:from[ \t]+(?P<base>[.\w]+)[ \t]+import[ \t]*(?P<names>\([^)]*\)|(?:[^\n\\;]|\\\n)*)
        |import[ \t]+(?P<modules>(?:[^\n\\;#]|\\\n)*))
      |(?:import_module|__import__)\([ \t\n]*["'](?P<given>[.\w]+)["'](?:,[ \t]*["'](?P<package>[.\w]+)["'])?""",
    re.MULTILINE | re.VERBOSE,
)
_COMMENT = re.compile(r"#[^\n]*")


class Module:
    """One file: `imports`, (module names, as level and name); `handlers`, (name, line); `priorities`, (value, line).

    handlers: functions decorated for the spooler, and an assignment to uwsgi.spooler.
    passing: those of them that are decorated with pass_arguments.
    decorators: name of a decorated function -> "spool", "spoolraw" or "spoolforever".
    priorities: of calls that enqueue: the constant as text, or None where it is computed.
    calls: of other functions with a priority: name, value, line, whether it stands in a dictionary.
    registers: what registers a signal while the module is imported: (name, line).
    mules: functions for mules: (name, line).
    """

    __slots__ = ("calls", "decorators", "handlers", "imports", "mules", "passing", "path", "priorities", "registers")

    def __init__(self, path: str) -> None:
        self.path = path
        self.imports: list[tuple[int, str]] = []
        self.handlers: list[tuple[str, int]] = []
        self.priorities: list[tuple[str | None, int]] = []
        self.calls: list[tuple[str, str | None, int, bool]] = []
        self.passing: set[str] = set()
        self.decorators: dict[str, str] = {}
        self.registers: list[tuple[str, int]] = []
        self.mules: list[tuple[str, int]] = []


class Code:
    """The Python files of a project, each read at most once.

    progress: called with the number of files read so far.
    """

    def __init__(self, progress: Callable[[int], None] | None = None) -> None:
        self._modules: dict[str, Module | None] = {}
        self._listed: dict[str, frozenset[str]] = {}
        self._progress = progress
        #: directories whose files were too many to read all of them
        self.cut: list[str] = []

    def parse(self, path: str) -> Module | None:
        """The facts of a file, or None when it cannot be read as Python."""
        if path not in self._modules:
            self._modules[path] = _read(path)
            if self._progress is not None:
                self._progress(len(self._modules))
        return self._modules[path]

    def closure(self, names: list[str], path: list[str]) -> dict[str, Module]:
        """File -> facts of all that importing `names` reads, below `path`.

        names: module names, MODULE:CALLABLE, or paths of .py files. Modules from elsewhere are not followed.
        """
        found: dict[str, Module] = {}
        waiting = [file for name in names for file in self._files(name, path)]
        looked: set[tuple[str, str]] = set()
        while waiting:
            file = waiting.pop()
            if file in found or (module := self.parse(file)) is None:
                continue
            found[file] = module
            for level, name in module.imports:
                base = path
                if level:
                    base = [os.path.normpath(os.path.join(os.path.dirname(file), *[".."] * (level - 1)))]
                if (key := (base[0] if level else "", name)) not in looked:
                    looked.add(key)
                    waiting += self.module_files(name, base)
        return found

    def below(self, directory: str) -> list[str]:
        """The Python files in a directory, without tests, hidden directories and virtual environments."""
        files: list[str] = []
        for place, names in self._walk(directory):
            files += [os.path.join(place, name) for name in names if name.endswith(".py")]
            if len(files) > _MOST_FILES:
                self.cut.append(directory)
                break
        return [file for file in files[:_MOST_FILES] if not os.path.basename(file).startswith(("test_", "conftest"))]

    def configurations(self, directory: str) -> list[str]:
        """The configuration files below a directory that name a spooler."""
        found = []
        for place, names in self._walk(directory):
            for name in names:
                if not name.endswith((".ini", ".yaml", ".yml", ".xml", ".json")):
                    continue
                path = os.path.join(place, name)
                try:
                    with open(path, "rb") as file:
                        if b"spooler" in file.read(100_000):
                            found.append(path)
                except OSError:
                    continue
        return found

    def _walk(self, directory: str) -> Iterator[tuple[str, list[str]]]:
        for place, directories, names in os.walk(directory):
            directories[:] = [
                name
                for name in sorted(directories)
                if name[0] != "."
                and name not in _SKIPPED
                and not os.path.exists(os.path.join(place, name, "pyvenv.cfg"))
            ]
            yield place, sorted(names)

    def _files(self, name: str, path: list[str]) -> list[str]:
        if is_file(name):
            return [os.path.normpath(name)] if os.path.isfile(name) else []
        return self.module_files(name.partition(":")[0], path)

    def module_files(self, name: str, path: list[str]) -> list[str]:
        """The file of a module with those of the packages it is in: importing a.b reads a/__init__.py first."""
        first, _, rest = name.partition(".")
        for base in path:
            place = os.path.join(base, first) if first else base
            here = self._list(base)
            file = None
            if (not first or first in here) and "__init__.py" in self._list(place):
                file = os.path.join(place, "__init__.py")
            elif first and f"{first}.py" in here:
                file = f"{place}.py"
            if file is not None:
                return [os.path.normpath(file), *(self.module_files(rest, [place]) if rest else [])]
        # A directory without an __init__.py is a package too, in all its places at once, where none of them has one.
        places = self._spaces(first, path)
        return self.module_files(rest, places) if rest and places else []

    def has(self, name: str, path: list[str]) -> bool:
        """Whether a module is below `path`, whole: a.b needs both."""
        while name:
            first, _, name = name.partition(".")
            places = [os.path.join(base, first) for base in path if first in self._list(base)]
            package = next((place for place in places if "__init__.py" in self._list(place)), None)
            if package is None and any(f"{first}.py" in self._list(base) for base in path):
                return not name
            path = [package] if package is not None else self._spaces(first, path)
            if not path:
                return False
        return True

    def _spaces(self, first: str, path: list[str]) -> list[str]:
        return [
            os.path.join(base, first)
            for base in path
            if first and first in self._list(base) and os.path.isdir(os.path.join(base, first))
        ]

    def _list(self, directory: str) -> frozenset[str]:
        if directory not in self._listed:
            try:
                self._listed[directory] = frozenset(os.listdir(directory or "."))
            except OSError:
                self._listed[directory] = frozenset()
        return self._listed[directory]


def is_file(name: str) -> bool:
    """Whether uWSGI takes the value of an import for a file: with a slash in it, or .py at its end."""
    return "/" in name or name.endswith(".py")


def _read(path: str) -> Module | None:
    try:
        with open(path, "rb") as file:
            text = file.read()
        if not any(word in text for word in _WORDS):
            return _imports_only(path, text.decode("utf-8", "replace"))
        tree = ast.parse(text)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None
    module = Module(path)
    nodes = list(ast.walk(tree))
    local, literals = _names_of_uwsgi(nodes), _literals(nodes)
    for node in nodes:
        if isinstance(node, ast.Import):
            module.imports += [(0, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            module.imports.append((node.level, base))
            module.imports += [(node.level, f"{base}.{alias.name}".strip(".")) for alias in node.names]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            _function(module, node, local)
        elif isinstance(node, ast.Assign):
            if any(_is_name(target, "uwsgi", "spooler", local) for target in node.targets):
                module.handlers.append(("uwsgi.spooler", node.lineno))
        elif isinstance(node, ast.Call):
            module.imports += _imported_by_call(node)
            _call(module, node, local, literals)
    module.registers = [*_registered(tree.body, local)]
    return module


def _function(module: Module, node: ast.FunctionDef | ast.AsyncFunctionDef, local: dict[str, tuple[str, str]]) -> None:
    """What the decorators of a function make of it."""
    if any(_is_decorator(decorator, local, DECORATORS) for decorator in node.decorator_list):
        module.handlers.append((node.name, node.lineno))
        module.decorators[node.name] = next(
            name
            for name in sorted(DECORATORS)
            for decorator in node.decorator_list
            if _is_decorator(decorator, local, frozenset((name,)))
        )
        if any(_passes_arguments(decorator) for decorator in node.decorator_list):
            module.passing.add(node.name)
    if any(_is_decorator(decorator, local, _MULES) for decorator in node.decorator_list):
        module.mules.append((node.name, node.lineno))


def _imports_only(path: str, text: str) -> Module:
    """The imports of a file, told by their lines; one in a string counts too, which finds a module more at most."""
    module = Module(path)
    for found in _IMPORTS.finditer(text):
        if found["base"] is not None:
            base = found["base"].lstrip(".")
            level = len(found["base"]) - len(base)
            module.imports.append((level, base))
            module.imports += [(level, f"{base}.{name}".strip(".")) for name in _listed(found["names"])]
        elif found["modules"] is not None:
            module.imports += [(0, name) for name in _listed(found["modules"])]
        else:
            module.imports += _given_to_import(found["given"], found["package"])
    return module


def _listed(names: str) -> list[str]:
    """The names of `import a as b, c`, without what they are called."""
    parts = _COMMENT.sub("", names).strip("() \t\n").replace("\\\n", " ").split(",")
    return [words[0] for part in parts if (words := part.split())]


def _registered(body: list[ast.stmt], local: dict[str, tuple[str, str]]) -> Iterator[tuple[str, int]]:
    """What registers a signal when these statements run: decorators and calls, not those inside functions."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in statement.decorator_list:
                if _is_decorator(decorator, local, _REGISTERING):
                    target = decorator.func if isinstance(decorator, ast.Call) else decorator
                    yield f"@{ast.unparse(target)}", decorator.lineno
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            if any(_is_name(statement.value.func, "uwsgi", name, local) for name in _REGISTER):
                yield f"{ast.unparse(statement.value.func)}()", statement.lineno
        else:
            for part in ("body", "orelse", "finalbody"):
                yield from _registered(getattr(statement, part, []), local)


def _names_of_uwsgi(nodes: list[ast.AST]) -> dict[str, tuple[str, str]]:
    """Local name -> (module, name or "") for what is imported from uwsgi and uwsgidecorators."""
    local: dict[str, tuple[str, str]] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in ("uwsgi", "uwsgidecorators"):
                    local[alias.asname or alias.name] = (alias.name, "")
        elif isinstance(node, ast.ImportFrom) and node.module in ("uwsgi", "uwsgidecorators"):
            for alias in node.names:
                if alias.name == "*":
                    local.update({name: (node.module, name) for name in _KNOWN})
                local[alias.asname or alias.name] = (node.module, alias.name)
    return local


def _is_name(node: ast.AST, module: str, name: str, local: dict[str, tuple[str, str]]) -> bool:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.attr == name and local.get(node.value.id) == (module, "")
    return isinstance(node, ast.Name) and local.get(node.id) == (module, name)


def _is_decorator(node: ast.AST, local: dict[str, tuple[str, str]], names: frozenset[str]) -> bool:
    target = node.func if isinstance(node, ast.Call) else node
    return any(_is_name(target, "uwsgidecorators", name, local) for name in names)


def _passes_arguments(node: ast.AST) -> bool:
    keywords = node.keywords if isinstance(node, ast.Call) else []
    return any(keyword.arg == "pass_arguments" and _text(keyword.value) != "False" for keyword in keywords)


def _imported_by_call(node: ast.Call) -> list[tuple[int, str]]:
    """importlib.import_module("name") and __import__("name"), as level and name; nothing for a computed name."""
    function = node.func
    called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    given = [_text(argument) for argument in node.args[:2]] if called in ("import_module", "__import__") else []
    if not given or given[0] is None:
        return []
    return _given_to_import(given[0], given[1] if len(given) == 2 else None)


def _given_to_import(given: str, package: str | None) -> list[tuple[int, str]]:
    name = given.lstrip(".")
    level = len(given) - len(name)
    if level == 1 and package:  # import_module(".name", "package")
        return [(0, f"{package}.{name}")]
    return [(level, name)]


def _call(module: Module, node: ast.Call, local: dict[str, tuple[str, str]], literals: dict[str, ast.expr]) -> None:
    function = node.func
    in_words = _priority_of([(keyword.arg, keyword.value) for keyword in node.keywords], literals)
    in_dict = _priority_in(node.args[0], literals) if node.args else None
    if any(_is_name(function, "uwsgi", name, local) for name in _PUTS):
        if (value := in_dict or in_words) is not None:
            module.priorities.append((_text(value), node.lineno))
    elif (value := in_words or in_dict) is not None:
        if isinstance(function, ast.Attribute) and function.attr == "spool":
            function = function.value
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        module.calls.append((name, _text(value), node.lineno, in_words is None))


def _priority_in(node: ast.expr, literals: dict[str, ast.expr]) -> ast.expr | None:
    """The value of "priority" in {…}, dict(…) or a name that stands for one of these; None where there is none."""
    if isinstance(node, ast.Name) and node.id in literals:
        node, literals = literals[node.id], {}
    if isinstance(node, ast.Dict):
        keys = [None if key is None else _text(key) or "" for key in node.keys]
        return _priority_of(list(zip(keys, node.values, strict=True)), literals)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        keywords = [(keyword.arg, keyword.value) for keyword in node.keywords]
        return _priority_of([*((None, argument) for argument in node.args), *keywords], literals)
    return None


def _priority_of(pairs: list[tuple[str | None, ast.expr]], literals: dict[str, ast.expr]) -> ast.expr | None:
    """The last value of "priority"; a pair without a key is a mapping that is unpacked."""
    for key, value in reversed(pairs):
        found = value if key == "priority" else None if key else _priority_in(value, literals)
        if found is not None:
            return found
    return None


def _literals(nodes: list[ast.AST]) -> dict[str, ast.expr]:
    """Name -> what it is assigned, of the names that a file binds once."""
    found: dict[str, ast.expr] = {}
    bound: list[str] = []
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.append(node.id)
        elif isinstance(node, ast.arg):
            bound.append(node.arg)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found.update((target.id, node.value) for target in targets if isinstance(target, ast.Name))
    times = Counter(bound)
    return {name: value for name, value in found.items() if times[name] == 1}


def _text(node: ast.AST | None) -> str | None:
    """The text of a constant, bytes decoded, or None."""
    if not isinstance(node, ast.Constant):
        return None
    return node.value.decode("latin-1") if isinstance(node.value, bytes) else str(node.value)
