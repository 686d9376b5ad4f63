#!/usr/bin/env python3
"""Make the reference models and values of crates/cdpo-model/tests/fixtures.

    pip install -r scripts/requirements.txt
    python scripts/make_fixtures.py                      # all families, in place
    python scripts/make_fixtures.py --out DIR            # somewhere else
    python scripts/make_fixtures.py --only qwen2

For each family a two-layer random model is written as a Hugging Face folder, with a PEFT LoRA adapter and
what torch + transformers (eager attention) + peft compute with them:

    FAMILY/config.json              as transformers 5 writes it (rope_parameters, dtype)
    FAMILY/config.v4.json           the same model in the fields of published checkpoints (rope_theta,
                                    rope_scaling, torch_dtype)
    FAMILY/model*.safetensors       f32 weights; `llama-tied` is sharded and has an index
    FAMILY/lora/                    adapter, r 4, alpha 8, all seven projections, B not zero; written by peft
    FAMILY/lora-mlp-rs/             rsLoRA adapter, r 4, alpha 8, gate/up/down only; written by peft
    FAMILY/reference.safetensors    logits and the SFT loss's gradients
    FAMILY/reference.json           token ids, losses, per-token log-probabilities, training runs, and of every
                                    other gradient a summary: norm, probe = sum_i g[i] cos(i) with i the row-major
                                    index from 0, head = first entries

Precision: everything is computed in float64 from the stored f32 weights. transformers casts to float32 inside
RMSNorm, rotary embedding and softmax whatever the model's dtype; `Float64Everywhere` lifts those casts, and
each family is checked against a plain f32 run. JSON numbers are f64 with all digits, tensors are rounded to f32.

Conventions, as in the formulas of Lin et al. 2025 (arXiv 2411.19943):
  * the log-probabilities of a response are log p(response[t] | prompt, response[:t]), every token counts;
  * SFT loss = sum of the response tokens' negative log-probabilities over all examples of the step, divided by
    the number of those tokens (one global normaliser, not a mean of means);
  * DPO loss = mean over the step's pairs of -log sigmoid(gamma * (r_chosen - r_rejected)), r = sum_t of
    log pi_theta - log pi_ref; the reference is the base model without adapter; rewards are gamma * r;
  * cDPO = the same with the rejected sum weighted by 1 - s_t;
  * TDPO1 and TDPO2 (Zeng et al. 2024, arXiv 2404.11999): the same with the sequential forward divergences
    K = sum_t KL(pi_ref || pi_theta) inside, gamma * (r_chosen - r_rejected - alpha * (K_rejected - K_chosen)), alpha 1
    and 0.5, the latter without gradient through K_chosen; rewards are gamma * (r + K), as in the authors' code;
  * contrast scores: s_t = softmax((1 + ce_beta) * z_p - ce_beta * z_n)[y_t], p = `lora`, n = `lora-mlp-rs`;
  * training runs: AdamW (lr 1e-3, betas 0.9/0.999, eps 1e-8, weight decay 0.01 on every LoRA matrix), gradient
    norm clipped by torch's clip_grad_norm_ to `max_grad_norm` (each run has its own, so that some clip always and
    some now and then), get_cosine_schedule_with_warmup(2, 10): the first step's learning rate is 0. Two examples
    a step, `batches` lists their indices. Each run starts from the stored adapter. A step's loss, rewards and
    gradient norm are those before its update, the norm that before clipping.
"""

import argparse
import json
import shutil
from pathlib import Path

import peft
import torch
import transformers
from safetensors.torch import save_file
from torch.overrides import TorchFunctionMode
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config

BOS, EOS = 1, 2
GAMMA = 0.1
ALL_PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
MLP_PROJECTIONS = ["gate_proj", "up_proj", "down_proj"]
BATCHES = [[0, 1], [2, 3], [1, 2], [3, 0], [0, 2], [1, 3], [2, 0], [3, 1], [0, 3], [2, 1]]
# (prompt, chosen, rejected) lengths; the rejected response of pair 2 is a single token.
PAIR_LENGTHS = [(7, 5, 6), (4, 3, 8), (9, 6, 1), (5, 4, 4)]

SHAPE = dict(vocab_size=256, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=512, bos_token_id=BOS, eos_token_id=EOS)
LLAMA3_ROPE = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                   original_max_position_embeddings=64)

