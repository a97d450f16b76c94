"""Further devices of a role: a piece of libvirt's XML, read before libvirt sees it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from lab.reader import Reader

MOST_XML = 20_000  # characters: dozens of devices
# Disks and NICs are for their own keys: the plan has to know them. What is left out else reaches
# into the host's files or runs a program there; so do the backends of _REACHES.
ALLOWED = (
    "controller",
    "hostdev",
    "hub",
    "input",
    "iommu",
    "memballoon",
    "panic",
    "rng",
    "sound",
    "tpm",
    "vsock",
    "watchdog",
)
_REACHES = ("dev", "external", "file", "pipe", "tcp", "udp", "unix")  # backends by their type
_FORM = "elements of libvirt's <devices>, such as <watchdog model='i6300esb'/>"


def parse_devices(entry: Reader, key: str) -> tuple[str, ...]:
    """Read XML of devices; what is answered is well-formed, an element each, without namespaces."""
    text = entry.text(key, default="", means=_FORM)
    if not text:
        return ()
    # No document type: with entities a few lines grow beyond all measure.
    if len(text) > MOST_XML or re.search("<[!?]", text):
        allowed = f"{_FORM}; at most {MOST_XML} characters, and no <! or <?"
        entry.note(key, f"{len(text)} characters of XML", allowed, "devices")
        return ()
    try:
        root = ElementTree.fromstring(f"<devices>{text}</devices>")  # noqa: S314 - see above
    except ElementTree.ParseError as error:
        entry.note(key, f"no XML: {error}", _FORM, "devices")
        return ()
    objections = tuple(_objections(root))
    for got, allowed in objections:
        entry.note(key, got, allowed, "devices")
    return () if objections else tuple(_plain(each) for each in root)


def _objections(root: ElementTree.Element) -> Iterator[tuple[str, str]]:
    if (root.text or "").strip() or any((each.tail or "").strip() for each in root):
        yield "text between the elements", _FORM
    # Of a namespace, or what stylesheets, by which devices come to libvirt, would reckon.
    if any(set("{}") & set(_words(each)) for each in root.iter()):
        yield "a namespace, or { or }", _FORM
    if any(each.get("type") in _REACHES or each.get("path") for each in root.iter()):
        yield "a file, a program or a socket of the host", _FORM
    for each in root:
        if each.tag not in ALLOWED:
            yield f"<{each.tag}>", f"one of {', '.join(ALLOWED)}"


def _words(element: ElementTree.Element) -> str:
    pairs = (f"{key}{value}" for key, value in element.items())
    return "".join((str(element.tag), element.text or "", element.tail or "", *pairs))


def _plain(element: ElementTree.Element) -> str:
    element.tail = None
    return ElementTree.tostring(element, encoding="unicode")
