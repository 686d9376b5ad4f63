#!/usr/bin/env python3
"""Reference values of a real model, for comparing the engine with transformers. Nothing is written into the tree.

    python scripts/check_real_models.py folder MODEL.gguf HF_DIR [--tokenizer DIR]
    python scripts/check_real_models.py logits HF_DIR GSM8K.jsonl OUT_DIR
    python scripts/check_real_models.py tokens HF_DIR OUT_DIR TEXTS.jsonl [TEXTS.jsonl ..]

folder  Dequantises a GGUF (llama or qwen2 architecture) into a Hugging Face folder of f32 weights: config.json,
        model.safetensors, tokenizer.json. The q/k rows of a llama are put back into Hugging Face order; a separate
        output.weight makes an untied head. The tokenizer is rebuilt from the metadata, or copied from --tokenizer.

logits  OUT_DIR/logits.safetensors, of four question-and-answer texts cut at 200 tokens, f32, eager attention:
            ids.{i}     I64 [T]         token ids
            rows.{i}    I64 [R]         every eighth position and the last
            logits.{i}  F32 [R, vocab]  logits at those positions
            logps.{i}   F32 [T - 1]     log p(ids[t + 1] | ids[..= t])
        OUT_DIR/greedy.json, greedy continuations of 20 questions, 64 tokens each, end tokens not special:
            [{"prompt_ids": [..], "ids": [64], "runner_up": [64], "gap": [64]}]
        gap = best logit - second best, runner_up = the second best's id: a continuation may differ from `ids` for
        the first time at a position whose gap is under 1e-3, and must then take runner_up; what follows is void.

tokens  OUT_DIR/tokens.tsv, one line for each text of the files, in order:
            file stem <tab> row from 0 <tab> field <tab> number of tokens <tab> hash
        hash = FNV-1a, 64 bits, 16 hexadecimal digits, over the ids as little-endian u32; no special tokens are
        added. Fields: question, then answer (GSM8K) or solution (MATH).
        OUT_DIR/tokens.json: [{"file", "row", "field", "text", "ids"}] for each file's first rows.
        With --gguf MODEL.gguf also says on how many texts transformers' own GGUF tokenizer differs.
"""

import argparse
import json
import os
import shutil
import struct
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from gguf import GGUFReader, dequantize
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, PreTrainedTokenizerFast, Qwen2Config

HF_NAMES = {  # GGUF name inside a block -> Hugging Face name inside a layer
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj"}
OUTER_NAMES = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
               "output.weight": "lm_head.weight"}
QWEN2_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
               r"|\s+(?!\S)|\s+")
CONTROL, USER_DEFINED = 3, 4  # GGUF token types


def field(reader, name, default=None):
    entry = reader.get_field(name)
    return default if entry is None else entry.contents()


def folder_config(reader, names):
    """Configuration of the model in a GGUF."""
    arch = field(reader, "general.architecture")
    get = lambda key, default=None: field(reader, f"{arch}.{key}", default)
    kind = {"llama": LlamaConfig, "qwen2": Qwen2Config}.get(arch)
    if kind is None:
        raise SystemExit(f"architecture {arch!r} is not known; known: llama, qwen2")
    if get("rope.scaling.type") not in (None, "none") or "rope_freqs.weight" in names:
        raise SystemExit("a GGUF with rope scaling is not handled here")
    shapes = {tensor.name: tensor.shape.tolist() for tensor in reader.tensors}
    return kind(vocab_size=shapes["token_embd.weight"][1], hidden_size=get("embedding_length"),
                intermediate_size=get("feed_forward_length"), num_hidden_layers=get("block_count"),
                num_attention_heads=get("attention.head_count"), num_key_value_heads=get("attention.head_count_kv"),
                max_position_embeddings=get("context_length"), rms_norm_eps=get("attention.layer_norm_rms_epsilon"),
                rope_parameters=dict(rope_type="default", rope_theta=get("rope.freq_base", 10000.0)),
                tie_word_embeddings="output.weight" not in names, dtype="float32",
                architectures=[f"{kind.__name__.removesuffix('Config')}ForCausalLM"],
                bos_token_id=field(reader, "tokenizer.ggml.bos_token_id"),
                eos_token_id=field(reader, "tokenizer.ggml.eos_token_id"))


