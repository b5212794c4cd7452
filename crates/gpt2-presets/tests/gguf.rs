//! GGUF files of this library and of other programs load.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use gpt2_backbone::{Activation, Gpt2Backbone, Gpt2BackboneConfig};
use gpt2_presets::{
    FileError, FromPreset, Preset, PresetError, PresetFormat, Save, SaveOptions, WeightDtype,
};
use gpt2_task::{Gpt2CausalLm, Gpt2CausalLmPreprocessor, PreprocessorConfig};
use gpt2_tokenizer::{Gpt2Tokenizer, Gpt2TokenizerConfig, Merges, SpecialText, Vocabulary};
use half::f16;
use tempfile::TempDir;

use crate::gguf_builder::*;
use crate::saving::{assert_round_trips, assert_same, model};
use crate::support::*;

/// Writes a file into a folder of its own.
pub fn written(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

pub fn open_file(path: &Path) -> Result<Preset, PresetError> {
    Preset::open(path.to_str().unwrap())
}

fn tokenizer(file: &Builder) -> Result<Gpt2Tokenizer, PresetError> {
    let (_folder, path) = written(&file.bytes());
    Gpt2Tokenizer::from_preset(path.to_str().unwrap())
}

#[test]
fn a_model_round_trips_through_gguf() {
    let all = [PresetFormat::Keras, PresetFormat::Transformers, PresetFormat::Gguf];
    assert_round_trips(&model(&tiny()), &all, "ab<|endoftext|>ba");
    let two = [PresetFormat::Transformers, PresetFormat::Gguf];
    let narrow = Gpt2BackboneConfig { intermediate_dim: 3, layer_norm_epsilon: 1e-6, ..tiny() };
    assert_round_trips(&model(&narrow), &two, "ab");
    let untied = Gpt2BackboneConfig { tie_weights: false, ..tiny() };
    assert_round_trips(&model(&untied), &two, "ab");
}

#[test]
fn a_file_as_llama_cpp_writes_it_is_read() {
    let expected = model(&tiny());
    let mut file = tiny_file();
    for (version, alignment) in [(3, 32), (2, 32), (3, 8), (3, 4096), (3, 1)] {
        (file.version, file.alignment) = (version, alignment);
        file.set_u32("general.alignment", alignment as u32);
        let (_folder, path) = written(&file.bytes());
        let preset = open_file(&path).unwrap();
        assert_eq!((preset.format(), preset.config()), (PresetFormat::Gguf, &tiny()));
        for memory_map in [true, false] {
            let options = gpt2_presets::LoadOptions::new(&device()).with_memory_map(memory_map);
            let again = preset.causal_lm(options).unwrap();
            assert_same(&again, &expected, "ab<|endoftext|>ba");
            assert_eq!(again.preprocessor().unwrap().sequence_length(), 5);
        }
        let (_, report) = preset.backbone_with_report(&device()).unwrap();
        assert_eq!((report.applied.len(), report.skipped.len()), (4 + 2 * 12, 0));
    }
}

#[test]
fn a_file_is_opened_by_path_url_and_folder() {
    let (folder, path) = written(&tiny_file().bytes());
    let path = path.to_str().unwrap();
    for handle in [path, &format!("file://{path}"), folder.path().to_str().unwrap()] {
        let preset = Preset::open(handle).unwrap();
        assert_eq!((preset.format(), preset.name()), (PresetFormat::Gguf, handle));
        assert_eq!(Gpt2Tokenizer::from_preset(handle).unwrap().tokenize("ab").unwrap(), [2]);
        let preprocessor = Gpt2CausalLmPreprocessor::from_preset(handle).unwrap();
        assert_eq!(preprocessor.sequence_length(), 5);
        assert!(Gpt2CausalLm::from_preset_with(handle, &device()).is_ok());
    }
    // A second file: the folder is ambiguous.
    fs::copy(path, folder.path().join("other.GGUF")).unwrap();
    let error = open(&folder).unwrap_err();
    assert!(error.to_string().contains("pass the path of one of them"), "{error}");
    assert!(Preset::open(path).is_ok());
    // `config.json` takes precedence over GGUF files in the folder.
    write_json(folder.path(), "config.json", &transformers_config(&tiny()));
    assert_eq!(open(&folder).unwrap().format(), PresetFormat::Transformers);
}

#[test]
fn a_file_is_known_by_its_first_bytes_too() {
    let (folder, path) = written(&tiny_file().bytes());
    for name in ["model", "sha256-8d2f", "model.bin", "model.keras", "gpt2.Q8"] {
        let renamed = folder.path().join(name);
        fs::copy(&path, &renamed).unwrap();
        let preset = open_file(&renamed).unwrap();
        assert_eq!((preset.format(), preset.config()), (PresetFormat::Gguf, &tiny()));
        assert!(preset.causal_lm(&device()).is_ok());
    }
    for bytes in [&b"GGU"[..], b"", b"ggufgguf"] {
        let other = folder.path().join("other");
        fs::write(&other, bytes).unwrap();
        let error = open_file(&other).unwrap_err();
        assert!(matches!(&error, PresetError::NotADirectory { path } if *path == other), "{error}");
    }
}

#[test]
fn a_repeated_output_layer_is_tied_and_another_is_not() {
    let mut file = tiny_file();
    let mut head = file.tensor("token_embd.weight").clone();
    head.0 = "output.weight".to_owned();
    file.tensors.push(head);
    let (_folder, path) = written(&file.bytes());
    let preset = open_file(&path).unwrap();
    assert!(preset.config().tie_weights);
    let (_, report) = preset.backbone_with_report(&device()).unwrap();
    assert_eq!(report.skipped, ["output.weight"]);

    // The last byte differs.
    *file.tensors.last_mut().unwrap().3.last_mut().unwrap() ^= 0x80;
    let (_folder, path) = written(&file.bytes());
    let preset = open_file(&path).unwrap();
    assert!(!preset.config().tie_weights);
    let loaded = parameters(&preset.backbone(&device()).unwrap());
    let (embeddings, reverse) =
        (&loaded["token_embedding.embeddings"].1, &loaded["token_embedding.reverse_embeddings"].1);
    let mut expected = embeddings.clone();
    *expected.last_mut().unwrap() *= -1.0;
    assert_eq!(reverse, &transposed(&expected, tiny().hidden_dim));
}

#[test]
fn sixteen_bits_are_for_kernels_and_token_embeddings() {
    let model = model(&tiny());
    for (dtype, stored, element) in
        [(WeightDtype::F16, Stored::F16, F16), (WeightDtype::Bf16, Stored::Bf16, BF16)]
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sixteen.gguf");
        let options = SaveOptions::gguf().with_dtype(dtype);
        model.save(&path, &options).unwrap();
        let again =
            parameters(&Gpt2Backbone::from_preset_with(path.to_str().unwrap(), &device()).unwrap());
        for (name, (_, values)) in parameters(model.backbone()) {
            let rounded = name.ends_with("kernel") || name == "token_embedding.embeddings";
            let stored = if rounded { stored } else { Stored::F32 };
            let expected: Vec<_> = values.iter().map(|value| stored.round(*value)).collect();
            assert_eq!(again[&name].1, expected, "{name}");
        }
        // Types in the file, in the order of the layers.
        let bytes = fs::read(&path).unwrap();
        let element_of = |name: &str, axes: usize| {
            let name = string(name);
            let start = bytes.windows(name.len()).position(|window| window == name).unwrap();
            let start = start + name.len() + 4 + 8 * axes;
            u32::from_le_bytes(bytes[start..start + 4].try_into().unwrap())
        };
        assert_eq!(element_of("token_embd.weight", 2), element);
        assert_eq!(element_of("blk.1.ffn_down.weight", 2), element);
        assert_eq!(element_of("position_embd.weight", 2), F32);
        assert_eq!(element_of("blk.1.ffn_down.bias", 1), F32);
        assert_eq!(element_of("output_norm.weight", 1), F32);
    }
}

