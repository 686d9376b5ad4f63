"""Runs two builds of cdpo on the same small jobs and compares every file that they leave.

    python compare_builds.py OLD_CDPO NEW_CDPO [--jobs tiny,seeds,...]

For a change of structure: both builds must leave the same bytes. What holds the clock is compared without it: manifests without
`clock`, reports and costs without seconds, and nothing of timing files and TensorBoard's events but that they are there.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

# Commands of one job, run one after the other in a folder of its own.
TINY = str(pathlib.Path(__file__).resolve().parent.parent / "recipes" / "tiny.toml")
WRITE = ["demo", "--dry-run"]
FEW = ["--set", "rollout.n=8", "--set", "rollout.limit=4"]
EVERY_METHOD = (
    'methods=["sft", "dpo", "tdpo1", "tdpo2", "rpo", "cdpo", "cdpo-reference-compat", "ipo", "simpo", "dpop", "tis-dpo", "sft+dpo", "sft+cdpo"]'
)
JOBS = {
    "tiny": [["demo"], ["report", "demo/runs/tiny"], ["show", "demo/runs/tiny"]],
    "methods": [WRITE, ["run", TINY, "--set", EVERY_METHOD]],
    "seeds": [WRITE, ["run", TINY, "--set", "run.seeds=2"]],
    "whole-model": [WRITE, ["run", TINY, "--set", 'train.parameters="all"']],
    "rollout": [
        WRITE,
        ["rollout", TINY, *FEW, "--replace"],
        ["score", TINY],
        ["analyze", "demo/runs/tiny"],
        ["judge", "demo/runs/tiny"],
        ["report", "demo/runs/tiny"],
    ],
    "stages": [
        WRITE,
        ["sample", TINY],
        ["grade", TINY],
        ["select", TINY],
        ["score", TINY],
        ["train", TINY, "--method", "dpo"],
        ["eval", TINY],
        ["run", TINY, "--dry-run"],
    ],
    "quickstart": [["quickstart", "--fast"]],
}
CLOCKS = {"clock", "seconds", "machine_seconds", "tokens_per_second", "started", "finished", "written", "wall_seconds"}
ONLY_THERE = re.compile(r"(^|/)(timing\.json|timings\.jsonl|\.lock|tensorboard/.*)$")
DURATION = re.compile(rb"\b\d+(\.\d+)? ?(ms|s|min|h)\b|\b\d+:\d\d(:\d\d)?\b")


def without_clock(value):
    if isinstance(value, dict):
        return {k: without_clock(v) for k, v in value.items() if k not in CLOCKS}
    if isinstance(value, list):
        return [without_clock(v) for v in value]
    return value


def contents(folder: pathlib.Path) -> dict:
    files = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = str(path.relative_to(folder))
        data = path.read_bytes()
        if ONLY_THERE.search(name):
            data = b""
        elif path.name in ("manifest.json", "report.json"):
            data = json.dumps(without_clock(json.loads(data)), sort_keys=True).encode()
        elif path.name == "report.html":
            data = DURATION.sub(b"", re.sub(rb'"(?:%s)":[^,}]*' % "|".join(CLOCKS).encode(), b"", data))
        files[name] = data
    return files


def run(binary: str, job: list, folder: pathlib.Path) -> dict:
    out = []
    for command in job:
        done = subprocess.run([binary, *command], cwd=folder, capture_output=True)
        if done.returncode:
            sys.exit(f"{binary} {' '.join(command)}: {done.stderr.decode(errors='replace')[-2000:]}")
        out.append((command, DURATION.sub(b"", done.stdout.replace(str(folder).encode(), b"FOLDER"))))
    return {"stdout of the commands": repr(out).encode(), **contents(folder)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--jobs", default=",".join(JOBS))
    args = parser.parse_args()
    old, new = (str(pathlib.Path(p).resolve()) for p in (args.old, args.new))
    failed = False
    for name in args.jobs.split(","):
        found = []
        for binary in (old, new):
            with tempfile.TemporaryDirectory() as folder:
                found.append(run(binary, JOBS[name], pathlib.Path(folder)))
        before, after = found
        differ = sorted(f for f in before.keys() | after.keys() if before.get(f) != after.get(f))
        print(f"{name}: {len(before)} files, {len(differ)} differ")
        for file in differ:
            state = "only old" if file not in after else "only new" if file not in before else "differs"
            print(f"    {state}: {file}")
            if state == "differs":
                a, b = before[file], after[file]
                at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
                print(f"        old {a[max(0, at - 60):at + 60]!r}\n        new {b[max(0, at - 60):at + 60]!r}")
        failed |= bool(differ)
    sys.exit(failed)


main()
