//! Learning rate schedules, compared with Keras step by step.

use gpt2_task::LearningRate;
use serde_json::{Map, Value};

use crate::golden::{floats, json};

/// Tolerance of a rate, as a fraction of the schedule's highest rate.
///
/// Both sides compute in 32-bit floats, exact to 6e-8 in each operation, but with powers,
/// logarithms and cosines of different libraries.
const TOLERANCE: f64 = 1e-6;

/// The schedule with the arguments of Keras' constructor.
fn schedule(case: &Value) -> LearningRate {
    let name = match case["class"].as_str().unwrap() {
        "CosineDecay" => "cosine",
        "CosineDecayRestarts" => "cosine_restarts",
        "ExponentialDecay" => "exponential",
        "InverseTimeDecay" => "inverse_time",
        "PiecewiseConstantDecay" => "piecewise",
        "PolynomialDecay" => "polynomial",
        other => panic!("{other} is not a schedule"),
    };
    let mut object = Map::from_iter([("name".to_owned(), Value::from(name))]);
    object.extend(case["kwargs"].as_object().unwrap().clone());
    serde_json::from_value(Value::Object(object)).unwrap()
}

#[test]
fn every_step_has_keras_learning_rate() {
    let golden = json("training/expected.json");
    let mut classes = Vec::new();
    for case in golden["schedules"].as_array().unwrap() {
        let (schedule, expected) = (schedule(case), floats(&case["values"]));
        let highest = f64::from(expected.iter().copied().fold(0.0, f32::max));
        for (step, &expected) in expected.iter().enumerate() {
            let found = schedule.at(step as u64);
            let difference = (found - f64::from(expected)).abs();
            assert!(
                difference <= TOLERANCE * highest,
                "{schedule:?}, step {step}: {found}, Keras {expected}"
            );
        }
        classes.push(case["class"].as_str().unwrap());
    }
    classes.sort_unstable();
    classes.dedup();
    assert_eq!(classes.len(), 6, "every schedule has a case");
}
