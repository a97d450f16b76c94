"""The XML that the libvirt plugin hands to libvirt, made here from a resource's inputs.

The plugin starts every domain that it defines, so what it makes of forty roles is not to be had
from itself on a small machine. `test_catalogue` holds this copy against the original.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from string import ascii_lowercase
from typing import Any, NamedTuple

from pulumi.runtime import MockResourceArgs

Inputs = Mapping[str, Any]

DOMAIN = """
<domain type="{type}">
  <name>{name}</name>
  <memory unit="MiB">{memory:.0f}</memory>
  <vcpu>{vcpu:.0f}</vcpu>
  <os><type arch="{arch}" machine="{machine}">hvm</type>{boot}</os>
  <features><pae/><acpi/><apic/></features>
  <cpu mode="{cpu}"/>
  <devices>
    {devices}
    <console type="pty"><target type="serial" port="0"/></console>
    <channel type="unix"><target type="virtio" name="org.qemu.guest_agent.0"/></channel>
    <graphics type="vnc" autoport="yes"><listen type="address" address="127.0.0.1"/></graphics>
    <rng model="virtio"><backend model="random">/dev/urandom</backend></rng>
  </devices>
</domain>
"""
DISK = """
<disk type="volume" device="disk">
  <driver name="qemu" type="{format}"/>
  <source pool="{pool}" volume="{name}"/>
  <target dev="vd{letter}" bus="virtio"/>
</disk>
"""
SEED = """
<disk type="file" device="cdrom">
  <driver name="qemu" type="raw"/>
  <source file="{path}"/>
  <target dev="hdd" bus="ide"/>
  <serial>cloudinit</serial>
</disk>
"""
NIC = """
<interface type="{kind}">
  <mac address="{mac}"/>
  <source {kind}="{source}"/>
  <model type="virtio"/>
</interface>
"""
NETWORK = """
<network>
  <name>{name}</name>
  {forward}
  <bridge name="{bridge}"{stp}/>
  {mtu}
  {domain}
  {dns}
  {ips}
</network>
"""


class Definition(NamedTuple):
    """What libvirt is asked to define."""

    kind: str  # domain or network
    name: str
    xml: str


def definitions(seen: Iterable[MockResourceArgs], scratch: Path) -> Iterator[Definition]:
    """Every domain and network that a run of the program registered, as libvirt would get it."""
    known: dict[str, Inputs] = {f"{args.name}_id": args.inputs for args in seen}
    for args in seen:
        kind = args.typ.rpartition(":")[2].lower()
        if kind in {"domain", "network"} and args.typ.startswith("libvirt:"):
            xml = _domain(args.inputs, known) if kind == "domain" else _network(args.inputs)
            xml = transformed(xml, args.inputs["xml"]["xslt"], scratch)
            yield Definition(kind, args.inputs["name"], xml)


def transformed(xml: str, stylesheet: str, scratch: Path) -> str:
    """A stylesheet applied, by the program that the plugin takes and with its options."""
    (scratch / "sheet.xsl").write_text(stylesheet)
    words = ["xsltproc", "--nomkdir", "--nonet", "--nowrite", scratch / "sheet.xsl", "-"]
    return subprocess.run(words, input=xml, capture_output=True, text=True, check=True).stdout


def _domain(inputs: Inputs, known: Mapping[str, Inputs]) -> str:
    disks = [
        DISK.format(letter=letter, **known[disk["volumeId"]])
        for letter, disk in zip(ascii_lowercase, inputs["disks"], strict=False)
    ]
    if seed := inputs.get("cloudinit"):
        disks.append(
            SEED.format(path=f"{known['pool_id']['target']['path']}/{known[seed]['name']}")
        )
    nics = [_nic(nic, known) for nic in inputs["networkInterfaces"]]
    devices = inputs["bootDevices"][0]["devs"]
    boot = "".join(f'<boot dev="{device}"/>' for device in devices)
    filled = {**inputs, "cpu": inputs["cpu"]["mode"], "boot": boot}
    return DOMAIN.format(devices="".join([*disks, *nics]), **filled)


def _nic(nic: Inputs, known: Mapping[str, Inputs]) -> str:
    bridge = nic.get("bridge")
    source = bridge or known[nic["networkId"]]["name"]
    return NIC.format(kind="bridge" if bridge else "network", mac=nic["mac"], source=source)


def _network(inputs: Inputs) -> str:
    mode, dhcp, dns = inputs["mode"], inputs.get("dhcp") or {}, inputs.get("dns") or {}
    local = ' localOnly="yes"' if dns.get("localOnly") else ""
    mtu, domain = inputs.get("mtu"), inputs.get("domain")
    return NETWORK.format(
        name=inputs["name"],
        forward="" if mode == "none" else f'<forward mode="{mode}"/>',
        bridge=inputs["bridge"],
        stp="" if mode == "bridge" else ' stp="on"',
        mtu=f'<mtu size="{mtu:.0f}"/>' if mtu else "",
        domain=f'<domain name="{domain}"{local}/>' if domain else "",
        dns=f'<dns enable="yes">{_names(dns)}</dns>' if dns.get("enabled") else "",
        ips="".join(_ip(each, dhcp.get("enabled", True)) for each in inputs.get("addresses") or ()),
    )


def _names(dns: Inputs) -> str:
    by_address: dict[str, str] = {}
    for host in dns.get("hosts") or ():
        name = f"<hostname>{host['hostname']}</hostname>"
        by_address[host["ip"]] = by_address.get(host["ip"], "") + name
    return "".join(f'<host ip="{ip}">{names}</host>' for ip, names in by_address.items())


def _ip(address: str, dhcp: bool) -> str:
    subnet = ip_network(address)
    given = f'<dhcp><range start="{subnet[2]}" end="{subnet[-2]}"/></dhcp>' if dhcp else ""
    family = f"ipv{subnet.version}"
    about = f'family="{family}" address="{subnet[1]}" prefix="{subnet.prefixlen}"'
    return f"<ip {about}>{given}</ip>"
