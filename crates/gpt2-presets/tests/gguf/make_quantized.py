"""Writes a small random GPT-2 as GGUF, quantizes it with llama.cpp, and notes what its tensors are.

    python make_quantized.py

With llama-cpp-python 0.3.36 and gguf 0.19.0, which wrote q4_0.gguf, q8_0.gguf and q6_k.gguf beside
this script. crc32.json holds, for each tensor of each file, the CRC-32 of its elements as gguf
dequantizes them: 32-bit floats, little endian, in the order of the file.
"""

import json
import pathlib
import tempfile
import zlib

import gguf
import llama_cpp
import numpy as np

HERE = pathlib.Path(__file__).parent
HIDDEN, INNER, HEADS, POSITIONS, LAYERS = 32, 256, 2, 4, 1
TOKENS = ["a", "b", "ab", "<|endoftext|>", "c", "d", "e", "f"]
# Q6_K needs rows of 256 elements, which only ffn_down has; the other tensors become Q8_0 then.
KINDS = {
    "q4_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0,
    "q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0,
    "q6_k": llama_cpp.LLAMA_FTYPE_MOSTLY_Q6_K,
}


def write(path):
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_block_count(LAYERS)
    writer.add_context_length(POSITIONS)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_layer_norm_eps(1e-5)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(TOKENS)
    writer.add_token_types([3 if token.startswith("<|") else 1 for token in TOKENS])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(3)
    writer.add_eos_token_id(3)
    random = np.random.default_rng(7)
    shapes = {
        "token_embd.weight": (len(TOKENS), HIDDEN),
        "position_embd.weight": (POSITIONS, HIDDEN),
        "output_norm.weight": (HIDDEN,),
        "output_norm.bias": (HIDDEN,),
    }
    for layer in range(LAYERS):
        for name, shape in {
            "attn_norm": (HIDDEN,),
            "attn_qkv": (3 * HIDDEN, HIDDEN),
            "attn_output": (HIDDEN, HIDDEN),
            "ffn_norm": (HIDDEN,),
            "ffn_up": (INNER, HIDDEN),
            "ffn_down": (HIDDEN, INNER),
        }.items():
            shapes[f"blk.{layer}.{name}.weight"] = shape
            shapes[f"blk.{layer}.{name}.bias"] = shape[:1]
    for name, shape in shapes.items():
        writer.add_tensor(name, random.normal(0, 0.1, shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def checksums(path):
    sums = {}
    for tensor in gguf.GGUFReader(path).tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype("<f4")
        sums[tensor.name] = [tensor.tensor_type.name, zlib.crc32(values.tobytes())]
    return sums


def main():
    expected = {}
    with tempfile.TemporaryDirectory() as folder:
        source = folder + "/f32.gguf"
        write(source)
        for name, kind in KINDS.items():
            target = HERE / f"{name}.gguf"
            parameters = llama_cpp.llama_model_quantize_default_params()
            parameters.ftype, parameters.nthread = kind, 1
            status = llama_cpp.llama_model_quantize(source.encode(), str(target).encode(), parameters)
            assert status == 0, status
            expected[name] = checksums(target)
    (HERE / "crc32.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
