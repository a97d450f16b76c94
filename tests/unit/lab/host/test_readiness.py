from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from lab.host import readiness
from lab.host.diagnosis import diagnose, diagnosis_script
from lab.host.guests import Guest, GuestError
from lab.host.lan import find_script, read_address
from lab.host.readiness import ReadyNode, wait_ready, wait_ready_anew
from lab.host.session import Outcome, Session
from tests.unit.lab.host.shells import LocalShell, ScriptedGateway

READY = Outcome(0)
CLOSED = GuestError("port", "port 22 does not answer")
NO_LOGIN = GuestError("SSH", "root may not log in with the stack's key")
STRANGER = GuestError("host key", "another host key")
FORBIDDEN = GuestError("forwarding", "forbidden")


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "POLL_S", 0.01)


def node(number: int) -> ReadyNode:
    return ReadyNode(
        name=f"foo-tiny-{number}",
        address=f"10.0.0.{number}",
        mac=f"52:54:00:00:00:{number:02x}",
        network="foo-management",
        host_key="ssh-ed25519 AAAA",
    )


@pytest.mark.parametrize(
    ("logins", "rung", "said"),
    [
        pytest.param([READY], "", "ready after", id="at once"),
        pytest.param([CLOSED, CLOSED, NO_LOGIN, READY], "", "ready after", id="step by step"),
        pytest.param([Outcome(255), READY], "", "ready after", id="a reboot in the midst of it"),
        pytest.param(
            [Outcome(2, "status: done\nextended_status: degraded done")],
            "",
            "recoverable errors: status: done; extended_status: degraded done",
            id="degraded",
        ),
        pytest.param([Outcome(1, "status: error")], "cloud-init", "", id="cloud-init failed"),
        pytest.param([Outcome(124)], "cloud-init", "", id="cloud-init does not end"),
        pytest.param([STRANGER, READY], "host key", "", id="a wrong host key ends it at once"),
        pytest.param([FORBIDDEN, READY], "forwarding", "", id="so does an sshd that forbids it"),
        pytest.param([CLOSED], "port", "", id="never a port"),
        pytest.param([NO_LOGIN], "SSH", "", id="never a login"),
    ],
)
def test_a_node_is_asked_until_it_is_ready(
    logins: list[GuestError | Outcome], rung: str, said: str
) -> None:
    lines: list[str] = []
    shell = ScriptedGateway({"10.0.0.1": logins})
    late = wait_ready(shell, [node(1)], "key", timeout_s=0.3, progress=lines.append)
    assert [each.rung for each in late] == [rung] * bool(rung)
    assert said in "".join(lines)
    assert bool(lines) is not bool(rung)


def test_each_node_that_is_late_is_named_in_order() -> None:
    logins: dict[str, list[GuestError | Outcome]] = {f"10.0.0.{n}": [CLOSED] for n in range(4)}
    logins["10.0.0.2"] = [READY]
    shell = ScriptedGateway(logins)
    late = wait_ready(shell, [node(n) for n in range(4)], "k", timeout_s=0.1, progress=print)
    assert [each.node for each in late] == ["foo-tiny-0", "foo-tiny-1", "foo-tiny-3"]
    assert len(shell.sent) == 3  # one look each, and only at those
    assert wait_ready(shell, [], "k", timeout_s=0.1, progress=print) == ()


class Cut(ScriptedGateway):
    """A connection that is lost when the first guest is asked."""

    def guest(self, target: Guest, *, timeout_s: float = 10) -> AbstractContextManager[Session]:
        self.alive = False
        return super().guest(target, timeout_s=timeout_s)


def test_a_lost_connection_is_said_at_once_and_not_taken_for_the_guests() -> None:
    (late,) = wait_ready(Cut({"10.0.0.1": [CLOSED]}), [node(1)], "k", timeout_s=60, progress=print)
    assert (late.rung, late.console) == ("connection", "")


def test_a_lost_connection_is_opened_again_for_those_that_wait() -> None:
    both: dict[str, list[GuestError | Outcome]] = {"10.0.0.1": [CLOSED], "10.0.0.2": [STRANGER]}
    gateways = [Cut(both), ScriptedGateway({"10.0.0.1": [READY], "10.0.0.2": [STRANGER]})]
    said: list[str] = []
    late = wait_ready_anew(
        lambda: nullcontext(gateways.pop(0)),
        [node(1), node(2)],
        "key",
        timeout_s=60,
        progress=said.append,
    )
    assert [(each.node, each.rung) for each in late] == [("foo-tiny-2", "host key")]
    assert "opened again" in said[0]


def test_it_gives_up_where_every_connection_is_lost() -> None:
    (late,) = wait_ready_anew(
        lambda: nullcontext(Cut({"10.0.0.1": [CLOSED]})),
        [node(1)],
        "key",
        timeout_s=60,
        progress=print,
    )
    assert late.rung == "connection"


def on_lan() -> ReadyNode:
    return replace(node(1), address="", bridge="br0")


def test_a_node_on_a_lan_is_found_before_it_is_asked() -> None:
    seen = "10.0.0.1 lladdr 52:54:00:00:00:01 REACHABLE"
    found: dict[str, str] = {}
    lines: list[str] = []
    shell = ScriptedGateway({"10.0.0.1": [STRANGER, CLOSED, READY]}, seen)
    late = wait_ready(shell, [on_lan()], "key", timeout_s=5, progress=lines.append, found=found)
    assert late == ()
    assert found == {"foo-tiny-1": "10.0.0.1"}
    assert " at 10.0.0.1" in lines[0]


