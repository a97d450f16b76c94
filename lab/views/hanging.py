"""Text behind a word, folded below itself."""

from __future__ import annotations

from textwrap import wrap

WIDTH = 100  # columns; longer texts go on below themselves


def hanging(head: str, text: str, margin: int) -> list[str]:
    """Lines of `head` and the text; those after the first begin at the column `margin`."""
    # A path or a command that is torn apart cannot be copied.
    return wrap(
        text,
        WIDTH,
        initial_indent=head,
        subsequent_indent=" " * margin,
        break_long_words=False,
        break_on_hyphens=False,
    )
