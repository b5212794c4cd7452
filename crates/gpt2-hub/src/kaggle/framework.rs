//! Names of frameworks in Kaggle's protocol.

/// Names in `kagglesdk/models/types/model_enums.py`, `ModelFramework`, without `MODEL_FRAMEWORK_`.
const FRAMEWORKS: [&str; 22] = [
    "TENSOR_FLOW_1",
    "TENSOR_FLOW_2",
    "TF_LITE",
    "TF_JS",
    "PY_TORCH",
    "JAX",
    "FLAX",
    "PAX",
    "MAX_TEXT",
    "GEMMA_CPP",
    "GGML",
    "GGUF",
    "CORAL",
    "SCIKIT_LEARN",
    "MXNET",
    "ONNX",
    "KERAS",
    "TRANSFORMERS",
    "API",
    "OTHER",
    "TENSOR_RT_LLM",
    "TRITON",
];

/// Protocol name of a framework in any spelling: `pyTorch`, `pytorch` (`kagglehub/enum.py`).
/// Unknown names are left to Kaggle.
pub(crate) fn framework_name(framework: &str) -> String {
    let plain = |name: &str| name.replace(['_', '-'], "").to_ascii_uppercase();
    let known = FRAMEWORKS.iter().find(|known| plain(known) == plain(framework));
    known.map_or_else(|| framework.to_ascii_uppercase(), |known| (*known).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frameworks_have_the_names_of_the_protocol() {
        // Results of `kagglehub.enum.to_enum`.
        for (written, name) in [
            ("keras", "KERAS"),
            ("pyTorch", "PY_TORCH"),
            ("pytorch", "PY_TORCH"),
            ("tensorFlow2", "TENSOR_FLOW_2"),
            ("tensorRtLlm", "TENSOR_RT_LLM"),
            ("scikit_learn", "SCIKIT_LEARN"),
            ("new-one", "NEW-ONE"),
        ] {
            assert_eq!(framework_name(written), name);
        }
    }
}
