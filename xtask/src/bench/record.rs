//! What is said of a scenario: one record for each number, and for each rival's beside it.

use serde_json::{Value, json};

use super::contest::{Outcome, Series};
use super::scenario::{Metric, Scenario};
use super::statistics::{median, range};

/// Of the most memory of a process.
const PEAK: Metric =
    Metric { name: "peak_memory", unit: "MB", factor: 1e-6, more_is_better: false };

/// One line of the results.
pub struct Record {
    pub scenario: String,
    pub metric: Metric,
    /// In the metric's unit, round by round, as all numbers here.
    pub ours: Vec<f64>,
    /// What the hardware allows; empty where that is not known.
    pub limits: Vec<f64>,
    pub peer: Option<Peer>,
}

/// A rival's part of a record.
pub struct Peer {
    pub name: String,
    /// Its numbers, or why there are none.
    pub theirs: Result<Vec<f64>, Absence>,
}

/// Why a rival has no numbers.
pub enum Absence {
    Cannot(String),
    Failed(String),
}

/// The records of a scenario, its metric first, then the memory of the same processes.
pub fn records(
    scenario: &Scenario,
    outcome: &Outcome,
    unable: &[(&'static str, &'static str)],
) -> Vec<Record> {
    let mut records = Vec::new();
    for metric in [scenario.work.metric(), PEAK] {
        let numbers = |series: &Series| {
            let of = if metric == PEAK { &series.peaks } else { &series.values };
            of.iter().map(|value| value * metric.factor).collect::<Vec<_>>()
        };
        let limits: Vec<f64> = match metric == PEAK {
            true => Vec::new(),
            false => outcome.limits.iter().map(|limit| limit * metric.factor).collect(),
        };
        let mut add = |peer| {
            records.push(Record {
                scenario: scenario.name.clone(),
                metric,
                ours: numbers(&outcome.ours),
                limits: limits.clone(),
                peer,
            });
        };
        if outcome.rivals.is_empty() && unable.is_empty() {
            add(None);
        }
        for rival in &outcome.rivals {
            let theirs = match &rival.series {
                Ok(series) => Ok(numbers(series)),
                Err(reason) => Err(Absence::Failed(reason.clone())),
            };
            add(Some(Peer { name: rival.name.clone(), theirs }));
        }
        for (name, reason) in unable.iter().filter(|_| metric != PEAK) {
            let theirs = Err(Absence::Cannot((*reason).to_owned()));
            add(Some(Peer { name: (*name).to_owned(), theirs }));
        }
    }
    records
}

impl Record {
    /// How many times better we are than the rival, pair by pair.
    pub fn ratios(&self) -> Vec<f64> {
        match &self.peer {
            Some(Peer { theirs: Ok(theirs), .. }) => {
                pairs(theirs, &self.ours, self.metric.more_is_better)
            }
            _ => Vec::new(),
        }
    }

    /// How near we are to what the hardware allows, pair by pair: 1 is all.
    pub fn of_limit(&self) -> Vec<f64> {
        pairs(&self.limits, &self.ours, self.metric.more_is_better)
    }

    pub fn to_json(&self) -> Value {
        let mut json = json!({
            "scenario": self.scenario,
            "device": "cpu",
            "dtype": "f32",
            "metric": self.metric.name,
            "unit": self.metric.unit,
            "ours": median(&self.ours),
            "limit": median(&self.limits),
            "of_limit": median(&self.of_limit()),
            "ours_rounds": self.ours,
        });
        let Some(peer) = &self.peer else { return json };
        json["peer"] = peer.name.clone().into();
        match &peer.theirs {
            Ok(theirs) => {
                let ratios = self.ratios();
                let (least, most) = range(&ratios);
                json["theirs"] = median(theirs).into();
                json["ratio"] = median(&ratios).into();
                json["ratio_least"] = least.into();
                json["ratio_most"] = most.into();
                json["theirs_rounds"] = theirs.clone().into();
            }
            Err(Absence::Cannot(reason)) => json["cannot"] = reason.clone().into(),
            Err(Absence::Failed(reason)) => json["failed"] = reason.clone().into(),
        }
        json
    }
}

/// For each round how many times better the second number is than the first.
fn pairs(theirs: &[f64], ours: &[f64], more_is_better: bool) -> Vec<f64> {
    let ratio = |(theirs, ours): (&f64, &f64)| {
        if more_is_better { ours / theirs } else { theirs / ours }
    };
    theirs.iter().zip(ours).map(ratio).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::contest::Performance;

    fn outcome(name: &str) -> (Scenario, Outcome) {
        let series = |values: [f64; 3]| Series { values: values.to_vec(), peaks: vec![2e6] };
        let scenario = Scenario::select(&[name.to_owned()]).unwrap().remove(0);
        let rival = Performance { name: "rival".to_owned(), series: Ok(series([4.0, 3.0, 9.0])) };
        let outcome = Outcome {
            ours: series([2.0, 1.0, 9.0]),
            limits: vec![1.0, 0.5, 9.0],
            rivals: vec![rival],
        };
        (scenario, outcome)
    }

    #[test]
    fn ratios_are_those_of_a_round_and_above_one_where_we_are_better() {
        let (scenario, outcome) = outcome("decode-1-ctx8");
        let records = records(&scenario, &outcome, &[("other", "cannot do it")]);
        let json: Vec<Value> = records.iter().map(Record::to_json).collect();
        assert_eq!(json.len(), 3);
        assert_eq!((&json[0]["metric"], &json[0]["unit"]), (&"decode".into(), &"ms/step".into()));
        assert_eq!((&json[0]["ours"], &json[0]["theirs"]), (&2000.0.into(), &4000.0.into()));
        assert_eq!((&json[0]["ratio"], &json[0]["of_limit"]), (&2.0.into(), &0.5.into()));
        let spread = (&json[0]["ratio_least"], &json[0]["ratio_most"]);
        assert_eq!(spread, (&1.0.into(), &3.0.into()));
        assert_eq!(
            (&json[1]["peer"], &json[1]["cannot"]),
            (&"other".into(), &"cannot do it".into())
        );
        assert_eq!((&json[2]["metric"], &json[2]["ours"]), (&"peak_memory".into(), &2.0.into()));
        assert!(json[2]["limit"].is_null());
    }

    #[test]
    fn more_bytes_a_second_are_better() {
        let (scenario, outcome) = outcome("tokenizer");
        let record = &records(&scenario, &outcome, &[])[0];
        assert_eq!(record.ratios(), [0.5, 1.0 / 3.0, 1.0]);
    }

    #[test]
    fn without_rivals_there_is_a_record_of_ours() {
        let (scenario, mut outcome) = outcome("load");
        outcome.rivals.clear();
        let records = records(&scenario, &outcome, &[]);
        assert_eq!(records.len(), 2);
        assert!(records[0].to_json()["peer"].is_null());
    }
}
