#!/usr/bin/env python3
"""Make the chat fixtures of crates/cdpo/tests/fixtures/chat.

    pip install -r scripts/requirements.txt
    python scripts/make_chat_fixtures.py [--out DIR] [--models DIR]

NAME.jinja       templates written for these fixtures, each with the features of a published family's dialect (the names say whose), in
                 words of their own.
tokenizer.json   byte-level BPE with the special tokens of all of them; some take the blanks beside them in, as Phi-3's do.
cases.json       [{name, template, tokenizer, config, variables, date, messages, text, ids}]: what transformers renders with
                 add_generation_prompt=True, and the ids that apply_chat_template gives. `tokenizer` is `bytes` for the one here, or a
                 name in crates/cdpo-model/tests/fixtures/tokenizers; `config` is its tokenizer_config.json. `refused` stands in place of
                 text and ids where the template raises. `whole` cases have an assistant's message last and no generation prompt.
real.json        the same for models of the folder MODELS (those of CDPO_TEST_MODELS): [{model, messages, ids}]. Their templates are
                 not copied; without --models the file stays as it is.

`strftime_now` gives 2024-07-06 everywhere.
"""

import argparse
import datetime
import json
import random
import shutil
import tempfile
from pathlib import Path

import transformers.utils.chat_template_utils as rendering
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

ROOT = Path(__file__).resolve().parent.parent
DATE = "2024-07-06"