# name -> (configuration, seed, largest shard)
FAMILIES = {
    # Llama 3.1: llama3 rope scaling, untied head, grouped queries, a list of end tokens. The original context is
    # short, so that the scaling shows within a few positions.
    "llama": (lambda: LlamaConfig(**{**SHAPE, "eos_token_id": [EOS, 5]}, head_dim=16, rms_norm_eps=1e-5,
                                  rope_parameters=dict(LLAMA3_ROPE, rope_theta=500000.0)), 1, "1GB"),
    # SmolLM2: tied head. Stored in several shards.
    "llama-tied": (lambda: LlamaConfig(**SHAPE, head_dim=16, rms_norm_eps=1e-5, tie_word_embeddings=True,
                                       rope_parameters=dict(rope_type="default", rope_theta=100000.0)), 2, "150KB"),
    # Qwen2.5: bias on q, k, v; tied head.
    "qwen2": (lambda: Qwen2Config(**SHAPE, rms_norm_eps=1e-6, tie_word_embeddings=True,
                                  rope_parameters=dict(rope_type="default", rope_theta=1000000.0)), 3, "1GB"),
    # DeepSeek: linear rope scaling, as many key as query heads. Smaller, and only its logits are kept.
    "llama-linear": (lambda: LlamaConfig(**{**SHAPE, "hidden_size": 32, "intermediate_size": 48,
                                            "num_key_value_heads": 4, "num_hidden_layers": 1, "vocab_size": 128},
                                         rms_norm_eps=1e-6,
                                         rope_parameters=dict(rope_type="linear", factor=4.0, rope_theta=10000.0)),
                     4, "1GB"),
}


class Float64Everywhere(TorchFunctionMode):
    """Turns every explicit cast to float32 inside transformers into one to float64."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        lift = lambda value: torch.float64 if value is torch.float32 else value
        if func is torch.Tensor.float:
            func = torch.Tensor.double
        return func(*map(lift, args), **{key: lift(value) for key, value in (kwargs or {}).items()})


def random_weights(model, generator):
    """Weights that keep activations near unit size and give logits with a standard deviation of about two."""
    tied = model.config.tie_word_embeddings
    for name, weight in model.named_parameters():
        noise = torch.randn(weight.shape, generator=generator)
        if name.endswith("norm.weight"):
            weight.data = 1.0 + 0.2 * noise
        elif name.endswith("bias"):
            weight.data = 0.3 * noise
        elif "embed_tokens" in name:
            weight.data = noise * (0.25 if tied else 1.0)
        elif "lm_head" in name:
            weight.data = noise * 2.0 / weight.shape[1] ** 0.5
        else:
            weight.data = noise * 1.2 / weight.shape[1] ** 0.5
    return model


def published_config(config):
    """The same configuration in the field names of checkpoints published before transformers 5."""
    fields = dict(config)
    rope = fields.pop("rope_parameters")
    fields["rope_theta"] = rope.pop("rope_theta")
    if rope["rope_type"] == "default":
        fields["rope_scaling"] = None
    elif rope["rope_type"] == "linear":  # older still: DeepSeek writes "type"
        fields["rope_scaling"] = {"type": "linear", "factor": rope["factor"]}
    else:
        fields["rope_scaling"] = rope
    fields["torch_dtype"] = fields.pop("dtype")
    fields["transformers_version"] = "4.46.0"
    return fields


def write_model(folder, config, seed, shard):
    """Writes config.json, config.v4.json and the f32 weights of a random model."""
    generator = torch.Generator().manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    random_weights(model, generator).save_pretrained(folder, max_shard_size=shard)
    (folder / "generation_config.json").unlink(missing_ok=True)
    eos = config.eos_token_id
    write_json(folder / "generation_config.json", {"bos_token_id": BOS, "eos_token_id": eos})
    write_json(folder / "config.v4.json", published_config(json.loads((folder / "config.json").read_text())))


def write_json(path, value):
    """Indented at the top levels, one line per list of numbers."""
    def render(node, indent):
        pad = " " * indent
        if isinstance(node, dict) and node:
            rows = [f"{pad} {json.dumps(key)}: {render(child, indent + 1)}" for key, child in node.items()]
            return "{\n" + ",\n".join(rows) + f"\n{pad}}}"
        if isinstance(node, list) and any(isinstance(child, (dict, list)) for child in node):
            return "[\n" + ",\n".join(f"{pad} {render(child, indent + 1)}" for child in node) + f"\n{pad}]"
        return json.dumps(node)
    path.write_text(render(value, 0) + "\n")


def load(folder, dtype=torch.float64):
    """The stored model with eager attention; in f64 its rotary frequencies are f64 too."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()
    if dtype is torch.float64:
        with Float64Everywhere():
            model.model.rotary_emb = type(model.model.rotary_emb)(model.config)
    return model


