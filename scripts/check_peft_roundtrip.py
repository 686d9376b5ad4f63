#!/usr/bin/env python3
"""Check that peft loads an adapter written by cdpo and computes the same logits with it.

    python scripts/check_peft_roundtrip.py HF_DIR ADAPTER_DIR LOGITS.safetensors [--tolerance 1e-4]

HF_DIR is the base model as a Hugging Face folder (for a GGUF: the folder that check_real_models.py made of it),
ADAPTER_DIR holds adapter_config.json and adapter_model.safetensors, and LOGITS.safetensors what cdpo computed
with both, for one or more sequences i = 0, 1, ..:

    ids.{i}     integers [T]    token ids
    rows.{i}    integers [R]    the positions kept; absent: all of them
    logits.{i}  F32 [R, vocab]

Every tensor that peft expects must be in the adapter file under peft's name, and no other. The difference is
max |theirs - ours| / max |theirs|, over each sequence. Exit code 1 and a reason if something does not hold.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
from transformers.utils import logging


def check_names(model, adapter):
    """Faults in the adapter file's tensor names and shapes."""
    stored = {name: tuple(t.shape) for name, t in load_file(adapter / "adapter_model.safetensors").items()}
    expected = {name: tuple(t.shape) for name, t in get_peft_model_state_dict(model).items()}
    return [f"{name}: stored {stored.get(name)}, peft expects {expected.get(name)}"
            for name in sorted(stored.keys() | expected.keys()) if stored.get(name) != expected.get(name)]


@torch.no_grad()
def differences(model, dump):
    """Yields (sequence, relative difference)."""
    index = 0
    while f"ids.{index}" in dump:
        ids = dump[f"ids.{index}"].long()
        theirs = model(input_ids=ids[None]).logits[0]
        if f"rows.{index}" in dump:
            theirs = theirs[dump[f"rows.{index}"].long()]
        yield index, ((theirs - dump[f"logits.{index}"]).abs().max() / theirs.abs().max()).item()
        index += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("adapter", type=Path)
    parser.add_argument("logits", type=Path)
    parser.add_argument("--tolerance", type=float, default=1e-4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    base = AutoModelForCausalLM.from_pretrained(options.folder, dtype=torch.float32, attn_implementation="eager")
    model = PeftModel.from_pretrained(base, options.adapter).eval()
    faults = check_names(model, options.adapter)
    found = list(differences(model, load_file(options.logits)))
    for index, difference in found:
        print(f"sequence {index}: relative difference {difference:.2e}")
        if not difference < options.tolerance:
            faults.append(f"sequence {index}: {difference:.2e} is not under {options.tolerance}")
    if not found:
        faults.append(f"{options.logits} holds no ids.0")
    if faults:
        sys.exit("\n".join(faults))
    print(f"peft loads {options.adapter} and agrees")


if __name__ == "__main__":
    main()
