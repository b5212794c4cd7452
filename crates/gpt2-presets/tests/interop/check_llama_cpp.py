"""Loads GGUF files with llama.cpp, and compares token ids, logits and greedy continuations.

Usage: check_llama_cpp.py FILE.gguf..., with llama-cpp-python installed. The file FILE.json beside
each says what is expected of it.
"""

import json
import os
import sys

import llama_cpp
import numpy as np


def load(path):
    # A cache of 32-bit floats: the default one rounds keys and values to float16.
    return llama_cpp.Llama(
        path,
        n_ctx=128,
        n_threads=1,
        n_threads_batch=1,
        logits_all=True,
        type_k=llama_cpp.GGML_TYPE_F32,
        type_v=llama_cpp.GGML_TYPE_F32,
        verbose=False,
    )


def check_tokenizer(model, expected):
    assert model.token_eos() == expected["end_token_id"]
    assert model.token_bos() == expected["end_token_id"]
    vocabulary = llama_cpp.llama_model_get_vocab(model.model)
    assert not llama_cpp.llama_vocab_get_add_bos(vocabulary)
    for text, ids in zip(*expected["texts"]):
        found = model.tokenize(text.encode(), add_bos=False, special=True)
        assert found == ids, (text, found, ids)


def main():
    for path in sys.argv[1:]:
        name = os.path.basename(path)
        with open(os.path.splitext(path)[0] + ".json") as file:
            expected = json.load(file)
        model = load(path)
        if expected["texts"]:
            check_tokenizer(model, expected)
        difference, scale, same, ties = 0.0, 1.0, 0, 0
        for row in expected["continuations"]:
            ids, logits = row["ids"], np.array(row["logits"], "float32")
            prompt = len(row["prompt_ids"])
            # One by one after the prompt, so that the cache is used. Continues with our ids, not
            # llama.cpp's: if the two largest logits differ by less than their errors, both ids are right.
            model.reset()
            model.eval(ids[:prompt])
            for token in ids[prompt:]:
                scores = model.scores[model.n_tokens - 1]
                gap = float(scores.max() - scores[token])
                same += gap == 0
                ties += gap > 0
                error = float(np.abs(scores - logits[model.n_tokens - 1]).max())
                assert gap <= 2 * error, (name, model.n_tokens, gap, error)
                model.eval([token])
            found = model.scores[: model.n_tokens]
            assert found.shape == logits.shape, (found.shape, logits.shape)
            difference = max(difference, float(np.abs(found - logits).max()))
            scale = max(scale, float(np.abs(logits).max()))
        print(
            f"llama.cpp: the logits of {name} differ by at most {difference:.2e} of {scale:.1f}; "
            f"{same} greedy ids are the same, {ties} more are ties: nearer to the largest than twice the difference there"
        )
        assert difference < expected["tolerance"] * scale, (difference, scale)


if __name__ == "__main__":
    main()
