"""What ends a channel leaves the connection that it is on alone, with a real sshd."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from lab.errors import LabError
from lab.host.session import Transport, Wire
from lab.host.shell import Gateway, connect
from tests.e2e.hypervisors import Hypervisor, full_door

pytestmark = pytest.mark.e2e
DATA, EOF = 94, 96  # RFC 4254, 9: SSH_MSG_CHANNEL_DATA, SSH_MSG_CHANNEL_EOF
LATE_S = 0.3


@pytest.fixture
def shell(hypervisor: Hypervisor) -> Iterator[Gateway]:
    with connect(hypervisor.spec) as shell:
        yield shell


def delay(transport: Transport, kind: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let messages of a kind be late, as a busy machine does between building and sending."""
    send = transport._send_user_message  # noqa: SLF001 - no public door is as narrow

    def late(message: Any) -> None:
        if message.asbytes()[0] == kind:
            time.sleep(LATE_S)
        send(message)

    monkeypatch.setattr(transport, "_send_user_message", late)


@pytest.mark.parametrize("command", ["true", "exit 3", "cat", "exec 0<&-; sleep 0.1"])
def test_a_command_that_is_quicker_than_the_end_of_its_input(
    shell: Gateway, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    delay(shell.connection.transport, EOF, monkeypatch)
    for _ in range(2):
        outcome = shell.run(command, stdin="words\n")
        assert outcome.exit_code == (3 if "3" in command else 0), outcome
    assert shell.alive


def test_a_guest_is_left_while_something_is_being_said_to_it(
    shell: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = shell.connection.transport
    channel = transport.open_channel("direct-tcpip", ("127.0.0.1", 22), ("127.0.0.1", 0))
    wire = Wire(channel)
    delay(transport, DATA, monkeypatch)
    speaker = threading.Thread(target=wire.send, args=(b"SSH-2.0-nobody\r\n",))
    speaker.start()
    time.sleep(LATE_S / 3)
    wire.close()
    speaker.join()
    assert shell.run("echo here").stdout == "here\n"


def test_a_door_that_is_full_for_a_while(hypervisor: Hypervisor) -> None:
    """Sixteen runs at once are more than sshd admits before they have logged in."""
    with full_door(hypervisor, seconds=3), connect(hypervisor.spec) as late:
        assert late.run("echo here").stdout == "here\n"


def test_a_door_that_stays_full(hypervisor: Hypervisor) -> None:
    with (
        full_door(hypervisor, seconds=4),
        pytest.raises(LabError, match=r"\[host-unreachable\]"),
        connect(hypervisor.spec, timeout_s=1),
    ):
        pass
