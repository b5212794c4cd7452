//! KerasHub's own tests of backbone, task and preprocessor, except for what the golden cases cover.

use burn::tensor::{Int, Tensor};
use gpt2_backbone::{Gpt2Backbone, Gpt2BackboneConfig, InterceptPoint};
use gpt2_presets::{FromPreset, PresetError};
use gpt2_task::samplers::{GreedySampler, TopKSampler};
use gpt2_task::{
    GenerateOptions, Gpt2CausalLm, Gpt2CausalLmPreprocessor, PreprocessorConfig, StopTokenIds,
    TaskError, TokenBatch, testing,
};
use gpt2_tokenizer::{Gpt2Tokenizer, Gpt2TokenizerConfig, Merges, Vocabulary};

use crate::golden::{check_close, device, id_tensor, values};
use crate::tiny::{self, HIDDEN_DIM, LENGTH, NUM_LAYERS};

const PROMPT: &str = " airplane at airport";

// ---------------------------------------------------------------- gpt2_backbone_test.py

fn backbone() -> Gpt2Backbone {
    let config = Gpt2BackboneConfig::new(10, 2, 2, 2, 4).with_max_sequence_length(5);
    Gpt2Backbone::new(&config, 1, &device()).unwrap()
}

#[test]
fn a_backbone_gives_a_vector_for_every_token() {
    let backbone = backbone();
    let ones = || Tensor::<2, Int>::ones([2, 5], &device());
    assert_eq!(backbone.forward(ones(), None).unwrap().dims(), [2, 5, 2]);
    let all = ones().equal_elem(1);
    let masked = backbone.forward(ones(), Some(all)).unwrap();
    check_close(
        "a mask of ones",
        &values(masked),
        &values(backbone.forward(ones(), None).unwrap()),
    );
    for length in [2, 3, 4] {
        let token_ids = Tensor::<2, Int>::ones([2, length], &device());
        assert_eq!(backbone.forward(token_ids, None).unwrap().dims(), [2, length, 2]);
    }
}

#[test]
fn a_backbone_embeds_tokens() {
    let zeros = Tensor::<2, Int>::zeros([2, 3], &device());
    assert_eq!(backbone().token_embedding.forward(zeros).dims(), [2, 3, 2]);
}

#[test]
fn a_config_round_trips() {
    let backbone = backbone();
    let data = serde_json::to_value(backbone.config()).unwrap();
    let config: Gpt2BackboneConfig = serde_json::from_value(data).unwrap();
    assert_eq!(&config, backbone.config());
}

#[test]
fn a_preset_that_does_not_exist_is_an_error() {
    let error = Gpt2Backbone::from_preset_with("clowntown", &device()).unwrap_err();
    assert!(matches!(error, PresetError::UnknownPreset { .. }), "{error}");
    assert!(error.to_string().starts_with("Unknown preset identifier"), "{error}");
}

// ---------------------------------------------------------------- gpt2_causal_lm_test.py

#[test]
fn predictions_have_logits_for_every_token() {
    let model = tiny::model();
    let vocabulary_size = testing::tokenizer().vocabulary_size();
    let texts = [PROMPT; 2];
    let logits = model.predict(&texts).unwrap();
    assert_eq!(logits.dims(), [2, LENGTH, vocabulary_size]);
    // Text by text, and preprocessed by hand, the results are the same.
    let logits = values(logits);
    let alone = values(model.predict(&texts[..1]).unwrap());
    check_close("predictions of one text and of two", &alone, &logits[..alone.len()]);
    let batch = testing::preprocessor().preprocess(&texts).unwrap();
    let scores = values(model.score_logits(&batch.x).unwrap());
    check_close("predictions and scores", &scores, &logits);
}

#[test]
fn generated_text_contains_its_prompt() {
    let model = tiny::model();
    let options = GenerateOptions::new();
    let text: String = model.generate(PROMPT, &options).unwrap();
    assert!(text.starts_with(PROMPT), "{text}");
    let texts: Vec<String> = model.generate([PROMPT, " airplane"], &options).unwrap();
    assert!(texts[0].starts_with(PROMPT) && texts[1].starts_with(" airplane"), "{texts:?}");
}

#[test]
fn without_a_preprocessor_the_first_ids_are_the_prompts() {
    let mut model = tiny::model();
    let prompt = testing::preprocessor().generate_preprocess(&[PROMPT]).unwrap();
    model.set_preprocessor(None).unwrap();
    let options = GenerateOptions::new().with_stop_token_ids(StopTokenIds::None);
    let found = model.generate(&prompt, &options).unwrap();
    assert_eq!(found.token_ids()[0][..5], prompt.token_ids()[0][..5]);
    assert_eq!(found.padding_mask()[0][..5], prompt.padding_mask()[0][..5]);
}

