"""Collects settings as uWSGI does: files in place, logic while it goes, placeholders in values at the very end."""

from __future__ import annotations

import os

from spoolsim import system
from spoolsim.config import logic, placeholders
from spoolsim.config.role import setting_of
from spoolsim.errors import ConfigError
from spoolsim.options import BY_NAME, Setting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from spoolsim.config.formats import Row
    from spoolsim.options import Policy

    Lookup = Callable[[str], str | None]


class Collector:
    """Collects settings; each one that names a file, a loop or a condition acts when it is added."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.done: list[Setting] = []
        self.modules: dict[str, tuple[str, str]] = {}  # Python files: first section and ini text
        self.chain: list[str] = []  # the files being read, as path:section
        self.paths: list[str] = []  # the same as they were written
        self.inherited: dict[int, tuple[list[str], list[str]]] = {}  # the files that each inherit stands in
        self.original: dict[str, str] | None = None  # letters of the first file, in upper case
        self.keep_original = False  # inside a bare or included file nothing becomes the original
        self.maps: list[tuple[str, str]] = []  # rewritten beginnings of paths
        self.overrides: list[Setting] = []  # made by --set of the command line
        self.block: Setting | None = None  # the for or if- that is open
        self.subjects: list[str | None] = []  # what %(_) becomes in its lines; none: they are left out
        self.running = False  # a line of the block is being added: it is not itself subject to the block

    def learn(self, setting: Setting) -> None:
        """Remember a map of paths, FROM=TO."""
        start, equals, end = _text(setting).partition("=")
        if not equals or not start:
            raise ConfigError(f"map = {_text(setting)} ({setting.source}): expected FROM=TO")
        if (start.rstrip("/"), end) not in self.maps:
            self.maps.append((start.rstrip("/"), end))

    def mapped(self, value: str) -> str:
        """A value, or what follows its first =, with the first fitting map applied."""
        for start, end in self.maps:
            head, equals, tail = value.partition("=")
            for prefix, path in (("", value), (head + equals, tail)):
                if path == start or path.startswith(start + "/"):
                    return prefix + end + path[len(start) :]
        return value

    def add(self, setting: Setting) -> None:
        name = setting.name
        if self.block is not None and not self.running and name not in logic.ENDS:
            self.repeat(setting)
            return
        if setting.role in ("placeholder", "assigned"):
            self.done.append(setting)
        elif name in logic.ENDS:
            self.done.append(setting)
            self.block = None
        elif name in logic.LOOPS or logic.is_condition(name):
            self.open(setting)
        elif setting.source == "argument":
            self.load(self.mapped(_text(setting)), None if name == "include" else name, True)
        else:
            self.done.append(setting)
            option = BY_NAME.get(name)
            if name == "inherit":
                self.inherited[id(setting)] = list(self.chain), list(self.paths)
            elif option is not None and option.kind == "config":
                self.named(setting, _KINDS.get(option.name, option.name))
            elif option is not None and option.kind == "placeholder":
                made = self.assignment(setting)
                self.add(made)
                if setting.source == "command line":
                    self.overrides.append(made)
            elif name == "map":
                self.learn(setting)

    def open(self, setting: Setting) -> None:
        value = _text(setting)
        if self.block is not None:
            raise self.error(
                f"recursive logic in options is not supported (option = {setting.name})",
                f"{setting.name} ({setting.source}): {self.block.name} ({self.block.source}) is still open; "
                "uWSGI knows no logic within logic",
            )
        if setting.name in logic.LOOPS:
            self.subjects = list(logic.items(setting.name, value))
        else:
            holds, subject = logic.test(setting.name, value, self.first_value)
            self.subjects = [subject] if holds else []
        self.done.append(setting)
        self.block = setting

    def repeat(self, setting: Setting) -> None:
        for subject in self.subjects:
            value = setting.value
            if isinstance(value, str) and subject is not None:
                value = value.replace("%(_)", subject)
            self.running = True
            try:
                self.add(Setting(setting.name, value, setting.source, setting.role))
            finally:
                self.running = False

    def first_value(self, name: str) -> str | None:
        for setting in self.done:
            if setting.name == name:
                return setting.value if isinstance(setting.value, str) else None
        return None

    def named(self, setting: Setting, kind: str | None) -> None:
        path = self.mapped(_text(setting))
        keep, self.keep_original = self.keep_original, self.keep_original or kind is None
        try:
            short = self.load(path, kind, False)
        except ConfigError as error:
            if setting.source in str(error) or setting.source == "command line" or error.exit_code == 1:
                raise
            raise ConfigError(f"{setting.source}: {setting.name} = {path}: {error}") from None
        finally:
            self.keep_original = keep
        if short:  # uWSGI cuts the section from the name, and shows it so
            setting.value = path.rpartition(":")[0]

    def load(self, given: str, kind: str | None, bare: bool) -> bool:
        """Add a file's settings; True if uWSGI forgets the section's name while it reads the file."""
        from spoolsim.config.argv import file_kind

        path, colon, tail = given.rpartition(":")
        section = tail if colon else None
        if not colon:
            path = given
        if not path and self.paths:  # ":section" of the same file
            path = self.paths[-1]
            kind = "py" if path in self.modules else kind
        if kind is None:
            kind = file_kind(path)
            if kind is None or (colon and not self.policy.takes_sections):
                refusal = f"unable to load configuration from {given}"
                raise self.error(refusal, f"{given}: expected a file ending in .ini, .yaml, .yml, .json, .xml or .toml")
        entry = f"{os.path.realpath(path)}:{section or ''}"
        if entry in self.chain:
            names = " -> ".join(os.path.relpath(link.rpartition(":")[0]) for link in (*self.chain, entry))
            raise ConfigError(f"{path}: circular include: {names}")
        keep = self.keep_original
        self.keep_original = keep or bare
        self.chain.append(entry)
        self.paths.append(path)
        try:
            rows, short = self.rows(path, section, kind)
            for key, value, line in rows:
                self.add(setting_of(key, value, f"{path}:{line}" if line else path))
        finally:
            self.chain.pop()
            self.paths.pop()
            self.keep_original = keep
        return short and section is not None

    def rows(self, path: str, section: str | None, kind: str) -> tuple[list[Row], bool]:
        if kind == "py":
            return self.module(path, section), False
        text = self.content(path, section, kind)
        name = section or "uwsgi"
        if kind == "ini":
            from spoolsim.config.formats import ini

            return ini.rows(text, path, name, strict=self.policy.refuses_unread_settings), False
        if kind == "yaml":
            from spoolsim.config.formats import yaml

            return yaml.rows(text, path, name, strict=self.policy.refuses_unread_settings)
        if kind == "xml":
            from spoolsim.config.formats import xml

            return xml.rows(text, path, section), True
        if kind == "json":
            from spoolsim.config.formats import json

            return json.rows(text, path, name), False
        from spoolsim.config.formats import toml

        return toml.rows(text, path, section), False

    def module(self, path: str, section: str | None) -> list[Row]:
        from spoolsim.config.formats import ini
        from spoolsim.config.formats.module import ini_of_module

        if path in self.modules:  # a module runs once, also when its sections include each other
            name, text = self.modules[path]
        else:
            name, text = self.modules[path] = ini_of_module(path)
        text = self.fill(text, path, section)
        return [(key, value, 0) for key, value, _ in ini.rows(text, path, section or name)]

    def content(self, path: str, section: str | None, kind: str) -> str:
        try:
            text = _slurp(path)
        except OSError as error:
            raise self.error(
                f"realpath() of {path} failed: {error.strerror}", f"{path}: cannot be read: {error.strerror}"
            ) from None
        if kind == "toml":
            return text
        return self.fill(text, path, section)

    def fill(self, text: str, path: str, section: str | None) -> str:
        own = placeholders.of_file(path, section)
        if self.original is None and not self.keep_original:
            self.original = placeholders.of_original(own)
        text = placeholders.fill_text(text, {**placeholders.of_machine(), **own, **(self.original or {})})
        return self.cut(text, path) if "\0" in text else text

    def cut(self, text: str, path: str) -> str:
        """The text with each line cut at its first NUL byte, as uWSGI cuts it; by default that is an error."""
        if self.policy.refuses_unread_settings:
            before = text.partition("\0")[0]
            line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
            raise ConfigError(f"{path}:{line}:{column}: expected no NUL byte; uWSGI cuts the line there")
        return "\n".join([line.partition("\0")[0] for line in text.split("\n")])

    def assignment(self, setting: Setting) -> Setting:
        name, equals, value = _text(setting).partition("=")
        if not equals:
            given = f"{setting.name} = {_text(setting)} ({setting.source})"
            raise self.error("invalid placeholder/--set value", f"{given}: expected KEY=VALUE")
        made = setting_of(name, value, setting.source)
        if setting.name != "set":
            if made.role == "option":
                line = f"you cannot use {name} as a placeholder, it is already available as an option"
                raise self.error(line, f"{setting.name} = {_text(setting)} ({setting.source}): {line}; use set")
            made.role = "placeholder"
        elif made.role == "unknown":
            made.role = "assigned"
        return made

    def finish(self) -> list[Setting]:
        if self.block is not None and self.policy.refuses_unread_settings:
            end = "endfor" if self.block.name in logic.LOOPS else "endif"
            raise ConfigError(f"{self.block.source}: {self.block.name} is not closed; expected {end}")
        self.replace("$", os.environ.get)
        for setting in self.done:
            if isinstance(setting.value, str) and "@(" in setting.value and _is_late(setting):

                def content(path: str, of: Setting = setting) -> str | None:
                    return self.file(path, of)

                setting.value = placeholders.fill_value(setting.value, "@", content)
        self.replace("%", lambda expression: placeholders.evaluate(expression, self.first_value))
        self.refuse_addresses()
        if self.policy.set_wins:
            self.override()
        for setting in self.done:  # grows as it is read: an inherited file may name another
            if setting.name == "inherit" and setting.role == "option":
                self.chain, self.paths = self.inherited.get(id(setting), ([], []))
                self.named(setting, None)
        for setting in self.done if self.maps else ():
            option = BY_NAME.get(setting.name)
            if isinstance(setting.value, str) and (option is None or not option.ours):
                setting.value = self.mapped(setting.value)
        return self.done

    def override(self) -> None:
        # A bare file comes after the command line in uWSGI, and its value would win over --set.
        for made in self.overrides:
            option = BY_NAME.get(made.name)
            names = (option.name, *option.aliases) if option else (made.name,)
            place = next(position for position, setting in enumerate(self.done) if setting is made)
            single = option is None or option.kind not in ("list", "spooler")
            if single and any(setting.name in names for setting in self.done[place + 1 :]):
                self.done.append(Setting(made.name, made.value, made.source, made.role))

    def replace(self, sign: str, lookup: Lookup) -> None:
        for setting in self.done:
            if isinstance(setting.value, str) and f"{sign}(" in setting.value and _is_late(setting):
                try:
                    setting.value = placeholders.fill_value(setting.value, sign, lookup)
                except ConfigError as error:
                    raise ConfigError(f"{setting.name} ({setting.source}): {error}") from None

    def refuse_addresses(self) -> None:
        """@(exec://...) and the like stay as they are; an option that acts needs their content, and is refused."""
        for setting in self.done:
            option = BY_NAME.get(setting.name)
            address = _address(_text(setting))
            if address and setting.role == "option" and option is not None and _is_late(setting):
                raise ConfigError(
                    f"{setting.name} ({setting.source}): {address}: spoolsim runs no commands and fetches nothing; "
                    "write the text into a file and name it: @(FILE)"
                )

    def file(self, path: str, setting: Setting) -> str | None:
        if "://" in path:
            return None
        try:
            text = _slurp(path)
        except OSError as error:
            raise self.error(
                f'open("{path}"): {error.strerror}',
                f"{setting.name} ({setting.source}): @({path}): cannot be read: {error.strerror}",
            ) from None
        text = text.partition("\0")[0]
        return text[:-1] if text.endswith(("\n", "\r")) else text

    def error(self, uwsgi: str, ours: str) -> ConfigError:
        error = ConfigError(ours if self.policy.explains_errors else uwsgi)
        if not self.policy.explains_errors:
            error.exit_code = 1
        return error


#: how the file that an option names is read, where its own name does not say so; None: by the file's ending
_KINDS = {"include": None, "ini-paste": "ini", "ini-paste-logged": "ini"}


def _address(text: str) -> str:
    """The first @(exec://...), @(http://...) or the like in a value, or ""."""
    from re import search

    found = search(r"@\([a-z]+://[^)]*\)?", text) if "@(" in text else None
    return found[0] if found else ""


def _is_late(setting: Setting) -> bool:
    # What acts when it is added (uWSGI calls these options immediate) is not looked at again.
    from spoolsim.effects import IMMEDIATE

    return setting.role != "placeholder" and setting.name not in IMMEDIATE and not logic.is_condition(setting.name)


def _text(setting: Setting) -> str:
    return setting.value if isinstance(setting.value, str) else ""


def _slurp(path: str) -> str:
    return system.read_whole(path).decode("utf-8", "surrogateescape")
