from __future__ import annotations

from dataclasses import replace

import pytest

from lab.errors import LabError
from lab.images import with_images
from lab.lease import parse_lease
from lab.plan import LabPlan, plan_lab
from lab.specs import DiskSpec, Image, NodeSpec, SystemSpec
from tests.unit.lab.samples import FACTS, IMAGE, OTHER_IMAGE, config, holding, lines, role, topology


def planned(*roles: NodeSpec, image: Image | None = IMAGE, **held: LabPlan) -> LabPlan:
    facts = holding(FACTS, *(plan.lease for plan in held.values()))
    return plan_lab(config(), replace(topology(), roles=roles), image, facts)


def disks(*buses: str) -> tuple[DiskSpec, ...]:
    return tuple(DiskSpec(size_gib=1, bus=bus) for bus in buses)


@pytest.mark.parametrize(
    ("buses", "names"),
    [
        (("virtio", "virtio"), {"vda": "vda", "vdb": "vdb"}),
        (("scsi", "sata", "scsi"), {"vda": "sda", "vdc": "sdb", "vdb": "sdc"}),
        (
            ("virtio", "scsi", "virtio", "sata"),
            {"vda": "vda", "vdc": "vdb", "vdb": "sda", "vdd": "sdb"},
        ),
        (("sata", "virtio"), {"vda": "sda", "vdb": "vda"}),
    ],
)
def test_disks_of_one_bus_stay_together(buses: tuple[str, ...], names: dict[str, str]) -> None:
    """As libvirt keeps them, in the order of the file within a bus; places name the volumes."""
    node = planned(role("tiny", [0], disks=disks(*buses))).nodes["tiny-0"]
    assert {disk.target: disk.device for disk in node.disks} == names
    assert [disk.target for disk in node.disks] == list(names)
    assert {disk.volume for disk in node.disks} == {f"foo-tiny-0-{name}.qcow2" for name in names}


def own(image: Image) -> NodeSpec:
    return role("db", [0], disks=(DiskSpec(size_gib=2, image=image), DiskSpec(size_gib=1)))


def test_a_role_may_have_an_image_of_its_own() -> None:
    plan = planned(role("tiny", [0]), own(OTHER_IMAGE))
    assert {name: node.image for name, node in plan.nodes.items()} == {
        "tiny-0": IMAGE.sha256,
        "db-0": OTHER_IMAGE.sha256,
    }
    assert set(plan.images) == {IMAGE, OTHER_IMAGE}
    assert not [note for note in plan.notes if "base image" in note]


def test_with_an_image_of_its_own_the_stack_needs_none() -> None:
    assert planned(own(OTHER_IMAGE), image=None).images == (OTHER_IMAGE,)


def test_a_disk_keeps_what_it_was_made_with() -> None:
    spec = role("db", [0], disks=(DiskSpec(size_gib=1), DiskSpec(size_gib=1, image=OTHER_IMAGE)))
    was = planned(spec)
    assert [disk.image for disk in was.nodes["db-0"].disks] == [IMAGE.sha256, OTHER_IMAGE.sha256]
    assert parse_lease(was.lease.to_json()) == was.lease
    for image in (None, replace(OTHER_IMAGE, sha256="3" * 64)):
        edited = replace(spec, disks=(DiskSpec(size_gib=1), DiskSpec(size_gib=1, image=image)))
        assert planned(edited, was=was).nodes["db-0"].disks == was.nodes["db-0"].disks


def test_leases_of_what_has_none_of_it_are_as_they_were() -> None:
    text = planned(role("tiny", [0])).lease.to_json()
    assert '"raw"' not in text
    assert '"bases"' not in text


def test_every_image_of_a_role_is_looked_at() -> None:
    wishes = [Image(sha256="", source=source) for source in ("/gone.qcow2", "https://x.org/i.img")]
    wanted = replace(topology(), roles=tuple(own(wish) for wish in wishes))
    with pytest.raises(LabError) as caught:
        with_images(wanted)
    first, second = lines(caught.value)
    assert first.startswith("db: image_url: got /gone.qcow2: no such file")
    assert "Set image_sha256" in second
    given = Image(sha256="4" * 64, source="https://x.org/i.img")
    (found,) = with_images(replace(topology(), roles=(own(given),))).roles
    assert found.disks[0].image == given


def test_a_node_keeps_who_logs_in() -> None:
    """cloud-init makes users once."""
    spec = role("tiny", [0], system=SystemSpec(user="stack"))
    was = planned(spec)
    edited = replace(spec, indexes=(0, 1), system=SystemSpec(user="cloud-user"))
    nodes = planned(edited, was=was).nodes
    assert [node.system.user for node in nodes.values()] == ["stack", "cloud-user"]
