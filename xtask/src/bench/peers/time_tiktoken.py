"""Times tiktoken with the vocabulary of a transformers folder: time_tiktoken.py REQUEST"""

import json

import tiktoken
from worker import answer, repeat_tokenizing, request, threads

# GPT-2's expression, as in tiktoken.
PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""


def byte_alphabet():
    """Byte of each of GPT-2's letters (the inverse of the map in OpenAI's `encoder.py`)."""
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {chr(byte): byte for byte in printed}
    others = (byte for byte in range(256) if byte not in printed)
    return letters | {chr(256 + index): byte for index, byte in enumerate(others)}


with open(request["model"] + "/vocab.json", encoding="utf8") as file:
    vocabulary = json.load(file)
special = {"<|endoftext|>": vocabulary.pop("<|endoftext|>")}
alphabet = byte_alphabet()
ranks = {bytes(alphabet[letter] for letter in token): rank for token, rank in vocabulary.items()}
encoding = tiktoken.Encoding("gpt2", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens=special)
answer(
    repeat_tokenizing(
        encoding.encode_ordinary,
        lambda lines: encoding.encode_ordinary_batch(lines, num_threads=threads),
    )
)
