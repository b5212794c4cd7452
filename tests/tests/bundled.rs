//! Text of the bundled model, which is the same on every device with every kernel.

use gpt2_presets::Preset;
use gpt2_task::samplers::GreedySampler;
use gpt2_task::{GenerateOptions, StopTokenIds, TokenBatch};

use crate::golden::device;

const PROMPT: &str = "First Citizen:\n";
const NEW_TOKENS: usize = 40;
const TEXT: &str = "I'll tell you, sir, sir, I'll not be a bawd.\n\nThird Citizen:\nI'll tell you, \
    sir, sir, sir, I'll";
const IDS: [u32; NEW_TOKENS] = [
    40, 457, 731, 289, 11, 525, 11, 525, 11, 291, 457, 321, 304, 258, 268, 802, 67, 13, 198, 198,
    394, 314, 67, 417, 891, 25, 198, 40, 457, 731, 289, 11, 525, 11, 525, 11, 525, 11, 291, 457,
];

/// Every chosen logit is at least 0.054 above the second, five hundred times the kernels'
/// differences.
#[test]
fn the_greedy_text_stays_as_it_is() {
    let mut model = Preset::open("gpt2_tiny_shakespeare").unwrap().causal_lm(&device()).unwrap();
    model.compile(GreedySampler::new()).unwrap();
    let tokenizer = model.preprocessor().unwrap().tokenizer().clone();
    let mut row = vec![tokenizer.start_token_id()];
    row.extend(tokenizer.tokenize(PROMPT).unwrap());
    let (start, length) = (row.len(), row.len() + NEW_TOKENS);
    let options = GenerateOptions::new().with_stop_token_ids(StopTokenIds::None);

    let texts = model.generate([PROMPT], &options.clone().with_max_length(length)).unwrap();
    assert_eq!(texts, [format!("{PROMPT}{TEXT}")]);

    row.resize(length, 0);
    let mask: Vec<_> = (0..length).map(|position| position < start).collect();
    let prompt = TokenBatch::new(vec![row], vec![mask]).unwrap();
    let generated = model.generate(&prompt, &options).unwrap();
    assert_eq!(generated.token_ids()[0][start..], IDS);
}
