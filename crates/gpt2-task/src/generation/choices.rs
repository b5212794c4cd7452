//! Ids that a generation may choose.

use burn::tensor::Tensor;
use gpt2_backbone::Gpt2Backbone;
use gpt2_tokenizer::{Gpt2Tokenizer, TokenId};

use super::logits_processor::LogitsProcessor;

/// The ids below `end`. A model may have more logits than its tokenizer has tokens, for example
/// 50304 for 50257 tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Choices {
    end: usize,
}

impl Choices {
    /// All ids of the model.
    pub(crate) fn all(backbone: &Gpt2Backbone) -> Self {
        Self { end: backbone.config().vocabulary_size }
    }

    /// Ids up to the tokenizer's largest one, and a processor that forbids those among them that
    /// have no token.
    pub(crate) fn with_token(tokenizer: &Gpt2Tokenizer) -> (Self, Option<ForbidIds>) {
        let end = tokenizer.max_token_id() as usize + 1;
        let vocabulary = tokenizer.vocabulary();
        let missing = || (0..end as TokenId).filter(|&id| vocabulary.token(id).is_none()).collect();
        let forbid = (vocabulary.len() < end).then(|| ForbidIds(missing()));
        (Self { end }, forbid)
    }

    /// Upper bound of the ids. It is not a valid id itself.
    pub(crate) fn end(self) -> usize {
        self.end
    }

    /// Logits of the ids, from the hidden states of one position:
    /// `[rows, 1, hidden_dim] -> [rows, end]`.
    pub(crate) fn logits(self, backbone: &Gpt2Backbone, hidden_states: Tensor<3>) -> Tensor<2> {
        let logits: Tensor<2> = backbone.logits(hidden_states).flatten(0, 1);
        if self == Self::all(backbone) { logits } else { logits.narrow(1, 0, self.end) }
    }
}

/// Forbids the ids without a token between ids with one.
#[derive(Debug)]
pub(crate) struct ForbidIds(Vec<TokenId>);

impl LogitsProcessor for ForbidIds {
    fn process(&self, _tokens: &[TokenId], logits: &mut [f32]) {
        self.0.iter().for_each(|&id| logits[id as usize] = f32::NEG_INFINITY);
    }
}

#[cfg(test)]
#[cfg(feature = "flex")]
mod tests {
    use burn::tensor::Device;
    use gpt2_backbone::Gpt2BackboneConfig;
    use gpt2_tokenizer::{Gpt2TokenizerConfig, Vocabulary};

    use super::*;
    use crate::causal_lm::Gpt2CausalLm;
    use crate::causal_lm_preprocessor::{Gpt2CausalLmPreprocessor, PreprocessorConfig};
    use crate::generation::options::{GenerateOptions, StopTokenIds};
    use crate::testing::tokenizer;
    use crate::token_batch::TokenBatch;

    /// Ids of a model with more ids than tokens.
    const IDS: usize = 300;
    const SAMPLERS: [&str; 7] = [
        "greedy",
        "random:temperature=100.0",
        "top_k:k=200,temperature=100.0",
        "top_p:p=0.999,temperature=100.0",
        "beam:num_beams=5",
        "beam:num_beams=60",
        "contrastive:k=60,alpha=0.6",
    ];

    fn model(tokenizer: Gpt2Tokenizer) -> Gpt2CausalLm {
        let config = PreprocessorConfig::new().with_sequence_length(24);
        let preprocessor = Gpt2CausalLmPreprocessor::new(tokenizer, config).unwrap();
        let config = Gpt2BackboneConfig::new(IDS, 2, 2, 4, 8).with_max_sequence_length(24);
        let backbone = Gpt2Backbone::new(&config, 42, &Device::flex()).unwrap();
        Gpt2CausalLm::new(backbone, Some(preprocessor)).unwrap()
    }

    /// New ids that each sampler generates.
    fn answers(tokenizer: &Gpt2Tokenizer, options: &GenerateOptions) -> Vec<Vec<TokenId>> {
        let mut model = model(tokenizer.clone());
        let options = options.clone().with_stop_token_ids(StopTokenIds::None).with_seed(3);
        let ids = SAMPLERS.map(|sampler| {
            model.compile(sampler).unwrap();
            let prompts = [" airplane at", " a"];
            let generations = model
                .generate_with(&prompts, &options, &mut |_| std::ops::ControlFlow::Continue(()));
            let new = |one: &crate::Generation| one.token_ids[one.prompt_tokens..].to_vec();
            generations.unwrap().iter().flat_map(new).collect::<Vec<_>>()
        });
        ids.to_vec()
    }

    #[test]
    fn ids_without_a_token_are_chosen_only_if_asked_for() {
        let tokenizer = tokenizer();
        let options = GenerateOptions::new();
        for (sampler, ids) in SAMPLERS.iter().zip(answers(&tokenizer, &options)) {
            assert!(ids.iter().all(|&id| id <= tokenizer.max_token_id()), "{sampler}: {ids:?}");
        }
        let all = answers(&tokenizer, &options.with_ids_without_token(true));
        for (sampler, ids) in SAMPLERS.iter().zip(all).skip(1).take(3) {
            assert!(ids.iter().any(|&id| id > tokenizer.max_token_id()), "{sampler}: {ids:?}");
        }
    }

    #[test]
    fn ids_between_tokens_that_have_none_are_forbidden() {
        let dense = tokenizer();
        let spread = |(token, id): (&str, TokenId)| (token.to_owned(), 3 * id);
        let vocabulary = Vocabulary::from_pairs(dense.vocabulary().iter().map(spread)).unwrap();
        let merges = dense.merges().clone();
        let sparse = Gpt2Tokenizer::new(vocabulary, merges, Gpt2TokenizerConfig::new()).unwrap();
        for (sampler, ids) in SAMPLERS.iter().zip(answers(&sparse, &GenerateOptions::new())) {
            assert!(ids.iter().all(|id| id % 3 == 0), "{sampler}: {ids:?}");
        }
    }

    #[test]
    fn logits_of_the_choices_are_those_of_the_model() {
        let mut model = model(tokenizer());
        model.compile("greedy").unwrap();
        let batch = TokenBatch::unpadded([[1, 2, 3, 4]]).unwrap();
        let logits: Vec<f32> = model.score_logits(&batch).unwrap().try_into_vec_as().unwrap();
        let tokens = tokenizer().vocabulary_size();
        let expected = crate::argmax(&logits[3 * IDS..][..tokens]) as TokenId;
        let mut prompt =
            TokenBatch::new([[1, 2, 3, 4, 0]], [[true, true, true, true, false]]).unwrap();
        prompt = model
            .generate(&prompt, &GenerateOptions::new().with_stop_token_ids(StopTokenIds::None))
            .unwrap();
        assert_eq!(prompt.token_ids()[0][4], expected);
    }
}
