#!/usr/bin/env python3
"""Make the GGUF fixtures of crates/cdpo-model/tests/fixtures/gguf.

    pip install -r scripts/requirements.txt
    python scripts/make_gguf_fixtures.py [--out DIR]

blocks.safetensors   for each block type: `TYPE.raw` U8, a few blocks of random bytes, and `TYPE.values` F32, what
                     the gguf package dequantises them to.
tiny-llama.gguf      one-layer models of every small block type, written with the gguf package: q/k rows permuted as
tiny-qwen2.gguf      converters do for llama; qwen2 has biases and a separate output.weight. Byte-level BPE metadata
                     (tokenizer.ggml.pre `smollm`, `qwen2`) with control and user-defined tokens.
NAME.safetensors     `logits` F32 [T, vocab] of transformers (f32, eager) on `ids` I64 [T]; the dequantised weights by
                     their Hugging Face names as `weights.*`, those of q and k only.
NAME.json            [{text, ids}], no special tokens added; the first text's ids are `ids` above.
"""

import argparse
import tempfile
from pathlib import Path
from types import SimpleNamespace

import gguf
import numpy as np
import torch
import transformers
from check_real_models import encode, load, make_folder
from gguf import GGMLQuantizationType as Type
from make_fixtures import write_json
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

BLOCK_TYPES = [Type.F16, Type.BF16, Type.Q8_0, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q2_K, Type.Q3_K,
               Type.Q4_K, Type.Q5_K, Type.Q6_K]
HIDDEN, INTERMEDIATE, HEADS, KV_HEADS, HEAD_DIM = 64, 96, 4, 2, 16
TYPES = {"token_embd": Type.Q8_0, "attn_q": Type.Q5_1, "attn_k": Type.Q8_0, "attn_v": Type.F16,
         "attn_output": Type.Q4_1, "ffn_gate": Type.Q5_0, "ffn_up": Type.Q4_0, "ffn_down": Type.BF16,
         "output": Type.Q8_0}
MERGES = ["h e", "l l", "he ll", "Ġ t", "Ġt he", "Ġ Ġ", "Ċ Ċ", "1 2", "hell o", "' s"]
TEXTS = ["hello the 12 hens", "the  7 apples\n\nIt's 12.50 <|im_start|>hello<|im_end|>", "naïve – 😀 x\t=  3"]


def random_blocks(generator, kind, count=4):
    """Blocks of random bytes whose values are finite and not huge."""
    values_per_block, bytes_per_block = gguf.GGML_QUANT_SIZES[kind]
    if values_per_block == 1:
        values_per_block, bytes_per_block, count = 32, 32 * bytes_per_block, 1
    blocks = []
    while len(blocks) < count:
        raw = generator.integers(0, 256, bytes_per_block, dtype=np.uint8)
        if kind in (Type.F16, Type.BF16):
            raw = gguf.quantize(generator.normal(size=values_per_block).astype(np.float32), kind).view(np.uint8)
        data = raw.view(np.float16) if kind is Type.F16 else raw
        with np.errstate(all="ignore"):
            values = gguf.dequantize(data, kind).astype(np.float32)
        if np.isfinite(values).all() and 1e-3 < np.abs(values).max() < 1e3:
            blocks.append((raw, values))
    raws, values = zip(*blocks)
    return np.concatenate(raws), np.concatenate(values)


def make_blocks(path):
    generator = np.random.default_rng(5)
    tensors = {}
    for kind in BLOCK_TYPES:
        raw, values = random_blocks(generator, kind)
        tensors[f"{kind.name}.raw"] = torch.from_numpy(raw.copy())
        tensors[f"{kind.name}.values"] = torch.from_numpy(values.copy())
    save_file(tensors, path)


def byte_symbols():
    """The printable characters that byte-level BPE writes the 256 bytes with, in byte order."""
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    spare = iter(range(256, 512))
    return [chr(byte) if byte in keep else chr(next(spare)) for byte in range(256)]


