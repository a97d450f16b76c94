"""`make chaos`: strike `up`, an edit and `destroy` everywhere, and report what came of it.

`ARGS="--rounds 2"` strikes fewer points. What was judged is kept beside the cache's hypervisors:
a campaign that was stopped goes on where it was, and lives that failed are lived again; `--fresh`
begins anew.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
from pathlib import Path

from tests.chaos.life import Stage
from tests.chaos.points import Life, campaign
from tests.chaos.report import failures, table
from tests.e2e.hypervisors import cache, hypervisor, packaged_layer


def main(words: list[str]) -> int:
    """Run a campaign to its end; exits 1 unless every blow was survived."""
    chosen = _parser().parse_args(words)
    kept = cache() / f"chaos-{chosen.seed}-{chosen.rounds}.jsonl"
    if chosen.fresh:
        kept.unlink(missing_ok=True)
    lives = campaign(chosen.seed, chosen.rounds)
    seen = _forget_failures(kept)
    todo = [life for life in lives if life.number not in seen]
    layer = packaged_layer("chaos")
    threads = [
        threading.Thread(target=_work, args=(worker, layer, todo[worker :: chosen.hosts], kept))
        for worker in range(chosen.hosts)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    judged = _read(kept)
    print("\n".join([*failures(judged), "", *table(judged)]))  # noqa: T201 - its report
    whole = {verdict["life"] for verdict in judged} == {life.number for life in lives}
    return 0 if whole and not failures(judged) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=10, help="points of an operation and fault")
    parser.add_argument("--hosts", type=int, default=2, help="hypervisors side by side")
    parser.add_argument("--fresh", action="store_true", help="forget what was judged before")
    return parser


def _work(worker: int, layer: str, lives: list[Life], kept: Path) -> None:
    """Every other hypervisor has a neighbour; without one the host is prepared by each life."""
    with (
        hypervisor(f"chaos{worker}", layer) as host,
        tempfile.TemporaryDirectory(prefix="chaos-") as folder,
    ):
        stage = Stage(host, Path(folder), neighbour=worker % 2 == 1)
        for life in lives:
            for verdict in stage.live(life):
                plain = verdict.to_plain()
                with kept.open("a") as file:
                    file.write(json.dumps(plain) + "\n")
                print(_line(plain), flush=True)  # noqa: T201 - its progress


def _line(verdict: dict[str, object]) -> str:
    good = verdict["converged"] and not verdict["residue"]
    at = verdict["at"] or "too late"
    words = f"{verdict['operation']:8}{verdict['fault']:11}{verdict['ended']:10}"
    words += f"{verdict['struck_s']:5} {verdict['seconds']:5} s  {at}"
    return f"{'ok  ' if good else 'BAD '}{verdict['life']:3} {words}"


def _forget_failures(kept: Path) -> set[object]:
    """Drop lives in which anything failed; answers those that are left."""
    judged = _read(kept)
    bad = {v["life"] for v in judged if v["residue"] or not v["converged"]}
    left = [verdict for verdict in judged if verdict["life"] not in bad]
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text("".join(f"{json.dumps(verdict)}\n" for verdict in left))
    return {verdict["life"] for verdict in left}


def _read(kept: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
