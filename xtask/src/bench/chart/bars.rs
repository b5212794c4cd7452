//! Bars of a chart: the median ratio of each rival in the scenarios that are drawn.

use serde_json::Value;

use crate::bench::scenario::Scenario;
use crate::bench::statistics::median;

/// Scenarios in the chart, from top to bottom, with their titles.
const SCENARIOS: [(&str, &str); 8] = [
    ("decode-1-ctx128", "decode, one prompt of 128 tokens"),
    ("decode-8-ragged", "decode, 8 prompts of different lengths"),
    ("beam-5", "beam search, 5 beams"),
    ("contrastive-5", "contrastive search, 5 candidates"),
    ("prefill-512", "first token of a prompt of 512 tokens"),
    ("train-2x256", "training step, 2 x 256 tokens"),
    ("first-token", "process start to first token"),
    ("tokenizer", "prose to tokens, one thread"),
];

/// Bars of one scenario.
#[derive(Debug, PartialEq)]
pub struct Group {
    pub title: &'static str,
    pub bars: Vec<Bar>,
}

/// One rival in one scenario.
#[derive(Debug, PartialEq)]
pub struct Bar {
    /// Name of the rival without its mode.
    pub rival: String,
    /// Median over all rounds; above 1 if this library is better.
    pub ratio: f64,
}

/// Names of the scenarios in the chart.
pub fn names() -> [&'static str; SCENARIOS.len()] {
    SCENARIOS.map(|(name, _)| name)
}

/// Groups of the recorded scenarios, each with the highest bar first.
pub fn groups(lines: &[Value]) -> anyhow::Result<Vec<Group>> {
    let mut groups = Vec::new();
    for (name, title) in SCENARIOS {
        let mut rivals: Vec<(String, Vec<f64>)> = Vec::new();
        for line in lines.iter().filter(|line| line["scenario"] == name) {
            let Some((rival, ratios)) = ratios(name, line)? else { continue };
            match rivals.iter_mut().find(|(known, _)| *known == rival) {
                Some((_, all)) => all.extend(ratios),
                None => rivals.push((rival, ratios)),
            }
        }
        let bar =
            |(rival, ratios): (String, Vec<f64>)| Some(Bar { rival, ratio: median(&ratios)? });
        let mut bars: Vec<Bar> = rivals.into_iter().filter_map(bar).collect();
        bars.sort_by(|a, b| b.ratio.total_cmp(&a.ratio));
        if !bars.is_empty() {
            groups.push(Group { title, bars });
        }
    }
    Ok(groups)
}

/// Rival of a line and its ratio in each round, if the line has the scenario's main metric.
fn ratios(scenario: &str, line: &Value) -> anyhow::Result<Option<(String, Vec<f64>)>> {
    let [scenario] = &Scenario::select(&[scenario.to_owned()], true)?[..] else { return Ok(None) };
    let metric = scenario.work.metric();
    let (Some(peer), Some(ours), Some(theirs)) =
        (line["peer"].as_str(), line["ours_rounds"].as_array(), line["theirs_rounds"].as_array())
    else {
        return Ok(None);
    };
    if line["metric"] != metric.name {
        return Ok(None);
    }
    let rival = peer.split(',').next().unwrap_or(peer).to_owned();
    let numbers = ours.iter().zip(theirs).filter_map(|(a, b)| Some((a.as_f64()?, b.as_f64()?)));
    let ratio = |(ours, theirs)| if metric.more_is_better { ours / theirs } else { theirs / ours };
    Ok(Some((rival, numbers.map(ratio).filter(|ratio: &f64| *ratio > 0.0).collect())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(scenario: &str, metric: &str, peer: &str, ours: &[f64], theirs: &[f64]) -> Value {
        json!({
            "scenario": scenario, "metric": metric, "peer": peer,
            "ours_rounds": ours, "theirs_rounds": theirs,
        })
    }

    #[test]
    fn rounds_of_all_runs_count_and_more_bytes_a_second_are_better() {
        let lines = [
            json!({"size": "base"}),
            line("tokenizer", "throughput", "tiktoken", &[6.0], &[2.0]),
            line("beam-5", "decode", "A, plain", &[2.0, 1.0], &[4.0, 3.0]),
            line("beam-5", "decode", "B", &[1.0], &[9.0]),
            line("beam-5", "decode", "A, plain", &[1.0], &[2.5]),
            line("beam-5", "peak_memory", "A, plain", &[1.0], &[100.0]),
            json!({"scenario": "beam-5", "metric": "decode", "peer": "C", "cannot": "no beams"}),
            line("decode-1-ctx8", "decode", "A", &[1.0], &[2.0]),
        ];
        let bar = |rival: &str, ratio| Bar { rival: rival.to_owned(), ratio };
        let expected = [
            Group { title: "beam search, 5 beams", bars: vec![bar("B", 9.0), bar("A", 2.5)] },
            Group { title: "prose to tokens, one thread", bars: vec![bar("tiktoken", 3.0)] },
        ];
        assert_eq!(groups(&lines).unwrap(), expected);
    }

    #[test]
    fn every_scenario_that_is_drawn_exists() {
        assert!(names().iter().all(|name| Scenario::select(&[(*name).to_owned()], true).is_ok()));
    }
}