class FixedDay(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromisoformat(DATE)


rendering.datetime = FixedDay

SPECIAL = [
    "<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
    "<|im_start|>", "<|im_end|>", "<|endoftext|>",
    "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>",
    "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>",
    "<s>", "</s>", "[INST]", "[/INST]", "[SYSTEM]", "[/SYSTEM]",
]
TAKES_BLANKS = ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
PLAIN = ["<think>", "</think>"]

LLAMA3 = """\
{% set turns = messages %}{% for turn in turns %}{% set piece = '<|start_header_id|>' + turn['role'] + '<|end_header_id|>

' + turn['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set piece = bos_token + piece %}{% endif %}{{ piece }}{% endfor %}\
{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>

' }}{% endif %}
"""

LLAMA31 = """\
{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "1 Jan 2024" %}
    {%- endif %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{#- The system's words are taken out, so that there is one such turn in any case. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set words = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set words = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}
    {{- "Tools: " + tools | tojson(indent=4) }}
{%- endif %}
{{- "Today: " + date_string + "\\n\\n" }}
{{- words }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {{- raise_exception("No calls here.") }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""

QWEN25 = """\
{%- if tools %}
    {{- '<|im_start|>system\\nTools:\\n' }}
    {%- for tool in tools %}
        {{- tool | tojson }}
    {%- endfor %}
    {{- '<|im_end|>\\n' }}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>system\\nYou are a patient teacher.<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
        {%- for call in message.tool_calls %}
            {%- if call.function is defined %}
                {%- set call = call.function %}
            {%- endif %}
            {{- call.arguments | tojson }}
        {%- endfor %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

QWEN3 = """\
{%- if messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(searching=true, last_query=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.searching and message.role == "user" and message.content is string and not(message.content.startswith('<tool>') and message.content.endswith('</tool>')) %}
        {%- set ns.searching = false %}
        {%- set ns.last_query = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set thoughts = '' %}
        {%- if message.reasoning_content is string %}
            {%- set thoughts = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set thoughts = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query and (loop.last or (not loop.last and thoughts)) %}
            {{- '<|im_start|>' + message.role + '\\n<think>\\n' + thoughts.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
"""

DEEPSEEK = """\
{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}\
{% set ns = namespace(first=true, words='', calls=false) %}\
{%- for message in messages %}{%- if message['role'] == 'system' %}\
{%- if ns.first %}{% set ns.words = ns.words + message['content'] %}{% set ns.first = false %}\
{%- else %}{% set ns.words = ns.words + '\\n\\n' + message['content'] %}{%- endif %}{%- endif %}{%- endfor %}\
{{ bos_token }}{{ ns.words }}\
{%- for message in messages %}\
{%- if message['role'] == 'user' %}{%- set ns.calls = false -%}{{ '<｜User｜>' + message['content'] }}{%- endif %}\
{%- if message['role'] == 'assistant' and message['content'] is not none %}\
{% set content = message['content'] %}{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}\
{{ '<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>' }}{%- endif %}\
{%- endfor -%}\
{% if add_generation_prompt and not ns.calls %}{{ '<｜Assistant｜><think>\\n' }}{% endif %}
"""

MISTRAL = """\
{%- if messages[0]["role"] == "system" %}
    {%- set words = messages[0]["content"] %}
    {%- set turns = messages[1:] %}
{%- else %}
    {%- set turns = messages %}
{%- endif %}
{%- set users = turns | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in turns %}
    {%- if not (message.role == "tool" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("User and assistant must take turns, beginning with the user.") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in turns %}
    {%- if message["role"] == "user" %}
        {%- if loop.last and words is defined %}
            {{- "[INST] " + words + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- else %}
        {{- raise_exception("Unknown role " ~ message["role"] ~ " among " ~ users|length ~ " questions") }}
    {%- endif %}
{%- endfor %}
"""

GEMMA = """\
{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('A system message is not supported.') }}{% endif %}\
{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}\
{{ raise_exception('Turns must alternate.') }}{% endif %}\
{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}\
{{ '<start_of_turn>' + role + '
' + message['content'] | trim + '<end_of_turn>
' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model
'}}{% endif %}
"""

GEMMA3 = """\
{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set before_first = messages[0]['content'] + '

' -%}
    {%- else -%}
        {%- set before_first = messages[0]['content'][0]['text'] + '

' -%}
    {%- endif -%}
    {%- set turns = messages[1:] -%}
{%- else -%}
    {%- set before_first = "" -%}
    {%- set turns = messages -%}
{%- endif -%}
{%- for message in turns -%}
    {%- if (message['role'] == 'assistant') -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<start_of_turn>' + role + '
' + (before_first if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {{ item['text'] | trim }}
        {%- endfor -%}
    {%- endif -%}
    {{ '<end_of_turn>
' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<start_of_turn>model
'}}
{%- endif -%}
"""

SMOLLM2 = """\
{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system
You are a small helper.<|im_end|>
' }}{% endif %}{% if message['role'] == 'assistant' %}{{ '<|im_start|>assistant
' }}{% generation %}{{ message['content'] + '<|im_end|>' + '
' }}{% endgeneration %}{% else %}{{'<|im_start|>' + message['role'] + '
' + message['content'] + '<|im_end|>' + '
'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}
"""

PHI3 = """\
{% for message in messages %}{% if message['role'] == 'system' %}{{'<|system|>
' + message['content'] + '<|end|>
'}}{% elif message['role'] == 'user' %}{{'<|user|>
' + message['content'] + '<|end|>
'}}{% elif message['role'] == 'assistant' %}{{'<|assistant|>
' + message['content'] + '<|end|>
'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>
' }}{% else %}{{ eos_token }}{% endif %}
"""

LLAMA2 = """\
{% if messages[0]['role'] == 'system' %}{% set turns = messages[1:] %}{% set words = messages[0]['content'] %}\
{% else %}{% set turns = messages %}{% set words = false %}{% endif %}\
{% for message in turns %}{% if loop.index0 == 0 and words != false %}\
{% set content = '<<SYS>>\\n' + words + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}\
{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}\
{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}
"""

MACROS = """\
{%- macro turn(role, said, mark='<|im_end|>') %}
<|im_start|>{{ role | upper }}
{{ said }}{{ mark }}
{% endmacro %}
{%- set seen = namespace(n=0) %}
    {%- for message in messages if message.role != 'tool' %}
        {%- if message.content | length == 0 %}{% continue %}{% endif %}
        {%- set seen.n = seen.n + 1 %}
        {{- turn(message.role, message.content | replace('  ', ' ')) -}}
        {%- if seen.n > 6 %}{% break %}{% endif %}
    {%- endfor %}
    {%- if add_generation_prompt %}
<|im_start|>{{ ['assistant', seen.n] | join('-') | title }} {{ {'n': seen.n, 'é': none} | tojson }} {{ messages | map(attribute='role') | unique | list | tojson }} {{ add_generation_prompt }} {{ none }} {{ 7 // 2 }} {{ 2 ** 3 }} {{ 'ab'[::-1] }}{{ 'x' if seen.n > 100 }}
    {% endif %}
"""

TEMPLATES = {
    "llama3": LLAMA3, "llama31": LLAMA31, "qwen25": QWEN25, "qwen3": QWEN3, "deepseek": DEEPSEEK, "mistral": MISTRAL, "gemma": GEMMA,
    "gemma3": GEMMA3, "smollm2": SMOLLM2, "phi3": PHI3, "llama2": LLAMA2, "macros": MACROS,
}

# Template, tokenizer, BOS, EOS, further variables.
USES = [
    ("llama3", "bytes", "<|begin_of_text|>", "<|end_of_text|>", {}),
    ("llama31", "bytes", "<|begin_of_text|>", "<|eot_id|>", {}),
    ("llama31", "bytes", "<|begin_of_text|>", "<|eot_id|>", {"date_string": "26 Jul 2024"}),
    ("qwen25", "bytes", None, "<|im_end|>", {}),
    ("qwen3", "bytes", None, "<|im_end|>", {}),
    ("qwen3", "bytes", None, "<|im_end|>", {"enable_thinking": False}),
    ("deepseek", "bytes", "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", {}),
    ("mistral", "bytes", "<s>", "</s>", {}),
    ("mistral", "legacy", "<s>", "</s>", {}),
    ("gemma", "bytes", "<bos>", "<eos>", {}),
    ("gemma3", "bytes", "<bos>", "<eos>", {}),
    ("smollm2", "bytes", "<|im_start|>", "<|im_end|>", {}),
    ("phi3", "bytes", "<s>", "<|endoftext|>", {}),
    ("llama2", "legacy", "<s>", "</s>", {}),
    ("llama2", "first", "<s>", "</s>", {}),
    ("macros", "bytes", None, "<|im_end|>", {}),
]


def said(role, content):
    return {"role": role, "content": content}


SYSTEM = said("system", "  Say little.\nBe exact. ")
FIRST = [said("user", "How many hens has Ben?"), said("assistant", "Ben has 3 hens.\nThe answer is 3.")]
THINKS = [said("user", "2 + 2 < 5?"), said("assistant", "<think>\n2 + 2 = 4, and 4 < 5.\n</think>\n\nYes, \"4\".")]
LAST = said("user", "Ada's 7  apples & 4 coins: how many things, é — 数?\n")

CONVERSATIONS = {
    "alone": [LAST],
    "system": [SYSTEM, LAST],
    "turns": [*FIRST, *THINKS, LAST],
    "system and turns": [SYSTEM, *FIRST, LAST],
}
WHOLE = {
    "answered": [LAST, said("assistant", "  It is 11.")],
    "thought": [SYSTEM, *FIRST, LAST, said("assistant", "<think>\n7 + 4\n</think>\n\nIt is 11.")],
}


def corpus():
    """Plain sentences of word problems; nobody's text."""
    draw = random.Random(1)
    lines = []
    for _ in range(300):
        name, thing = draw.choice(["Ada", "Ben", "Cleo"]), draw.choice(["apples", "hens", "coins"])
        a, b = draw.randint(2, 99), draw.randint(2, 99)
        lines.append(f"How many {thing} has {name}? {name} has {a} + {b} = {a + b} {thing}.\nThe answer is {a + b}.\n\n")
        lines.append("system\nuser\nassistant\n")
    return lines


def byte_level():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False, rstrip=True) for token in TAKES_BLANKS]
    )
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in PLAIN])
    return tokenizer


