"""Writes a model with the shapes and the tokenizer of a published one and random weights: to measure time and memory with.

    python make_random_model.py llama3-8b TOKENIZER_FOLDER OUT.gguf            # GGUF, blocks as llama.cpp's Q4_K_M mixes them
    python make_random_model.py llama3-8b TOKENIZER_FOLDER OUT --form bf16     # a Hugging Face folder of bf16 shards
    python make_random_model.py llama3-70b TOKENIZER_FOLDER OUT.gguf --layers 20 --form q2_k

TOKENIZER_FOLDER has a tokenizer.json with byte-level BPE; its vocabulary is filled up or cut to the model's. Weights are about N(0, 0.02), so
that activations stay finite; what the model says means nothing. Needs numpy.
"""

import argparse
import json
import pathlib
import struct

import numpy

SHAPES = {
    # hidden, feed-forward, layers, heads, kv heads, vocabulary, rope theta
    "llama3-8b": (4096, 14336, 32, 32, 8, 128256, 500000.0),
    "deepseek-math-7b": (4096, 11008, 30, 32, 32, 102400, 10000.0),
    "llama3-70b": (8192, 28672, 80, 64, 8, 128256, 500000.0),
}
CONTEXT = 8192
STD = 0.02
# GGML's type numbers with elements and bytes of a block.
F32, Q2_K, Q4_K, Q6_K = (0, 1, 4), (10, 256, 84), (12, 256, 144), (14, 256, 210)
CHUNK = 1 << 24


def tensors(shape, layers):
    hidden, inner, _, heads, kv, vocab, _ = shape
    small = kv * hidden // heads
    yield "token_embd", "model.embed_tokens", (vocab, hidden)
    for i in range(layers):
        g, h = f"blk.{i}", f"model.layers.{i}"
        yield f"{g}.attn_norm", f"{h}.input_layernorm", (hidden,)
        for name, proj, rows, cols in [
            ("attn_q", "self_attn.q_proj", hidden, hidden),
            ("attn_k", "self_attn.k_proj", small, hidden),
            ("attn_v", "self_attn.v_proj", small, hidden),
            ("attn_output", "self_attn.o_proj", hidden, hidden),
            ("ffn_gate", "mlp.gate_proj", inner, hidden),
            ("ffn_up", "mlp.up_proj", inner, hidden),
            ("ffn_down", "mlp.down_proj", hidden, inner),
        ]:
            yield f"{g}.{name}", f"{h}.{proj}", (rows, cols)
        yield f"{g}.ffn_norm", f"{h}.post_attention_layernorm", (hidden,)
    yield "output_norm", "model.norm", (hidden,)
    yield "output", "lm_head", (vocab, hidden)


def kind(name, layers, form):
    """The block type of a tensor: Q4_K_M keeps the head, and half of the values and down projections, in Q6_K."""
    if "norm" in name:
        return F32
    if name == "output":
        return Q6_K
    if form == "q2_k":
        return Q2_K
    layer = int(name.split(".")[1]) if name.startswith("blk.") else 0
    more = layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2
    return Q6_K if more and name.endswith(("attn_v", "ffn_down")) else Q4_K


def blocks(rng, block, count):
    """Random blocks whose values are about N(0, STD)."""
    data = rng.integers(0, 256, (count, block[2]), dtype=numpy.uint8)

    def half(at, value):
        data[:, at : at + 2] = numpy.frombuffer(numpy.float16(value).tobytes(), numpy.uint8)

    if block is Q4_K:
        half(0, STD / 143)
        half(2, 7.5 * STD / 143)
    elif block is Q6_K:
        half(208, STD / 1370)
    else:
        half(80, STD / 9)
        half(82, 1.5 * STD / 9)
    return data


def text(value):
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def entry(key, code, raw):
    return text(key) + struct.pack("<I", code) + raw


