"""Vocabularies that Python's `tokenizers` learns, for `tests/tokenizer/training.rs`.

    pip install tokenizers==0.23.2 && python generate.py > expected.json
"""

import json

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

TALE = """It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness,
it was the epoch of belief, it was the epoch of incredulity, it was the season of Light, it was the season of Darkness,
it was the spring of hope, it was the winter of despair, we had everything before us, we had nothing before us."""

CASES = [
    {"name": "tale", "texts": [TALE], "vocabulary_size": 340, "min_frequency": 2},
    {"name": "several texts", "texts": TALE.splitlines(), "vocabulary_size": 300, "min_frequency": 4},
    {
        "name": "contractions, digits, runs and other scripts",
        "texts": ["I'll say we'll; they've said I've. 1066 1966 2066!", "a\n\n\nb\n\n\nc    d    e\t\tf\t\tg --- ----- ---", "élève élevé école 字字字 🙂🙂 ½½"],
        "vocabulary_size": 330,
        "min_frequency": 1,
    },
    {"name": "fewer pairs than asked for", "texts": ["abab ab"], "vocabulary_size": 1000, "min_frequency": 1},
]


def learn(case):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    trainer = trainers.BpeTrainer(
        vocab_size=case["vocabulary_size"] - 1,
        min_frequency=case["min_frequency"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[],
        show_progress=False,
    )
    tokenizer.train_from_iterator(case["texts"], trainer)
    model = json.loads(tokenizer.to_str())["model"]
    assert model["vocab"]["!"] == 0
    ids = [tokenizer.encode(text).ids for text in case["texts"]]
    return {**case, "merges": [" ".join(rule) for rule in model["merges"]], "tokens": len(model["vocab"]), "ids": ids}


print(json.dumps([learn(case) for case in CASES], ensure_ascii=False, indent=1))
