"""What an app's code says about the spooler, read with ast: nothing of it is imported or run."""

from __future__ import annotations

import ast
import os

DECORATORS = frozenset(("spool", "spoolraw", "spoolforever"))
_PUTS = frozenset(("spool", "send_to_spooler"))
_SKIPPED = frozenset(("node_modules", "site-packages", "__pycache__", "tests", "test", "build", "dist"))
_MOST_FILES = 2000


class Module:
    """One file: `imports`, (module names, as level and name); `handlers`, (name, line); `priorities`, (value, line).

    handlers: functions decorated for the spooler, and an assignment to uwsgi.spooler.
    passing: those of them that are decorated with pass_arguments.
    priorities: of calls that enqueue: the constant as text, or None where it is computed.
    calls: of other functions with a priority: name, value, line, whether it stands in a dictionary.
    """

    __slots__ = ("calls", "handlers", "imports", "passing", "path", "priorities")

    def __init__(self, path: str) -> None:
        self.path = path
        self.imports: list[tuple[int, str]] = []
        self.handlers: list[tuple[str, int]] = []
        self.priorities: list[tuple[str | None, int]] = []
        self.calls: list[tuple[str, str | None, int, bool]] = []
        self.passing: set[str] = set()


def parse(path: str) -> Module | None:
    """The facts of a file, or None when it cannot be read as Python."""
    try:
        with open(path, "rb") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError):
        return None
    module = Module(path)
    local, literals = _names_of_uwsgi(tree), _literals(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            module.imports += [(0, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            module.imports.append((node.level, base))
            module.imports += [(node.level, f"{base}.{alias.name}".strip(".")) for alias in node.names]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if any(_is_decorator(decorator, local) for decorator in node.decorator_list):
                module.handlers.append((node.name, node.lineno))
                if any(_passes_arguments(decorator) for decorator in node.decorator_list):
                    module.passing.add(node.name)
        elif isinstance(node, ast.Assign):
            if any(_is_name(target, "uwsgi", "spooler", local) for target in node.targets):
                module.handlers.append(("uwsgi.spooler", node.lineno))
        elif isinstance(node, ast.Call):
            module.imports += _imported_by_call(node)
            _call(module, node, local, literals)
    return module


def closure(names: list[str], path: list[str]) -> tuple[dict[str, Module], list[str]]:
    """(file -> facts of all that importing `names` reads, below `path`; the files that could not be read).

    names: module names, MODULE:CALLABLE, or paths of .py files. Modules from elsewhere are not followed.
    """
    found: dict[str, Module] = {}
    broken: list[str] = []
    waiting = [file for name in names for file in _files(name, path)]
    while waiting:
        file = waiting.pop()
        if file in found or file in broken:
            continue
        module = parse(file)
        if module is None:
            broken.append(file)
            continue
        found[file] = module
        for level, name in module.imports:
            base = path
            if level:
                base = [os.path.normpath(os.path.join(os.path.dirname(file), *[".."] * (level - 1)))]
            waiting += _module_files(name, base)
    return found, broken


def below(directory: str) -> list[str]:
    """The Python files in a directory, without tests, hidden directories and virtual environments."""
    files: list[str] = []
    for place, directories, names in os.walk(directory):
        directories[:] = [
            name
            for name in sorted(directories)
            if name[0] != "." and name not in _SKIPPED and not os.path.exists(os.path.join(place, name, "pyvenv.cfg"))
        ]
        files += [os.path.join(place, name) for name in sorted(names) if name.endswith(".py")]
        if len(files) > _MOST_FILES:
            break
    return [file for file in files[:_MOST_FILES] if not os.path.basename(file).startswith(("test_", "conftest"))]


def _files(name: str, path: list[str]) -> list[str]:
    if name.endswith(".py"):
        return [os.path.normpath(name)] if os.path.isfile(name) else []
    return _module_files(name.partition(":")[0], path)


def _module_files(name: str, path: list[str]) -> list[str]:
    """The file of a module with those of the packages it is in: importing a.b reads a/__init__.py first."""
    first, _, rest = name.partition(".")
    for base in path:
        place = os.path.join(base, first) if first else base
        names = (os.path.join(place, "__init__.py"), *([place + ".py"] if first else []))
        file = next((name for name in names if os.path.isfile(name)), None)
        if file is not None:
            return [os.path.normpath(file), *(_module_files(rest, [place]) if rest else [])]
    # A directory without an __init__.py is a package too, in all its places at once, where none of them has one.
    places = [place for base in path if first and os.path.isdir(place := os.path.join(base, first))]
    return _module_files(rest, places) if rest and places else []


def _names_of_uwsgi(tree: ast.AST) -> dict[str, tuple[str, str]]:
    """local name -> (module, name or "") for what is imported from uwsgi and uwsgidecorators."""
    local: dict[str, tuple[str, str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in ("uwsgi", "uwsgidecorators"):
                    local[alias.asname or alias.name] = (alias.name, "")
        elif isinstance(node, ast.ImportFrom) and node.module in ("uwsgi", "uwsgidecorators"):
            for alias in node.names:
                if alias.name == "*":
                    local.update({name: (node.module, name) for name in DECORATORS})
                local[alias.asname or alias.name] = (node.module, alias.name)
    return local


def _is_name(node: ast.AST, module: str, name: str, local: dict[str, tuple[str, str]]) -> bool:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.attr == name and local.get(node.value.id) == (module, "")
    return isinstance(node, ast.Name) and local.get(node.id) == (module, name)


def _is_decorator(node: ast.AST, local: dict[str, tuple[str, str]]) -> bool:
    target = node.func if isinstance(node, ast.Call) else node
    return any(_is_name(target, "uwsgidecorators", name, local) for name in DECORATORS)


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
    name = given[0].lstrip(".")
    level = len(given[0]) - len(name)
    if level == 1 and len(given) == 2 and given[1]:  # import_module(".name", "package")
        return [(0, f"{given[1]}.{name}")]
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


def _literals(tree: ast.AST) -> dict[str, ast.expr]:
    """Name -> what it is assigned, of the names that a file binds once."""
    found: dict[str, ast.expr] = {}
    bound: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.append(node.id)
        elif isinstance(node, ast.arg):
            bound.append(node.arg)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found.update((target.id, node.value) for target in targets if isinstance(target, ast.Name))
    return {name: value for name, value in found.items() if bound.count(name) == 1}


def _text(node: ast.AST | None) -> str | None:
    """The text of a constant, bytes decoded, or None."""
    if not isinstance(node, ast.Constant):
        return None
    return node.value.decode("latin-1") if isinstance(node.value, bytes) else str(node.value)