def test_a_node_that_nobody_on_the_lan_knows() -> None:
    (late,) = wait_ready(ScriptedGateway({}), [on_lan()], "k", timeout_s=0.1, progress=print)
    assert str(late).startswith(
        "foo-tiny-1: not ready: address: nobody on br0 answers for 52:54:00:00:00:01"
    )


AGENT = " eth2       52:54:00:00:00:01    ipv4         10.0.0.9/24\n"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        pytest.param("", "", id="nothing"),
        pytest.param("10.0.0.1 lladdr 52:54:00:00:00:01 STALE", "10.0.0.1", id="a neighbour"),
        pytest.param("10.0.0.1 lladdr 52:54:00:00:00:02 REACHABLE", "", id="somebody else"),
        pytest.param("10.0.0.1 lladdr 52:54:00:00:00:01 FAILED\n10.0.0.2  FAILED", "", id="gone"),
        pytest.param(
            "10.0.0.1 lladdr 52:54:00:00:00:01 STALE\n10.0.0.2 lladdr 52:54:00:00:00:01 DELAY",
            "10.0.0.2",
            id="the surest one",
        ),
        pytest.param(
            f"{AGENT}10.0.0.1 lladdr 52:54:00:00:00:01 REACHABLE", "10.0.0.9", id="its agent"
        ),
    ],
)
def test_who_knows_a_nodes_address(text: str, address: str) -> None:
    assert read_address(text, "52:54:00:00:00:01") == address


def test_looking_for_a_node_runs_anywhere(tmp_path: Path) -> None:
    script = find_script(domain="no-such", mac="52:54:00:00:00:01", bridge="no-such", turn=3)
    outcome = LocalShell(tmp_path).run(script)
    assert (outcome.exit_code, read_address(outcome.stdout, "52:54:00:00:00:01")) == (0, "")


def test_a_private_key_is_in_no_representation() -> None:
    guest = Guest(address="10.0.0.1", private_key="secret", host_key="ssh-ed25519 AAAA")
    assert "secret" not in repr(guest)


RUNNING = "@@metalab state\nrunning (booted)\n\n"
DHCP = "@@metalab dhcp\n<dhcp>\n"
LEASE = "@@metalab lease\n 2026-11-21  52:54:00:00:00:01  ipv4  10.0.0.1/24  tiny  01:52\n"
CONSOLE = "@@metalab console\n" + "\n".join(f"line {n}" for n in range(30))


@pytest.mark.parametrize(
    ("text", "rung", "found", "says"),
    [
        pytest.param(RUNNING + DHCP + LEASE, "port", "port", "closed", id="no sshd"),
        pytest.param(RUNNING + DHCP, "port", "lease", "no DHCP lease", id="no lease"),
        pytest.param(RUNNING, "port", "port", "closed", id="a network without DHCP"),
        pytest.param(
            "@@metalab state\nshut off (crashed)\n\n", "port", "domain", "crashed", id="off"
        ),
        pytest.param(
            "@@metalab state\nerror: failed to get domain 'x'\n",
            "port",
            "domain",
            "failed to get domain",
            id="undefined",
        ),
        pytest.param(RUNNING + DHCP, "SSH", "SSH", "closed", id="it answered, so it has a lease"),
        pytest.param(RUNNING, "cloud-init", "cloud-init", "closed", id="cloud-init"),
        pytest.param("", "port", "port", "closed", id="a hypervisor that does not answer"),
    ],
)
def test_the_lowest_rung_that_does_not_hold(text: str, rung: str, found: str, says: str) -> None:
    got, reason, _ = diagnose(text, rung, "closed")
    assert got == found
    assert says in reason


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        pytest.param("a\r\n\x1b[31mred\x1b[0m\r\n\r\n", "a\nred", id="colours"),
        pytest.param("10%\r50%\r100%\n", "100%", id="a progress bar"),
        pytest.param("\x1b]0;title\x07x\x1bc\x00\x9b2Jy\x7f", "x2Jy", id="a hostile console"),
        pytest.param("\n".join(map(str, range(20))), "\n".join(map(str, range(8, 20))), id="tail"),
        pytest.param("", "", id="empty"),
    ],
)
def test_a_console_is_fit_for_any_terminal(raw: str, shown: str) -> None:
    assert diagnose(f"@@metalab console\n{raw}", "SSH", "")[2] == shown


def test_a_failure_shows_the_console() -> None:
    shell = ScriptedGateway({"10.0.0.1": [CLOSED]}, RUNNING + DHCP + CONSOLE)
    (late,) = wait_ready(shell, [node(1)], "key", timeout_s=0, progress=print)
    lines = str(late).splitlines()
    assert lines[0].startswith("foo-tiny-1: not ready: lease: ")
    assert lines[1:] == [f"    line {n}" for n in range(18, 30)]


def test_the_diagnosis_runs_anywhere(tmp_path: Path) -> None:
    script = diagnosis_script(domain="no-such", network="none", mac="52:54:00:00:00:01")
    outcome = LocalShell(tmp_path).run(script)
    assert outcome.ok
    assert outcome.stdout.count("@@metalab") == 4
