"""xml as uWSGI reads it: the elements of <uwsgi>, which is the root or the first such child of it."""

from __future__ import annotations

from xml.parsers import expat

from spoolsim.config.formats import Row
from spoolsim.errors import ConfigError


def rows(text: str, path: str, section: str | None = None) -> list[Row]:
    """The settings in document order. An empty element has the value "1"; blanks in a text are kept.

    section: elements with another id are left out. A CDATA section right below <uwsgi> is an `eval`, and
    <app mountpoint="/x"><script>m</script></app>, its tags on lines of their own, is `mount = /x=m`.

    Raises ConfigError, naming line and column, for text that is not well formed, has no <uwsgi>, or has an element
    where a text is expected (uWSGI crashes on these).
    """
    root = _tree(text, path)
    uwsgi = root
    if root.name != "uwsgi":
        found = [node for node in root.children if node.name == "uwsgi" and not _is_other(node, section)]
        if not found:
            raise ConfigError(f"{path}: no element <uwsgi>; expected it as the root or right below it")
        uwsgi = found[0]
    settings: list[Row] = []
    for node in uwsgi.children:
        if _is_other(node, section):
            continue
        if node.kind == "cdata":
            settings.append(("eval", node.text, node.line))
        elif node.name == "app":
            settings += _app(node)
        elif node.name:
            settings.append((node.name, _value(node, path), node.line))
    return settings


def _value(node: _Node, path: str) -> str:
    """The first piece of text in an element: it ends at a comment, a CDATA section or another element."""
    if not node.children:
        return "1"
    first = node.children[0]
    if first.name:
        place = f"{path}:{first.line}:{first.column}"
        raise ConfigError(f"{place}: <{first.name}>: expected text only within <{node.name}>")
    return first.text


def _app(node: _Node) -> list[Row]:
    """What an <app> mounts: its text, or else that of the element behind its first blanks."""
    if not node.children:
        return [("app", "", node.line)]
    if len(node.children) == 1:
        held = node.children[0]
    else:
        held = next(iter(node.children[1].children), _Node("element", node.line, 0))
    if held.kind == "element":
        return []
    what = held.text
    if "mountpoint" in node.attributes:
        what = f"{node.attributes['mountpoint']}={what}"
    elif "domain" in node.attributes:
        what = f"{node.attributes['domain']}|={what}"
    return [("mount", what, node.line), ("app", "", node.line)]


def _is_other(node: _Node, section: str | None) -> bool:
    return bool(section) and node.attributes.get("id", section) != section


class _Node:
    """A piece of a document: an element (the only one with a name), or text, a CDATA section, a comment."""

    def __init__(
        self,
        kind: str,
        line: int,
        column: int,
        name: str = "",
        attributes: dict[str, str] | None = None,
        text: str = "",
    ) -> None:
        self.kind = kind
        self.line = line
        self.column = column
        self.name = name
        self.attributes = attributes or {}
        self.text = text
        self.children: list[_Node] = []


def _tree(text: str, path: str) -> _Node:
    """The root element. Raises ConfigError for text that is not well formed."""
    parser = expat.ParserCreate()
    top = _Node("element", 0, 0)
    open_ = [top]

    def add(kind: str, name: str = "", attributes: dict[str, str] | None = None, held: str = "") -> _Node:
        node = _Node(kind, parser.CurrentLineNumber, parser.CurrentColumnNumber + 1, name, attributes, held)
        open_[-1].children.append(node)
        return node

    def characters(piece: str) -> None:
        last = open_[-1].children[-1] if open_[-1].children else None
        if open_[-1].kind == "cdata":
            open_[-1].text += piece
        elif last is not None and last.kind == "text":
            last.text += piece
        else:
            add("text", held=piece)

    parser.StartElementHandler = lambda name, attributes: open_.append(add("element", name, attributes))
    parser.EndElementHandler = lambda _: open_.pop()
    parser.StartCdataSectionHandler = lambda: open_.append(add("cdata"))
    parser.EndCdataSectionHandler = open_.pop
    parser.CharacterDataHandler = characters
    parser.CommentHandler = lambda held: add("comment", held=held)
    try:
        parser.Parse(text.encode("utf-8", "surrogateescape"), True)
    except expat.ExpatError as error:
        what = expat.ErrorString(error.code)
        raise ConfigError(f"{path}:{error.lineno}:{error.offset + 1}: expected well-formed xml: {what}") from None
    return next(node for node in top.children if node.name)