def write_adapter(base_folder, folder, targets, rslora, seed):
    """Lets peft make and save an adapter with A and B random (peft's own start has B = 0)."""
    config = peft.LoraConfig(r=4, lora_alpha=8, target_modules=targets, lora_dropout=0.0, use_rslora=rslora,
                             task_type="CAUSAL_LM")
    model = peft.get_peft_model(load(base_folder, torch.float32), config)
    generator = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        if "lora_" in name:
            scale = weight.shape[1] ** -0.5 if "lora_A" in name else 0.05
            weight.data = scale * torch.randn(weight.shape, generator=generator)
    model.peft_config["default"].base_model_name_or_path = "base"  # no path of this machine
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)  # peft's empty model card
    settings = json.loads((folder / "adapter_config.json").read_text())
    settings["target_modules"].sort()  # peft writes a set, in an order that changes from run to run
    (folder / "adapter_config.json").write_text(json.dumps(settings, indent=2, sort_keys=True))


def load_adapted(base_folder, adapter, trainable=False):
    """Base plus adapter in f64."""
    return peft.PeftModel.from_pretrained(load(base_folder), adapter, is_trainable=trainable).double().eval()


def logits_of(model, ids):
    """[T, vocab] logits of one unpadded sequence."""
    with Float64Everywhere():
        return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]


def token_logps(model, prompt, response):
    """[len(response)] log-probabilities of a response's tokens."""
    rows = logits_of(model, prompt + response)[len(prompt) - 1:-1]
    return torch.log_softmax(rows, -1)[range(len(response)), response]


def make_pairs(seed, vocab):
    """Random token ids; prompts start with the BOS token, chosen responses end with the EOS token."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda n: torch.randint(6, vocab, (n,), generator=generator).tolist()
    pairs = [dict(prompt=[BOS] + draw(p - 1), chosen=draw(c - 1) + [EOS], rejected=draw(r))
             for p, c, r in PAIR_LENGTHS]
    # Critical-token scores of the rejected tokens, for cDPO: any numbers in [0, 1], the ends included.
    for pair in pairs:
        scores = torch.rand(len(pair["rejected"]), generator=generator, dtype=torch.float64)
        pair["scores"] = [round(value, 3) for value in scores.tolist()]
    pairs[0]["scores"][:2] = [0.0, 1.0]
    return pairs


def sft_loss(model, pairs):
    """Response-only loss of the chosen responses, over all their tokens at once."""
    logps = torch.cat([token_logps(model, pair["prompt"], pair["chosen"]) for pair in pairs])
    return -logps.mean(), {}


def preference_loss(model, pairs, reference, weighted):
    """DPO (or cDPO if weighted); `reference` holds each pair's per-token reference log-probabilities."""
    rewards = {"rewards_chosen": [], "rewards_rejected": [], "logps_chosen": [], "logps_rejected": []}
    losses = []
    for pair in pairs:
        weights = 1.0 - torch.tensor(pair["scores"], dtype=torch.float64)
        chosen = token_logps(model, pair["prompt"], pair["chosen"])
        rejected = token_logps(model, pair["prompt"], pair["rejected"])
        ref_chosen, ref_rejected = reference[id(pair)]
        chosen_reward = GAMMA * (chosen - ref_chosen).sum()
        ratios = rejected - ref_rejected
        rejected_reward = GAMMA * (weights * ratios if weighted else ratios).sum()
        losses.append(-torch.nn.functional.logsigmoid(chosen_reward - rejected_reward))
        rewards["rewards_chosen"].append(chosen_reward.item())
        rewards["rewards_rejected"].append(rejected_reward.item())
        if weighted:
            rewards.setdefault("rewards_rejected_unweighted", []).append(GAMMA * ratios.sum().item())
        rewards["logps_chosen"].append(chosen.sum().item())
        rewards["logps_rejected"].append(rejected.sum().item())
    return torch.stack(losses).mean(), rewards


