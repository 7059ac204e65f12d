"""The README's picture: `python -m tests.examples.picture` runs commands on a terminal and draws what they print.

The lines appear one after the other, by CSS alone; where that is not run, all of them are there.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pexpect
from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).parents[2] / ".github" / "terminal.svg"
COLUMNS, LINES = 92, 40

APP = '''"""The app of the picture."""

from uwsgidecorators import spool


@spool
def welcome(arguments):
    print(f"sending to {arguments['to']}")


@spool
def thumbnail(arguments):
    if not arguments["image"].endswith(".png"):
        raise ValueError(f"{arguments['image']} is not an image")


welcome(to="ann@example.org")
thumbnail(image="notes.txt")
'''
INI = "[uwsgi]\nmaster = true\nspooler = %dspool\nimport = shop\n"

#: seconds between two lines, and those that a command's end is looked at
LINE, PAUSE = 0.12, 1.4

TEMPLATE = """\
<svg viewBox="0 0 {terminal_width} {terminal_height}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>spoolsim runs two tasks, lists what is left and says why</title>
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; }}
@keyframes {unique_id}-appear {{ from {{ opacity: 0; }} to {{ opacity: 1; }} }}
.{unique_id}-line {{ animation: {unique_id}-appear 1ms backwards; }}
@media (prefers-reduced-motion) {{ .{unique_id}-line {{ animation: none; }} }}
{styles}
</style>
<rect fill="#1e1e2e" width="{terminal_width}" height="{terminal_height}" rx="8"/>
<g transform="translate(14, 12)" class="{unique_id}-matrix">{backgrounds}{matrix}</g>
</svg>
"""


def shown(directory: Path) -> Iterator[list[str]]:
    """What a person sees of each command: its own line, and what it prints, with its colours."""
    (directory / "shop.py").write_text(APP)
    (directory / "uwsgi.ini").write_text(INI)
    yield _on_a_terminal("run uwsgi.ini", directory, until=("is not an image", "done", "retry 1"))
    listed = _on_a_terminal("ls", directory)
    yield listed
    found = re.search(r"\b([0-9a-f]{6})\b", "\n".join(Text.from_ansi(line).plain for line in listed))
    assert found is not None, listed
    yield _on_a_terminal(f"why {found[1][:3]}", directory)


def _on_a_terminal(words: str, directory: Path, until: tuple[str, ...] = ()) -> list[str]:
    """Run a command to its end; until: what it prints before Ctrl-C is pressed, in any order."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("SPOOLSIM", "NO_COLOR"))}
    child = pexpect.spawn(
        sys.executable,
        ["-m", "spoolsim", *words.split()],
        cwd=str(directory),
        env={**environ, "TERM": "xterm-256color"},  # type: ignore[arg-type]  # the stub wants os._Environ
        dimensions=(LINES, COLUMNS),
        encoding="utf-8",
        timeout=120,
    )
    text = ""
    while not all(word in text for word in until):
        child.expect(r"\n")
        text += child.before + child.after
    if until:
        child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    text = (text + child.before).replace("^C", "").replace("\r", "").replace(str(directory), "~/shop")
    return [f"\x1b[1m$ spoolsim {words}\x1b[0m", *text.rstrip("\n").split("\n")]


def draw(screens: list[list[str]]) -> str:
    """The picture of these commands, as SVG."""
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"), force_terminal=True)  # noqa: SIM115
    begins: list[float] = []
    now = 0.0
    for screen in screens:
        for number, line in enumerate(screen):
            lines = Text.from_ansi(line).wrap(console, COLUMNS)
            for part in lines:
                console.print(part)
                begins.append(now)
            now += PAUSE / 2 if number == 0 else LINE
        console.print()
        begins.append(now)
        now += PAUSE
    console.file.close()
    svg = console.export_svg(code_format=TEMPLATE, unique_id="cast")
    svg = re.sub(r"<text [^>]*>\s*</text>", "", svg)

    def timed(text: re.Match[str]) -> str:
        at = begins[min(int(text[3]), len(begins) - 1)]
        return f'<text class="{text[1]} cast-line" style="animation-delay: {at:.2f}s"{text[2]}>'

    svg = re.sub(r'<text class="([^"]+)"([^>]*) clip-path="url\(#cast-line-(\d+)\)">', timed, svg)
    return re.sub(r"[ \t]*\n\s*", "\n", svg)


def main() -> None:
    """Write the picture."""
    with tempfile.TemporaryDirectory(prefix="shop-") as directory:
        PICTURE.write_text(draw(list(shown(Path(directory).resolve()))), encoding="utf-8")
    print(f"{PICTURE}: {PICTURE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
