"""A picture of an environment: networks as coloured buses, nodes hanging on them.

The picture brings its own background in both of a browser's colour schemes, so that it reads on
any page. Fonts are the reader's; widths follow from the one monospaced font that all texts use.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from xml.sax.saxutils import escape

from lab.plans import LabPlan, NetworkPlan, NicPlan, NodePlan

MOST_BOXES = 12  # past that the largest roles are folded into one box each
MOST_IN_A_ROW = 6  # past that half of the boxes hang above the networks

# Told apart on white and on near-black, and by most of the colour-blind (after Okabe and Ito).
_COLOURS = ("#0091d5", "#e08700", "#00a077", "#cc6fa5", "#d55e00", "#7a6ff0", "#b3a100", "#8a8f98")
_CHARACTER = 0.602  # width of a monospaced character, in its size
_TITLE, _TEXT, _SMALL = 14, 12, 11  # pixels
_MARGIN, _GAP, _PAD, _LINE = 24, 20, 14, 19
_HEADER, _BUS, _DROP = 48, 58, 26
_STYLE = """\
svg { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.card { fill: #ffffff; stroke: #d0d7de; }
.node { fill: #f6f8fa; stroke: #8c959f; stroke-width: 1.5; }
.blank { stroke-dasharray: 6 4; }
.ink { fill: #1f2328; }
.dim { fill: #656d76; }
.bold { font-weight: 600; }
@media (prefers-color-scheme: dark) {
  .card { fill: #0d1117; stroke: #30363d; }
  .node { fill: #161b22; stroke: #6e7681; }
  .ink { fill: #e6edf3; }
  .dim { fill: #9198a1; }
}
"""


@dataclass(frozen=True, slots=True)
class _Box:
    """One node, or all nodes of a role."""

    nodes: tuple[NodePlan, ...]

    @property
    def title(self) -> str:
        return _span([node.node for node in self.nodes])

    @property
    def shape(self) -> str:
        node, count = self.nodes[0], len(self.nodes)
        times = f"{count} × " if count > 1 else ""  # noqa: RUF001 - a product, for people
        cores = f"{node.vcpus} vCPU{'s' if node.vcpus > 1 else ''}"
        return f"{times}{cores}, {_memory(node.memory_mib)}"

    @property
    def rows(self) -> Iterator[tuple[NicPlan, str]]:
        """Each NIC with its address, or none: where DHCP is off, only a system gives itself one."""
        node = self.nodes[0]
        for place, nic in enumerate(node.nics):
            address = _span([each.nics[place].address for each in self.nodes])
            ssh = "  ssh" if node.deploy_os and nic.slot == node.access else ""
            known = nic.address and (nic.dhcp or node.deploy_os)
            yield nic, f"{address}{ssh}" if known else "-"


@dataclass(frozen=True, slots=True)
class _Page:
    """Where everything stands."""

    plan: LabPlan
    above: tuple[_Box, ...]
    below: tuple[_Box, ...]

    @property
    def boxes(self) -> tuple[_Box, ...]:
        return self.above + self.below

    @property
    def gutter(self) -> float:
        """The width of the networks' names, left of their buses."""
        texts = [text for network in self.plan.networks for text in _label(network)]
        return _MARGIN + max(_width(text, _TEXT) for text in texts) + _GAP

    @property
    def box_width(self) -> float:
        titles = [_width(box.title, _TITLE) for box in self.boxes]
        texts = [_width(box.shape, _SMALL) for box in self.boxes]
        rows = [_width(text, _TEXT) + 14 for box in self.boxes for _, text in box.rows]
        return round(max([110, *titles, *texts, *rows]) + 2 * _PAD)

    @property
    def box_height(self) -> int:
        return 56 + _LINE * max((len(box.nodes[0].nics) for box in self.boxes), default=0)

    @property
    def first_bus(self) -> int:
        return _HEADER + (self.box_height + _DROP if self.above else 8) + 18

    @property
    def last_bus(self) -> int:
        return self.first_bus + _BUS * (len(self.plan.networks) - 1)

    @property
    def width(self) -> int:
        columns = max(len(self.above), len(self.below), 1)
        title = _MARGIN * 2 + _width(_headline(self.plan), _TITLE)
        boxes = self.gutter + columns * (self.box_width + _GAP) + _MARGIN
        return round(max(title, boxes))

    @property
    def height(self) -> int:
        nodes = self.box_height + _DROP if self.below else 20
        return self.last_bus + nodes + _MARGIN + (32 if _has_blank(self.plan) else 0)

    def bus(self, network: str) -> int:
        names = [each.network for each in self.plan.networks]
        return self.first_bus + _BUS * names.index(network)


def diagram(plan: LabPlan) -> str:
    """Draw an environment as an SVG text. Equal plans give equal bytes."""
    boxes = _boxes(plan)
    half = len(boxes) // 2 if len(boxes) > MOST_IN_A_ROW else 0
    page = _Page(plan, tuple(boxes[:half]), tuple(boxes[half:]))
    colours = {
        network.network: _COLOURS[place % len(_COLOURS)]
        for place, network in enumerate(plan.networks)
    }
    size = f"{page.width} {page.height}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" width="{page.width}" '
        f'height="{page.height}" role="img" aria-label="{escape(_headline(plan))}">',
        f"<style>\n{_STYLE}</style>",
        f'<rect class="card" x="0.5" y="0.5" width="{page.width - 1}" height="{page.height - 1}" '
        'rx="10"/>',
        _text(_MARGIN, 32, _headline(plan), "ink bold", _TITLE),
        *chain.from_iterable(_wires(page, box, at, colours) for box, at in _places(page)),
        *chain.from_iterable(_network(page, network, colours) for network in plan.networks),
        *chain.from_iterable(_node(page, box, at, colours) for box, at in _places(page)),
        *_legend(page),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _boxes(plan: LabPlan) -> list[_Box]:
    """One box a node; the largest roles in one each when there are too many."""
    groups = [group.nodes for group in plan.groups if group.nodes]
    folded: set[str] = set()
    by_size = sorted(groups, key=len, reverse=True)
    total = sum(map(len, groups))
    for nodes in by_size:
        if total > MOST_BOXES and len(nodes) > 1:
            folded.add(nodes[0].role)
            total -= len(nodes) - 1
    return [
        box
        for nodes in groups
        for box in ([_Box(nodes)] if nodes[0].role in folded else [_Box((n,)) for n in nodes])
    ]


def _places(page: _Page) -> Iterator[tuple[_Box, tuple[float, int]]]:
    """Each box with its upper left corner."""
    for row, top in ((page.above, _HEADER), (page.below, page.last_bus + _DROP)):
        for column, box in enumerate(row):
            yield box, (page.gutter + column * (page.box_width + _GAP), top)


def _wires(page: _Page, box: _Box, at: tuple[float, int], colours: dict[str, str]) -> Iterator[str]:
    left, top = at
    nics = box.nodes[0].nics
    edge = top if top > page.first_bus else top + page.box_height
    for place, nic in enumerate(nics, start=1):
        x = round(left + page.box_width * place / (len(nics) + 1), 1)
        y, colour = page.bus(nic.network), colours[nic.network]
        yield (
            f'<path d="M{x} {edge}V{y}" stroke="{colour}" stroke-width="2"/>'
            f'<circle cx="{x}" cy="{y}" r="5.5" fill="{colour}"/>'
        )


def _network(page: _Page, network: NetworkPlan, colours: dict[str, str]) -> Iterator[str]:
    y, colour = page.bus(network.network), colours[network.network]
    end = page.width - _MARGIN
    name, subnet, kind = _label(network)
    yield (
        f'<path d="M{page.gutter - 6:.0f} {y}H{end}" stroke="{colour}" stroke-width="5" '
        'stroke-linecap="round"/>'
    )
    yield f'<rect x="{_MARGIN - 10}" y="{y - 20}" width="4" height="40" rx="2" fill="{colour}"/>'
    yield _text(_MARGIN, y - 10, name, "ink bold", _TEXT)
    yield _text(_MARGIN, y + 5, subnet, "ink", _TEXT)
    yield _text(_MARGIN, y + 20, kind, "dim", _SMALL)


def _node(page: _Page, box: _Box, at: tuple[float, int], colours: dict[str, str]) -> Iterator[str]:
    left, top = at
    style = "node" if box.nodes[0].deploy_os else "node blank"
    for shift in (8, 4, 0) if len(box.nodes) > 1 else (0,):  # a folded role is a stack of cards
        yield (
            f'<rect class="{style}" x="{left + shift:.1f}" y="{top + shift}" '
            f'width="{page.box_width}" height="{page.box_height}" rx="8"/>'
        )
    yield _text(left + _PAD, top + 23, box.title, "ink bold", _TITLE)
    yield _text(left + _PAD, top + 40, box.shape, "dim", _SMALL)
    for place, (nic, text) in enumerate(box.rows):
        y = top + 62 + place * _LINE
        colour = colours[nic.network]
        yield f'<circle cx="{left + _PAD + 4:.1f}" cy="{y - 4}" r="4" fill="{colour}"/>'
        yield _text(left + _PAD + 14, y, text, "ink", _TEXT)


def _legend(page: _Page) -> Iterator[str]:
    if _has_blank(page.plan):
        y = page.height - _MARGIN
        x = page.gutter
        yield f'<rect class="node blank" x="{x:.1f}" y="{y - 10}" width="20" height="12" rx="3"/>'
        yield _text(x + 28, y, "blank: boots from the network first", "dim", _SMALL)


def _has_blank(plan: LabPlan) -> bool:
    return any(not node.deploy_os for group in plan.groups for node in group.nodes)


def _headline(plan: LabPlan) -> str:
    return f"{plan.prefix} on hypervisor {plan.config.hypervisor.address}"


def _label(network: NetworkPlan) -> tuple[str, str, str]:
    if network.lan:
        return network.network, "LAN", f"bridge {network.bridge}"
    forward = {"nat": "NAT", "none": "isolated"}.get(network.forward, network.forward)
    dhcp = "DHCP" if network.dhcp else "no DHCP"
    return network.network, network.subnet or "frames alone", f"{forward}, {dhcp}"


def _span(words: Sequence[str]) -> str:
    """`192.0.2.2 … 9` for the first and the last of several; the words as they are for one."""
    first, last = words[0], words[-1]
    if len(words) == 1:
        return first
    stem, dot, end = last.rpartition(".")
    return f"{first} … {end if dot and first.startswith(f'{stem}.') else last}"


def _memory(mib: int) -> str:
    return f"{mib // 1024} GiB" if mib % 1024 == 0 else f"{mib} MiB"


def _width(text: str, size: int) -> float:
    return len(text) * size * _CHARACTER


def _text(x: float, y: float, text: str, style: str, size: int) -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y}" font-size="{size}">{escape(text)}</text>'