#[test]
fn sixteen_bits_in_any_tensor_are_read() {
    let mut file = tiny_file();
    let expected = |value: f32| f16::from_f32(value).to_f32();
    for (.., element, data) in &mut file.tensors {
        let values: Vec<f32> = bytemuck::pod_collect_to_vec(data);
        *data = values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect();
        *element = F16;
    }
    let (_folder, path) = written(&file.bytes());
    let loaded =
        parameters(&Gpt2Backbone::from_preset_with(path.to_str().unwrap(), &device()).unwrap());
    for (name, (_, values)) in tiny_model(&tiny()) {
        let values: Vec<_> = values.into_iter().map(expected).collect();
        assert_eq!(loaded[&name].1, values, "{name}");
    }
}

/// `gguf/make_quantized.py` makes the files and the checksums.
#[test]
fn quantized_tensors_are_what_ggml_makes_of_them() {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gguf");
    let expected = fs::read_to_string(folder.join("crc32.json")).unwrap();
    let expected: BTreeMap<String, BTreeMap<String, (String, u32)>> =
        serde_json::from_str(&expected).unwrap();
    let mut types = BTreeSet::new();
    for (name, tensors) in expected {
        let preset = open_file(&folder.join(format!("{name}.gguf"))).unwrap();
        assert_eq!(preset.tokenizer().unwrap().tokenize("ab").unwrap(), [2]);
        let loaded = parameters(&preset.backbone(&device()).unwrap());
        let loaded = gguf_tensors(preset.config(), &loaded);
        assert_eq!(loaded.len(), tensors.len());
        for (tensor, (element, sum)) in tensors {
            let bytes: &[u8] = bytemuck::cast_slice(&loaded[&tensor].1);
            assert_eq!(crc32(bytes), sum, "{tensor} of {name}, {element}");
            types.insert(element);
        }
    }
    assert_eq!(types.into_iter().collect::<Vec<_>>(), ["F32", "Q4_0", "Q6_K", "Q8_0"]);
}