def tdpo_loss(model, pairs, base, alpha, through_chosen):
    """TDPO1 (alpha 1, gradient through both divergences) or TDPO2 (none through the chosen one), against `base`."""
    details = {key: [] for key in ("rewards_chosen", "rewards_rejected", "logps_chosen", "logps_rejected",
                                   "kl_chosen", "kl_rejected")}
    losses = []
    for pair in pairs:
        ratio, divergence = {}, {}
        for side in ("chosen", "rejected"):
            rows = slice(len(pair["prompt"]) - 1, -1)
            tokens = (range(len(pair[side])), pair[side])
            policy = torch.log_softmax(logits_of(model, pair["prompt"] + pair[side])[rows], -1)
            with torch.no_grad():
                reference = torch.log_softmax(logits_of(base, pair["prompt"] + pair[side])[rows], -1)
            ratio[side] = (policy[tokens] - reference[tokens]).sum()
            divergence[side] = (reference.exp() * (reference - policy)).sum()
            details[f"rewards_{side}"].append(GAMMA * (ratio[side] + divergence[side]).item())
            details[f"logps_{side}"].append(policy[tokens].sum().item())
            details[f"kl_{side}"].append(divergence[side].item())
        of_chosen = divergence["chosen"] if through_chosen else divergence["chosen"].detach()
        margin = ratio["chosen"] - ratio["rejected"] - alpha * (divergence["rejected"] - of_chosen)
        losses.append(-torch.nn.functional.logsigmoid(GAMMA * margin))
    return torch.stack(losses).mean(), details


def lora_parameters(model):
    """Trainable matrices by the name peft saves them under."""
    return {name.replace(".default", ""): weight for name, weight in model.named_parameters() if weight.requires_grad}


def gradients(parameters, loss):
    return dict(zip(parameters, torch.autograd.grad(loss, list(parameters.values()))))


def train(make_model, pairs, loss_of, max_grad_norm):
    """The ten-step run of the module's description; returns plain numbers."""
    model = make_model()
    parameters = lora_parameters(model)
    optimizer = torch.optim.AdamW(parameters.values(), lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
    schedule = transformers.get_cosine_schedule_with_warmup(optimizer, 2, len(BATCHES))
    steps = []
    for batch in BATCHES:
        loss, details = loss_of(model, [pairs[i] for i in batch])
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters.values(), max_grad_norm)
        steps.append({"loss": loss.item(), "learning_rate": schedule.get_last_lr()[0], "grad_norm": norm.item(),
                      **details})
        optimizer.step()
        schedule.step()
    return {"max_grad_norm": max_grad_norm, "batches": BATCHES, "steps": steps,
            "final": {name: summary(weight) for name, weight in parameters.items()}}


def summary(tensor):
    """What is kept of a tensor too large to keep: a wrong entry moves the norm, a misplaced one the probe."""
    flat = tensor.detach().flatten()
    probe = flat @ torch.arange(len(flat), dtype=torch.float64).cos()
    return {"shape": list(tensor.shape), "norm": flat.norm().item(), "probe": probe.item(), "head": flat[:4].tolist()}


def contrast_scores(positive, negative, pair, ce_beta):
    """Eq. 1 over the full vocabulary, for the rejected response."""
    prompt, response = pair["prompt"], pair["rejected"]
    z_p, z_n = (logits_of(model, prompt + response)[len(prompt) - 1:-1] for model in (positive, negative))
    return torch.softmax((1 + ce_beta) * z_p - ce_beta * z_n, -1)[range(len(response)), response].tolist()


def check_against_f32(folder, sequences, exact):
    """Float64Everywhere must only sharpen what transformers computes, never change it."""
    model = load(folder, torch.float32)
    for ids, logits in zip(sequences, exact):
        plain = model(input_ids=torch.tensor([ids])).logits[0].double()
        difference = ((plain - logits).abs().max() / logits.abs().max()).item()
        assert difference < 1e-5, f"{folder.name}: f32 and f64 logits differ by {difference}"


