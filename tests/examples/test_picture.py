"""The README's picture is of what the commands print, and safe to show."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from tests.examples import picture

SVG = "{http://www.w3.org/2000/svg}"


def lines(svg: str) -> list[str]:
    """What it shows, line by line, without what differs from run to run."""
    found: dict[float, list[tuple[float, str]]] = {}
    for text in ElementTree.fromstring(svg).iter(f"{SVG}text"):
        found.setdefault(float(text.attrib["y"]), []).append((float(text.attrib["x"]), text.text or ""))
    shown = ["".join(part for _, part in sorted(row)) for _, row in sorted(found.items())]
    varies = r"\d\d:\d\d:\d\d|[\d.]+ (ms|s)\b|#?\b[0-9a-f]{6}\b|(?<=why )\S+"
    plain = (re.sub(varies, "", " ".join(one.split())).strip() for one in shown)
    return sorted(re.sub(r"^(queued .*\)).*", r"\1", one) for one in plain)  # a list's row is cut at the right


def test_the_picture_is_what_the_commands_print(tmp_path: Path):
    """As they are now: `python -m tests.examples.picture` draws it again. The two tasks may run in either order."""
    drawn = picture.draw(list(picture.shown(tmp_path.resolve())))
    assert lines(drawn) == lines(picture.PICTURE.read_text(encoding="utf-8"))


def test_the_picture_is_small_and_loads_nothing():
    """Below 150 kB, without scripts, fonts or other files; the README shows it."""
    text = picture.PICTURE.read_text(encoding="utf-8")
    assert len(text.encode()) < 150_000
    assert {element.tag.removeprefix(SVG) for element in ElementTree.fromstring(text).iter()} <= {
        *("svg", "title", "style", "rect", "g", "text")
    }
    assert re.findall(r"https?://[^\"]*|url\(|@import|@font-face", text) == ["http://www.w3.org/2000/svg"]
    assert "/.github/terminal.svg" in f"/{(picture.PICTURE.parents[1] / 'README.md').read_text()}".replace("(", "/")
