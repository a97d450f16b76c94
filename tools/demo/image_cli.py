"""The command line of tools/image."""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.demo.images import KINDS, image
from tools.demo.shell import ToolError, say


def main(arguments: Sequence[str]) -> int:
    """Build an image if need be and print its path as the last line; answers the exit code."""
    parser = argparse.ArgumentParser(prog="tools/image", description=__doc__)
    parser.add_argument("name", choices=sorted(KINDS), help="which guest image")
    parser.add_argument("--output", type=Path, help="copy the image to this file as well")
    chosen = parser.parse_args(arguments)
    try:
        path = image(KINDS[chosen.name])
        if chosen.output:
            shutil.copyfile(path, chosen.output)
            path = chosen.output
    except (ToolError, OSError) as error:  # OSError: disk full, read-only, not permitted
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; the same command starts over cleanly")
        return 130
    sys.stdout.write(f"{path}\n")
    return 0
