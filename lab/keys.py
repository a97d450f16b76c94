"""SSH keys that follow from one secret of the stack: the client's, and a host key for each node.

Only the seed is random and kept. Deriving the rest keeps every preview quiet: adding a node makes
no known value unknown, and the same node has the same host key for ever.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_TYPE = b"ssh-ed25519"
_BLOCK = 8  # bytes; the padding of an unencrypted key, PROTOCOL.key of OpenSSH


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An ed25519 key: the private half as OpenSSH's file, the public half as one line."""

    private: str
    public: str  # "ssh-ed25519 AAAA...", without a comment


def derive_key(seed: str, purpose: str) -> KeyPair:
    """Derive the key of one purpose.

    Args:
        seed: the stack's secret, 64 hexadecimal digits.
        purpose: "client", or "host/" and a node's name. Another purpose is another key.
    """
    raw = hmac.digest(bytes.fromhex(seed), f"metalab/1/{purpose}".encode(), hashlib.sha256)
    key = Ed25519PrivateKey.from_private_bytes(raw)
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    blob = _string(_TYPE) + _string(public)
    return KeyPair(
        private=_openssh(raw, public),
        public=f"{_TYPE.decode()} {base64.b64encode(blob).decode()}",
    )


def _openssh(private: bytes, public: bytes) -> str:
    """The private key file.

    cryptography writes it too, but with a random check number: the text goes into a guest's seed,
    where other bytes would mean another disk.
    """
    blob = _string(_TYPE) + _string(public)
    check = hashlib.sha256(private).digest()[:4] * 2
    inner = check + _string(_TYPE) + _string(public) + _string(private + public) + _string(b"")
    inner += bytes(range(1, 1 + -len(inner) % _BLOCK))
    none = _string(b"none")
    outer = none + none + _string(b"") + struct.pack(">I", 1) + _string(blob) + _string(inner)
    text = base64.b64encode(b"openssh-key-v1\0" + outer).decode()
    lines = [text[i : i + 70] for i in range(0, len(text), 70)]
    body = "\n".join(lines)
    return f"-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----\n"


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data