#[test]
fn tokens_are_as_llama_cpp_takes_them() {
    let file = tiny_file();
    let read = tokenizer(&file).unwrap();
    assert_eq!(read.vocabulary_size(), 4);
    assert_eq!((read.start_token_id(), read.end_token_id()), (3, 3));
    assert_eq!(read.config().unsplittable_tokens, ["<|endoftext|>"]);

    // As from an older converter, without types and without `tokenizer.ggml.pre`.
    let mut old = file.clone();
    old.remove("tokenizer.ggml.pre").remove("tokenizer.ggml.token_type");
    assert_eq!(tokenizer(&old).unwrap().vocabulary_size(), 6);
    old.set_text("tokenizer.ggml.pre", "default");
    assert_eq!(tokenizer(&old).unwrap().tokenize("ab").unwrap(), [2]);

    // An id without a token is ignored.
    let mut other = file.clone();
    other.set_u32("tokenizer.ggml.eos_token_id", 50256);
    assert_eq!(tokenizer(&other).unwrap().end_token_id(), 3);

    // A token that is matched before the merges.
    let mut whole = file.clone();
    whole.set_texts("tokenizer.ggml.tokens", &["a", "b", "ab", "<|endoftext|>", "ba", "[PAD5]"]);
    whole.set_i32s("tokenizer.ggml.token_type", &[1, 1, 1, 3, 4, 5]);
    assert_eq!(tokenizer(&whole).unwrap().tokenize("aba").unwrap(), [0, 4]);

    // A file with a tokenizer alone.
    let mut alone = file.clone();
    alone.tensors.clear();
    assert_eq!(tokenizer(&alone).unwrap().tokenize("ab").unwrap(), [2]);
}

#[test]
fn a_backbone_has_no_tokenizer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backbone.gguf");
    model(&tiny()).backbone().export_to_gguf(&path).unwrap();
    let preset = open_file(&path).unwrap();
    assert!(preset.backbone(&device()).is_ok());
    let error = preset.tokenizer().unwrap_err();
    assert!(
        matches!(&error, PresetError::InvalidConfigValue { key: "tokenizer.ggml.model", found, .. }
            if found == "\"none\""),
        "{error}"
    );
}

