#!/usr/bin/env python3
"""Time transformers' generate on the rollouts of some positions of wrong responses, each position by itself, on the CPU in f32.

    python scripts/peer_rollouts.py HF_DIR RUN/rollouts/rollouts.jsonl [--exemplars FILE] [--responses 2] [--positions 3]
        [--samples 64] [--temperature 0.9] [--top-p 0.95] [--max-new-tokens 320] [--stop "\\n\\nQuestion:"] [--threads 2]

For evenly spaced responses of the file and evenly spaced positions of each, `samples` completions of the prompt and the
response up to that position are drawn in one call, as a straightforward program does. Prints one JSON line: the seconds of
each call, on the wall and of the processor (all threads; the fairer one where others use the machine), and their mean times the
number of positions of all responses in the file (and times 64 / samples where fewer than 64 were drawn): what the whole file
would take.
"""

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer


def spaced(items, count):
    count = min(count, len(items))
    return [items[(2 * i + 1) * len(items) // (2 * count)] for i in range(count)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("rollouts", type=Path)
    parser.add_argument("--exemplars", type=Path)
    parser.add_argument("--responses", type=int, default=2)
    parser.add_argument("--positions", type=int, default=3)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--temperature", type=float, default=0.9)
    parser.add_argument("--top-p", type=float, default=0.95)
    parser.add_argument("--max-new-tokens", type=int, default=320)
    parser.add_argument("--stop", default="\n\nQuestion:")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)

    tokenizer = AutoTokenizer.from_pretrained(options.folder)
    model = AutoModelForCausalLM.from_pretrained(options.folder, dtype=torch.float32).eval()
    prefix = []
    if options.exemplars:
        shots = json.loads(options.exemplars.read_text())["exemplars"]
        text = "".join(f"Question: {shot['question']}\nAnswer: {shot['rationale']}\n\n" for shot in shots)
        prefix = tokenizer(text, add_special_tokens=False)["input_ids"]
    records = [json.loads(line) for line in options.rollouts.read_text().splitlines()]
    stop = {"stop_strings": [options.stop.encode().decode("unicode_escape")], "tokenizer": tokenizer}
    seconds, processor, generated = [], [], 0
    for record in spaced(records, options.responses):
        for position in spaced(range(1, len(record["positions"]) + 1), options.positions):
            ids = prefix + record["prompt_ids"] + record["ids"][:position]
            inputs = torch.tensor([ids])
            start, used = time.perf_counter(), time.process_time()
            output = model.generate(
                inputs, attention_mask=torch.ones_like(inputs), do_sample=True, temperature=options.temperature,
                top_p=options.top_p, top_k=0, num_return_sequences=options.samples,
                max_new_tokens=max(1, options.max_new_tokens - position), pad_token_id=tokenizer.eos_token_id, **stop)
            seconds.append(round(time.perf_counter() - start, 2))
            processor.append(round(time.process_time() - used, 2))
            generated += (output.shape[1] - len(ids)) * options.samples
    positions = sum(len(record["positions"]) for record in records)

    def scaled(values):
        return round(sum(values) / len(values) * positions * max(1.0, 64 / options.samples), 1)

    print(json.dumps({
        "peer": f"transformers {transformers.__version__}, torch {torch.__version__}", "threads": options.threads,
        "samples": options.samples, "calls": seconds, "calls_processor": processor, "padded_tokens": generated,
        "responses": len(records), "positions": positions, "scaled_seconds": scaled(seconds),
        "scaled_processor_seconds": scaled(processor)}))


if __name__ == "__main__":
    main()
