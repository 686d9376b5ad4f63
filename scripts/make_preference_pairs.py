#!/usr/bin/env python3
"""Make preference pairs of real GSM8K solutions, in TRL's columns, for measuring.

    python scripts/make_preference_pairs.py LABELS.jsonl PAIRS.jsonl

LABELS.jsonl holds MR-GSM8K records (question, gold_solution, steps of a model's wrong solution, answer_correct);
a pair is {"prompt", "chosen": gold solution, "rejected": wrong solution}. The training framing stands around
the question; responses start with a space.
"""

import argparse
import json
import re
from pathlib import Path


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("labels", type=Path)
    parser.add_argument("pairs", type=Path)
    options = parser.parse_args()
    pairs = []
    for line in options.labels.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if not record["answer_correct"]:
            steps = [re.sub(r"^Step \d+:\s*", "", step) for step in record["steps"]]
            pairs.append({"prompt": f"Question: {record['question']}\nAnswer:",
                          "chosen": f" {record['gold_solution']}", "rejected": " " + "\n".join(steps)})
    options.pairs.write_text("".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs), encoding="utf-8")
    print(f"{options.pairs}: {len(pairs)} pairs")


if __name__ == "__main__":
    main()
