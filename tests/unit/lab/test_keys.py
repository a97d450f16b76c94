from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_ssh_private_key,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.keys import derive_key

SEEDS = st.binary(min_size=32, max_size=32).map(bytes.hex)
SEED = "00" * 32


@given(SEEDS, st.text(max_size=20))
def test_cryptography_loads_what_is_derived(seed: str, purpose: str) -> None:
    pair = derive_key(seed, purpose)
    key = load_ssh_private_key(pair.private.encode(), password=None)
    assert isinstance(key, Ed25519PrivateKey)
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    assert public.decode() == pair.public


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="OpenSSH's client is not installed")
@settings(max_examples=5, deadline=None)
@given(SEEDS)
def test_openssh_loads_what_is_derived(tmp_path_factory: pytest.TempPathFactory, seed: str) -> None:
    pair = derive_key(seed, "client")
    path: Path = tmp_path_factory.mktemp("key") / "id"
    path.write_text(pair.private)
    path.chmod(0o600)
    shown = subprocess.run(
        ["ssh-keygen", "-y", "-f", path],
        capture_output=True,
        check=True,
        text=True,
    )
    assert shown.stdout.split()[:2] == pair.public.split()


@given(SEEDS)
def test_the_same_seed_gives_the_same_bytes(seed: str) -> None:
    assert derive_key(seed, "client") == derive_key(seed, "client")


def test_another_purpose_or_seed_is_another_key() -> None:
    purposes = ["client", "host/tiny-0", "host/tiny-1", "host/client", ""]
    keys = {derive_key(seed, purpose).public for seed in (SEED, "11" * 32) for purpose in purposes}
    assert len(keys) == 2 * len(purposes)


def test_the_file_has_openssh_s_form() -> None:
    lines = derive_key(SEED, "client").private.splitlines()
    assert lines[0] == "-----BEGIN OPENSSH PRIVATE KEY-----"
    assert lines[-1] == "-----END OPENSSH PRIVATE KEY-----"
    assert max(map(len, lines[1:-1])) == 70
    assert base64.b64decode("".join(lines[1:-1])).startswith(b"openssh-key-v1\0")


@pytest.mark.parametrize(
    "seed", [pytest.param("xyz", id="not hexadecimal"), pytest.param("0", id="half a byte")]
)
def test_a_seed_is_hexadecimal(seed: str) -> None:
    with pytest.raises(ValueError, match="hex"):
        derive_key(seed, "client")
