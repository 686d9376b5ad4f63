#!/usr/bin/env python3
"""Compare two files of rollouts of the same responses: critical tokens, scores and cost.

    python scripts/compare_rollouts.py RUN/rollouts/rollouts.jsonl RUN/rollouts-exhaustive/rollouts.jsonl

Prints one JSON line: responses in both files, how many have the identical kind and position, whether what the first file knows
of each position agrees with the second, by how many positions the critical tokens differ, and the tokens drawn: all of them,
and the median over responses of second / first.
"""

import json
import statistics
import sys
from pathlib import Path


def read(path):
    rows = map(json.loads, Path(path).read_text().splitlines())
    return {(row["problem_id"], row["sample"]): row for row in rows}


def main():
    first, second = read(sys.argv[1]), read(sys.argv[2])
    names = sorted(first.keys() & second.keys())
    pairs = [(first[name], second[name]) for name in names]
    same = sum((a["kind"], a.get("position")) == (b["kind"], b.get("position")) for a, b in pairs)
    apart = [abs(a["position"] - b["position"]) for a, b in pairs if "position" in a and "position" in b]
    agree = all(p["successes"] <= q["successes"] and p["failures"] <= q["failures"]
                for a, b in pairs for p, q in zip(a["positions"], b["positions"]) if not q["partial"])
    tokens = [(a["cost"]["generated"], b["cost"]["generated"]) for a, b in pairs]
    ratios = [b / a for a, b in tokens if a]
    print(json.dumps({
        "responses": len(pairs), "same_critical_token": same, "known_scores_agree": agree,
        "positions_apart": {"median": statistics.median(apart), "mean": round(statistics.mean(apart), 2)} if apart else None,
        "tokens": [sum(a for a, _ in tokens), sum(b for _, b in tokens)],
        "median_ratio": round(statistics.median(ratios), 1), "least_ratio": round(min(ratios), 1)}))


if __name__ == "__main__":
    main()
