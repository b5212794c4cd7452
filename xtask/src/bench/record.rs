//! Records of a scenario, one for each metric.

use gpt2_backbone::WeightDtype;
use serde_json::{Value, json};

use super::compute_device::ComputeDevice;
use super::cost::Rates;
use super::rounds::{Absence, Outcome, Series};
use super::scenario::{Metric, Scenario};
use super::size::Size;
use super::statistics::{median, range};

/// Peak memory of a process.
const PEAK: Metric =
    Metric { name: "peak_memory", unit: "MB", factor: 1e-6, more_is_better: false };

/// Device, float type and size of a measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    pub device: ComputeDevice,
    pub dtype: WeightDtype,
    pub size: Size,
}

/// One line of the results.
pub struct Record {
    pub setting: Setting,
    pub scenario: String,
    pub metric: Metric,
    /// Results of all rounds in the metric's unit, as all numbers here, or the reason for their
    /// absence.
    pub ours: Result<Vec<f64>, Absence>,
    /// Limits of the hardware. Empty if unknown.
    pub limits: Vec<f64>,
    /// Rates from which the limits follow.
    pub rates: Vec<Rates>,
    pub peer: Option<Peer>,
}

/// A rival's part of a record.
pub struct Peer {
    pub name: String,
    /// Results of the rival, or the reason for their absence.
    pub theirs: Result<Vec<f64>, Absence>,
}

