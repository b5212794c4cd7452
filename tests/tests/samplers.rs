//! Samplers: their candidates, their draws, and KerasHub's own tests of them.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use gpt2_task::samplers::{
    self, BeamSampler, ContrastiveSampler, GreedySampler, RandomSampler, TopKSampler, TopPSampler,
};
use gpt2_task::{
    Decoded, Decoding, Draw, DrawSource, GenerateOptions, Gpt2CausalLm, Matrix, NextToken, Sampler,
    SearchStrategy, StopTokenIds, TaskError, TokenId, argmax, softmax, top_k,
};
use serde_json::Value;

use crate::golden::{Case, check_within, floats, ids, json};

// ---------------------------------------------------------------- golden probabilities

fn cases(key: &str) -> Vec<Value> {
    json("samplers/expected.json")[key].as_array().unwrap().clone()
}

fn size(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

/// KerasHub's list of candidates has none with probability zero, which cannot be drawn.
fn drawable(kept: impl IntoIterator<Item = TokenId>, probabilities: &[f32]) -> Vec<TokenId> {
    kept.into_iter().filter(|&token| probabilities[token as usize] > 0.0).collect()
}

/// Sum of the chi-square statistics of several experiments.
#[derive(Default)]
struct ChiSquare {
    statistic: f64,
    degrees_of_freedom: usize,
    /// Seed of the next experiment, distinct so that experiments are independent.
    seed: u64,
}

impl ChiSquare {
    /// Draws until even the rarest token is expected 30 times, and adds the result.
    ///
    /// Fails if a token outside `kept` is drawn, or if one in `kept` is never drawn (which happens
    /// to a correct sampler once in e^30 times).
    /// correct sampler does once in e^30 times).
    fn add(&mut self, sampler: &dyn Sampler, all: &[f32], kept: &[TokenId], weights: &[f32]) {
        let total: f32 = weights.iter().sum();
        let rarest = weights.iter().copied().fold(f32::INFINITY, f32::min) / total;
        let draws = ((30.0 / rarest) as usize).max(100);
        let mut counts = vec![0usize; all.len()];
        for position in 0..draws {
            let mut probabilities = all.to_vec();
            let mut draw = Draw::new(self.seed, 0, 0, position);
            counts[sampler.get_next_token(&mut probabilities, &mut draw) as usize] += 1;
        }
        let drawn = (0..all.len() as TokenId).filter(|&token| counts[token as usize] > 0);
        let kept_set: BTreeSet<TokenId> = kept.iter().copied().collect();
        assert_eq!(drawn.collect::<BTreeSet<_>>(), kept_set, "from {all:?}");
        for (&token, weight) in kept.iter().zip(weights) {
            let expected = f64::from(weight / total) * draws as f64;
            self.statistic += (counts[token as usize] as f64 - expected).powi(2) / expected;
        }
        self.degrees_of_freedom += kept.len() - 1;
        self.seed += 1;
    }

    /// Fails for a statistic above its 0.999 quantile, for which the approximation of Wilson and
    /// Hilferty is exact to one percent.
    fn check(&self, label: &str) {
        let degrees = self.degrees_of_freedom as f64;
        let spread = 2.0 / (9.0 * degrees);
        let quantile = degrees * (1.0 - spread + 3.0902 * spread.sqrt()).powi(3);
        let Self { statistic, .. } = self;
        assert!(*statistic < quantile, "{label}: chi-square {statistic}, 0.999 at {quantile}");
        println!(
            "chi-square {statistic:.1} with {degrees} degrees, 0.999 at {quantile:.1}: {label}"
        );
    }
}

#[test]
fn top_p_keeps_what_keras_hub_keeps() {
    let mut chi_square = ChiSquare::default();
    for case in cases("top_p") {
        let probabilities = floats(&case["probabilities"]);
        let mut sampler = TopPSampler::new(case["p"].as_f64().unwrap() as f32);
        sampler.k = case["k"].as_u64().map(|k| k as usize);
        let kept = ids(&case["kept"]);
        assert_eq!(drawable(sampler.kept(&probabilities), &probabilities), kept, "{case}");
        let weights = floats(&case["kept_probabilities"]);
        chi_square.add(&sampler, &probabilities, &kept, &weights);
    }
    chi_square.check("top_p, golden distributions");
}

#[test]
fn top_k_keeps_what_keras_hub_keeps() {
    let mut chi_square = ChiSquare::default();
    for case in cases("top_k") {
        let probabilities = floats(&case["probabilities"]);
        let k = size(&case["k"]);
        let kept = ids(&case["kept"]);
        let found = top_k(&probabilities, k).into_iter().map(|index| index as TokenId);
        assert_eq!(drawable(found, &probabilities), kept, "{case}");
        let weights = floats(&case["kept_probabilities"]);
        chi_square.add(&TopKSampler::new(k), &probabilities, &kept, &weights);
    }
    chi_square.check("top_k, golden distributions");
}

#[test]
fn greedy_takes_what_keras_hub_takes() {
    for case in cases("greedy") {
        let mut probabilities = floats(&case["probabilities"]);
        let mut draw = Draw::new(0, 0, 0, 0);
        let found = GreedySampler::new().get_next_token(&mut probabilities, &mut draw);
        assert_eq!(u64::from(found), case["token"], "{case}");
    }
}

#[test]
fn temperature_makes_keras_hubs_probabilities() {
    for case in cases("temperature") {
        let mut found = floats(&case["logits"]);
        softmax(&mut found, case["temperature"].as_f64().unwrap() as f32);
        let expected = floats(&case["probabilities"]);
        check_within(1e-6, 0.0, "probabilities under a temperature", &found, &expected);
    }
}

// ---------------------------------------------------------------- draws

const PROBABILITIES: [f32; 8] = [0.05, 0.35, 0.02, 0.2, 0.15, 0.1, 0.0, 0.13];

/// Statistic of 80,000 draws.
fn chi_square_of(sampler: &dyn Sampler, kept: &[TokenId]) -> f64 {
    let draws = 80_000;
    let mut counts = [0usize; PROBABILITIES.len()];
    for position in 0..draws {
        let mut draw = Draw::new(42, 3, 1, position);
        counts[sampler.get_next_token(&mut PROBABILITIES.clone(), &mut draw) as usize] += 1;
    }
    let total: f32 = kept.iter().map(|&token| PROBABILITIES[token as usize]).sum();
    assert_eq!(kept.iter().map(|&token| counts[token as usize]).sum::<usize>(), draws);
    let statistic = kept.iter().map(|&token| {
        let expected = f64::from(PROBABILITIES[token as usize] / total) * draws as f64;
        (counts[token as usize] as f64 - expected).powi(2) / expected
    });
    statistic.sum()
}

/// The 0.999 quantiles of chi-square with 6, 3 and 2 degrees of freedom are 22.46, 16.27 and 13.82.
#[test]
fn draws_have_the_distribution_asked_for() {
    let random = chi_square_of(&RandomSampler::new(), &[0, 1, 2, 3, 4, 5, 7]);
    let top_k = chi_square_of(&TopKSampler::new(4), &[1, 3, 4, 7]);
    // The sums before the tokens 1, 3, 4 and 7 are 0, 0.35, 0.55 and 0.7.
    let top_p = chi_square_of(&TopPSampler::new(0.69), &[1, 3, 4]);
    let both = chi_square_of(&TopPSampler::new(0.95).with_k(3), &[1, 3, 4]);
    println!("chi-square: random {random:.2}, top_k {top_k:.2}, top_p {top_p:.2}, {both:.2}");
    assert!(random < 22.46 && top_k < 16.27 && top_p < 13.82 && both < 13.82);
}

fn text_model() -> (Case, Gpt2CausalLm) {
    let case = Case::read("air_wide");
    let model = case.model("keras");
    (case, model)
}

fn options() -> GenerateOptions {
    GenerateOptions::new().with_stop_token_ids(StopTokenIds::None)
}

#[test]
fn a_seed_reproduces_the_text() {
    let (_, mut model) = text_model();
    let mut texts = |identifier: &str| {
        model.compile(samplers::get(identifier).unwrap()).unwrap();
        let generate = || model.generate(" airplane", &options()).unwrap();
        [generate(), generate()]
    };
    for name in ["random:", "top_k:k=10,", "top_p:p=0.9,", "top_p:p=0.95,k=12,"] {
        let first = texts(&format!("{name}seed=7"));
        assert_ne!(first[0], first[1], "{name}: a second call draws other numbers");
        assert_eq!(texts(&format!("{name}seed=7")), first, "{name}: compiled anew");
        let other = texts(&format!("{name}seed=8"));
        assert!(other[0] != first[0] && other[1] != first[1], "{name}: another seed");
        let unseeded = [texts(name), texts(name)];
        assert_ne!(unseeded[0], unseeded[1], "{name}: no seed, so a new one each time");
    }
}

#[test]
fn a_row_draws_the_same_in_a_batch_of_any_size() {
    let (case, mut model) = text_model();
    let prompts = case.prompts();
    let mut texts = |identifier: &str, rows: usize| -> Vec<String> {
        model.compile(samplers::get(identifier).unwrap()).unwrap();
        model.generate(&prompts[..rows], &options()).unwrap()
    };
    for name in ["random:seed=1", "top_k:k=10,seed=1", "top_p:p=0.9,seed=1"] {
        let all = texts(name, 3);
        for rows in 1..3 {
            assert_eq!(texts(name, rows), all[..rows], "{name}: {rows} rows");
        }
    }
    // Rows of a batch draw different numbers, also for the same prompt.
    model.compile(RandomSampler::new().with_seed(1)).unwrap();
    let twice = model.generate([" airplane", " airplane"], &options()).unwrap();
    assert_ne!(twice[0], twice[1]);
}

// ---------------------------------------------------------------- custom samplers

/// Never chooses certain tokens.
struct Forbid(Vec<TokenId>);

impl Sampler for Forbid {
    fn get_next_token(&self, probabilities: &mut [f32], _draw: &mut Draw) -> TokenId {
        for &token in &self.0 {
            probabilities[token as usize] = 0.0;
        }
        argmax(probabilities) as TokenId
    }
}

/// Chooses a token that does not exist.
struct Beyond;

impl Sampler for Beyond {
    fn get_next_token(&self, probabilities: &mut [f32], _draw: &mut Draw) -> TokenId {
        probabilities.len() as TokenId
    }
}

#[test]
fn a_sampler_of_ones_own_changes_the_text() {
    let (case, mut model) = text_model();
    let prompts = case.ragged_prompts();
    model.compile(GreedySampler::new()).unwrap();
    let greedy = model.generate(&prompts, &options()).unwrap();
    model.compile(Forbid(vec![])).unwrap();
    assert_eq!(model.generate(&prompts, &options()).unwrap(), greedy);

    let lengths = prompts.row_lengths().unwrap();
    let first: Vec<TokenId> = (0..3).map(|row| greedy.token_ids()[row][lengths[row]]).collect();
    model.compile(Forbid(first.clone())).unwrap();
    let found = model.generate(&prompts, &options()).unwrap();
    for (row, ids) in found.token_ids().iter().enumerate() {
        assert_ne!(ids[lengths[row]..], greedy.token_ids()[row][lengths[row]..]);
        assert!(ids[lengths[row]..].iter().all(|token| !first.contains(token)));
    }
}

#[test]
fn a_token_that_does_not_exist_is_an_error() {
    let (_, mut model) = text_model();
    model.compile(Beyond).unwrap();
    let error = model.generate(" airplane", &options()).unwrap_err();
    let expected = TaskError::SampledOutOfRange { token_id: 46, vocabulary_size: 46 };
    assert_eq!(error.to_string(), expected.to_string());
    assert!(matches!(error, TaskError::SampledOutOfRange { .. }));
    model.compile(GreedySampler::new()).unwrap();
    assert!(model.generate(" airplane", &options()).is_ok(), "the model is usable");
}

// ---------------------------------------------------------------- KerasHub's tests

const LENGTH: usize = 12;
const ALPHABET: usize = 26;

/// A model of the letters a to z, with logits and hidden states from functions.
struct Letters<L, H> {
    /// Logits of a position, given the letters before it.
    logits: L,
    /// Hidden state of a letter.
    hidden: H,
    /// Positions seen so far.
    seen: usize,
    /// Hidden states of the letters that the last call fed first.
    fresh: Option<Matrix>,
}

/// Logits by position, and constant hidden states.
fn letters(
    logits: impl Fn(usize) -> Vec<f32>,
) -> Letters<impl FnMut(usize) -> Vec<f32>, impl Fn(TokenId) -> [f32; 2]> {
    Letters { logits, hidden: |_| [1.0, 0.0], seen: 0, fresh: None }
}

impl<L, H> NextToken for Letters<L, H>
where
    L: FnMut(usize) -> Vec<f32>,
    H: Fn(TokenId) -> [f32; 2],
{
    fn next(&mut self, rows: &[Vec<TokenId>], index: usize) -> Result<Matrix, TaskError> {
        let fresh = rows.iter().flat_map(|row| &row[self.seen..index]);
        let fresh = fresh.flat_map(|&letter| (self.hidden)(letter)).collect();
        self.fresh = Some(Matrix::new(fresh, (index - self.seen) * 2));
        self.seen = index;
        let logits = (self.logits)(index);
        Ok(Matrix::new(logits.repeat(rows.len()), ALPHABET))
    }

    fn hidden_states(&mut self) -> Result<Matrix, TaskError> {
        Ok(self.fresh.clone().expect("`next` was called before"))
    }

    fn select_rows(&mut self, _rows: &[usize]) {}

    fn vocabulary_size(&self) -> usize {
        ALPHABET
    }
}

fn letter(character: char) -> TokenId {
    character as TokenId - 'a' as TokenId
}

fn text(ids: &[TokenId]) -> String {
    ids.iter().map(|&id| char::from(b'a' + id as u8)).collect()
}

/// Logits that allow only one letter.
fn only(character: char) -> Vec<f32> {
    let mut logits = vec![0.0; ALPHABET];
    logits[letter(character) as usize] = 1e9;
    logits
}

/// Each letter is less probable than the previous one.
fn descending() -> Vec<f32> {
    (0..ALPHABET).map(|index| (ALPHABET - index) as f32).collect()
}

/// Runs a sampler on a row of the letter z that starts with `prompt`.
fn search(
    sampler: &dyn SearchStrategy,
    model: &mut dyn NextToken,
    prompt: &str,
    stop: &[char],
) -> Decoded {
    let mut row = vec![letter('z'); LENGTH];
    for (place, character) in row.iter_mut().zip(prompt.chars()) {
        *place = letter(character);
    }
    let stop: Vec<TokenId> = stop.iter().copied().map(letter).collect();
    let mut on_token = |_| ControlFlow::Continue(());
    let draws = DrawSource { seed: 7, call: 0 };
    let mut decoding =
        Decoding::new(model, vec![row], vec![prompt.len()], &stop, draws, &mut on_token);
    let beams = sampler.search(&mut decoding).unwrap();
    decoding.finish(beams)
}

/// All samplers, as KerasHub's tests construct them.
fn all_samplers() -> Vec<(&'static str, Box<dyn SearchStrategy>)> {
    let names = ["greedy", "random", "top_k:k=5", "top_p:p=0.1", "beam:num_beams=5"];
    let names = names.into_iter().chain(["contrastive:k=5,alpha=0.2"]);
    names.map(|name| (name, samplers::get(name).unwrap())).collect()
}

#[test]
fn stateless_every_sampler_follows_the_logits() {
    for (name, sampler) in all_samplers() {
        let found = search(&*sampler, &mut letters(|_| only('a')), "zzzzz", &[]);
        assert_eq!(text(&found.rows[0]), "zzzzzaaaaaaa", "{name}");
        assert_eq!(found.lengths, [LENGTH], "{name}");
    }
}

/// One letter longer than the row, because contrastive search looks one position ahead.
fn sequentially(index: usize) -> Vec<f32> {
    only("sequentiallyy".chars().nth(index).unwrap())
}

#[test]
fn stateful_every_sampler_says_what_the_model_remembers() {
    for (name, sampler) in all_samplers() {
        let found = search(&*sampler, &mut letters(sequentially), "s", &[]);
        assert_eq!(text(&found.rows[0]), "sequentially", "{name}");
    }
}

#[test]
fn every_sampler_stops_early() {
    for (name, sampler) in all_samplers() {
        // The other beams have letters of probability zero, and continue until they have the stop
        // letter.
        if name.starts_with("beam") {
            continue;
        }
        for (stop, expected) in [(&['t'][..], "sequentzzzzz"), (&['t', 'n'], "sequenzzzzzz")] {
            let found = search(&*sampler, &mut letters(sequentially), "s", stop);
            assert_eq!(text(&found.rows[0]), expected, "{name}");
            assert_eq!(found.lengths, [expected.find('z').unwrap()], "{name}");
        }
    }
    let beam = BeamSampler::new(1);
    let found = search(&beam, &mut letters(sequentially), "s", &['t']);
    assert_eq!(text(&found.rows[0]), "sequentzzzzz");
    // With several beams the answer may continue after its stop; its length shows it.
    let found = search(&BeamSampler::new(5), &mut letters(sequentially), "s", &['t']);
    assert_eq!((&text(&found.rows[0])[..7], found.lengths[0]), ("sequent", 7));
}

#[test]
fn a_tiny_temperature_is_greedy() {
    let random = RandomSampler::new().with_temperature(1e-5);
    let top_k = TopKSampler::new(5).with_temperature(1e-5);
    let top_p = TopPSampler::new(1.0).with_temperature(1e-9);
    let samplers: [&dyn SearchStrategy; 4] = [&GreedySampler::new(), &random, &top_k, &top_p];
    for sampler in samplers {
        let found = search(sampler, &mut letters(|_| descending()), "z", &[]);
        assert_eq!(text(&found.rows[0]), "zaaaaaaaaaaa");
    }
}

/// Letters that a sampler chooses with `logits`, in a hundred rows.
fn letters_made(sampler: impl Sampler, logits: &[f32]) -> String {
    let mut made = BTreeSet::new();
    for row in 0..100 {
        for position in 1..LENGTH {
            let mut probabilities = logits.to_vec();
            softmax(&mut probabilities, sampler.temperature());
            let mut draw = Draw::new(1, 0, row, position);
            made.insert(sampler.get_next_token(&mut probabilities, &mut draw));
        }
    }
    text(&made.into_iter().collect::<Vec<_>>())
}

#[test]
fn draws_stay_among_the_letters_kept() {
    // Probabilities decrease slowly, so that all candidates are drawn.
    let logits: Vec<f32> = descending().iter().map(|logit| logit / 10.0).collect();
    assert_eq!(letters_made(TopKSampler::new(5), &logits), "abcde");
    assert_eq!(letters_made(TopPSampler::new(1.0).with_k(5), &logits), "abcde");
    // Equal letters: the third becomes a candidate when 2/26 are reached, not only exceeded.
    let even = vec![0.0; ALPHABET];
    assert_eq!(letters_made(TopPSampler::new(2.0 / 26.0), &even), "abc");
    assert_eq!(letters_made(TopPSampler::new(1.0), &even).len(), ALPHABET);
    assert_eq!(letters_made(RandomSampler::new(), &even).len(), ALPHABET);
}

#[test]
fn all_beams_are_returned_best_first() {
    let sampler = BeamSampler::new(5).with_return_all_beams(true);
    let found = search(&sampler, &mut letters(sequentially), "s", &[]);
    let beams = found.beams.unwrap();
    assert_eq!((beams.len(), beams[0].len()), (1, 5));
    assert!(beams[0].iter().all(|beam| beam.token_ids.len() == LENGTH));
    let scores = beams[0].iter().map(|beam| beam.log_probability);
    assert!(scores.is_sorted_by(|better, worse| better >= worse));
    assert_eq!(text(&beams[0][0].token_ids), "sequentially");
    assert_eq!(text(&found.rows[0]), "sequentially");
    let found = search(&BeamSampler::new(5), &mut letters(sequentially), "s", &[]);
    assert!(found.beams.is_none(), "beams are returned only if that is asked for");
}

/// Runs contrastive search after the letter h, which the model prefers. The hidden state of h is
/// orthogonal to that of the other letters.
fn repetitive(k: usize, alpha: f32) -> String {
    let mut logits = vec![0.0; ALPHABET];
    logits[letter('h') as usize] = 5.0;
    let hidden = |id| if id == letter('h') { [1.0, 0.0] } else { [0.0, 1.0] };
    let logits = |_| logits.clone();
    let mut model = Letters { logits, hidden, seen: 0, fresh: None };
    let found = search(&ContrastiveSampler::new(k, alpha), &mut model, "h", &[]);
    text(&found.rows[0])
}

#[test]
fn contrastive_search_weighs_repetition_by_alpha() {
    assert_eq!(repetitive(5, 0.2), "hhhhhhhhhhhh", "a small weight keeps the likely letter");
    let found = repetitive(5, 1.0);
    assert!(!found[1..2].contains('h'), "{found}: the whole weight avoids it");
    // Once both hidden states have been seen, all candidates are equally similar, and the more
    // probable letter wins the tie. Therefore only the first choice tells.
    assert!(
        found.chars().all(|character| "habcd".contains(character)),
        "{found}: among the best 5"
    );
    assert_eq!(repetitive(1, 1.0), "hhhhhhhhhhhh", "of one candidate there is no choice");
}

#[test]
fn samplers_come_by_name_and_go_as_data() {
    for name in ["greedy", "random", "top_k", "top_p", "beam", "contrastive"] {
        let config: samplers::SamplerConfig = name.parse().unwrap();
        let data = serde_json::to_value(&config).unwrap();
        assert_eq!(data["name"], name);
        assert_eq!(serde_json::from_value::<samplers::SamplerConfig>(data).unwrap(), config);
    }
    let error = samplers::get("speculative").err().unwrap();
    assert!(matches!(error, TaskError::InvalidChoice { .. }), "{error}");
}
