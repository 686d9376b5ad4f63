#!/usr/bin/env python3
"""Make the tokenizer fixtures of crates/cdpo-model/tests/fixtures/tokenizers.

    pip install -r scripts/requirements.txt
    python scripts/make_tokenizer_fixtures.py [--out DIR]

NAME/tokenizer.json, NAME/tokenizer_config.json: small tokenizers that mark a text's first word.
    legacy       SentencePiece BPE with byte fallback as Llama 2 and Mistral v0.1 have it: the normaliser Prepend puts `▁` before the
                 text and behind every special token. The vocabulary is trained by sentencepiece, which must give the same ids.
    first        the same vocabulary with the pre-tokenizer Metaspace, `first`: the mark at the very beginning alone.
    always       a Unigram vocabulary with Metaspace, `always`, which cuts at the marks.
    prefix       byte-level BPE with add_prefix_space.
NAME/cases.json  [{prompt, response, prompt_ids, joint_ids}]: transformers' ids of the prompt and of both as one text, no special token
                 added.
declared.json    [{name, tokenizer, files, ..}]: what files say of special tokens. `tokenizer` replaces keys of prefix/tokenizer.json,
                 `files` lie beside it; transformers' values are `bos`, `eos` (ids of bos_token and eos_token), `ids` of TEXT as it is
                 and `with_special` with what the post-processor adds.
"""

import argparse
import io
import json
import random
import tempfile
from pathlib import Path

import sentencepiece
from make_fixtures import write_json
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import generate_merges

SPECIAL = ["<unk>", "<s>", "</s>"]
NAMES = ["Ada", "Ben", "Cleo", "Dan", "Eva", "Finn"]
THINGS = ["apples", "marbles", "books", "coins", "hens", "pencils"]
PLACES = ["at the market", "in a box", "on the shelf", "at school"]


def corpus():
    """Plain sentences of word problems; nobody's text."""
    draw = random.Random(1)
    lines = []
    for _ in range(400):
        name, thing, place = draw.choice(NAMES), draw.choice(THINGS), draw.choice(PLACES)
        a, b = draw.randint(2, 99), draw.randint(2, 99)
        lines.append(f"Question: {name} has {a} {thing} {place} and buys {b} more. How many {thing} does {name} have now?")
        lines.append(f"Answer: {name} has {a} + {b} = {a + b} {thing}. The answer is {a + b}.")
    return lines


CASES = [
    ("Question: Ada has 3 apples.\nAnswer:", " Ada has 3 apples.\n#### 3"),
    ("Question: Ada has 3 apples.\nAnswer:", "Ada has 3 apples."),
    ("Question: Ada has 3 apples.\nAnswer: It", "s 12"),
    ("How many books", " are there?  Two  blanks."),
    ("How many", "\n\nlines?\n"),
    ("[INST] How many? [/INST]", " The answer is 12."),
    ("[INST] How many? [/INST]", "The answer is 12.</s>"),
    ("How many?</s>", "Question: again"),
    ("How many?</s>", " Question: again"),
    ("How many?", "</s>Question: again</s> and more"),
    ("<s>How many", " are</s><s>there"),
    (" A blank first", " and 7 more"),
    ("12", "34"),
    ("naïve é", "é ☃ 日本"),
    ("a ", " b"),
    ("x", "</s>"),
    ("x", "☃</s>y"),
    ("☃", "x"),
]


