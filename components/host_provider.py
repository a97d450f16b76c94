"""The hypervisor as Pulumi resources: prepared, leased, holding images.

Module path and class names are a state contract. Methods import lab.host when they run: the
program imports this module too, and has no use for an SSH library.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from components.connection import FIELDS, changed_login, from_wire, to_wire
from lab.config import HypervisorSpec
from lab.dialing import libvirt_uri
from lab.lease import parse_lease
from lab.plans import LabPlan


def progress_of(props: dict[str, Any]) -> Callable[[str], None]:
    """Lines that show in the engine's display while an operation runs, told apart by host."""

    def say(line: str) -> None:
        print(f"{props['address']}: {line}", flush=True)  # noqa: T201 - the engine shows stdout live

    return say


def changed_keys(olds: dict[str, Any], news: dict[str, Any], keys: Sequence[str]) -> list[str]:
    """The keys whose new value differs; an unknown one differs."""
    return [key for key in keys if olds.get(key) != news.get(key)]


class HostProvider(ResourceProvider):
    """Makes a hypervisor ready, and gives it back when the last environment leaves."""

    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Prepare the host. A step that fails is an output, so that what was done is recorded."""
        return CreateResult(libvirt_uri(from_wire(props)), _prepare(props))

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse to move: the plugin would go on as if domains and disks had moved along."""
        was = olds.get("address")
        moved = was is not None and was != news.get("address")
        reason = (
            f"got {news.get('address')}, expected {was}, where the environment is. "
            "Destroy it there first, or use another stack. [host-moved]"
        )
        return CheckResult(news, [CheckFailure("host-address", reason)] if moved else [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Other steps, another way to log in, or a failure are work to do."""
        changed = changed_keys(olds, news, ["address", "steps", "public_key"])
        changed += changed_login(olds, news)
        return DiffResult(changes=bool(changed or olds.get("failure")))

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Go on where the last run stopped."""
        _withdraw_key(olds, news)
        return UpdateResult(_prepare(news))

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Leave the host; the last one out undoes what metalab did to it."""
        from lab.host.orphans import sweep  # noqa: PLC0415
        from lab.host.shared import borrow  # noqa: PLC0415

        with borrow(from_wire(props)) as shell:
            sweep(shell, props["prefix"])
            user = props.get("login") or props["user"] or shell.user
            _leave(_steps(props, user), shell, props)


def _steps(props: dict[str, Any], user: str) -> tuple[Any, ...]:
    from lab.host.step import HostStep  # noqa: PLC0415
    from lab.host.steps import authorize_steps  # noqa: PLC0415

    steps = [HostStep.from_dict(step) for step in props["steps"]]
    return (*steps, *authorize_steps(props["prefix"], user, props["public_key"]))


def _own_steps(props: dict[str, Any], user: str) -> tuple[Any, ...]:
    from lab.host.steps import authorize_steps, mark_step  # noqa: PLC0415

    prefix = props["prefix"]
    return (mark_step(prefix), *authorize_steps(prefix, user, props["owner"]))


def _withdraw_key(olds: dict[str, Any], news: dict[str, Any]) -> None:
    """Who logs in as somebody else now takes the lab's key along."""
    from lab.host.shared import borrow  # noqa: PLC0415
    from lab.host.users import withdraw_key  # noqa: PLC0415

    with borrow(from_wire(news)) as shell:
        was = olds.get("login") or olds.get("user") or shell.user
        if was != shell.user:
            withdraw_key(shell, news["prefix"], was)


def _leave(steps: tuple[Any, ...], shell: Any, props: dict[str, Any]) -> None:  # noqa: ANN401
    from lab.host.runner import restore  # noqa: PLC0415

    if failure := restore(steps, shell, prefix=props["prefix"], progress=progress_of(props)):
        raise RuntimeError(failure)


def _prepare(props: dict[str, Any]) -> dict[str, Any]:
    from lab.host.kvm import pending  # noqa: PLC0415
    from lab.host.runner import converge  # noqa: PLC0415
    from lab.host.shared import borrow  # noqa: PLC0415
    from lab.host.shell import connect  # noqa: PLC0415

    spec = from_wire(props)
    with borrow(spec) as shell:
        steps, login = _steps(props, shell.user), shell.user
        result = converge(
            steps,
            shell,
            prefix=props["prefix"],
            progress=progress_of(props),
            again=partial(connect, spec),
        )
        waits = [] if result.failure else pending(steps, shell)
    kept = {key: props[key] for key in (*FIELDS, "prefix", "steps", "public_key") if key in props}
    report = {"done": list(result.done), "failure": result.failure, "pending": waits}
    return {**kept, "login": login, **report}


class Host(Resource, module="metalab", name="Host"):
    """A prepared hypervisor. Its id is the libvirt URI: known in every preview but the first."""

    failure: pulumi.Output[str]
    pending: pulumi.Output[list[str]]  # as the last preparation left it; see still_pending

    def __init__(
        self,
        name: str,
        spec: HypervisorSpec,
        steps: Sequence[dict[str, Any]],
        keys: tuple[str, pulumi.Input[str]],
        opts: pulumi.ResourceOptions,
    ) -> None:
        prefix, public_key = keys
        hooks = pulumi.ResourceHookBinding(
            after_create=[raise_failure], after_update=[raise_failure]
        )
        props = {
            **to_wire(spec),
            "prefix": prefix,
            "steps": list(steps),
            "public_key": public_key,
            "done": None,
            "failure": None,
            "pending": None,
        }
        opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(hooks=hooks))
        super().__init__(HostProvider(), name, props, opts)


def raise_failure(args: pulumi.ResourceHookArgs) -> None:
    """Fail the update once the engine has recorded what was done."""
    failure = (args.new_outputs or {}).get("failure")
    if failure:
        raise RuntimeError(failure)


class LeaseProvider(ResourceProvider):
    """Claims subnets and memory under the host's lock, and frees them."""

    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Claim."""
        return CreateResult(props["prefix"], _claim(props))

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """The limit is no reason: it follows from what others have, and is asked at each claim.

        What the host's file says instead is one: somebody may have edited that. A refresh asks
        with what was carried out already, hence the comparison.
        """
        changed = changed_keys(olds, news, ["address", "lease", "owner"])
        if news.get("instead_of"):
            changed += changed_keys(olds, news, ["instead_of"])
        return DiffResult(changes=bool(changed or changed_login(olds, news)))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Claim anew."""
        return UpdateResult(_claim(news))

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Free everything the prefix holds, a preparation that was killed halfway included."""
        from lab.host.shared import borrow  # noqa: PLC0415

        with borrow(from_wire(props)) as shell:
            _leave(_own_steps(props, shell.user), shell, props)


def _claim(props: dict[str, Any]) -> dict[str, Any]:
    from lab.host.leases import claim  # noqa: PLC0415
    from lab.host.shared import borrow  # noqa: PLC0415

    limit = props.get("memory_limit_mib")
    with borrow(from_wire(props)) as shell:
        claim(
            replace(parse_lease(props["lease"]), owner=props["owner"]),
            shell,
            memory_limit_mib=None if limit is None else int(limit),
            progress=progress_of(props),
        )
    return dict(props)


class HostLease(Resource, module="metalab", name="Lease"):
    """What the environment claims of its host."""

    def __init__(
        self,
        name: str,
        plan: LabPlan,
        owner: pulumi.Input[str],
        opts: pulumi.ResourceOptions,
    ) -> None:
        props = {
            **to_wire(plan.config.hypervisor),
            "prefix": plan.prefix,
            "lease": plan.lease.to_json(),
            "instead_of": "" if plan.lease_kept else plan.lease_found,
            "memory_mib": plan.lease.memory_mib,
            "memory_limit_mib": plan.memory_limit_mib,
            "owner": owner,
        }
        super().__init__(LeaseProvider(), name, props, opts)


class ImageProvider(ResourceProvider):
    """Brings a base image to the host once. Images stay: other environments may use them."""

    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Upload or fetch, verified."""
        from lab.host.images import hold_image  # noqa: PLC0415
        from lab.host.shared import borrow  # noqa: PLC0415

        with borrow(from_wire(props)) as shell:
            hold_image(
                shell,
                sha256=props["sha256"],
                source=props["source"],
                progress=progress_of(props),
            )
        return CreateResult(props["sha256"], dict(props))

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """The checksum is the image; where it came from does not matter once it is there."""
        other = changed_keys(olds, news, ["sha256"])
        changed = [*other, *changed_login(olds, news)]
        return DiffResult(changes=bool(changed), replaces=other, delete_before_replace=True)

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Remember another way to log in."""
        return UpdateResult(dict(news))


class BaseImage(Resource, module="metalab", name="Image"):
    """A base image that the host holds."""

    def __init__(
        self,
        name: str,
        spec: HypervisorSpec,
        image: tuple[str, str],
        opts: pulumi.ResourceOptions,
    ) -> None:
        sha256, source = image
        props = {**to_wire(spec), "sha256": sha256, "source": pulumi.Output.secret(source)}
        super().__init__(ImageProvider(), name, props, opts)
