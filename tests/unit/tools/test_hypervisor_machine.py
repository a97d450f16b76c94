"""What is read from this machine, and what lands in the cache."""

import multiprocessing
from pathlib import Path

import pytest

from tools.demo.cache import cache_root, locked, recipe_hash, workshop
from tools.demo.debian import sources_for
from tools.demo.machine import parse_os_release, require_family
from tools.demo.shell import ToolError, run, tail

TARGETS = [
    "Debian|http://mirror.example/debian/|bookworm|main|Packages",
    "Debian|http://mirror.example/debian/|bookworm|main|Translations",
    "Debian|http://mirror.example/debian/|bookworm-updates|main|Packages",
    "Debian|http://mirror.example/debian/|bookworm|contrib|Packages",
    "Debian|http://mirror.example/security/|bookworm-security|main|Packages",
    "Google LLC|http://vendor.example/apt/|cloud|main|Packages",
]


def test_sources_of_another_suite_keep_mirror_and_pockets() -> None:
    assert sources_for("trixie", TARGETS).splitlines() == [
        "deb http://mirror.example/debian/ trixie main",
        "deb http://mirror.example/debian/ trixie-updates main",
        "deb http://mirror.example/security/ trixie-security main",
    ]


def test_without_debian_sources_there_are_none() -> None:
    assert sources_for("trixie", ["Ubuntu|http://u.example/|noble|main|Packages"]) == ""


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("ID=debian\nVERSION_ID=12", id="debian"),
        pytest.param('NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian', id="ubuntu"),
        pytest.param('ID=linuxmint\nID_LIKE="ubuntu debian"', id="made from ubuntu"),
    ],
)
def test_families_that_work(text: str) -> None:
    require_family(text)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param('ID=fedora\nPRETTY_NAME="Fedora Linux 43"', "Fedora Linux 43", id="fedora"),
        pytest.param('ID="alpine"', "alpine", id="no pretty name"),
        pytest.param("", "unknown", id="no os-release"),
    ],
)
def test_another_distribution_is_refused_by_its_name(text: str, named: str) -> None:
    with pytest.raises(ToolError, match=f"this is {named}: .*host-address"):
        require_family(text)


def test_os_release_quotes_and_comments() -> None:
    text = "# comment\nID='debian'\nPRETTY_NAME=\"Debian = 12\"\n\n"
    assert parse_os_release(text) == {"ID": "debian", "PRETTY_NAME": "Debian = 12"}


@pytest.mark.parametrize(
    ("variables", "root"),
    [
        pytest.param({"METALAB_CACHE": "/c"}, "/c", id="our own variable"),
        pytest.param({"XDG_CACHE_HOME": "/x"}, "/x/metalab", id="the desktop's"),
        pytest.param({"HOME": "/h"}, "/h/.cache/metalab", id="neither"),
        pytest.param({"METALAB_CACHE": "", "HOME": "/h"}, "/h/.cache/metalab", id="empty"),
    ],
)
def test_cache_root(variables: dict[str, str], root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("METALAB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(cache_root()) == root


def test_a_cache_path_that_no_mount_can_carry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METALAB_CACHE", "/a:b")
    with pytest.raises(ToolError, match="METALAB_CACHE"):
        cache_root()


def test_recipe_hash_sees_content_names_and_borders(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("x")
    hashes = {recipe_hash([tmp_path]), recipe_hash(["ab", "c"]), recipe_hash(["a", "bc"])}
    file.write_text("y")
    hashes.add(recipe_hash([tmp_path]))
    file.rename(tmp_path / "b")
    hashes.add(recipe_hash([tmp_path]))
    assert len(hashes) == 5
    assert {len(one) for one in hashes} == {12}


def test_a_workshop_clears_what_an_interrupted_run_left(tmp_path: Path) -> None:
    (tmp_path / ".tmp-1/deep").mkdir(parents=True)
    with locked(tmp_path), workshop(tmp_path) as folder:
        (folder / "thing").write_text("x")
        assert [path.name for path in tmp_path.iterdir()] == [folder.name]
        (folder / "thing").rename(tmp_path / "thing")
    assert [path.name for path in tmp_path.iterdir()] == ["thing"]


def _count_up(shelf: Path) -> None:
    counter = shelf.with_suffix(".count")
    for _ in range(20):
        with locked(shelf):
            counter.write_text(str(int(counter.read_text()) + 1))
            shelf.rmdir()  # the next one finds it gone


def test_a_lock_holds_even_when_its_folder_is_removed(tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    shelf.with_suffix(".count").write_text("0")
    spawner = multiprocessing.get_context("fork")
    writers = [spawner.Process(target=_count_up, args=(shelf,)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=30)
    assert shelf.with_suffix(".count").read_text() == "80"


def test_a_failed_command_says_what_it_wrote() -> None:
    with pytest.raises(ToolError, match="`sh -c echo no >&2; exit 3` failed: no"):
        run("sh", "-c", "echo no >&2; exit 3")
    assert run("sh", "-c", "echo yes; exit 3", check=False) == "yes\n"
    with pytest.raises(ToolError, match="no-such-command is missing"):
        run("no-such-command")


def test_a_long_log_is_cut_to_its_end() -> None:
    assert tail("one") == "one"
    assert tail("\n".join(map(str, range(99)))).split() == [str(n) for n in range(84, 99)]
