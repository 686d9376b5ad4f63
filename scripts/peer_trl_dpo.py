#!/usr/bin/env python3
"""Measure TRL + PEFT on DPO steps: pairs a second and peak resident memory, on the CPU in f32, or in bf16.

    python scripts/peer_trl_dpo.py HF_DIR PAIRS.jsonl [--batch 2] [--steps 6] [--threads 2] [--precompute-reference] [--bf16]

PAIRS.jsonl has TRL's columns prompt, chosen, rejected (make_preference_pairs.py makes one); the first
batch * steps pairs are used, in order. LoRA r 16, alpha 32, on the seven projections; AdamW; no gradient
checkpointing; the reference is the model without adapter. The first step (warm-up of caches) is not counted.
Prints one JSON line. Run each batch size in its own process: the peak is that of the process.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers
import trl
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import DPOConfig, DPOTrainer


class StepClock(TrainerCallback):
    """Wall-clock seconds of each optimizer step."""

    def __init__(self):
        self.seconds = []

    def on_step_begin(self, *_, **__):
        self.start = time.perf_counter()

    def on_step_end(self, *_, **__):
        self.seconds.append(time.perf_counter() - self.start)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precompute-reference", action="store_true")
    parser.add_argument("--bf16", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    with options.pairs.open(encoding="utf-8") as lines:
        pairs = [json.loads(line) for line, _ in zip(lines, range(options.batch * options.steps))]
    tokenizer = AutoTokenizer.from_pretrained(options.folder)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    dtype = torch.bfloat16 if options.bf16 else torch.float32
    model = AutoModelForCausalLM.from_pretrained(options.folder, dtype=dtype)
    clock = StepClock()
    with tempfile.TemporaryDirectory() as scratch:
        arguments = DPOConfig(
            output_dir=scratch, per_device_train_batch_size=options.batch, max_steps=options.steps, beta=0.1,
            learning_rate=4e-5, use_cpu=True, bf16=options.bf16, gradient_checkpointing=False, max_length=1024,
            precompute_ref_log_probs=options.precompute_reference, save_strategy="no", report_to="none",
            logging_steps=1, disable_tqdm=True, dataloader_pin_memory=False)
        trainer = DPOTrainer(
            model=model, args=arguments, processing_class=tokenizer, train_dataset=Dataset.from_list(pairs),
            callbacks=[clock], peft_config=LoraConfig(
                r=16, lora_alpha=32, task_type="CAUSAL_LM",
                target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]))
        trainer.train()
    counted = sorted(clock.seconds[1:])
    median = counted[len(counted) // 2]
    count = lambda text: len(tokenizer(text, add_special_tokens=False).input_ids)
    tokens = sum(2 * count(p["prompt"]) + count(p["chosen"]) + count(p["rejected"]) + 2 for p in pairs) / len(pairs)
    print(json.dumps({
        "peer": f"trl {trl.__version__}, transformers {transformers.__version__}, torch {torch.__version__}",
        "batch": options.batch, "bf16": options.bf16, "threads": options.threads, "precomputed_reference": options.precompute_reference,
        "tokens_per_pair": round(tokens, 1), "seconds": [round(s, 2) for s in clock.seconds],
        "median_step_seconds": round(median, 3), "pairs_per_second": round(options.batch / median, 4),
        "peak_rss_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)}))


if __name__ == "__main__":
    main()
