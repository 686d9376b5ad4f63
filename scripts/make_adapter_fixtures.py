#!/usr/bin/env python3
"""Make the PEFT adapters of crates/cdpo-model/tests/fixtures/adapters, with what PEFT computes with them.

    pip install -r scripts/requirements.txt
    python scripts/make_adapter_fixtures.py [--out DIR]

base/, tied/         one tiny random Llama each, with a head of its own and with a tied one
tied-with-head/      the tied one with another `lm_head.weight` in its file: transformers 5 then ties nothing
NAME/                an adapter, written by peft; the ones of `REFUSED` have their configuration alone
reference.json       ids of one sequence; for each base, and for each adapter on its base: log-probabilities of the
                     sequence's tokens from the second on, by the adapter as it is (`unmerged`) and, after
                     `merge_and_unload`, by the merged model (`merged`)

Everything is f32; A and B are random, and so are the matrices that are saved whole.
"""

import argparse
import json
import shutil
from pathlib import Path

import peft
import torch
import transformers
from make_fixtures import BOS, EOS, random_weights, write_json
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig

SHAPE = dict(vocab_size=48, hidden_size=16, intermediate_size=24, num_hidden_layers=3, num_attention_heads=2,
             num_key_value_heads=1, max_position_embeddings=64, bos_token_id=BOS, eos_token_id=EOS, rms_norm_eps=1e-5)
LAYER_1_UP = r"layers\.1\.mlp\.up_proj"

# name -> (base, settings)
ADAPTERS = {
    "patterns": ("base", dict(target_modules=["q_proj", "up_proj", "down_proj"], use_rslora=True,
                              # The first that matches decides; `proj` alone matches no whole part of a name.
                              rank_pattern={LAYER_1_UP: 3, r"layers\.[01]\.mlp\..*": 5, "proj": 7},
                              alpha_pattern={"down_proj": 3, r"^model\.layers\.2\.self_attn\.q_proj": 11})),
    "layers": ("base", dict(target_modules=["v_proj", "gate_proj"], layers_to_transform=[0, 2],
                            layers_pattern="layers", exclude_modules=["layers.2.mlp.gate_proj"])),
    "one-layer": ("base", dict(target_modules=["o_proj"], layers_to_transform=1)),
    "regex": ("base", dict(target_modules=r".*\.(0|2)\.self_attn\.(q|k)_proj",
                           exclude_modules=r".*\.2\..*k_proj")),
    "all-linear": ("base", dict(target_modules="all-linear", init_lora_weights="gaussian")),
    "head": ("base", dict(target_modules=["q_proj", "lm_head"], rank_pattern={"lm_head": 4})),
    "saved": ("base", dict(target_modules=["q_proj"], modules_to_save=["lm_head", "embed_tokens"])),
    "orthogonal": ("base", dict(target_modules=["q_proj"], init_lora_weights="orthogonal")),
    "mica": ("base", dict(target_modules=["q_proj"], init_lora_weights="mica")),
    "tied-head": ("tied", dict(target_modules=["v_proj", "lm_head"])),
    "tied-saved-head": ("tied", dict(target_modules=["v_proj"], modules_to_save=["lm_head"])),
    "tied-saved-embedding": ("tied", dict(target_modules=["v_proj"], modules_to_save=["embed_tokens"])),
}
REFUSED = {
    "pissa": dict(init_lora_weights="pissa"),
    "olora": dict(init_lora_weights="olora"),
    "dora": dict(use_dora=True),
    "lora-bias": dict(lora_bias=True),
    "alora": dict(alora_invocation_tokens=[5, 6]),
    "tokens": dict(trainable_token_indices=[3]),
    "bias": dict(bias="all"),
    "replication": dict(layer_replication=[(0, 2), (1, 3)]),
    "embedding": dict(target_modules=["q_proj", "embed_tokens"]),
    "norms": dict(modules_to_save=["input_layernorm"]),
}


def write_adapter(base, folder, settings, seed):
    settings = {"r": 2, "lora_alpha": 5, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM", **settings}
    model = peft.get_peft_model(AutoModelForCausalLM.from_pretrained(base), peft.LoraConfig(**settings))
    generator = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.data = 0.4 * torch.randn(weight.shape, generator=generator)
        elif "modules_to_save" in name:
            weight.data = weight.data + 0.3 * torch.randn(weight.shape, generator=generator)
    model.peft_config["default"].base_model_name_or_path = "base"  # no path of this machine
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    # The order of patterns counts and is lost in peft's sorted file: they are written as they were given.
    path = folder / "adapter_config.json"
    written = json.loads(path.read_text())
    for key in ("target_modules", "exclude_modules"):
        if isinstance(written[key], list):
            written[key].sort()
    written.update({key: settings[key] for key in ("rank_pattern", "alpha_pattern") if key in settings})
    path.write_text(json.dumps(written, indent=2) + "\n")


def logps(model, ids):
    with torch.no_grad():
        rows = model.eval()(input_ids=torch.tensor([ids])).logits[0, :-1].double()
    return torch.log_softmax(rows, -1)[range(len(ids) - 1), ids[1:]].tolist()


def main():
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=root / "crates/cdpo-model/tests/fixtures/adapters")
    out = parser.parse_args().out
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    shutil.rmtree(out, ignore_errors=True)
    ids = [BOS] + torch.randint(6, SHAPE["vocab_size"], (11,), generator=torch.Generator().manual_seed(9)).tolist()
    values = {"made_with": {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__,
                            "peft": peft.__version__, "script": "scripts/make_adapter_fixtures.py"},
              "ids": ids, "bases": {}, "adapters": {}}
    for seed, (name, tied) in enumerate([("base", False), ("tied", True)]):
        config = LlamaConfig(**SHAPE, tie_word_embeddings=tied)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        random_weights(model, torch.Generator().manual_seed(seed)).save_pretrained(out / name)
        (out / name / "generation_config.json").unlink(missing_ok=True)
        values["bases"][name] = logps(AutoModelForCausalLM.from_pretrained(out / name), ids)
    own = {name: tensor.clone() for name, tensor in load_file(out / "tied/model.safetensors").items()}
    noise = torch.randn(own["model.embed_tokens.weight"].shape, generator=torch.Generator().manual_seed(7))
    own["lm_head.weight"] = noise / SHAPE["hidden_size"] ** 0.5
    (out / "tied-with-head").mkdir()
    shutil.copy(out / "tied/config.json", out / "tied-with-head/config.json")
    save_file(own, out / "tied-with-head/model.safetensors", {"format": "pt"})
    values["bases"]["tied-with-head"] = logps(AutoModelForCausalLM.from_pretrained(out / "tied-with-head"), ids)
    for seed, (name, (base, settings)) in enumerate(ADAPTERS.items()):
        write_adapter(out / base, out / name, settings, seed)
        load = lambda: peft.PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(out / base), out / name)
        values["adapters"][name] = {"base": base, "unmerged": logps(load(), ids),
                                    "merged": logps(load().merge_and_unload(), ids)}
        apart = max(abs(a - b) for a, b in zip(values["adapters"][name]["unmerged"], values["bases"][base]))
        both = max(abs(a - b) for a, b in zip(*(values["adapters"][name][k] for k in ("unmerged", "merged"))))
        print(f"{name}: {apart:.3f} nats off its base, merged {both:.1e} off unmerged")
    for seed, (name, settings) in enumerate(REFUSED.items()):
        write_adapter(out / "base", out / name, settings, 100 + seed)
        (out / name / "adapter_model.safetensors").unlink()
    write_json(out / "reference.json", values)


if __name__ == "__main__":
    main()
