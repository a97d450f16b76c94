"""A stack's file with another set of nodes, and every other byte as it was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from lab.files import KeyPath, Span, spans

NODES: KeyPath = ("config", "metalab:topology-nodes")
REMOVED: KeyPath = ("config", "metalab:remove-nodes")


def with_nodes(text: str, counts: Mapping[str, int], removed: Iterable[str]) -> str:
    """Write other nodes into the text of a stack's file, in the form that its user chose.

    Args:
        text: of the file; it has `topology-nodes`.
        counts: {"compute": 3} by role file, in order.
        removed: what `remove-nodes` is to say; none takes the key out.
    """
    names = list(removed)
    text = _with_removed(text, names)
    found = spans(text)
    if found[NODES].kind == "mapping":
        return _with_mapping(text, found, counts)
    return _scalar(text, found[NODES], ",".join(f"{role}:{n}" for role, n in counts.items()))


def _with_removed(text: str, names: list[str]) -> str:
    found = spans(text)
    span = found.get(REMOVED)
    if span is None:
        return _with_new_key(text, found, ",".join(names)) if names else text
    if not names:
        return _without_lines(text, replace(span, end=_last(found, REMOVED).end))
    if span.kind == "scalar":
        return _scalar(text, span, ",".join(names))
    if span.flow:
        return _replaced(text, span, f"[{', '.join(names)}]")
    items = {path[-1]: each for path, each in found.items() if path[:-1] == REMOVED}
    there = [_word(text, each) for each in items.values()]
    dash = " " * (next(iter(items.values())).column - 2) + "- "
    lines = "".join(f"{dash}{name}\n" for name in names if name not in there)
    text = _inserted(text, list(items.values())[-1], lines)
    for each, word in reversed(list(zip(items.values(), there, strict=True))):
        text = text if word in names else _without_lines(text, each)
    return text


def _with_new_key(text: str, found: Mapping[KeyPath, Span], value: str) -> str:
    if found[NODES[:1]].flow:
        behind = replace(found[NODES], begin=found[NODES].end)
        return _replaced(text, behind, f', "{REMOVED[-1]}": "{value}"')
    line = f"{' ' * found[NODES].column}{REMOVED[-1]}: {value}\n"
    return _inserted(text, _last(found, NODES), line)


def _with_mapping(text: str, found: Mapping[KeyPath, Span], counts: Mapping[str, int]) -> str:
    span = found[NODES]
    if span.flow:
        words = ", ".join(f"{role}: {count}" for role, count in counts.items())
        return _replaced(text, span, "{" + words + "}")
    items = {str(path[-1]): each for path, each in found.items() if path[:-1] == NODES}
    first = next(iter(items.values()))
    new = {role: count for role, count in counts.items() if role not in items}
    lines = "".join(f"{' ' * first.column}{role}: {count}\n" for role, count in new.items())
    text = _inserted(text, list(items.values())[-1], lines)
    for role, each in reversed(items.items()):
        if role in counts:
            text = _scalar(text, each, str(counts[role]))
        else:
            text = _without_lines(text, each)
    return text


def _scalar(text: str, span: Span, value: str) -> str:
    """Another word in the same quotes; what is the same already stays as it is written."""
    if _word(text, span).replace(" ", "") == value:
        return text
    if span.style in ("|", ">"):  # its value takes blank lines along that are for the reader
        kept = text[: span.begin] + text[span.begin : span.end].rstrip()
        return text[: span.begin] + value + text[len(kept) :]
    return _replaced(text, span, f"{span.style}{value}{span.style}")


def _word(text: str, span: Span) -> str:
    return text[span.begin : span.end].strip("'\"")


def _replaced(text: str, span: Span, value: str) -> str:
    return text[: span.begin] + value + text[span.end :]


def _last(found: Mapping[KeyPath, Span], path: KeyPath) -> Span:
    """The last value of what a key holds: a block itself ends where the next key begins."""
    span = found[path]
    if span.kind == "scalar" or span.flow:
        return span
    inner = [each for where, each in found.items() if where[: len(path)] == path and where != path]
    return max(inner, key=lambda each: each.begin)


def _inserted(text: str, after: Span, lines: str) -> str:
    """Whole lines behind the line in which a value ends."""
    if not lines:
        return text
    place = _next_line(text, after)
    return text[:place] + lines + text[place:] if place else f"{text}\n{lines}"


def _without_lines(text: str, span: Span) -> str:
    """The lines from a key to the end of its value, gone."""
    begin = text.rfind("\n", 0, span.key) + 1
    place = _next_line(text, span)
    return text[:begin] + (text[place:] if place else "")


def _next_line(text: str, span: Span) -> int:
    """Where the line behind the one in which a value ends begins; 0: there is none."""
    ends = text[span.begin : span.end].endswith("\n")
    return text.find("\n", span.end - 1 if ends else span.end) + 1
