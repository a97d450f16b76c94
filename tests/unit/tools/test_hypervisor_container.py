"""What is written for a container before it boots."""

from pathlib import Path

import pytest

from tools.demo import container, instance
from tools.demo.addresses import subnets
from tools.demo.cgroups import hierarchies
from tools.demo.instance import Record, named
from tools.demo.network import nat_rules
from tools.demo.shell import ToolError


@pytest.mark.parametrize("name", ["demo", "w1", "0lab", "a-b", "abcdefghijkl"])
def test_names_that_fit(name: str) -> None:
    assert all(len(link) <= 15 for link in named(name).links)


@pytest.mark.parametrize("name", ["", "Demo", "abcdefghijklm", "a b", "../x", "-a", "a_b", "ä"])
def test_names_that_do_not(name: str) -> None:
    with pytest.raises(ToolError, match="hypervisor name: got"):
        named(name)


def test_the_machines_own_subnets_go_through_the_gateway_by_name() -> None:
    """Else a lab inside takes them for its own, and the hypervisor loses its way out."""
    text = container.network_file(7, ["192.0.2.0/24", "198.51.100.0/24"])
    assert "Address=10.213.7.2/24\nAddress=fd13:7::2/64\nGateway=10.213.7.1\n" in text
    assert text.count("[Route]") == 2
    assert "Destination=192.0.2.0/24\nGateway=10.213.7.1\n" in text


def test_known_hosts_has_every_key_for_both_addresses(tmp_path: Path) -> None:
    (tmp_path / "etc/ssh").mkdir(parents=True)
    for kind in ("ecdsa", "ed25519", "rsa"):
        file = tmp_path / f"etc/ssh/ssh_host_{kind}_key.pub"
        file.write_text(f"ssh-{kind} AAAA root@builder\n")
    record = Record(suite="bookworm", layer="", lowers=("/elsewhere", str(tmp_path)), index=3)
    lines = container.known_hosts(record).splitlines()
    assert lines == [
        f"10.213.3.2,fd13:3::2 ssh-{kind} AAAA" for kind in ("ecdsa", "ed25519", "rsa")
    ]


def test_nat_is_one_table_of_our_own_that_a_second_run_replaces() -> None:
    rules = nat_rules(named("w1"), subnets(2)[0])
    assert rules.count("metalab-demo-w1") == 3
    assert 'ip saddr 10.213.2.0/24 oifname != "ml*" masquerade' in rules


def test_a_record_survives_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METALAB_CACHE", str(tmp_path))
    one = named("w1")
    one.folder.mkdir(parents=True)
    record = Record(suite="trixie", layer="libvirt", lowers=("/a", "/b"), index=4)
    one.write_record(record)
    assert one.record() == record
    assert (one.folder / "address").read_text() == "10.213.4.2\n"
    assert [other.name for other in instance.instances()] == ["w1"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"suite": "bookworm"}', '{"lowers": 3}'])
def test_a_cut_off_record_is_none(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METALAB_CACHE", str(tmp_path))
    one = named("w1")
    one.folder.mkdir(parents=True)
    (one.folder / "record.json").write_text(text)
    assert one.record() is None


def test_another_process_with_the_pid_is_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METALAB_CACHE", str(tmp_path))
    one = named("w1")
    one.folder.mkdir(parents=True)
    init = one.write_init(1, since_s=0)
    assert one.init() == init
    monkeypatch.setattr(instance, "started_ticks", lambda _pid: init.started_ticks + 1)
    assert one.init() is None


def test_after_a_reboot_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METALAB_CACHE", str(tmp_path))
    one = named("w1")
    one.folder.mkdir(parents=True)
    one.write_init(1, since_s=0)
    monkeypatch.setattr(instance, "boot_id", lambda: "another")
    assert one.init() is None


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        pytest.param(
            ["30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate"],
            ["/sys/fs/cgroup"],
            id="v2 alone",
        ),
        pytest.param(
            [
                "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755",
                "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu",
                "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd",
                "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
            ],
            ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"],
            id="v1 and v2 side by side",
        ),
    ],
)
def test_the_hierarchies_that_nspawn_looks_at(lines: list[str], found: list[str]) -> None:
    assert [str(path) for path in hierarchies("\n".join(lines))] == found
