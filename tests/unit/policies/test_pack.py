"""The pack as the engine runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from select import select

ROOT = Path(__file__).resolve().parents[3]


def test_the_pack_tells_its_port_at_once_whatever_python_buffers() -> None:
    env = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
    words = [sys.executable, str(ROOT / "policies"), "127.0.0.1:1"]
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, text=True) as pack:
        assert pack.stdout
        told, _, _ = select([pack.stdout], [], [], 60)
        port = pack.stdout.readline() if told else ""
        pack.kill()
    assert port.strip().isdigit()