/// A model that always generates the end token.
fn ended() -> Gpt2CausalLm {
    let end_token_id = testing::tokenizer().end_token_id() as usize;
    tiny::model_with(|path, values| match path {
        // The final normalisation maps everything to the same vector, ...
        "layer_norm.gamma" => values.fill(0.0),
        "layer_norm.beta" => values.fill(1.0),
        // ... which is most similar to the end token's.
        "token_embedding.embeddings" => {
            values[end_token_id * HIDDEN_DIM..(end_token_id + 1) * HIDDEN_DIM].fill(10.0);
        }
        _ => {}
    })
}

#[test]
fn early_stopping_returns_the_prompts() {
    let mut model = ended();
    for sampler in ["greedy", "top_k", "top_p", "random", "beam:num_beams=1", "contrastive:alpha=0"]
    {
        model.compile(gpt2_task::samplers::get(sampler).unwrap()).unwrap();
        let prompts = [PROMPT, " airplane"];
        let found = model.generate(prompts, &GenerateOptions::new()).unwrap();
        assert_eq!(found, prompts, "{sampler}");
    }
}

#[test]
fn a_model_can_be_compiled_again() {
    let mut model = tiny::model();
    let options = GenerateOptions::new().with_stop_token_ids(StopTokenIds::None);
    model.compile(GreedySampler::new()).unwrap();
    let first = model.generate(PROMPT, &options).unwrap();
    assert_eq!(model.generate(PROMPT, &options).unwrap(), first);
    model.compile(TopKSampler::new(20).with_seed(3)).unwrap();
    model.generate(PROMPT, &options).unwrap();
    model.compile(GreedySampler::new()).unwrap();
    assert_eq!(model.generate(PROMPT, &options).unwrap(), first);
}

fn prompts() -> TokenBatch {
    testing::preprocessor().generate_preprocess(&[PROMPT; 2]).unwrap()
}

#[test]
fn scores_are_logits_or_losses() {
    let model = tiny::model();
    let vocabulary_size = testing::tokenizer().vocabulary_size();
    let prompts = prompts();
    let logits = model.score_logits(&prompts).unwrap();
    assert_eq!(logits.dims(), [2, LENGTH, vocabulary_size]);
    let targets: Vec<Vec<u32>> = prompts
        .token_ids()
        .iter()
        .map(|row| {
            let mut rolled = row.clone();
            rolled.rotate_left(1);
            rolled
        })
        .collect();
    let loss = model.score_loss(&prompts, &targets).unwrap();
    assert_eq!(loss.dims(), [2, LENGTH]);
    assert!(values(loss).iter().all(|loss| *loss >= 0.0));
}

#[test]
fn intercepts_see_every_layer_and_can_explain_it() {
    let model = tiny::model();
    let mut shapes = Vec::new();
    let mut intercept = |x: Tensor<3>, point| {
        shapes.push((point, x.dims()));
        x
    };
    let prompts = prompts();
    let seen = values(model.score_logits_with(&prompts, &mut intercept).unwrap());
    let shape = [2, LENGTH, HIDDEN_DIM];
    let layers = (0..NUM_LAYERS).map(InterceptPoint::TransformerLayer);
    let points = [InterceptPoint::Embeddings].into_iter().chain(layers);
    assert_eq!(shapes, points.map(|point| (point, shape)).collect::<Vec<_>>());

    // The intercept receives the embeddings first; returning them unchanged changes nothing.
    let token_ids = id_tensor(prompts.token_ids());
    let backbone = model.backbone();
    let embeddings = backbone.token_embedding.forward(token_ids)
        + backbone.position_embedding.forward(0, LENGTH);
    let mut replace = |x: Tensor<3>, point| match point {
        InterceptPoint::Embeddings => embeddings.clone(),
        InterceptPoint::TransformerLayer(_) => x,
    };
    let replaced = values(model.score_logits_with(&prompts, &mut replace).unwrap());
    check_close("embeddings put in by hand", &replaced, &seen);
}

#[test]
fn a_summary_shows_the_preprocessor_if_there_is_one() {
    let mut model = tiny::model();
    assert!(model.summary().contains("Preprocessor:"), "{}", model.summary());
    model.set_preprocessor(None).unwrap();
    assert!(!model.summary().contains("Preprocessor:"), "{}", model.summary());
}

// ---------------------------------------------------------------- gpt2_causal_lm_preprocessor_test.py

