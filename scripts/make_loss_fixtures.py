#!/usr/bin/env python3
"""Make the reference values of crates/cdpo-train/tests/fixtures: losses, schedules, optimizer, clipping.

    pip install -r scripts/requirements.txt
    python scripts/make_loss_fixtures.py [--out DIR] [--authors DIR]

trl_losses.json: preference losses computed by TRL's own code (`DPOTrainer._compute_loss`, and
`CPOTrainer.cpo_loss` for SimPO), on random per-token log-probabilities in float64, with the gradient of the loss
with respect to every one of them. `gamma` is the KL coefficient, which TRL calls beta.

    batches: name -> [{chosen, rejected, ref_chosen, ref_rejected: [per-token log-probabilities],
                       chosen_weights, rejected_weights: [per-token weights, used by the last three losses],
                       prompt_tokens: length of the prompt, used by the last loss alone}, ..]
    cases: [{batch, loss, ..settings, value, rewards_chosen, rewards_rejected, d_chosen, d_rejected}]

    loss `dpo`              sigmoid, gamma
         `label_smoothing`  sigmoid, gamma, label_smoothing: TRL 1.x has it as `aot`, equal for a single pair, so
                            this is the mean of that loss over the pairs taken one at a time
         `rpo`              sigmoid + rpo_alpha * NLL of the chosen tokens (mean over all chosen tokens of the batch);
                            TRL 1.x spells rpo_alpha as loss_type ["sigmoid", "sft"] with weights [1, rpo_alpha]
         `ipo`              tau = gamma; TRL divides each side's log-ratio by its token count
         `simpo`            simpo_beta, simpo_margin, on average log-probabilities (TRL's simpo_gamma = the margin,
                            i.e. -log sigmoid(beta * (avg_c - avg_r) - margin)); no reference
         `hinge`, `sigmoid_norm`   as TRL names them, gamma
         `cdpo`, `weighted_dpo`    not in TRL: the formula of Lin et al. 2025 (arXiv 2411.19943) written out here, with
                            weights on the rejected side only (1 - s_t = rejected_weights), or on both; rewards weighted
         `cdpo_reference_compat`   as the authors' released code has it: position by position -log sigmoid(gamma *
                            (chosen log-ratio_t - w_t * rejected log-ratio_t)), averaged over pairs and over all
                            positions but the first of the padded batch: prompt, ends and padding give log 2 each.
                            `positions` = length of the longest sequence, less one. Rewards unweighted.
    The loss is the mean over the batch's pairs; rewards are gamma times the summed log-ratios.

schedules.json: learning-rate factors of transformers' schedules. [{schedule: cosine | linear | constant, warmup_steps,
    total_steps, factors: [factor of step 0, .., total_steps - 1]}]

authors_losses.json: values of the authors' own functions, read out of checkouts of their repositories; made only if
    --authors DIR names a folder that holds them: `Token-level-Direct-Preference-Optimization` (Vance0124; `tdpo_loss` in
    trainers.py) and `TIS-DPO` (exlaw; `threshold_and_scale_transform` in preference_datasets.py).
    tdpo: [{gamma, alpha, second: whether TDPO2, ratios, kls: [[chosen, rejected] of each pair], losses, rewards,
            d_ratios, d_kls: of each pair's own loss}]
    tis: {differences: log-prob differences positive - negative of tokens, chosen, rejected: their weights; the sign is
          turned outside the function, as their loader does it for the chosen side of negative - positive}

adamw.json: 20 steps of torch.optim.AdamW in float64 on a five-vector with given gradients.
    [{lr, betas, eps, weight_decay, start, gradients: [20][5], values: [20][5] after each step}]

clipping.json: torch.nn.utils.clip_grad_norm_ over several tensors. [{max_norm, gradients: [[..], ..], norm, clipped}]
"""

import argparse
import ast
import json
import random
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import torch
import transformers
import trl
from make_fixtures import write_json
from trl.experimental.cpo import CPOTrainer
from trl.trainer.dpo_trainer import DPOTrainer

SIDES = ("chosen", "rejected")


def random_batch(generator, lengths, spread):
    """Log-probabilities of the policy and, `spread` away from them, of the reference."""
    draw = lambda n: [-generator.expovariate(0.6) for _ in range(n)]
    move = lambda values: [min(value + generator.gauss(0, spread), -1e-4) for value in values]
    pairs = []
    for chosen, rejected in lengths:
        pair = {"chosen": draw(chosen), "rejected": draw(rejected)}
        pair.update({f"ref_{side}": move(pair[side]) for side in SIDES})
        pair.update({f"{side}_weights": [round(generator.random(), 3) for _ in pair[side]] for side in SIDES})
        pair["prompt_tokens"] = generator.randrange(3, 8)
        pairs.append(pair)
    return pairs


