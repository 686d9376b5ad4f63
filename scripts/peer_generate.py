#!/usr/bin/env python3
"""Measure transformers' generate on samples of one question behind a few-shot prompt, on the CPU in f32.

    python scripts/peer_generate.py HF_DIR EXEMPLARS.json GSM8K.jsonl [--samples 64] [--new-tokens 64] [--threads 2]

EXEMPLARS.json is crates/cdpo-data/exemplars/gsm8k_8shot.json. The prompt is the exemplars and the file's first
question; `samples` sequences are drawn at temperature 0.5 and top_p 0.95, each of exactly `new-tokens` tokens.
Prints one JSON line; the rate counts generated tokens over the whole call, prefill included.
"""

import argparse
import json
import os
import resource
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer


def prompt_of(exemplars, question):
    shots = [f"Question: {shot['question']}\nAnswer: {shot['rationale']}" for shot in exemplars]
    return "\n\n".join([*shots, f"Question: {question}\nAnswer:"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("exemplars", type=Path)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)

    tokenizer = AutoTokenizer.from_pretrained(options.folder)
    model = AutoModelForCausalLM.from_pretrained(options.folder, dtype=torch.float32).eval()
    with options.questions.open(encoding="utf-8") as lines:
        question = json.loads(next(lines))["question"]
    prompt = prompt_of(json.loads(options.exemplars.read_text())["exemplars"], question)
    inputs = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
    start = time.perf_counter()
    output = model.generate(**inputs, do_sample=True, temperature=0.5, top_p=0.95, top_k=0,
                            num_return_sequences=options.samples, min_new_tokens=options.new_tokens,
                            max_new_tokens=options.new_tokens, pad_token_id=model.config.eos_token_id)
    seconds = time.perf_counter() - start
    prompt_tokens = inputs["input_ids"].shape[1]
    generated = (output.shape[1] - prompt_tokens) * output.shape[0]
    print(json.dumps({
        "peer": f"transformers {transformers.__version__}, torch {torch.__version__}", "samples": options.samples,
        "prompt_tokens": prompt_tokens, "generated_tokens": generated, "threads": options.threads,
        "seconds": round(seconds, 2), "tokens_per_second": round(generated / seconds, 2),
        "peak_rss_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)}))


if __name__ == "__main__":
    main()