/// Tokenizer of that test: all parts and results of the merges, sorted with the special tokens.
fn tokenizer() -> Gpt2Tokenizer {
    let merges = testing::tokenizer();
    let merges: Vec<(&str, &str)> = merges.merges().iter().collect();
    let mut tokens: Vec<String> = ["!", "<|endoftext|>"].map(str::to_owned).to_vec();
    for (left, right) in &merges {
        tokens.extend([(*left).to_owned(), (*right).to_owned(), format!("{left}{right}")]);
    }
    tokens.sort();
    tokens.dedup();
    let rules = merges.iter().map(|(left, right)| format!("{left} {right}"));
    let merges = Merges::from_rules(rules).unwrap();
    let vocabulary = Vocabulary::from_pairs(tokens.into_iter().zip(0..)).unwrap();
    Gpt2Tokenizer::new(vocabulary, merges, Gpt2TokenizerConfig::new()).unwrap()
}

fn preprocessor(add_start_token: bool, add_end_token: bool) -> Gpt2CausalLmPreprocessor {
    let config = PreprocessorConfig::new()
        .with_sequence_length(8)
        .with_add_start_token(add_start_token)
        .with_add_end_token(add_end_token);
    Gpt2CausalLmPreprocessor::new(tokenizer(), config).unwrap()
}

/// A mask with `ones` ones.
fn mask(ones: usize) -> Vec<bool> {
    (0..8).map(|position| position < ones).collect()
}

/// Weights whose first `ones` are 1 and the others 0.
fn weights(ones: usize) -> Vec<f32> {
    (0..8).map(|position| if position < ones { 1.0 } else { 0.0 }).collect()
}

#[test]
fn texts_are_packed_between_start_and_end() {
    let mut preprocessor = preprocessor(true, true);
    let batch = preprocessor.preprocess(&["airplane at airport"]).unwrap();
    assert_eq!(batch.x.token_ids(), [[1, 4, 16, 26, 25, 18, 1, 0]]);
    assert_eq!(batch.x.padding_mask(), [mask(7)]);
    assert_eq!(batch.y, [[4, 16, 26, 25, 18, 1, 0, 0]]);
    assert_eq!(batch.sample_weight, [weights(6)]);

    preprocessor.set_sequence_length(17).unwrap();
    let batch = preprocessor.preprocess(&["airplane at airport"]).unwrap();
    assert_eq!(batch.x.sequence_length(), 17);
    // As in `gpt2_preprocessor_test.py`: the end token stays when the text is truncated.
    let batch = preprocessor.preprocess_to(&["airplane at airport"], 4).unwrap();
    assert_eq!(batch.x.token_ids(), [[1, 4, 16, 26]]);
    assert_eq!(batch.y, [[4, 16, 26, 1]]);
}

#[test]
fn start_and_end_can_be_left_out() {
    let batch = preprocessor(false, false).preprocess(&["airplane at airport"; 4]).unwrap();
    assert_eq!(batch.x.token_ids(), [[4, 16, 26, 25, 18, 0, 0, 0]; 4]);
    assert_eq!(batch.x.padding_mask(), vec![mask(5); 4]);
    assert_eq!(batch.y, [[16, 26, 25, 18, 0, 0, 0, 0]; 4]);
    assert_eq!(batch.sample_weight, vec![weights(4); 4]);
}

#[test]
fn prompts_are_packed_after_the_start_and_come_back() {
    let preprocessor = preprocessor(true, true);
    let batch = preprocessor.generate_preprocess(&["airplane at airport"]).unwrap();
    assert_eq!(batch.token_ids(), [[1, 4, 16, 26, 25, 18, 0, 0]]);
    assert_eq!(batch.padding_mask(), [mask(6)]);
    assert_eq!(preprocessor.generate_postprocess(&batch).unwrap(), ["airplane at airport"]);
}

#[test]
fn a_tokenizer_without_the_special_token_is_refused() {
    let vocabulary = Vocabulary::from_pairs([("a", 0), ("b", 1)]).unwrap();
    let merges = Merges::from_rules::<&str>([]).unwrap();
    let error = Gpt2Tokenizer::new(vocabulary, merges, Gpt2TokenizerConfig::new()).unwrap_err();
    assert!(error.to_string().contains("Cannot find special token"), "{error}");
}

#[test]
fn text_needs_a_preprocessor() {
    let mut model = tiny::model();
    model.set_preprocessor(None).unwrap();
    let error = model.predict(&[PROMPT]).unwrap_err();
    assert!(matches!(error, TaskError::NoPreprocessor { operation: "predict" }), "{error}");
}
