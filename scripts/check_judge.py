"""Computes `RUN/judge/judge.json` anew with numpy and scipy, and names every figure that differs.

    python scripts/check_judge.py RUN [--rollouts FILE] [--seed 1]

Reads RUN/judge/numbers (one file for each ce_beta; the judgement must be of one run's models) and the rollout records. Needs numpy and
scipy. The resampling is the program's own: SplitMix64 of the run's seed, multiply and shift.
"""

import argparse
import json
from math import ceil
from pathlib import Path

import numpy as np
from scipy.stats import mannwhitneyu, rankdata

DRAWS = 10_000


def resamples(n, seed):
    """Row i: the responses of the i-th resample. (A draw that the program would reject has a chance of n / 2^64.)"""
    step = np.arange(1, n * DRAWS + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + step * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
        low = ((z & np.uint64(0xFFFFFFFF)) * np.uint64(n)) >> np.uint64(32)
        high = ((z >> np.uint64(32)) * np.uint64(n) + low) >> np.uint64(32)
    return high.astype(int).reshape(DRAWS, n)


def measures(values, truth):
    values = np.asarray(values, dtype=np.float64)
    first = int(rankdata(-values, "min")[truth])
    last = int(rankdata(-values, "max")[truth])
    ranks = np.arange(first, last + 1)
    others = np.delete(values, truth)
    auc = mannwhitneyu([values[truth]], others, method="asymptotic").statistic / len(others)
    return [
        np.mean(ranks <= 1),
        np.mean(ranks <= 3),
        np.mean(ranks <= ceil(len(values) / 10)),
        np.mean(1 / ranks),
        auc,
    ]


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--rollouts", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    path = options.rollouts or options.run / "rollouts" / "rollouts.jsonl"
    records = [record for record in lines(path) if record.get("position")]
    table = json.loads((options.run / "judge" / "judge.json").read_text(encoding="utf-8"))["table"]

    def key(row):
        return row["problem_id"], row["sample"]

    kept = [{key(n): n for n in lines(file)} for file in sorted((options.run / "judge" / "numbers").glob("*.jsonl"))]
    log = kept[0]
    signals = {
        "log P_n - log P_p": lambda r: np.float64(log[key(r)]["negative_logps"]) - np.float64(log[key(r)]["positive_logps"]),
        "-log P_p": lambda r: -np.float64(log[key(r)]["positive_logps"]),
        "-log P, base": lambda r: -np.float64(r["token_logps"]),
        "entropy, base": lambda r: np.float64(r["entropies"]),
        "position, early first": lambda r: -np.arange(len(r["ids"])),
        "position, late first": lambda r: np.arange(len(r["ids"])),
        "random": lambda r: np.zeros(len(r["ids"])),
    }
    found = {name: np.array([measures(of(r), r["position"] - 1) for r in records]) for name, of in signals.items()}
    scores = [np.array([measures(-np.float64(n[key(r)]["scores"]), r["position"] - 1) for r in records]) for n in kept]
    index = resamples(len(records), options.seed)
    differ = 0

    def compare(what, values, told):
        nonlocal differ
        low, high = np.quantile(values[index].mean(axis=1), [0.025, 0.975])
        pairs = zip((values.mean(), low, high), (told["mean"], told["interval"]["low"], told["interval"]["high"]))
        if any(abs(a - b) > 1e-9 for a, b in pairs):
            print(what, values.mean(), low, high, "told", told)
            differ += 1

    def rows_of(row):
        if row["signal"] in found:
            return found[row["signal"]]
        # Files are named by hash: the one of this ce_beta is the one whose means agree best.
        return min(scores, key=lambda s: abs(s[:, 3].mean() - row["reciprocal_rank"]["mean"]))

    first = rows_of(table["rows"][0])
    for row in table["rows"]:
        own = rows_of(row)
        for column, name in enumerate(["top_1", "top_3", "top_tenth", "reciprocal_rank", "auc"]):
            compare(f"{row['signal']}: {name}", own[:, column], row[name])
        for column, name in [(3, "reciprocal_rank_lead"), (4, "auc_lead")]:
            if row.get(name):
                compare(f"{row['signal']}: {name}", first[:, column] - own[:, column], row[name])
    print(f"{len(records)} responses, {len(table['rows'])} signals: {differ} figures differ")


if __name__ == "__main__":
    main()
