#!/usr/bin/env python3
"""Make crates/cdpo-model/tests/fixtures/rope/reference.json: rotary settings as transformers reads and computes them.

    pip install -r scripts/requirements.txt
    python scripts/make_rope_fixtures.py [--out DIR]

Each case is what is laid over a config.json (`changes`), with what transformers makes of it:

    inv_freq, attention_factor   of ROPE_INIT_FUNCTIONS (plain ones of the model class for `default`)
    logps                        where `model` is true: log-probabilities (f32) of the tokens `ids` from the second on, by the model
                                 of ../adapters/base with these settings
"""

import argparse
import json
import tempfile
from pathlib import Path

import torch
import transformers
from make_adapter_fixtures import logps
from make_fixtures import write_json
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

WIDE = {"hidden_size": 128, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 64,
        "max_position_embeddings": 4096}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
# The base's own file has `rope_parameters` with rope_theta 10000; null takes a key out.
CASES = {
    "linear": (True, {"rope_scaling": {"type": "linear", "factor": 4.0}}),
    "rope_scaling beside an empty rope_parameters": (True, {"rope_parameters": {}, "rope_theta": 500.0,
                                                            "rope_scaling": {"rope_type": "linear", "factor": 2.0}}),
    "an empty rope_scaling": (True, {"rope_scaling": {},
                                     "rope_parameters": {"rope_type": "linear", "factor": 3.0, "rope_theta": 700.0}}),
    "theta beside": (True, {"rope_parameters": {"rope_type": "linear", "factor": 3.0}, "rope_theta": 700.0}),
    "dynamic": (True, {"rope_scaling": {"type": "dynamic", "factor": 4.0}}),
    "yarn": (True, {"rope_scaling": YARN}),
    "yarn, original context beside": (True, {"rope_scaling": {"rope_type": "yarn", "factor": 4.0},
                                             "original_max_position_embeddings": 8}),
    "yarn, original context left out": (True, {"rope_scaling": {"type": "yarn", "factor": 4.0}}),
    "yarn, untruncated": (True, {"rope_scaling": {**YARN, "truncate": False, "beta_fast": 4, "beta_slow": 0.5}}),
    "yarn, attention factor": (True, {"rope_scaling": {**YARN, "attention_factor": 1.25}}),
    "yarn, mscale": (True, {"rope_scaling": {**YARN, "mscale": 0.7, "mscale_all_dim": 1.1}}),
    "yarn, one mscale": (True, {"rope_scaling": {**YARN, "mscale": 0.7}}),
    "yarn of factor 1": (True, {"rope_scaling": {**YARN, "factor": 1.0}}),
    "wide yarn": (False, {**WIDE, "rope_parameters": {**YARN, "original_max_position_embeddings": 1024,
                                                      "rope_theta": 1000000.0}}),
    "wide yarn, untruncated": (False, {**WIDE, "rope_parameters": {
        **YARN, "original_max_position_embeddings": 1024, "rope_theta": 150000.0, "truncate": False}}),
    "wide llama3": (False, {**WIDE, "rope_parameters": {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 1024, "rope_theta": 500000.0}}),
}


def settings_of(text, changes):
    settings = {**json.loads(text), **changes}
    return {key: value for key, value in settings.items() if value is not None}


def main():
    root = Path(__file__).resolve().parent.parent / "crates/cdpo-model/tests/fixtures"
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=root / "rope")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    base = root / "adapters/base"
    ids = json.loads((root / "adapters/reference.json").read_text())["ids"] * 4
    values = {"made_with": {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__,
                            "script": "scripts/make_rope_fixtures.py"}, "ids": ids, "cases": []}
    for name, (with_model, changes) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "config.json").write_text(
                json.dumps(settings_of((base / "config.json").read_text(), changes)))
            config = AutoConfig.from_pretrained(folder)
            model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
            rotary = model.model.rotary_emb
            case = {"name": name, "changes": changes, "model": with_model,
                    "inv_freq": rotary.inv_freq.double().tolist(), "attention_factor": float(rotary.attention_scaling)}
            if with_model:
                model.load_state_dict(load_file(base / "model.safetensors"))
                case["logps"] = logps(model, ids)
        values["cases"].append(case)
        print(f"{name}: factor {case['attention_factor']:.4f}, frequencies {case['inv_freq'][:4]}")
    write_json(out / "reference.json", values)


if __name__ == "__main__":
    main()
