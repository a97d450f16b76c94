"""The tiny image reads seeds with awk: held against PyYAML, and order by order for a NIC."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

RECIPE = Path(__file__).parents[3] / "tools/images/tiny"
PRIVATE = """-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW
QyNTUxOQAAACBtnw==
-----END OPENSSH PRIVATE KEY-----
"""
SEED = {
    "hostname": "foo-compute-0",
    "disable_root": False,
    "users": [
        {
            "name": "root",
            "ssh_authorized_keys": [
                f"ssh-ed25519 {'A' * 68} a comment that makes the line longer than the fold",
                "ecdsa-sha2-nistp256 BBBB",
            ],
            "lock_passwd": True,
        },
        {"ssh_authorized_keys": ["ssh-rsa CCCC"], "name": "stack"},
    ],
    "ssh_keys": {"ed25519_private": PRIVATE, "ed25519_public": "ssh-ed25519 DDDD"},
    "runcmd": [["ls", "-l"], "echo it's fine"],
}


class Literal(yaml.SafeDumper):
    """Writes texts of several lines as literal blocks, as people do."""


Literal.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    ),
)
WRITINGS = {
    "folded blocks": yaml.safe_dump(SEED, sort_keys=False),
    "literal blocks": yaml.dump(SEED, Dumper=Literal, sort_keys=False, width=200),
    "indented": yaml.dump(SEED, Dumper=Literal, indent=4),
    "quoted": yaml.safe_dump(SEED, default_style='"'),
    "flow": yaml.safe_dump(SEED, default_flow_style=True),
    "json": json.dumps(SEED),
    "json on many lines": json.dumps(SEED, indent=2),
}


def awk(program: str, text: str, **variables: str) -> list[str]:
    given = [word for name, value in variables.items() for word in ("-v", f"{name}={value}")]
    command = ["awk", *given, "-f", str(RECIPE / program)]
    ended = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    return ended.stdout.splitlines()


def flat(value: object, path: str = "") -> dict[str, str]:
    """What yaml.awk should answer, by PyYAML."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return {
            key: text
            for name, below in pairs
            for key, text in flat(below, f"{path}/{name}" if path else str(name)).items()
        }
    return {path: " ".join(str(value).split()).replace("True", "true").replace("False", "false")}


@pytest.mark.parametrize("writing", WRITINGS)
def test_a_seed_means_the_same_however_it_is_written(writing: str) -> None:
    pairs = (line.partition("=") for line in awk("yaml.awk", WRITINGS[writing]))
    got = {key: " ".join(value.split()) for key, _, value in pairs}
    assert got == flat(SEED)


NETWORK = """
network:
  version: 2
  ethernets:
    nic0:
      match: {macaddress: "52:54:00:AA:00:01"}  # upper case, as some write it
      set-name: data0
      addresses:
        - 192.0.2.5/24
        - fd00::5/64
      nameservers:
        addresses: [198.51.100.1]
      routes:
        - {to: 10.9.0.0/16, via: 192.0.2.9, metric: 50}
        - to: default
          via: 192.0.2.1
      mtu: 1400
    nic1:
      match:
        macaddress: 52:54:00:aa:00:02
      dhcp4: true
      dhcp4-overrides:
        use-routes: false
      optional: true
    nic2:
      dhcp4: true
      match: {macaddress: '52:54:00:aa:00:03'}
    nic3:
      match: {macaddress: "52:54:00:aa:00:04"}
      dhcp4: false
      addresses: [203.0.113.7/24]
      gateway4: 203.0.113.1
    eth9: {dhcp4: true}
"""


@pytest.mark.parametrize(
    ("mac", "orders"),
    [
        pytest.param(
            "52:54:00:aa:00:01",
            [
                "name data0",
                "mtu 1400",
                "up",
                "address 192.0.2.5/24",
                "address fd00::5/64",
                "route 10.9.0.0/16 192.0.2.9 50",
                "route default 192.0.2.1 -",
                "nameserver 198.51.100.1",
            ],
            id="static",
        ),
        pytest.param("52:54:00:aa:00:02", ["up", "dhcp false"], id="DHCP without its routes"),
        pytest.param("52:54:00:aa:00:03", ["up", "dhcp -"], id="DHCP"),
        pytest.param(
            "52:54:00:aa:00:04",
            ["up", "address 203.0.113.7/24", "route default 203.0.113.1"],
            id="gateway4",
        ),
        pytest.param("52:54:00:aa:00:05", ["unknown", "up"], id="not in the file"),
    ],
)
def test_orders_for_a_nic(mac: str, orders: list[str]) -> None:
    config = [line.removeprefix("network/") for line in awk("yaml.awk", NETWORK)]
    assert awk("nic.awk", "\n".join(config) + "\n", mac=mac, nic="eth0") == orders


def test_a_nic_without_a_match_goes_by_its_name() -> None:
    config = [line.removeprefix("network/") for line in awk("yaml.awk", NETWORK)]
    assert awk("nic.awk", "\n".join(config) + "\n", mac="x", nic="eth9") == ["up", "dhcp -"]


def test_without_a_network_config_everything_asks_for_dhcp() -> None:
    assert awk("nic.awk", "", mac="x", nic="eth0") == ["up", "dhcp true"]


def test_shell_files_of_the_recipe_parse() -> None:
    for name in ("init", "tiny.sh", "nic", "dhcp"):
        command = ["/bin/sh", "-n", str(RECIPE / name)]
        subprocess.run(command, check=True)