def config(bos, eos):
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": eos, "clean_up_tokenization_spaces": False}
    return settings | ({"bos_token": bos} if bos else {})


def applied(tokenizer, template, messages, generation, variables):
    settings = {"chat_template": template, "add_generation_prompt": generation, **variables}
    try:
        text = tokenizer.apply_chat_template(messages, tokenize=False, **settings)
    except Exception as e:
        if type(e).__name__ != "TemplateError":
            raise
        return {"refused": str(e)}
    ids = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False, **settings)
    return {"text": text, "ids": list(ids)}


def cases(tokenizers):
    for name, which, bos, eos, variables in USES:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(tokenizers[which], Path(folder) / "tokenizer.json")
            (Path(folder) / "tokenizer_config.json").write_text(json.dumps(config(bos, eos)))
            tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        for kinds, generation in [(CONVERSATIONS, True), (WHOLE, False)]:
            for kind, messages in kinds.items():
                label = f"{name}, {which}, {kind}" + "".join(f", {k}={v}" for k, v in variables.items())
                yield {
                    "name": label, "template": f"{name}.jinja", "tokenizer": which, "config": config(bos, eos),
                    "variables": variables, "date": DATE, "generation": generation, "messages": messages,
                    **applied(tokenizer, TEMPLATES[name], messages, generation, variables),
                }


def real(models_folder):
    for path in sorted(models_folder.iterdir()):
        if path.suffix == ".gguf":
            tokenizer = AutoTokenizer.from_pretrained(models_folder, gguf_file=path.name)
            tokenizer.chat_template = gguf_template(path)
        elif (path / "tokenizer_config.json").exists():
            tokenizer = PreTrainedTokenizerFast.from_pretrained(path)
        else:
            continue
        if not tokenizer.chat_template:
            continue
        for kind, messages in CONVERSATIONS.items():
            yield {
                "model": path.name, "name": kind, "messages": messages,
                **applied(tokenizer, tokenizer.chat_template, messages, True, {}),
            }


def gguf_template(path):
    from gguf import GGUFReader

    field = GGUFReader(path).get_field("tokenizer.chat_template")
    return bytes(field.parts[field.data[0]]).decode() if field else None


def write(path, rows):
    path.write_text("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--out", type=Path, default=ROOT / "crates/cdpo/tests/fixtures/chat")
    arguments.add_argument("--models", type=Path)
    given = arguments.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for name, template in TEMPLATES.items():
        (given.out / f"{name}.jinja").write_text(template)
    own = given.out / "tokenizer.json"
    byte_level().save(str(own))
    other = ROOT / "crates/cdpo-model/tests/fixtures/tokenizers"
    tokenizers = {"bytes": own} | {name: other / name / "tokenizer.json" for name in ["legacy", "first"]}
    write(given.out / "cases.json", list(cases(tokenizers)))
    if given.models:
        write(given.out / "real.json", list(real(given.models)))


if __name__ == "__main__":
    main()