def metadata(shape, layers, tokenizer):
    hidden, inner, _, heads, kv, vocab, theta = shape
    u32 = lambda key, value: entry(key, 4, struct.pack("<I", value))
    f32 = lambda key, value: entry(key, 6, struct.pack("<f", value))
    string = lambda key, value: entry(key, 8, text(value))
    strings = lambda key, values: entry(key, 9, struct.pack("<IQ", 8, len(values)) + b"".join(map(text, values)))
    tokens, merges, special = tokenizer
    kinds = [3 if t in special else 1 for t in tokens]
    named = lambda word: next((i for i, t in enumerate(tokens) if t in special and word in t), 0)
    return [
        string("general.architecture", "llama"),
        u32("llama.context_length", CONTEXT),
        u32("llama.embedding_length", hidden),
        u32("llama.feed_forward_length", inner),
        u32("llama.block_count", layers),
        u32("llama.attention.head_count", heads),
        u32("llama.attention.head_count_kv", kv),
        u32("llama.rope.dimension_count", hidden // heads),
        u32("llama.vocab_size", vocab),
        f32("llama.rope.freq_base", theta),
        f32("llama.attention.layer_norm_rms_epsilon", 1e-5),
        string("tokenizer.ggml.model", "gpt2"),
        string("tokenizer.ggml.pre", "llama-bpe"),
        strings("tokenizer.ggml.tokens", tokens),
        entry("tokenizer.ggml.token_type", 9, struct.pack("<IQ", 5, len(kinds)) + struct.pack(f"<{len(kinds)}i", *kinds)),
        strings("tokenizer.ggml.merges", merges),
        u32("tokenizer.ggml.bos_token_id", named("begin")),
        u32("tokenizer.ggml.eos_token_id", named("end")),
    ]


def read_tokenizer(folder, vocab):
    data = json.loads((folder / "tokenizer.json").read_text())
    model = data["model"]
    tokens = [f"<|filler_{i}|>" for i in range(vocab)]
    for token, i in model["vocab"].items():
        if i < vocab:
            tokens[i] = token
    special = {t for t in tokens if t.startswith("<|filler_")}
    for added in data.get("added_tokens", []):
        if added["id"] < vocab:
            tokens[added["id"]] = added["content"]
            special.add(added["content"])
    known = set(tokens)
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    merges = [m for m in merges if all(part in known for part in (*m.split(" "), m.replace(" ", "")))]
    return tokens, merges, special


def write_gguf(out, shape, layers, form, tokenizer):
    infos, at, plan = [], 0, []
    for name, _, dims in tensors(shape, layers):
        block = kind(name, layers, form)
        count = int(numpy.prod(dims)) // block[1]
        infos.append(
            text(f"{name}.weight")
            + struct.pack(f"<I{len(dims)}Q", len(dims), *reversed(dims))
            + struct.pack("<IQ", block[0], at)
        )
        plan.append((block, count))
        at += -(-count * block[2] // 32) * 32
    entries = metadata(shape, layers, tokenizer)
    rng = numpy.random.default_rng(1)
    with open(out, "wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, len(infos), len(entries)) + b"".join(entries) + b"".join(infos))
        file.write(b"\0" * (-file.tell() % 32))
        # Random bytes are slow to make: one chunk for each type, begun at another place each time.
        pools = {block: blocks(rng, block, CHUNK // block[2]) for block in (Q2_K, Q4_K, Q6_K)}
        for block, count in plan:
            if block is F32:
                file.write(numpy.ones(count, numpy.float32).tobytes())
            else:
                pool = pools[block]
                while count:
                    start = int(rng.integers(0, len(pool)))
                    part = pool[start : start + count]
                    file.write(part.tobytes())
                    count -= len(part)
            file.write(b"\0" * (-file.tell() % 32))


def write_folder(out, shape, layers, source):
    hidden, inner, _, heads, kv, vocab, theta = shape
    out.mkdir(parents=True)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv,
        "vocab_size": vocab,
        "rope_theta": theta,
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": CONTEXT,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "eos_token_id": vocab - 1,
    }
    (out / "config.json").write_text(json.dumps(config, indent=2))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if (source / name).exists():
            (out / name).write_bytes((source / name).read_bytes())
    rng = numpy.random.default_rng(1)
    pool = (rng.standard_normal(CHUNK, numpy.float32) * STD).view(numpy.uint32)
    pool = (pool >> 16).astype(numpy.uint16)
    one = numpy.uint16(0x3F80)
    places, shard, size, number = {}, [], 0, 0
    total = sum(int(numpy.prod(d)) for _, _, d in tensors(shape, layers)) * 2
    count = max(1, -(-total // (5 << 30)))

    def flush():
        nonlocal shard, size, number
        number += 1
        name = f"model-{number:05}-of-{count:05}.safetensors"
        header, at = {}, 0
        for key, dims in shard:
            end = at + 2 * int(numpy.prod(dims))
            header[key] = {"dtype": "BF16", "shape": list(dims), "data_offsets": [at, end]}
            at, places[key] = end, name
        raw = json.dumps(header).encode()
        raw += b" " * (-len(raw) % 8)
        with open(out / name, "wb") as file:
            file.write(struct.pack("<Q", len(raw)) + raw)
            for key, dims in shard:
                left = int(numpy.prod(dims))
                if len(dims) == 1:
                    file.write(numpy.full(left, one).tobytes())
                    continue
                while left:
                    start = int(rng.integers(0, len(pool)))
                    part = pool[start : start + left]
                    file.write(part.tobytes())
                    left -= len(part)
        shard, size = [], 0

    for _, name, dims in tensors(shape, layers):
        shard.append((f"{name}.weight", dims))
        size += 2 * int(numpy.prod(dims))
        if size >= total / count and number + 1 < count:
            flush()
    flush()
    (out / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": places}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("tokenizer", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--form", choices=["q4_k_m", "q2_k", "bf16"], default="q4_k_m")
    parser.add_argument("--layers", type=int, help="so many instead of all")
    args = parser.parse_args()
    shape = SHAPES[args.shape]
    layers = args.layers or shape[2]
    if args.form == "bf16":
        write_folder(args.out, shape, layers, args.tokenizer)
    else:
        write_gguf(args.out, shape, layers, args.form, read_tokenizer(args.tokenizer, shape[5]))


main()
