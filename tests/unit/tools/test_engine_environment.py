"""`make -s env`: what is exported, and what of the user's own is left alone."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tools.engine.environment import Surroundings, credentials_dir, exports, logged_in_to

CACHE = Path("/c")
BUILT = Surroundings(
    cache=CACHE,
    toolchain=CACHE / "toolchain-1",
    plugin=None,
    uv=CACHE / "uv-1/bin",
    python=Path("/usr/bin/python3.11"),
    policy_pack=Path("/src/policies"),
    home=Path("/home/u"),
    threads=2,
    backend="",
)
OFFICIAL = replace(BUILT, toolchain=None, uv=None)
ENGINE_ONLY = {
    "PULUMI_HOME",
    "PULUMI_CREDENTIALS_PATH",
    "PULUMI_IGNORE_AMBIENT_PLUGINS",
    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION",
    "PULUMI_OPTION_SKIP_PLUGIN_PRE_INSTALL",
}
USER = {"PATH": "/usr/bin"}


def test_the_built_engine_comes_with_its_own_home_and_plugins() -> None:
    lines = exports(USER, BUILT)
    assert lines["PATH"] == "/c/toolchain-1/bin:/c/uv-1/bin:/usr/bin"
    assert lines["PULUMI_HOME"] == "/c/toolchain-1/home"
    assert lines.keys() >= ENGINE_ONLY


def test_the_users_own_engine_is_left_as_it_is() -> None:
    lines = exports(USER, OFFICIAL)
    assert lines["PATH"] == "/usr/bin"
    assert not lines.keys() & ENGINE_ONLY


def test_the_users_own_engine_finds_our_plugin_first() -> None:
    lines = exports(USER, replace(OFFICIAL, plugin=CACHE / "plugin-1"))
    assert lines["PATH"] == "/c/plugin-1:/usr/bin"
    assert not lines.keys() & ENGINE_ONLY, "which would hide it, or what else the engine fetches"


def test_entering_twice_changes_nothing() -> None:
    once = USER | exports(USER, BUILT)
    assert once | exports(once, BUILT) == once


def test_a_rebuilt_engine_takes_the_place_of_the_old_one() -> None:
    newer = replace(BUILT, toolchain=CACHE / "toolchain-2")
    lines = exports(USER | exports(USER, BUILT), newer)
    assert lines["PATH"] == "/c/toolchain-2/bin:/c/uv-1/bin:/usr/bin"
    assert lines["PULUMI_CREDENTIALS_PATH"] == "/home/u/.pulumi"


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        pytest.param({}, "metalab-demo", id="the demo's"),
        pytest.param({"PULUMI_CONFIG_PASSPHRASE": "mine"}, None, id="the user's own"),
        pytest.param({"PULUMI_CONFIG_PASSPHRASE": ""}, None, id="an empty one is one"),
        pytest.param({"PULUMI_CONFIG_PASSPHRASE_FILE": "/f"}, None, id="the user's file"),
    ],
)
def test_only_a_missing_passphrase_is_set(own: dict[str, str], expected: str | None) -> None:
    assert exports(USER | own, BUILT).get("PULUMI_CONFIG_PASSPHRASE") == expected


@pytest.mark.parametrize(
    ("login", "own", "expected"),
    [
        pytest.param("", {}, None, id="no login: Pulumi.yaml decides"),
        pytest.param("https://x", {}, "https://x", id="a login wins over Pulumi.yaml"),
        pytest.param("https://x", {"PULUMI_BACKEND_URL": "s3://b"}, None, id="a variable wins"),
    ],
)
def test_state_is_where_the_user_has_logged_in(
    login: str, own: dict[str, str], expected: str | None
) -> None:
    lines = exports(USER | own, replace(BUILT, backend=login))
    assert lines.get("PULUMI_BACKEND_URL") == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param({"current": "https://x", "accessTokens": {}}, "https://x", id="logged in"),
        pytest.param({"accessTokens": {"https://x": "t"}}, "", id="logged out"),
        pytest.param({}, "", id="empty"),
        pytest.param("not JSON", "", id="damaged"),
        pytest.param({"version": 1, "ciphertext": "x"}, "", id="encrypted: only said"),
    ],
)
def test_a_login_is_read_from_pulumis_own_file(
    tmp_path: Path, content: object, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "credentials.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    assert logged_in_to(file) == expected
    said = capsys.readouterr()
    assert said.out == "", "stdout is for eval"
    assert ("encrypted" in said.err) is ("ciphertext" in file.read_text())


def test_no_credentials_file_is_no_login(tmp_path: Path) -> None:
    assert logged_in_to(tmp_path / "credentials.json") == ""


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        pytest.param({}, "/home/u/.pulumi", id="Pulumi's default"),
        pytest.param({"PULUMI_HOME": "/p"}, "/p", id="the user's PULUMI_HOME"),
        pytest.param({"PULUMI_HOME": "/c/toolchain-1/home"}, "/home/u/.pulumi", id="ours: not"),
        pytest.param({"PULUMI_CREDENTIALS_PATH": "/q", "PULUMI_HOME": "/p"}, "/q", id="named"),
    ],
)
def test_credentials_are_sought_where_the_users_pulumi_keeps_them(
    own: dict[str, str], expected: str
) -> None:
    assert credentials_dir(own, Path("/home/u"), CACHE) == Path(expected)


@pytest.mark.parametrize(
    ("environ", "threads", "at_once"),
    [({}, 2, "16"), ({}, 8, "32"), ({"PULUMI_PARALLEL": "3"}, 8, "3")],
)
def test_how_much_is_done_at_once(environ: dict[str, str], threads: int, at_once: str) -> None:
    """At least as much as one host is asked for well; what the user has set is his."""
    seen = replace(BUILT, threads=threads)
    assert exports(USER | environ, seen)["PULUMI_PARALLEL"] == at_once
