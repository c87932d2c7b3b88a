"""HTML and SVG as text that is safe by construction: whatever is not markup already is escaped where it is put in."""

from collections.abc import Iterable
from html import escape

from kancl.text import visible

VOID = frozenset({"br", "input", "meta"})
"""Elements of HTML that have no end."""
SHAPES = frozenset({"circle", "image", "line", "path", "rect"})
"""Elements of SVG that end in themselves."""


class Markup(str):
    """Text that is markup, made by the functions below out of texts that were escaped."""

    __slots__ = ()


def written(content: object) -> Markup:
    r"""Return anything as markup: markup as it is, all else as a text whose characters can all be seen.

    >>> written("</script><b> $x$ \x1b & \"q\"")
    '&lt;/script&gt;&lt;b&gt; $x$ \\x1b &amp; &quot;q&quot;'
    """
    return content if isinstance(content, Markup) else Markup(escape(visible(str(content), "\n")))


def together(parts: Iterable[object]) -> Markup:
    """Return parts one after another; None is nothing."""
    return Markup("".join(written(part) for part in parts if part is not None))


def tag(name: str, /, *content: object, **attributes: object) -> Markup:
    """Return an element.

    Args:
        name: of the element.
        content: what stands in it; None is nothing.
        attributes: by their names, with ``_`` for ``-`` and a last ``_`` dropped; None and False are left out, True has no
            value.

    >>> tag("p", "a < b", class_="note", data_x=1, hidden=False)
    '<p class="note" data-x="1">a &lt; b</p>'
    """
    said = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None and value is not False)
    if name in VOID:
        return Markup(f"<{name}{said}>")
    if name in SHAPES and not content:
        return Markup(f"<{name}{said}/>")
    return Markup(f"<{name}{said}>{together(content)}</{name}>")


def _attribute(name: str, value: object) -> str:
    shown = name.rstrip("_").replace("_", "-")
    return f" {shown}" if value is True else f' {shown}="{written(value)}"'


def in_script(json: str) -> Markup:
    """Return JSON as the contents of a script element, which nothing but its own end can end.

    >>> in_script('"</script>"')
    '"\\\\u003c/script>"'
    """
    return Markup(json.replace("<", "\\u003c"))
