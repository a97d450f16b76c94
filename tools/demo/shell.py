"""Running commands, and the one error of these tools."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

LOG_TAIL_LINES = 15  # what fits beside the sentence without hiding it


class ToolError(Exception):
    """Something the user can mend; its text is one sentence that says how."""


def say(text: str) -> None:
    """Tell the user what happens; stdout stays free for results."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def run(*command: str | Path, text_in: str = "", check: bool = True) -> str:
    """Run a command to its end and answer its stdout.

    Raises:
        ToolError: it failed and `check` holds; carries the last lines that it wrote.
    """
    argv = [str(part) for part in command]
    try:
        ended = subprocess.run(  # noqa: S603 - an argument list, never a shell line
            argv, input=text_in, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise ToolError(f"the command {argv[0]} is missing; install it and try again") from None
    if check and ended.returncode:
        raise ToolError(f"`{' '.join(argv)}` failed: {tail(ended.stderr or ended.stdout)}")
    return ended.stdout


def succeeds(*command: str | Path) -> bool:
    """Run a command for its exit code only."""
    argv = [str(part) for part in command]
    ended = subprocess.run(argv, capture_output=True, check=False)  # noqa: S603 - as in `run`
    return ended.returncode == 0


def spawn(command: Sequence[str | Path], log: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a command that outlives us, in a session of its own, writing to `log`."""
    argv = [str(part) for part in command]
    with log.open("ab") as out:
        return subprocess.Popen(  # noqa: S603 - as in `run`
            argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=True,
        )


def tail(text: str) -> str:
    """Answer the end of a log, indented below the sentence that quotes it."""
    lines = text.strip().splitlines()[-LOG_TAIL_LINES:]
    return "\n    ".join(["", *lines]) if len(lines) > 1 else "".join(lines)