def make_family(folder, name):
    config, seed, shard = FAMILIES[name]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_model(folder, config(), seed, shard)
    base = load(folder)
    pairs = make_pairs(100 + seed, base.config.vocab_size)
    first = pairs[0]
    sequences = [first["prompt"] + first["chosen"], first["prompt"] + first["rejected"],
                 pairs[1]["prompt"]]
    tensors, values = {}, {
        "made_with": {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__,
                      "peft": peft.__version__, "script": "scripts/make_fixtures.py"},
        "sequences": sequences, "pairs": pairs, "gamma": GAMMA}

    with torch.no_grad():
        exact = [logits_of(base, ids) for ids in sequences]
        check_against_f32(folder, sequences, exact)
    tensors.update({f"logits.{i}": rows for i, rows in enumerate(exact)})

    if name != "llama-linear":
        write_adapter(folder, folder / "lora", ALL_PROJECTIONS, False, seed=200 + seed)
        write_adapter(folder, folder / "lora-mlp-rs", MLP_PROJECTIONS, True, seed=300 + seed)
        models = {"base": base, "lora": load_adapted(folder, folder / "lora"),
                  "lora-mlp-rs": load_adapted(folder, folder / "lora-mlp-rs")}
        with torch.no_grad():
            tensors.update({f"lora.logits.{i}": logits_of(models["lora"], ids) for i, ids in enumerate(sequences)})
            values["token_logps"] = {key: [
                {side: token_logps(model, pair["prompt"], pair[side]).tolist() for side in ("chosen", "rejected")}
                for pair in pairs] for key, model in models.items()}
            values["sft_loss"] = {key: sft_loss(model, pairs)[0].item() for key, model in models.items()}
            values["contrast_scores"] = [
                {"ce_beta": ce_beta, "rejected": [contrast_scores(models["lora"], models["lora-mlp-rs"], pair, ce_beta)
                                                  for pair in pairs]} for ce_beta in (0.0, 0.5, 1.0, 2.0)]
            reference = {id(pair): tuple(token_logps(base, pair["prompt"], pair[side])
                                         for side in ("chosen", "rejected")) for pair in pairs}

        fresh = lambda: load_adapted(folder, folder / "lora", trainable=True)
        losses = {"sft": (sft_loss, 1.0),
                  "dpo": (lambda model, batch: preference_loss(model, batch, reference, weighted=False), 1.0),
                  "cdpo": (lambda model, batch: preference_loss(model, batch, reference, weighted=True), 1.5),
                  "tdpo1": (lambda model, batch: tdpo_loss(model, batch, base, 1.0, through_chosen=True), 1.0),
                  "tdpo2": (lambda model, batch: tdpo_loss(model, batch, base, 0.5, through_chosen=False), 1.0)}
        for key, (loss_of, max_grad_norm) in losses.items():
            model = fresh()
            loss, details = loss_of(model, pairs)
            grads = gradients(lora_parameters(model), loss)
            values[key] = {"loss": loss.item(), **details,
                           "grad_norm": torch.cat([g.flatten() for g in grads.values()]).norm().item(),
                           "grads": {name: summary(g) for name, g in grads.items()},
                           "run": train(fresh, pairs, loss_of, max_grad_norm)}
            if key == "sft":
                tensors.update({f"sft.grad.{name}": g for name, g in grads.items()})

        full = load(folder).requires_grad_(True)
        loss, _ = sft_loss(full, pairs)
        grads = gradients(dict(full.named_parameters()), loss)
        values["full_sft_grads"] = {name: summary(g) for name, g in grads.items()}

    save_file({key: t.detach().float().contiguous() for key, t in tensors.items()}, folder / "reference.safetensors")
    write_json(folder / "reference.json", values)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    spread = tensors["logits.0"].std().item()
    print(f"{name}: {size / 1024:.0f} KiB, logits' standard deviation {spread:.2f}")


def main():
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=root / "crates/cdpo-model/tests/fixtures")
    parser.add_argument("--only", choices=FAMILIES, action="append", help="make this family only; may be repeated")
    options = parser.parse_args()
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    for name in options.only or FAMILIES:
        make_family(options.out / name, name)


if __name__ == "__main__":
    main()
