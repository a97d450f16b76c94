"""Base images on a hypervisor: named by their checksum, verified there, never overwritten."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from shlex import quote
from urllib.parse import urlsplit

from lab.errors import LabError, Problem
from lab.host.openssh import expand_path
from lab.host.session import TIMED_OUT, Outcome
from lab.host.shell import Shell
from lab.images import URL_SCHEMES
from lab.storage import BASE_DIR, BASE_POOL, IMAGES_DIR, base_volume

Progress = Callable[[str], None]

FETCH_TIMEOUT_S = 3600  # a few GiB over a slow line
STORE_TIMEOUT_S = 1800  # checksum and conversion of a large raw image
FORGOTTEN_MIN = 1440  # minutes after which an unfinished image belongs to a run that was killed
MIB = 1024**2
_FAILED = re.compile(r"^@@metalab failed (\S+) ?(.*)$", re.MULTILINE)

# Unfinished images lie beside the pool, in the same file system but where libvirt does not look.
_HEAD = f"""
fail() {{ echo "@@metalab failed $*"; exit 1; }}
final={BASE_DIR}/$name"""
_MAKE = f"""
install -d -m 711 {IMAGES_DIR} {BASE_DIR} || fail store
find {IMAGES_DIR} -maxdepth 1 -name '.new.*' -mmin +{FORGOTTEN_MIN} -delete
new=$(mktemp {IMAGES_DIR}/.new.XXXXXX) || fail store"""
_CLEAN = """
trap 'rm -f "$new" "$new.qcow2"' EXIT
trap 'exit 1' HUP INT TERM
"""
# A backing or data file would let an image read any file of the host. Nothing opens the new image
# between chown and rename; `ln` refuses to replace what a parallel run has put there meanwhile.
_STORE = f"""
chown 0:0 "$new" && chmod 0444 "$new" || fail store
got=$(sha256sum < "$new" | cut -d' ' -f1)
[ "$got" = "$sha256" ] || fail checksum "$got"
about=$(qemu-img info "$new") || fail format unreadable
outside=$(printf '%s\\n' "$about" | grep -E '^ *(backing file|data file):')
[ -z "$outside" ] || fail outside $outside
format=$(printf '%s\\n' "$about" | sed -n 's/^file format: //p' | head -n 1)
case $format in
qcow2) ;;
raw) qemu-img convert -f raw -O qcow2 "$new" "$new.qcow2" && mv -f "$new.qcow2" "$new" || fail store
  chmod 0444 "$new" ;;
*) fail format "$format" ;;
esac
sync "$new"
ln "$new" "$final" 2>/dev/null || [ -f "$final" ] || fail store
virsh -q -c qemu:///system pool-refresh {BASE_POOL} >/dev/null 2>&1 || :
echo "@@metalab stored"
"""


def hold_image(shell: Shell, *, sha256: str, source: str, progress: Progress) -> None:
    """Make sure that the hypervisor holds a base image, as a read-only qcow2 file in BASE_DIR.

    One that is there already costs one round trip. Parallel runs may bring the same image: the
    first to finish wins, and the others find it there.

    Args:
        shell: of the hypervisor.
        sha256: of the source, 64 lower-case hexadecimal digits; it names the file, too.
        source: an http(s) URL, which the hypervisor fetches itself, or a path, which is uploaded
            once; raw images are converted there.
        progress: told in one short line when the work starts and ends.

    Raises:
        LabError: no such file or URL, another checksum, not an image, or no room for it.
    """
    if shell.run(f"[ -f {BASE_DIR}/{quote(base_volume(sha256))} ]").ok:
        return
    begun = time.monotonic()
    bring = _fetch if source.startswith(URL_SCHEMES) else _upload
    outcome = bring(shell, sha256, source, progress)
    if "@@metalab stored" not in outcome.stdout:
        raise LabError([_problem(shell.address, sha256, source, outcome)])
    progress(f"image {sha256[:12]}: done in {time.monotonic() - begun:.1f} s")


def _variables(sha256: str) -> str:
    return f"sha256={quote(sha256)}; name={quote(base_volume(sha256))}"


def _fetch(shell: Shell, sha256: str, url: str, progress: Progress) -> Outcome:
    """Let the host fetch it. The URL goes over stdin: it may hold a password."""
    progress(f"image {sha256[:12]}: the hypervisor fetches {_without_secrets(url)}")
    script = f"""{_variables(sha256)}{_HEAD}{_MAKE}{_CLEAN}