def vocabulary():
    """Tokens and GGUF token types: controls, bytes, merges, one user-defined token, padding to a round size."""
    controls = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    words = byte_symbols() + [merge.replace(" ", "") for merge in MERGES]
    tokens = controls + words + ["<tool>"]
    kinds = [3] * len(controls) + [1] * len(words) + [4]
    padding = -len(tokens) % 16
    return tokens + [f"[PAD{i}]" for i in range(padding)], kinds + [5] * padding


def permute(weight, heads):
    """Hugging Face's rotary row order -> the interleaved one of a llama GGUF."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def write_gguf(path, arch, seed):
    generator = np.random.default_rng(seed)
    tokens, kinds = vocabulary()
    writer = gguf.GGUFWriter(path, arch)
    writer.add_name(f"tiny {arch}")
    writer.add_context_length(256)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(1)
    writer.add_feed_forward_length(INTERMEDIATE)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(100000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre({"llama": "smollm", "qwen2": "qwen2"}[arch])
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)
    if arch == "llama":
        writer.add_vocab_size(len(tokens))
        writer.add_rope_dimension_count(HEAD_DIM)

    def add(name, *shape, scale=None):
        values = generator.normal(size=shape).astype(np.float32)
        values *= shape[-1] ** -0.5 if scale is None else scale
        if name.endswith("norm.weight"):
            values += 1
        if arch == "llama" and name.endswith(("attn_q.weight", "attn_k.weight")):
            values = permute(values, HEADS if "attn_q" in name else KV_HEADS)
        kind = Type.F32 if len(shape) == 1 else TYPES[name.split(".")[-2]]
        if kind is Type.F32:
            writer.add_tensor(name, values)
        else:
            writer.add_tensor(name, gguf.quantize(np.ascontiguousarray(values), kind), raw_dtype=kind)

    add("token_embd.weight", len(tokens), HIDDEN, scale=0.3)
    add("output_norm.weight", HIDDEN, scale=0.2)
    if arch == "qwen2":
        add("output.weight", len(tokens), HIDDEN)
    for name in ("attn_norm", "ffn_norm"):
        add(f"blk.0.{name}.weight", HIDDEN, scale=0.2)
    for name, rows in (("attn_q", HEADS * HEAD_DIM), ("attn_k", KV_HEADS * HEAD_DIM), ("attn_v", KV_HEADS * HEAD_DIM)):
        add(f"blk.0.{name}.weight", rows, HIDDEN)
        if arch == "qwen2":
            add(f"blk.0.{name}.bias", rows, scale=0.3)
    add("blk.0.attn_output.weight", HIDDEN, HEADS * HEAD_DIM)
    add("blk.0.ffn_gate.weight", INTERMEDIATE, HIDDEN)
    add("blk.0.ffn_up.weight", INTERMEDIATE, HIDDEN)
    add("blk.0.ffn_down.weight", HIDDEN, INTERMEDIATE)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_reference(path):
    """Logits from the dequantised weights; transformers' own GGUF loader must agree on them."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_folder(SimpleNamespace(gguf=path, out=folder, tokenizer=None))
        model, tokenizer = load(folder)
        weights = load_file(folder / "model.safetensors")
        theirs = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
        theirs = theirs.state_dict()
        for name, weight in weights.items():
            if name != "lm_head.weight":  # transformers ties a qwen2 head whatever the file holds
                assert torch.equal(weight, theirs[name]), f"{path.name}: {name} differs from transformers"
        texts = [{"text": text, "ids": encode(tokenizer, text)} for text in TEXTS]
        ids = torch.tensor(texts[0]["ids"])
        with torch.no_grad():
            logits = model(input_ids=ids[None]).logits[0]
        kept = {f"weights.{name}": weight for name, weight in weights.items()
                if name.endswith(("q_proj.weight", "k_proj.weight"))}
        save_file({"ids": ids, "logits": logits.contiguous(), **kept}, path.with_suffix(".safetensors"))
    write_json(path.with_suffix(".json"), texts)


def main():
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=root / "crates/cdpo-model/tests/fixtures/gguf")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    make_blocks(options.out / "blocks.safetensors")
    for seed, arch in ((21, "llama"), (22, "qwen2")):
        path = options.out / f"tiny-{arch}.gguf"
        write_gguf(path, arch, seed)
        write_reference(path)


if __name__ == "__main__":
    main()