#[test]
fn ids_without_a_token_are_filled_up() {
    let vocabulary = [("[PAD5]", 1), ("a", 2), ("<|endoftext|>", 3)];
    let vocabulary = Vocabulary::from_pairs(vocabulary).unwrap();
    let config = Gpt2TokenizerConfig::new().with_unsplittable_tokens(["[PAD5]"]);
    let merges = Merges::parse("").unwrap();
    let saved = Gpt2Tokenizer::new(vocabulary, merges, config).unwrap();
    let again = exported(&saved).unwrap();
    assert_eq!(again.vocabulary(), saved.vocabulary());
    assert_eq!(again.tokenize("a[PAD5]").unwrap(), [2, 1]);
}

/// The tokenizer after an export to a file with the tiny model, and a load.
fn exported(tokenizer: &Gpt2Tokenizer) -> Result<Gpt2Tokenizer, PresetError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.gguf");
    let config = PreprocessorConfig::new().with_sequence_length(5);
    let preprocessor = Gpt2CausalLmPreprocessor::new(tokenizer.clone(), config).unwrap();
    let backbone = model(&tiny()).into_backbone();
    Gpt2CausalLm::new(backbone, Some(preprocessor)).unwrap().export_to_gguf(&path)?;
    Gpt2Tokenizer::from_preset(path.to_str().unwrap())
}

#[test]
fn what_llama_cpp_does_not_have_is_refused() {
    let refused = |error: PresetError, expected: &str| {
        let PresetError::Inexpressible { setting, .. } = &error else { panic!("{error}") };
        assert_eq!(*setting, expected);
    };
    for (config, setting) in [
        (Gpt2BackboneConfig { activation: Activation::Relu, ..tiny() }, "activation"),
        (Gpt2BackboneConfig { scale_attention: false, ..tiny() }, "scale_attention"),
        (
            Gpt2BackboneConfig { scale_attention_by_layer: true, ..tiny() },
            "scale_attention_by_layer",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("refused.gguf");
        refused(model(&config).export_to_gguf(&path).unwrap_err(), setting);
        assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
    }
    let saved = tokenizer(&tiny_file()).unwrap();
    let config = Gpt2TokenizerConfig::new;
    for (config, setting) in [
        (config().with_add_prefix_space(true), "add_prefix_space"),
        (config().with_special_text(SpecialText::Error), "special_text"),
    ] {
        refused(exported(&saved.with_config(config).unwrap()).unwrap_err(), setting);
    }
}

#[test]
fn a_failed_export_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    model(&tiny()).export_to_gguf(&path).unwrap();
    let before = fs::read(&path).unwrap();
    let mut large = tiny_model(&tiny());
    large.get_mut("transformer_layers.1.self_attention_layer.key_dense.kernel").unwrap().1[5] = 1e9;
    let (_large_folder, large_path) = written(&builder(&tiny(), &large).bytes());
    let large = open_file(&large_path).unwrap().backbone(&device()).unwrap();
    let options = SaveOptions::gguf().with_dtype(WeightDtype::F16);
    let error = large.save(&path, &options).unwrap_err();
    let PresetError::Overflow { tensor, index, .. } = &error else { panic!("{error}") };
    // Row 1, column 1 of the keys. In the file the keys are transposed, after four rows of queries.
    assert_eq!((tensor.as_str(), *index), ("blk.1.attn_qkv.weight", (4 + 1) * 4 + 1));
    assert!(fs::read(&path).unwrap() == before);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    // A save may replace the file that the model is mapped from.
    let mapped = open_file(&path).unwrap().backbone(&device()).unwrap();
    mapped.export_to_gguf(&path).unwrap();
    assert!(parameters(&mapped) == tiny_model(&tiny()));
}

#[test]
fn a_save_replaces_only_a_gguf_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.md");
    let model = model(&tiny());
    fs::write(&path, "mine").unwrap();
    for (path, why) in
        [(path.as_path(), "it is not a GGUF file"), (folder.path(), "it is a folder")]
    {
        let error = model.export_to_gguf(path).unwrap_err();
        assert!(matches!(error, PresetError::File(FileError::Precious { .. })), "{error}");
        assert!(error.to_string().contains(why), "{error}");
    }
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    // An empty file, such as a temporary one that was just created, has nothing to lose.
    fs::write(&path, "").unwrap();
    for _ in 0..2 {
        model.export_to_gguf(&path).unwrap();
        open_file(&path).unwrap();
    }
}
