"""Makes a file for `cdpo rollout --trajectories` and `cdpo analyze --labels` out of MR-GSM8K's published labels.

    python scripts/process_labels.py labels.jsonl labelled.jsonl [--type original] [--limit 40]

Rows with `question`, `gold`, `steps`, `first_error_step` and `first_error_reason` go in. Out come those whose answer is wrong and whose
gold answer is one (75 rows of the published file carry a sentence instead), with `error_kind` read off the first words of the
annotator's reason, which is free text in English or Chinese: what it calls a calculation, a misunderstanding or a logical error, else
"other". The kind is what the annotator says first, no label of its own.
"""

import argparse
import json

KINDS = [
    ("calculation", ["calculation", "计算"]),
    ("misunderstanding", ["understand", "understood", "理解"]),
    ("logic", ["logic", "逻辑"]),
]


def kind(reason):
    start = reason.lower()[:60]
    places = [(min(start.find(word) for word in words if word in start), name) for name, words in KINDS if any(word in start for word in words)]
    return min(places)[1] if places else "other"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--type", help="keep rows of this question_type alone")
    parser.add_argument("--limit", type=int, help="keep the first so many")
    options = parser.parse_args()
    kept = []
    with open(options.source, encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row.get("answer_correct") or len(row["gold"].split()) >= 5:
                continue
            if options.type and row.get("question_type") != options.type:
                continue
            kept.append({
                "id": row["id"],
                "question": row["question"],
                "gold": row["gold"],
                "steps": row["steps"],
                "first_error_step": row["first_error_step"],
                "error_kind": kind(row.get("first_error_reason") or ""),
            })
    with open(options.target, "w", encoding="utf-8") as out:
        for row in kept[: options.limit]:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
