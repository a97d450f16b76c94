"""Which Go builds the engine."""

from pathlib import Path

import pytest

from tools.engine.golang import go_version, make_runnable


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("go version go1.19.8 linux/amd64\n", (1, 19, 8)),
        ("go version go1.26.8 linux/arm64\n", (1, 26, 8)),
        ("go version go1.27 X:nocoverageredesign linux/amd64\n", (1, 27)),
        ("go version devel +abc Mon Jan 1\n", ()),
    ],
)
def test_go_version_is_compared_as_numbers(printed: str, expected: tuple[int, ...]) -> None:
    assert go_version(printed) == expected


def test_a_go_out_of_a_module_becomes_runnable(tmp_path: Path) -> None:
    for name in ("bin/go", "pkg/tool/linux_amd64/link", "src/_go.mod", "src/fmt/print.go"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o444)
    make_runnable(tmp_path)
    runnable = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*")
                if file.is_file() and file.stat().st_mode & 0o111}  # fmt: skip
    assert runnable == {"bin/go", "pkg/tool/linux_amd64/link"}
    assert (tmp_path / "src/go.mod").exists()
