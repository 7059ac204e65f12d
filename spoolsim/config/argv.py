"""The command line, read as uWSGI reads it: GNU getopt_long over its option names, with ours among them."""

from __future__ import annotations

from spoolsim.errors import OptionError
from spoolsim.options import BY_NAME, Setting, policy_in, refuse

_UWSGI_FILES = {"ini": "ini", "xml": "xml", "yaml": "yaml", "yml": "yaml", "json": "json", "js": "json"}
#: ending of a file given bare -> what it is; the last two are ours
FILE_KINDS = _UWSGI_FILES | {"py": "py", "toml": "toml"}


def file_kind(path: str, *, with_section: bool = True) -> str | None:
    """ "ini", "yaml", "json", "xml", "py" or "toml" for a configuration file's name, else None.

    with_section: FILE.ini:SECTION counts as well.
    """
    kind = FILE_KINDS.get(path.rpartition(".")[2].lower()) if "." in path else None
    if kind is None and with_section and ":" in path:
        return file_kind(path.rpartition(":")[0], with_section=False)
    return kind


def parse(argv: list[str]) -> list[Setting]:
    """The settings of a command line (without the program's name and sub-command).

    Long options in full or as an unambiguous beginning, `--name value` and `--name=value`, uWSGI's short options,
    and bare files, which come last wherever they stand, as in uWSGI. A bare file's source is "argument".

    Raises OptionError: under --faithful with uWSGI's own line and exit code 1, else naming the nearest option.
    """
    return _Parser(argv).run()


class _Parser:
    def __init__(self, argv: list[str]) -> None:
        self.rest = list(argv)
        self.settings: list[Setting] = []
        self.files: list[Setting] = []
        # Needed before the first option is read: they decide what is an error and how it is said.
        self.policy = policy_in([word[2:] for word in argv if word.startswith("--")])
        later = self.policy.knows_later_options or _last_value(argv, "uwsgi") == "2.1"
        self.absent = "" if later else "2.1"

    def run(self) -> list[Setting]:
        while self.rest:
            word = self.rest.pop(0)
            if word == "--":
                while self.rest:
                    self.bare(self.rest.pop(0))
            elif word.startswith("--"):
                self.long(word[2:])
            elif word.startswith("-") and word != "-":
                self.short(word[1:])
            else:
                self.bare(word)
        return self.settings + self.files

    def long(self, word: str) -> None:
        given, equals, value = word.partition("=")
        name = self.resolve(given)
        kind = self.argument(name)
        if equals:
            if kind == "none":
                raise self.error(f"option '--{name}' doesn't allow an argument", f"--{name} takes no value")
            self.add(name, value)
        elif kind == "required":
            if not self.rest:
                raise self.error(f"option '--{name}' requires an argument", _needs_value(name))
            self.add(name, self.rest.pop(0))
        else:
            self.add(name, True)

    def short(self, letters: str) -> None:
        from spoolsim.config.known import SHORTS

        while letters:
            letter, letters = letters[0], letters[1:]
            name = SHORTS.get(letter)
            if name is None:
                raise self.error(
                    f"invalid option -- '{letter}'", f"unknown option -{letter}; uWSGI has none of that letter"
                )
            kind = self.argument(name)
            if kind == "required" and not letters and not self.rest:
                raise self.error(f"option requires an argument -- '{letter}'", _needs_value(name))
            if kind == "required":
                self.add(name, letters or self.rest.pop(0))
                return
            if kind == "optional" and letters:
                self.add(name, letters)
                return
            self.add(name, True)

    def bare(self, word: str) -> None:
        kind = file_kind(word, with_section=self.policy.takes_sections)
        if kind is None:
            known = "FILE.ini, .yaml, .yml, .json, .xml, .py or .toml"
            raise self.error(
                f"unable to load configuration from {word}",
                f"{word}: not an option and not a configuration file ({known})",
                own_name=False,
            )
        self.files.append(Setting(kind, word, "argument"))

    def add(self, name: str, value: str | bool) -> None:
        self.settings.append(Setting(name, value, "command line"))

    def exists(self, name: str) -> bool:
        option = BY_NAME.get(name)
        if option is not None:
            return option.since != self.absent or option.ours
        from spoolsim.config.known import KINDS

        return name in KINDS

    def argument(self, name: str) -> str:
        option = BY_NAME.get(name)
        if option is not None:
            return option.argument
        from spoolsim.config.known import KINDS

        return KINDS[name]

    def resolve(self, given: str) -> str:
        """The full name of `given`, which may be an unambiguous beginning of it."""
        if self.exists(given):
            return given
        from spoolsim.config.known import KINDS

        # Our own names come after uWSGI's, so that they never make one of its abbreviations ambiguous.
        found = [name for name in KINDS if name.startswith(given)]
        found += [
            n for n, o in BY_NAME.items() if n.startswith(given) and not o.ours and n not in KINDS and self.exists(n)
        ]
        found = found or [name for name, option in BY_NAME.items() if option.ours and name.startswith(given)]
        if len(found) == 1:
            return found[0]
        if found and given:
            names = " ".join(f"'--{name}'" for name in found)
            raise self.error(
                f"option '--{given}' is ambiguous; possibilities: {names}",
                f"--{given} could be {', '.join(f'--{name}' for name in found[:8])}; write it in full",
            )
        raise self.error(f"unrecognized option '--{given}'", unknown_option(given))

    def error(self, uwsgi: str, ours: str, *, own_name: bool = True) -> OptionError:
        if self.policy.explains_errors:
            return refuse(ours)
        return refuse(f"uwsgi: {uwsgi}" if own_name else uwsgi, 1)


def unknown_option(name: str) -> str:
    """One sentence about an unknown option that names the nearest real one."""
    if "_" in name and name.replace("_", "-") in BY_NAME:
        return f"unknown option --{name}; option names have dashes: --{name.replace('_', '-')}"
    from spoolsim.config.known import nearest

    near = nearest(name, tuple(BY_NAME))
    return f"unknown option --{name}" + (f"; did you mean --{near}?" if near else "; see spoolsim help options")


def _needs_value(name: str) -> str:
    option = BY_NAME.get(name)
    return f"--{name} needs a value: --{name} {option.metavar if option and option.metavar else 'VALUE'}"


def _last_value(argv: list[str], name: str) -> str | None:
    value = None
    for position, word in enumerate(argv):
        if word == f"--{name}" and position + 1 < len(argv):
            value = argv[position + 1]
        elif word.startswith(f"--{name}="):
            value = word.partition("=")[2]
    return value
