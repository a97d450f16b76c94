"""metalab: an emulated rack of machines on a libvirt hypervisor, from a few lines of YAML.

Settings, topology and facts make a plan; the rules judge it; components declare it.
"""

from functools import partial

import pulumi

from components.environment import Environment
from components.outputs import export_outputs, tell
from components.sdk import mute_debug_lines, registered, warm_up
from components.settings import check_programs, stack_settings
from lab.config import parse_config
from lab.errors import LabError
from lab.host.decision import decide
from lab.host.forward import open_way
from lab.host.settle import settle
from lab.host.steps import steps_for
from lab.images import load_lab

mute_debug_lines()
warm_up()
try:
    config = parse_config(stack_settings(), prefix=pulumi.get_stack())
    topology, image = load_lab(config)
    way = open_way(config.hypervisor, config.prefix)
    judged = partial(decide, config, topology, image, check_programs())
    lasting = not pulumi.runtime.is_dry_run()
    plan, facts, hold = settle(config.hypervisor, judged, lasting=lasting, progress=pulumi.log.info)
    libvirt_uri = way.wait()
except LabError as error:
    raise pulumi.RunError(str(error)) from None  # the user's to fix: every problem, no traceback

tell(plan, facts)


async def declare() -> None:
    """Register everything, while what was registered first is looked at already."""
    lab = Environment(plan, [step.as_dict() for step in steps_for(plan, facts)], libvirt_uri)
    if hold:
        lab.hypervisor.lease.id.apply(hold.claimed)
    await lab.fill()
    export_outputs(lab, plan, facts)
    await registered(lab.readiness)


pulumi.run(declare)
