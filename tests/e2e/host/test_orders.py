"""Two prefixes come and go in every order: the host is counted, and the last one out undoes."""

from __future__ import annotations

import getpass
import os
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import permutations

import pytest

from lab.host.facts import look
from lab.host.runner import converge, restore
from lab.host.shell import Gateway
from lab.host.step import HostStep
from lab.host.steps import authorize_key_step, plan_steps
from lab.keys import derive_key
from lab.storage import HOST_DIR, PREFIXES_DIR
from tests.e2e.hypervisors import Hypervisor

pytestmark = pytest.mark.e2e
KEY = derive_key("7" * 64, "client").public
POOL = "make the image store"
SHARED = f"ls {HOST_DIR}/done 2>/dev/null; virsh -q pool-list --all --name | grep ."

# Every order of two that come and go once; then with a second visit, and with a second run while
# there. Capitals come, small letters leave; B's name begins with A's.
ONCE = {"".join(order) for order in permutations("AaBb") if order.index("A") < order.index("a")}
ORDERS = sorted(order for order in ONCE if order.index("B") < order.index("b"))
AGAIN = ["AaAa", "ABaAba", "ABaAab", "ABbaBb", "AABaab", "aABbaAa"]


@cache
def steps_of(hypervisor: Hypervisor, prefix: str) -> tuple[HostStep, ...]:
    with hypervisor.shell() as shell:
        steps = plan_steps(look(shell), prefix=prefix, virt_type="qemu")
    return (*steps, authorize_key_step(prefix, "root", KEY))


def seen(shell: Gateway) -> tuple[set[str], set[str], bool]:
    """The prefixes by markers and by keys, and whether what they share is there."""
    markers = set(shell.run(f"ls {PREFIXES_DIR} 2>/dev/null").stdout.split())
    lines = shell.run("grep -o ' metalab:.*' /root/.ssh/authorized_keys").stdout.split()
    keys = {line.removeprefix("metalab:") for line in lines}
    shared = shell.run(SHARED).stdout
    assert ("make-the-image-store" in shared) is ("metalab-base" in shared), shared
    return markers, keys, bool(shared)


def test_the_table_is_whole() -> None:
    assert ORDERS == ["ABab", "ABba", "AaBb", "BAab", "BAba", "BbAa"]


@pytest.mark.parametrize("order", [*ORDERS, *AGAIN])
def test_comers_and_goers_are_counted(hypervisor: Hypervisor, order: str) -> None:
    names = {"a": "foo", "b": "foo2"}
    here: set[str] = set()
    with hypervisor.shell() as shell:
        for letter in order:
            prefix = names[letter.lower()]
            steps = steps_of(hypervisor, prefix)
            if letter.isupper():
                made = converge(steps, shell, prefix=prefix, progress=lambda _line: None)
                assert made.failure == ""
                assert (POOL in made.changed) is not bool(here)  # made once, by whoever comes first
                here |= {prefix}
            else:
                assert restore(steps, shell, prefix=prefix, progress=lambda _line: None) == ""
                here -= {prefix}
            assert seen(shell) == (here, here, bool(here)), f"after {letter} of {order}"
        assert not here, "the order leaves somebody there"
        assert shell.run(f"ls {HOST_DIR}").exit_code == 2


def test_who_waits_is_told_for_whom(hypervisor: Hypervisor) -> None:
    def run(prefix: str, said: list[str]) -> str:
        step = HostStep(name="take its time", probe="false", commands=("sleep 6",))
        with hypervisor.shell() as shell:
            return converge([step], shell, prefix=prefix, progress=said.append).failure

    first, second = list[str](), list[str]()
    with ThreadPoolExecutor() as pool:
        run_of_foo = pool.submit(run, "foo", first)
        while not first:
            time.sleep(0.05)
        time.sleep(1)
        assert "still says no" in run("bar", second)
        assert "still says no" in run_of_foo.result()
    waits = [line for line in second if "waits" in line]
    me = rf"{getpass.getuser()}@{socket.gethostname()}, process {os.getpid()}"
    said = re.escape(f"take its time: waits for the run of foo ({me}) since ")
    assert len(waits) == 1
    assert re.fullmatch(said + r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC", waits[0]), waits
    with hypervisor.shell() as shell:
        assert restore([], shell, prefix="foo", progress=print) == ""