/// Records of a scenario: its own metric, then the memory of the same processes.
pub fn records(
    setting: &Setting,
    scenario: &Scenario,
    outcome: &Outcome,
    unable: &[(&'static str, Absence)],
) -> Vec<Record> {
    let mut records = Vec::new();
    for metric in [scenario.work.metric(), PEAK] {
        let is_peak = metric == PEAK;
        let ours = numbers(&outcome.ours, metric);
        let mut peers: Vec<_> = peers(outcome, unable, metric).into_iter().map(Some).collect();
        let stand_alone = if ours.is_ok() { peers.is_empty() } else { !is_peak };
        if stand_alone {
            peers.insert(0, None);
        }
        let limits = |&limit: &f64| limit * metric.factor;
        records.extend(peers.into_iter().map(|peer| Record {
            setting: setting.clone(),
            scenario: scenario.name.clone(),
            metric,
            ours: ours.clone(),
            limits: if is_peak { Vec::new() } else { outcome.limits.iter().map(limits).collect() },
            rates: if is_peak { Vec::new() } else { outcome.rates.clone() },
            peer,
        }));
    }
    records
}

/// Rivals' results in one metric. The memory does not repeat the reason for an absence.
fn peers(outcome: &Outcome, unable: &[(&'static str, Absence)], metric: Metric) -> Vec<Peer> {
    let measured = outcome
        .rivals
        .iter()
        .map(|rival| Peer { name: rival.name.clone(), theirs: numbers(&rival.series, metric) });
    let absent = unable
        .iter()
        .map(|(name, reason)| Peer { name: (*name).to_owned(), theirs: Err(reason.clone()) });
    let mut peers: Vec<Peer> = measured.chain(absent).collect();
    if metric == PEAK {
        peers.retain(|peer| peer.theirs.is_ok());
    }
    peers
}

/// Measurements converted to a metric's unit.
fn numbers(series: &Result<Series, Absence>, metric: Metric) -> Result<Vec<f64>, Absence> {
    let series = series.as_ref().map_err(Absence::clone)?;
    let values = if metric == PEAK { &series.peaks } else { &series.values };
    Ok(values.iter().map(|value| value * metric.factor).collect())
}

impl Record {
    /// This library's results. Empty if absent.
    pub fn our_numbers(&self) -> &[f64] {
        self.ours.as_deref().unwrap_or_default()
    }

    /// Ratios of this library's results to the rival's in each round: above 1 if this library is
    /// better.
    pub fn ratios(&self) -> Vec<f64> {
        match &self.peer {
            Some(Peer { theirs: Ok(theirs), .. }) => {
                pairs(theirs, self.our_numbers(), self.metric.more_is_better)
            }
            _ => Vec::new(),
        }
    }

    /// Share of the hardware's limit that this library reaches in each round; 1 is the limit.
    pub fn of_limit(&self) -> Vec<f64> {
        pairs(&self.limits, self.our_numbers(), self.metric.more_is_better)
    }

    pub fn to_json(&self) -> Value {
        let mut json = json!({
            "scenario": self.scenario,
            "device": self.setting.device.name,
            "dtype": self.setting.dtype.name(),
            "size": self.setting.size.name(),
            "metric": self.metric.name,
            "unit": self.metric.unit,
            "ours": median(self.our_numbers()),
            "limit": median(&self.limits),
            "of_limit": median(&self.of_limit()),
            "ours_rounds": self.our_numbers(),
        });
        if !self.rates.is_empty() {
            let rate =
                |of: fn(&Rates) -> f64| median(&self.rates.iter().map(of).collect::<Vec<_>>());
            json["bytes_per_second"] = rate(|rates| rates.bytes).into();
            json["operations_per_second"] = rate(|rates| rates.operations).into();
        }
        if let Err(absence) = &self.ours {
            json["ours_absent"] = absence.to_string().into();
        }
        if let Some(peer) = &self.peer {
            self.add_peer(&mut json, peer);
        }
        json
    }

    fn add_peer(&self, json: &mut Value, peer: &Peer) {
        json["peer"] = peer.name.clone().into();
        match &peer.theirs {
            Ok(theirs) => {
                let ratios = self.ratios();
                json["theirs"] = median(theirs).into();
                if let Some(ratio) = median(&ratios) {
                    let (least, most) = range(&ratios);
                    json["ratio"] = ratio.into();
                    json["ratio_least"] = least.into();
                    json["ratio_most"] = most.into();
                }
                json["theirs_rounds"] = theirs.clone().into();
            }
            Err(Absence::Cannot(reason)) => json["cannot"] = reason.clone().into(),
            Err(Absence::Failed(reason)) => json["failed"] = reason.clone().into(),
        }
    }
}

/// In each round, how many times better the second number is than the first.
fn pairs(theirs: &[f64], ours: &[f64], more_is_better: bool) -> Vec<f64> {
    let ratio = |(theirs, ours): (&f64, &f64)| {
        if more_is_better { ours / theirs } else { theirs / ours }
    };
    theirs.iter().zip(ours).map(ratio).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::rounds::RivalResult;

    fn cannot(reason: &str) -> Absence {
        Absence::Cannot(reason.to_owned())
    }

    fn setting() -> Setting {
        let device =
            ComputeDevice { name: "vulkan".into(), hardware: "a GPU".into(), is_cpu: false };
        Setting { device, dtype: WeightDtype::Bf16, size: Size::Medium }
    }

    fn outcome(name: &str) -> (Scenario, Outcome) {
        let series = |values: [f64; 3]| Series { values: values.to_vec(), peaks: vec![2e6] };
        let scenario = Scenario::select(&[name.to_owned()], true).unwrap().remove(0);
        let rival = RivalResult { name: "rival".to_owned(), series: Ok(series([4.0, 3.0, 9.0])) };
        let outcome = Outcome {
            ours: Ok(series([2.0, 1.0, 9.0])),
            rates: vec![Rates { bytes: 3.0, operations: 4.0 }],
            limits: vec![1.0, 0.5, 9.0],
            rivals: vec![rival],
        };
        (scenario, outcome)
    }

    #[test]
    fn ratios_are_those_of_a_round_and_above_one_where_we_are_better() {
        let (scenario, outcome) = outcome("decode-1-ctx8");
        let records =
            records(&setting(), &scenario, &outcome, &[("other", cannot("cannot do it"))]);
        let json: Vec<Value> = records.iter().map(Record::to_json).collect();
        assert_eq!(json.len(), 3);
        assert_eq!((&json[0]["device"], &json[0]["size"]), (&"vulkan".into(), &"medium".into()));
        assert_eq!(json[0]["dtype"], "bfloat16");
        assert_eq!(json[0]["operations_per_second"], 4.0);
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
        let record = &records(&setting(), &scenario, &outcome, &[])[0];
        assert_eq!(record.ratios(), [0.5, 1.0 / 3.0, 1.0]);
    }

    #[test]
    fn without_rivals_there_is_a_record_of_ours() {
        let (scenario, mut outcome) = outcome("load");
        outcome.rivals.clear();
        let records = records(&setting(), &scenario, &outcome, &[]);
        assert_eq!(records.len(), 2);
        assert!(records[0].to_json()["peer"].is_null());
    }

    #[test]
    fn where_we_fail_that_is_a_line_and_the_others_have_theirs() {
        let (scenario, mut outcome) = outcome("load");
        outcome.ours = Err(Absence::Failed("out of memory".to_owned()));
        let records = records(&setting(), &scenario, &outcome, &[("other", cannot("no"))]);
        let json: Vec<Value> = records.iter().map(Record::to_json).collect();
        let peers: Vec<_> = json.iter().map(|record| record["peer"].as_str()).collect();
        assert_eq!(peers, [None, Some("rival"), Some("other"), Some("rival")]);
        assert_eq!(json[0]["ours_absent"], "failed: out of memory");
        assert_eq!(json[1]["theirs"], 4000.0);
        assert!(json[1]["ours"].is_null() && json[1]["ratio"].is_null());
        let left_out = Outcome::none(cannot("left out"));
        let [record] = &super::records(&setting(), &scenario, &left_out, &[])[..] else {
            panic!("one line says it")
        };
        assert_eq!(record.to_json()["ours_absent"], "left out");
    }
}