def trainer_stub(losses, weights, gamma, label_smoothing=0.0):
    """A DPOTrainer without model or data: only what its loss reads."""
    trainer = object.__new__(DPOTrainer)
    same = lambda value: value
    trainer.__dict__.update(
        model=SimpleNamespace(training=True), accelerator=SimpleNamespace(
            device="cpu", gather=same, gather_for_metrics=same),
        aux_loss_enabled=False, ld_alpha=None, precompute_ref_logps=True, f_divergence_type="reverse_kl",
        loss_types=losses, loss_weights=weights, beta=gamma, label_smoothing=label_smoothing, use_weighting=False,
        _tp_size=1, _total_train_tokens=0,
        _metrics={"train": defaultdict(list)})
    return trainer


def padded(pairs):
    """[2B, T] log-probabilities (chosen above rejected) that require gradients, and the mask of real tokens."""
    rows = [pair[side] for side in SIDES for pair in pairs]
    width = max(map(len, rows))
    logps = torch.tensor([row + [0.0] * (width - len(row)) for row in rows], dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return logps, mask


def trl_dpo(pairs, losses, weights, gamma, label_smoothing=0.0):
    """Runs TRL's loss; returns value, per-token gradients of both sides and the pairs' rewards."""
    logps, mask = padded(pairs)
    # One prompt token in front, since TRL drops the first column's prediction.
    with_prompt = torch.cat([torch.zeros(len(mask), 1, dtype=mask.dtype), mask], 1)
    inputs = {"input_ids": torch.zeros_like(with_prompt), "attention_mask": torch.ones_like(with_prompt),
              "completion_mask": with_prompt}
    for side in SIDES:
        inputs[f"ref_{side}_logps"] = torch.tensor([sum(pair[f"ref_{side}"]) for pair in pairs], dtype=torch.float64)
    outputs = SimpleNamespace(log_probs=logps * mask, entropy=logps.detach(), mean_logits=logps.detach(),
                              is_top1=torch.zeros_like(mask, dtype=torch.bool))
    trainer = trainer_stub(losses, weights, gamma, label_smoothing)
    value = trainer._compute_loss(lambda **_: outputs, inputs, False)
    grad, = torch.autograd.grad(value, logps)
    result = {"value": value.item()}
    count = len(pairs)
    for i, side in enumerate(SIDES):
        result[f"rewards_{side}"] = [gamma * (sum(pair[side]) - sum(pair[f"ref_{side}"])) for pair in pairs]
        result[f"d_{side}"] = [grad[i * count + j, :len(pair[side])].tolist() for j, pair in enumerate(pairs)]
        mean = sum(result[f"rewards_{side}"]) / count
        logged = trainer._metrics["train"][f"rewards/{side}"][0]
        assert abs(mean - logged) < 1e-9 * max(1.0, abs(mean)), "rewards are not as TRL logs them"
    return result


def one_at_a_time(pairs, compute):
    """Mean of a loss over pairs taken singly."""
    parts = [compute([pair]) for pair in pairs]
    count = len(parts)
    merged = {"value": sum(part["value"] for part in parts) / count}
    for side in SIDES:
        merged[f"rewards_{side}"] = [part[f"rewards_{side}"][0] for part in parts]
        merged[f"d_{side}"] = [[d / count for d in part[f"d_{side}"][0]] for part in parts]
    return merged


def weighted(pairs, gamma, sides):
    """-log sigmoid(gamma [sum_t w_t log-ratio_t (chosen) - the same (rejected)]); weights on `sides` only."""
    values, leaves, rewards = [], {side: [] for side in SIDES}, {side: [] for side in SIDES}
    for pair in pairs:
        for side in SIDES:
            logps = torch.tensor(pair[side], dtype=torch.float64, requires_grad=True)
            ratios = logps - torch.tensor(pair[f"ref_{side}"], dtype=torch.float64)
            weights = torch.tensor(pair[f"{side}_weights"], dtype=torch.float64) if side in sides else 1.0
            leaves[side].append(logps)
            rewards[side].append(gamma * (weights * ratios).sum())
        values.append(-torch.nn.functional.logsigmoid(rewards["chosen"][-1] - rewards["rejected"][-1]))
    value = torch.stack(values).mean()
    value.backward()
    result = {"value": value.item()}
    for side in SIDES:
        result[f"rewards_{side}"] = [reward.item() for reward in rewards[side]]
        result[f"d_{side}"] = [leaf.grad.tolist() for leaf in leaves[side]]
    return result


def released_cdpo(pairs, gamma):
    """The per-position loss of the released code, right-padded like TRL's batches."""
    positions = max(pair["prompt_tokens"] + len(pair[side]) for pair in pairs for side in SIDES) - 1
    place = lambda pair, values: torch.nn.functional.pad(
        values, (pair["prompt_tokens"] - 1, positions - len(values) - pair["prompt_tokens"] + 1))
    leaves, ratios = {side: [] for side in SIDES}, {side: [] for side in SIDES}
    for pair in pairs:
        for side in SIDES:
            logps = torch.tensor(pair[side], dtype=torch.float64, requires_grad=True)
            leaves[side].append(logps)
            ratios[side].append(logps - torch.tensor(pair[f"ref_{side}"], dtype=torch.float64))
    weights = [torch.tensor(pair["rejected_weights"], dtype=torch.float64) for pair in pairs]
    rows = [place(pair, chosen) - place(pair, weight * rejected)
            for pair, chosen, weight, rejected in zip(pairs, ratios["chosen"], weights, ratios["rejected"])]
    value = -torch.nn.functional.logsigmoid(gamma * torch.stack(rows)).mean()
    value.backward()
    result = {"positions": positions, "value": value.item()}
    for side in SIDES:
        result[f"rewards_{side}"] = [gamma * ratio.sum().item() for ratio in ratios[side]]
        result[f"d_{side}"] = [leaf.grad.tolist() for leaf in leaves[side]]
    return result


def trl_simpo(pairs, beta, margin):
    logps, mask = padded(pairs)
    averages = (logps * mask).sum(1) / mask.sum(1)
    trainer = object.__new__(CPOTrainer)
    trainer.__dict__.update(alpha=0.0, loss_type="simpo", simpo_gamma=margin, beta=beta, label_smoothing=0.0,
                            accelerator=SimpleNamespace(device="cpu"))
    losses, *rewards = trainer.cpo_loss(*averages.chunk(2))
    value = losses.mean()
    grad, = torch.autograd.grad(value, logps)
    result = {"value": value.item()}
    for i, side in enumerate(SIDES):
        result[f"rewards_{side}"] = rewards[i].tolist()
        result[f"d_{side}"] = [grad[i * len(pairs) + j, :len(pair[side])].tolist() for j, pair in enumerate(pairs)]
    return result


def loss_cases():
    generator = random.Random(7)
    batches = {
        "one": random_batch(generator, [(4, 6)], 0.5),
        "four": random_batch(generator, [(5, 3), (1, 7), (6, 6), (2, 1)], 0.5),
        # Margins of hundreds: a log-sigmoid that is not written stably overflows.
        "far": random_batch(generator, [(12, 9), (8, 14)], 60.0),
    }
    cases = []
    for name, pairs in batches.items():
        for gamma in (0.1, 1.0):
            add = lambda loss, values, **settings: cases.append(
                {"batch": name, "loss": loss, "gamma": gamma, **settings, **values})
            add("dpo", trl_dpo(pairs, ["sigmoid"], [1.0], gamma))
            for smoothing in (0.0, 0.1):
                add("label_smoothing", label_smoothing=smoothing, values=one_at_a_time(
                    pairs, lambda single: trl_dpo(single, ["aot"], [1.0], gamma, smoothing)))
            for alpha in (1.0, 0.3):
                add("rpo", trl_dpo(pairs, ["sigmoid", "sft"], [1.0, alpha], gamma), rpo_alpha=alpha)
            add("ipo", trl_dpo(pairs, ["ipo"], [1.0], gamma))
            add("hinge", trl_dpo(pairs, ["hinge"], [1.0], gamma))
            add("sigmoid_norm", trl_dpo(pairs, ["sigmoid_norm"], [1.0], gamma))
            add("cdpo", weighted(pairs, gamma, ["rejected"]))
            add("weighted_dpo", weighted(pairs, gamma, SIDES))
            add("cdpo_reference_compat", released_cdpo(pairs, gamma))
        for beta, margin in ((2.0, 1.0), (2.5, 0.0)):
            cases.append({"batch": name, "loss": "simpo", "simpo_beta": beta, "simpo_margin": margin,
                          **trl_simpo(pairs, beta, margin)})
    return {"made_with": {"trl": trl.__version__, "torch": torch.__version__.split("+")[0],
                          "script": "scripts/make_loss_fixtures.py"}, "batches": batches, "cases": cases}


def authors_function(path, name):
    """One function out of a file of someone else's code, without running the rest of it."""
    tree = ast.parse(path.read_text())
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    assert len(found) == 1, f"{path} has {len(found)} functions {name}"
    scope = {"torch": torch, "F": torch.nn.functional, "Tuple": tuple}
    exec(compile(ast.Module(found, []), str(path), "exec"), scope)  # noqa: S102
    return scope[name]


def authors_cases(folder):
    tdpo_loss = authors_function(folder / "Token-level-Direct-Preference-Optimization/trainers.py", "tdpo_loss")
    generator = random.Random(17)
    double = lambda values: torch.tensor(values, dtype=torch.float64, requires_grad=True)
    tdpo = []
    for spread in (1.0, 30.0):
        for gamma in (0.1, 1.0):
            for second, alpha in ((False, 1.0), (True, 0.5), (True, 0.0), (True, 2.0)):
                ratios = [[generator.gauss(0, spread) for _ in range(2)] for _ in range(3)]
                kls = [[generator.expovariate(1 / spread) for _ in range(2)] for _ in range(3)]
                leaves = [double(column) for table in (ratios, kls) for column in zip(*table)]
                losses, *rewards = tdpo_loss(*leaves, beta=gamma, alpha=alpha, if_tdpo2=second)
                grads = torch.autograd.grad(losses.sum(), leaves, allow_unused=True)
                grads = [torch.zeros(3) if grad is None else grad for grad in grads]
                columns = lambda pair: torch.stack(pair, 1).tolist()
                tdpo.append({"gamma": gamma, "alpha": alpha, "second": second, "ratios": ratios, "kls": kls,
                             "losses": losses.tolist(), "rewards": columns(rewards), "d_ratios": columns(grads[:2]),
                             "d_kls": columns(grads[2:])})
    scale = authors_function(folder / "TIS-DPO/preference_datasets.py", "threshold_and_scale_transform")
    differences = [0.0, 0.25, -0.25, 1.5, -1.5, 1.75, -20.0] + [round(generator.gauss(0, 1), 3) for _ in range(9)]
    # Their stored number is negative - positive; the loader turns its sign for the chosen side.
    stored = [-difference for difference in differences]
    tis = {"differences": differences, "chosen": scale([-x for x in stored]), "rejected": scale(stored)}
    return {"tdpo": tdpo, "tis": tis}


def schedule_tables():
    makers = {"cosine": transformers.get_cosine_schedule_with_warmup,
              "linear": transformers.get_linear_schedule_with_warmup,
              "constant": lambda optimizer, warmup, _:
                  transformers.get_constant_schedule_with_warmup(optimizer, warmup)}
    tables = []
    for name, make in makers.items():
        for warmup, total in ((2, 10), (0, 6), (1, 1), (3, 3), (7, 5), (10, 64)):
            optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
            schedule = make(optimizer, warmup, total)
            factors = []
            for _ in range(total):
                factors.append(schedule.get_last_lr()[0])
                optimizer.step()
                schedule.step()
            tables.append({"schedule": name, "warmup_steps": warmup, "total_steps": total, "factors": factors})
    return tables


def adamw_runs():
    generator = torch.Generator().manual_seed(11)
    runs = []
    for lr, weight_decay in ((1e-2, 0.01), (3e-3, 0.0), (0.1, 0.3)):
        start = torch.randn(5, generator=generator, dtype=torch.float64)
        grads = torch.randn(20, 5, generator=generator, dtype=torch.float64)
        grads[:, 3] *= 1e-7  # so small that eps matters
        grads[5:9, 4] = 0.0  # moments decay while no gradient arrives
        vector = start.clone().requires_grad_(True)
        settings = dict(lr=lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=weight_decay)
        optimizer = torch.optim.AdamW([vector], **settings)
        values = []
        for grad in grads:
            vector.grad = grad.clone()
            optimizer.step()
            values.append(vector.tolist())
        runs.append({**settings, "betas": [0.9, 0.999], "start": start.tolist(), "gradients": grads.tolist(),
                     "values": values})
    return runs


def clipping_cases():
    generator = torch.Generator().manual_seed(13)
    cases = []
    for scale, max_norm in ((3.0, 1.0), (0.05, 1.0), (1.0, 0.5), (0.0, 1.0)):
        parts = [scale * torch.randn(n, generator=generator, dtype=torch.float64) for n in (4, 1, 3)]
        holders = [torch.zeros_like(part, requires_grad=True) for part in parts]
        for holder, part in zip(holders, parts):
            holder.grad = part.clone()
        norm = torch.nn.utils.clip_grad_norm_(holders, max_norm)
        cases.append({"max_norm": max_norm, "gradients": [part.tolist() for part in parts], "norm": norm.item(),
                      "clipped": [holder.grad.tolist() for holder in holders]})
    return cases


def main():
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=root / "crates/cdpo-train/tests/fixtures")
    parser.add_argument("--authors", type=Path, help="folder with checkouts of the authors' repositories")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    tables = {"trl_losses": loss_cases(), "schedules": schedule_tables(), "adamw": adamw_runs(),
              "clipping": clipping_cases()}
    if options.authors:
        tables["authors_losses"] = authors_cases(options.authors)
    for name, table in tables.items():
        write_json(options.out / f"{name}.json", table)


if __name__ == "__main__":
    main()
