//! The published GPT-2, if the environment variable `GPT2_PRESET_DIR` names a folder with it.

use gpt2_presets::Preset;
use gpt2_task::samplers::GreedySampler;
use gpt2_task::{GenerateOptions, Gpt2CausalLm, StopTokenIds, TokenBatch};
use gpt2_test_support::needs;

use crate::golden::{check_within, device, id_tensor, values};

/// Variable that names a folder with `gpt2` (`gpt2_base_en`), in either format.
const VARIABLE: &str = "GPT2_PRESET_DIR";

/// The preset. Skips the test if it is not available.
fn preset() -> Option<Preset> {
    let folder = needs(VARIABLE, "folder with the published GPT-2")?;
    let folder = folder.to_str().expect("the path is UTF-8");
    let preset = Preset::open(folder).unwrap_or_else(|error| panic!("{VARIABLE}: {error}"));
    assert_eq!(preset.config().parameter_count(), 124_439_808, "{VARIABLE} is not the base model");
    Some(preset)
}

/// `test_smallest_preset` of `gpt2_backbone_test.py`, with its tolerance.
#[test]
fn the_published_model_has_keras_hubs_hidden_states() {
    let Some(preset) = preset() else { return };
    let backbone = preset.backbone(&device()).unwrap();
    let token_ids = id_tensor(&[vec![1169, 2068, 7586, 21831, 13]]);
    let hidden = backbone.forward(token_ids, None).unwrap();
    assert_eq!(hidden.dims(), [1, 5, 768]);
    let expected = [-0.1116, -0.0375, -0.2624, 0.00891, -0.0061];
    check_within(0.01, 0.01, "the published model", &values(hidden)[..5], &expected);
}

#[test]
fn the_published_tokenizer_has_keras_hubs_ids() {
    let Some(preset) = preset() else { return };
    let ids = preset.tokenizer().unwrap().tokenize("The quick brown fox.").unwrap();
    assert_eq!(ids, [464, 2068, 7586, 21831, 13]);
}

/// Text of transformers' `generate` for "The dog", without a start token.
#[test]
fn the_published_model_continues_the_dog_as_transformers() {
    let Some(preset) = preset() else { return };
    let mut model = Gpt2CausalLm::new(preset.backbone(&device()).unwrap(), None).unwrap();
    model.compile(GreedySampler::new()).unwrap();
    let expected = [
        464, 3290, 373, 1043, 287, 257, 2214, 1474, 262, 16246, 286, 2688, 290, 2688, 27262, 13,
        198, 198, 464, 3290,
    ];
    assert_eq!(preset.tokenizer().unwrap().tokenize("The dog").unwrap(), expected[..2]);
    let mut prompt = vec![0; expected.len()];
    prompt[..2].copy_from_slice(&expected[..2]);
    let mask: Vec<_> = (0..expected.len()).map(|position| position < 2).collect();
    let prompt = TokenBatch::new(vec![prompt], vec![mask]).unwrap();
    let options = GenerateOptions::new().with_stop_token_ids(StopTokenIds::None);
    assert_eq!(model.generate(&prompt, &options).unwrap().token_ids(), [expected]);
}
