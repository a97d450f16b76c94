"""The stack's one secret. The module path and class names are a state contract."""

from __future__ import annotations

import secrets
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

from lab.keys import derive_key

CLIENT = "client"


class KeysProvider(ResourceProvider):
    """Draws the seed once. Nothing ever changes it but a destroy."""

    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Draw a seed."""
        seed = secrets.token_hex(32)
        public = derive_key(seed, CLIENT).public
        return CreateResult("keys", {"prefix": props["prefix"], "seed": seed, "public": public})

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Never."""
        return DiffResult(changes=False)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Keep everything; the engine asks only for a change that diff denies."""
        return UpdateResult(_olds)


class Keys(Resource, module="metalab", name="Keys"):
    """The seed that every SSH key of the environment is derived from."""

    seed: pulumi.Output[str]  # 64 hexadecimal digits; secret
    public: pulumi.Output[str]  # the client key's public line

    def __init__(self, name: str, prefix: str, opts: pulumi.ResourceOptions) -> None:
        opts = pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(additional_secret_outputs=["seed"])
        )
        props = {"prefix": prefix, "seed": None, "public": None}
        super().__init__(KeysProvider(), name, props, opts)