def sentencepiece_vocabulary():
    """Pieces in order of id, their scores, and the trained processor."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()), model_writer=model, model_type="bpe", vocab_size=480, byte_fallback=True,
        split_digits=True, normalization_rule_name="identity", remove_extra_whitespaces=False, num_threads=1,
        minloglevel=2, character_coverage=1.0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.model"
        path.write_bytes(model.getvalue())
        processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
    pieces = [(processor.id_to_piece(i), processor.get_score(i)) for i in range(processor.get_piece_size())]
    return pieces, processor


def add_special(tokenizer):
    tokenizer.add_special_tokens([AddedToken(text, normalized=False, special=True) for text in SPECIAL])
    bos = tokenizer.token_to_id("<s>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", bos)])
    return tokenizer


def spm_decoder(strip=True):
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    return decoders.Sequence(steps + ([decoders.Strip(" ", 1, 0)] if strip else []))


def spm_bpe(pieces):
    vocabulary = {piece: i for i, (piece, _) in enumerate(pieces)}
    merges = [tuple(merge) for merge in generate_merges(vocabulary, dict(pieces))]
    # Pieces without a merge of their own (specials, bytes, characters) take no part.
    return models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)


def legacy(pieces):
    tokenizer = Tokenizer(spm_bpe(pieces))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = spm_decoder()
    return add_special(tokenizer)


def first(pieces):
    tokenizer = Tokenizer(spm_bpe(pieces))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="first", split=False)
    tokenizer.decoder = spm_decoder()
    return add_special(tokenizer)


def always(pieces):
    # Scores of a Unigram model: pieces that were merged early are likelier; no two sums are equal.
    vocabulary = [(piece, 0.0 if i < 3 else -20.0 if piece.startswith("<0x") else -4.0 - i**0.5 / 5)
                  for i, (piece, _) in enumerate(pieces)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=0, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="always", split=True)
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace("▁", prepend_scheme="always")])
    return add_special(tokenizer)


def prefix(_):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=420, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
                                  show_progress=False, special_tokens=SPECIAL)
    tokenizer.train_from_iterator(corpus(), trainer)
    return add_special(tokenizer)


TEXT = "How<s>many<|im_end|> <x>3</s>"


def token(text, special=True):
    return {"content": text, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": special}


def template(begin, end=None):
    piece = lambda name: {"SpecialToken": {"id": name, "type_id": 0}}
    single = [piece(name) for name in begin] + [{"Sequence": {"id": "A", "type_id": 0}}] + ([piece(end)] if end else [])
    ids = {"<s>": 1, "</s>": 2}
    special = {name: {"id": name, "ids": [ids[name]], "tokens": [name]} for name in [*begin, *([end] if end else [])]}
    return {"type": "TemplateProcessing", "single": single, "pair": single + [{"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": special}


def declared(size):
    """Combinations of files; `size` is the vocabulary's, and so the next token's id."""
    both = {"bos_token": "<s>", "eos_token": "</s>"}
    config = lambda **more: {"tokenizer_config.json": {**both, **more}}
    im_end = {str(size): token("<|im_end|>"), str(size + 1): token("<x>", False)}
    return [
        ("plain", {}, config()),
        ("add_bos_token says no, the post-processor yes", {}, config(add_bos_token=False)),
        ("add_bos_token says yes, there is no post-processor", {"post_processor": None}, config(add_bos_token=True)),
        ("the post-processor puts another token than bos_token", {"post_processor": template(["</s>"])}, config()),
        ("the post-processor ends texts", {"post_processor": template(["<s>"], "</s>")}, config()),
        ("the map names what the configuration does not", {}, {"tokenizer_config.json": {}, "special_tokens_map.json": both}),
        ("the map alone", {}, {"special_tokens_map.json": {"bos_token": token("<s>"), "eos_token": token("<|im_end|>")}}),
        ("the map against the configuration", {}, {**config(), "special_tokens_map.json": {"eos_token": "<|im_end|>"}}),
        ("the map against a configuration with its own added tokens", {},
         {**config(added_tokens_decoder=im_end), "special_tokens_map.json": {"eos_token": "<unk>"}}),
        ("added_tokens_decoder alone has the end token", {}, config(eos_token="<|im_end|>", added_tokens_decoder=im_end)),
        ("added_tokens.json alone has the end token", {},
         {**config(eos_token="<|im_end|>"), "added_tokens.json": {"<|im_end|>": size, "<x>": size + 1}}),
        ("only eos_token names the end token", {}, config(eos_token="<|im_end|>")),
        ("extra special tokens", {}, config(additional_special_tokens=["<|im_end|>", "<x>"])),
        ("another flag", {}, config(added_tokens_decoder={"2": {**token("</s>"), "lstrip": True, "rstrip": True},
                                                          str(size): {**token("<|im_end|>"), "rstrip": True}})),
    ]


def write_declared(out):
    base = json.loads((out / "prefix/tokenizer.json").read_text())
    size = len(base["model"]["vocab"])
    cases = []
    for name, changes, files in declared(size):
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            (folder / "tokenizer.json").write_text(json.dumps({**base, **changes}))
            for file, content in files.items():
                (folder / file).write_text(json.dumps(content))
            tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
            cases.append({"name": name, "tokenizer": changes, "files": files, "bos": tokenizer.bos_token_id,
                          "eos": tokenizer.eos_token_id, "text": TEXT,
                          "ids": tokenizer(TEXT, add_special_tokens=False)["input_ids"],
                          "with_special": tokenizer(TEXT)["input_ids"]})
    write_json(out / "declared.json", cases)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    default = Path(__file__).resolve().parents[1] / "crates/cdpo-model/tests/fixtures/tokenizers"
    parser.add_argument("--out", type=Path, default=default)
    out = parser.parse_args().out
    pieces, processor = sentencepiece_vocabulary()
    for make in (legacy, first, always, prefix):
        folder = out / make.__name__
        folder.mkdir(parents=True, exist_ok=True)
        make(pieces).save(str(folder / "tokenizer.json"), pretty=False)
        settings = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
                    "tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
        write_json(folder / "tokenizer_config.json", settings)
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        ids = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]
        cases = [{"prompt": p, "response": r, "prompt_ids": ids(p), "joint_ids": ids(p + r)} for p, r in CASES]
        write_json(folder / "cases.json", cases)
        if make in (legacy, first):
            for case in cases:
                text = case["prompt"] + case["response"]
                if "<" not in text and not text.startswith(" "):
                    assert processor.encode(text) == case["joint_ids"], text
    write_declared(out)


if __name__ == "__main__":
    main()
