"""An edit, told before it is carried out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lab.changes import Change
from lab.views.hanging import hanging


def changes(found: Iterable[Change]) -> Iterator[str]:
    """A line for each change: `compute-0: memory 8192 → 16384 MiB: restart`."""
    for change in found:
        unit = f" {change.unit}" if change.unit else ""
        what = f"{change.field} {change.was} → {change.now}{unit}: " if change.field else ""
        also = f"; {', '.join(change.restarts)} restart" if change.restarts else ""
        yield from hanging("", f"{', '.join(change.names)}: {what}{change.effect}{also}", 4)
