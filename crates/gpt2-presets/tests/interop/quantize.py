"""Quantizes a GGUF file with llama.cpp: quantize.py IN.gguf OUT.gguf q8_0|q4_0"""

import sys

import llama_cpp

KINDS = {
    "q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0,
    "q4_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0,
}
source, target, kind = sys.argv[1:]
parameters = llama_cpp.llama_model_quantize_default_params()
parameters.ftype = KINDS[kind]
sys.exit(llama_cpp.llama_model_quantize(source.encode(), target.encode(), parameters))