def hf_name(name):
    if name in OUTER_NAMES:
        return OUTER_NAMES[name]
    _, layer, module, kind = name.split(".")
    return f"model.layers.{layer}.{HF_NAMES[module]}.{kind}"


def unpermute(weight, heads):
    """GGUF interleaves the two rotary halves of each head's q/k rows; Hugging Face keeps them apart."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).transpose(1, 2).reshape(rows, columns)


def folder_tokenizer(reader):
    """Byte-level BPE from the metadata, with the pre-tokenizer that tokenizer.ggml.pre names."""
    tokens, pre = field(reader, "tokenizer.ggml.tokens"), field(reader, "tokenizer.ggml.pre")
    if field(reader, "tokenizer.ggml.model") != "gpt2":
        raise SystemExit("only byte-level BPE tokenizers are handled here; give --tokenizer")
    merges = [tuple(merge.split(" ")) for merge in field(reader, "tokenizer.ggml.merges")]
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    if pre == "smollm":
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    elif pre == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(QWEN2_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    else:
        raise SystemExit(f"pre-tokenizer {pre!r} is not known; give --tokenizer")
    tokenizer.decoder = decoders.ByteLevel()
    types = field(reader, "tokenizer.ggml.token_type")
    added = [AddedToken(token, special=kind == CONTROL, normalized=False)
             for token, kind in zip(tokens, types) if kind in (CONTROL, USER_DEFINED)]
    tokenizer.add_tokens(added)
    ids = {name: field(reader, f"tokenizer.ggml.{name}_token_id") for name in ("bos", "eos", "padding")}
    named = {("pad" if name == "padding" else name) + "_token": tokens[i] for name, i in ids.items() if i is not None}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named)


def make_folder(options):
    reader = GGUFReader(options.gguf)
    config = folder_config(reader, {tensor.name for tensor in reader.tensors})
    options.out.mkdir(parents=True, exist_ok=True)
    weights = {}
    for tensor in reader.tensors:
        values = torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).copy())
        weight = values.float().reshape(tensor.shape.tolist()[::-1])
        if config.model_type == "llama" and tensor.name.endswith(("attn_q.weight", "attn_k.weight")):
            heads = config.num_attention_heads if "attn_q" in tensor.name else config.num_key_value_heads
            weight = unpermute(weight, heads)
        weights[hf_name(tensor.name)] = weight.contiguous()
    config.save_pretrained(options.out)
    save_file(weights, options.out / "model.safetensors", metadata={"format": "pt"})
    if options.tokenizer:
        for path in options.tokenizer.glob("tokenizer*.json"):
            shutil.copy(path, options.out)
    else:
        folder_tokenizer(reader).save_pretrained(options.out)
    print(f"{options.out}: {len(weights)} tensors, {sum(w.numel() for w in weights.values()) / 1e6:.1f} M parameters")


def read_jsonl(path, limit=None):
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line, _ in zip(lines, range(limit or 10**9))]


def load(folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    return model, Tokenizer.from_file(str(folder / "tokenizer.json"))


def encode(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False).ids


@torch.no_grad()
def greedy(model, prompt_ids, count):
    """Greedy continuation with the runner-up and the gap at each step."""
    result = {"prompt_ids": prompt_ids, "ids": [], "runner_up": [], "gap": []}
    cache, step = None, torch.tensor([prompt_ids])
    for _ in range(count):
        output = model(input_ids=step, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache, best = output.past_key_values, output.logits[0, -1].topk(2)
        result["ids"].append(best.indices[0].item())
        result["runner_up"].append(best.indices[1].item())
        result["gap"].append((best.values[0] - best.values[1]).item())
        step = best.indices[:1].reshape(1, 1)
    return result


@torch.no_grad()
def make_logits(options):
    model, tokenizer = load(options.folder)
    options.out.mkdir(parents=True, exist_ok=True)
    problems = read_jsonl(options.texts, 24)
    tensors = {}
    for i, problem in enumerate(problems[:4]):
        ids = encode(tokenizer, f"Question: {problem['question']}\nAnswer: {problem['answer']}")[:200]
        logits = model(input_ids=torch.tensor([ids])).logits[0]
        rows = torch.tensor(sorted({*range(0, len(ids), 8), len(ids) - 1}))
        logps = logits[:-1].log_softmax(-1).gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
        tensors |= {f"ids.{i}": torch.tensor(ids), f"rows.{i}": rows, f"logits.{i}": logits[rows].clone(),
                    f"logps.{i}": logps}
    save_file(tensors, options.out / "logits.safetensors")
    continuations = [greedy(model, encode(tokenizer, f"Question: {problem['question']}\nAnswer:"), 64)
                     for problem in problems[4:24]]
    (options.out / "greedy.json").write_text(json.dumps(continuations))
    close = sum(gap < 1e-3 for row in continuations for gap in row["gap"])
    print(f"{options.out}: {len(continuations)} continuations, {close} positions with a gap under 1e-3")


def fnv1a(ids):
    value = 0xCBF29CE484222325
    for byte in struct.pack(f"<{len(ids)}I", *ids):
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"


def make_tokens(options):
    tokenizer = Tokenizer.from_file(str(options.folder / "tokenizer.json"))
    other = options.gguf and AutoTokenizer.from_pretrained(options.gguf.parent, gguf_file=options.gguf.name)
    options.out.mkdir(parents=True, exist_ok=True)
    lines, samples, not_reversible, differing = [], [], 0, []
    for path in options.texts:
        for row, record in enumerate(read_jsonl(path)):
            for name in ("question", "solution" if "solution" in record else "answer"):
                text = record[name]
                ids = encode(tokenizer, text)
                lines.append(f"{path.stem}\t{row}\t{name}\t{len(ids)}\t{fnv1a(ids)}")
                not_reversible += tokenizer.decode(ids, skip_special_tokens=False) != text
                if row < 5:
                    samples.append({"file": path.stem, "row": row, "field": name, "text": text, "ids": ids})
                if other and other.encode(text, add_special_tokens=False) != ids:
                    differing.append((path.stem, row, name))
    (options.out / "tokens.tsv").write_text("\n".join(lines) + "\n")
    (options.out / "tokens.json").write_text(json.dumps(samples, ensure_ascii=False, indent=1))
    print(f"{options.out}: {len(lines)} texts, {not_reversible} do not decode to themselves")
    if other:
        print(f"transformers' GGUF tokenizer differs on {len(differing)} texts, the first: {differing[:5]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    commands = parser.add_subparsers(required=True)

    command = commands.add_parser("folder", help="dequantise a GGUF into a Hugging Face folder")
    command.add_argument("gguf", type=Path)
    command.add_argument("out", type=Path)
    command.add_argument("--tokenizer", type=Path, help="folder whose tokenizer*.json files are copied")
    command.set_defaults(run=make_folder)

    command = commands.add_parser("logits", help="logits and greedy continuations")
    command.add_argument("folder", type=Path)
    command.add_argument("texts", type=Path, help="GSM8K JSONL")
    command.add_argument("out", type=Path)
    command.set_defaults(run=make_logits)

    command = commands.add_parser("tokens", help="token ids of whole data files")
    command.add_argument("folder", type=Path)
    command.add_argument("out", type=Path)
    command.add_argument("texts", type=Path, nargs="+")
    command.add_argument("--gguf", type=Path, help="compare with transformers' GGUF tokenizer")
    command.set_defaults(run=make_tokens)

    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.run(options)


if __name__ == "__main__":
    main()