curl -qfsSL --retry 3 --connect-timeout 20 -o "$new" -K - || fail fetch{_STORE}"""
    escaped = url.replace("\\", "\\\\").replace('"', '\\"')
    return shell.run(script, timeout_s=FETCH_TIMEOUT_S, stdin=f'url = "{escaped}"\n')


def _upload(shell: Shell, sha256: str, source: str, progress: Progress) -> Outcome:
    """Upload it to a file that the login user may write, then store it as root."""
    local = expand_path(source.removeprefix("file://"), setting="image-url")
    if not local.is_file():
        raise LabError([_no_file(source)])
    size_mib = local.stat().st_size / MIB
    script = f"""{_variables(sha256)}{_HEAD}{_MAKE}
free=$(($(df -Pk {IMAGES_DIR} | tail -n 1 | awk '{{print $4}}') / 1024))
[ "$free" -gt {size_mib:.0f} ] || {{ rm -f "$new"; fail full "$free"; }}
chown "${{SUDO_UID:-0}}" "$new" && echo "@@metalab new $new\""""
    begun = shell.run(script)
    seen = re.search(r"^@@metalab new (\S+)$", begun.stdout, re.MULTILINE)
    if not seen:
        return begun
    new = seen[1]
    progress(f"image {sha256[:12]}: uploading {size_mib:.1f} MiB")
    try:
        shell.put(local, new)
    except OSError as error:
        shell.run(f"rm -f {quote(new)}")
        return Outcome(1, "@@metalab failed upload", str(error.strerror or error))
    script = f"{_variables(sha256)}; new={quote(new)}{_HEAD}{_CLEAN}{_STORE}"
    return shell.run(script, timeout_s=STORE_TIMEOUT_S)


def _no_file(source: str) -> Problem:
    return Problem("image-url", f"{source}: no such file", "a file or a URL", "image")


def _without_secrets(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _problem(where: str, sha256: str, source: str, outcome: Outcome) -> Problem:
    """Say what a refused image lacks, in the catalogue's form."""
    shown = _without_secrets(source) if source.startswith(URL_SCHEMES) else source
    seen = _FAILED.search(outcome.stdout)
    kind, detail = (seen[1], seen[2]) if seen else ("", "")
    said = Outcome(outcome.exit_code, "", outcome.stderr).tail or f"exit {outcome.exit_code}"
    full = kind == "full" or "No space left" in outcome.stderr
    if full:
        room = f"only {detail} MiB free in {IMAGES_DIR}" if detail else f"no room in {IMAGES_DIR}"
        return Problem(where, room, f"room for {shown}", "image-space", "Make room there")
    if kind == "checksum":
        step = "Correct image-sha256, or fetch the image anew"
        return Problem(
            f"{where}: image {shown}", f"sha256 {detail}", sha256, "image-checksum", step
        )
    if kind in {"format", "outside"}:
        got = f"format {detail}" if kind == "format" else f"an image with a {detail}"
        step = "Convert it with `qemu-img convert -O qcow2`"
        allowed = "qcow2 or raw, without a backing or data file"
        return Problem(f"{where}: image {shown}", got, allowed, "image-format", step)
    if kind == "fetch":
        return Problem(f"{where}: image {shown}", said, "an image at that URL", "image-fetch")
    if outcome.exit_code == TIMED_OUT:
        said = "no end within the time limit"
    return Problem(f"{where}: image {shown}", said, f"an image in {BASE_DIR}", "image-store")
