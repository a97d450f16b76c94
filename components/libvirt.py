"""The only importer of pulumi_libvirt: every trap of that provider is answered here, once.

The provider (0.5.4, Terraform's 0.8.1 inside) reports many edits as done that it never makes. The
option sets below turn each of them into an explicit replacement that keeps identity and disks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_libvirt as lv
from pulumi_libvirt import CloudInitDisk, Domain, Network, Pool, Provider, Volume

from components.xslt import domain_xslt, network_xslt
from lab.cloudinit import Seed
from lab.fields import renewing_domain, renewing_network
from lab.naming import wwn
from lab.plans import DiskPlan, LabPlan, NetworkPlan, NodePlan
from lab.storage import BASE_POOL, pool_path

# Edits that the provider answers with "updated" and nothing done. `replace_on_changes` alone would
# create before it deletes, and the pinned UUID is then taken: the two options belong together.
_DOMAIN_SILENT, _NETWORK_SILENT = renewing_domain(), renewing_network()


def provider(name: str, uri: pulumi.Input[str], opts: pulumi.ResourceOptions) -> Provider:
    """The one connection of an environment: the plugin's locks do not span two."""
    return Provider(name, uri=uri, opts=opts)


def network(prefix: str, plan: NetworkPlan, opts: pulumi.ResourceOptions) -> Network:
    """A libvirt network. Only its DNS names follow the nodes, in place."""
    own = pulumi.ResourceOptions(delete_before_replace=True, replace_on_changes=_NETWORK_SILENT)
    return Network(
        plan.network,
        name=plan.name,
        mode=plan.forward,
        bridge=plan.bridge,
        addresses=[subnet for subnet in (plan.subnet, plan.subnet6) if subnet] or None,
        # An inactive network is never noticed, and its domains do not start.
        autostart=plan.autostart,
        mtu=plan.mtu or None,
        domain=plan.domain or None,
        dhcp=None if plan.lan else lv.NetworkDhcpArgs(enabled=plan.dhcp),
        dns=None if plan.lan else _dns(plan),
        xml=lv.NetworkXmlArgs(xslt=network_xslt(prefix, plan)),
        opts=pulumi.ResourceOptions.merge(opts, own),
    )


def _dns(plan: NetworkPlan) -> lv.NetworkDnsArgs:
    return lv.NetworkDnsArgs(
        enabled=plan.dhcp,  # false leaves the element out: libvirt's dnsmasq still answers
        local_only=True if plan.domain else None,
        hosts=[lv.NetworkDnsHostArgs(ip=ip, hostname=name) for ip, name in plan.names],
    )


def pool(prefix: str, name: str, opts: pulumi.ResourceOptions) -> Pool:
    """The environment's own directory of disks.

    The provider refuses to delete a pool with a file that a killed run left in it, and a destroy
    would stop there for ever: the host resource removes it, left-overs and all.
    """
    own = pulumi.ResourceOptions(retain_on_delete=True)
    target = lv.PoolTargetArgs(path=pool_path(prefix))
    return Pool(
        "pool",
        name=name,
        type="dir",
        target=target,
        opts=pulumi.ResourceOptions.merge(opts, own),
    )


def volume(name: str, disk: DiskPlan, pool: Pool, opts: pulumi.ResourceOptions) -> Volume:
    """A disk: blank, or an overlay on a base image that the host holds.

    The base is given by name, not as a resource: a replaced base volume would take every clone
    and its data with it.
    """
    return Volume(
        name,
        name=disk.volume,
        pool=pool.name,
        format=disk.kind,
        size=disk.size_gib * 1024**3,
        base_volume_name=disk.base or None,
        base_volume_pool=BASE_POOL if disk.base else None,
        opts=opts,
    )


def seed_disk(
    node: NodePlan, seed: pulumi.Output[Seed], pool: Pool, opts: pulumi.ResourceOptions
) -> CloudInitDisk:
    """The NoCloud seed as a CD-ROM."""
    return CloudInitDisk(
        f"{node.node}-seed",
        name=node.seed,
        pool=pool.name,
        meta_data=seed.apply(lambda s: s.meta_data),
        user_data=seed.apply(lambda s: s.user_data),
        network_config=seed.apply(lambda s: s.network_config),
        opts=pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(additional_secret_outputs=["userData"])
        ),
    )


def domain(
    plan: LabPlan,
    node: NodePlan,
    parts: tuple[Sequence[Volume], Sequence[Network], CloudInitDisk | None],
    opts: pulumi.ResourceOptions,
) -> Domain:
    """A node's domain: pinned UUID and MACs, so that a replacement is a reboot with a new shape."""
    volumes, networks, seed = parts
    prefix, config = plan.prefix, plan.config
    xslt = domain_xslt(prefix, node, pool_path(prefix), config.vnc_password)
    boot = ["hd"] if node.deploy_os else ["network", "hd"]
    ignored = ["running"] if not node.deploy_os else []  # a blank node's power is its lab's affair
    if node.machine.firmware != "bios":
        ignored += ["firmware", "nvram"]  # read back as the files that libvirt found
    own = pulumi.ResourceOptions(
        delete_before_replace=True,
        replace_on_changes=_DOMAIN_SILENT,
        ignore_changes=ignored,
    )
    return Domain(
        node.node,
        name=node.name,
        type=plan.virt_type,
        arch="x86_64",  # given: otherwise two more capability queries for each domain
        machine=node.machine.machine or "pc",
        vcpu=node.vcpus,
        memory=node.memory_mib,
        cpu=lv.DomainCpuArgs(mode=node.cpu[0]),
        boot_devices=[lv.DomainBootDeviceArgs(devs=boot)],
        disks=[
            lv.DomainDiskArgs(volume_id=volume.id, **_scsi(node, disk))
            for volume, disk in zip(volumes, node.disks, strict=True)
        ],
        network_interfaces=[
            # On a network that is bridged libvirt shows the bridge instead: it would be an edit.
            lv.DomainNetworkInterfaceArgs(
                network_id=None if nic.bridge else network.id,
                bridge=nic.bridge or None,
                mac=nic.mac.upper(),
            )
            for nic, network in zip(node.nics, networks, strict=True)
        ],
        cloudinit=seed.id if seed else None,
        consoles=[lv.DomainConsoleArgs(type="pty", target_port="0", target_type="serial")],
        graphics=lv.DomainGraphicsArgs(  # given: the default is SPICE, which not every QEMU has
            type="vnc", listen_type="address", listen_address=config.vnc_listen, autoport=True
        ),
        autostart=True,
        xml=lv.DomainXmlArgs(xslt=pulumi.Output.secret(xslt) if config.vnc_password else xslt),
        opts=pulumi.ResourceOptions.merge(opts, own),
    )


def _scsi(node: NodePlan, disk: DiskPlan) -> dict[str, Any]:
    return {"scsi": True, "wwn": wwn(node.uuid, disk.target)} if disk.bus == "scsi" else {}
