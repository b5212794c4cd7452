//! Learning rate of a training.

use anyhow::ensure;
use gpt2_task::LearningRate;
use gpt2_task::optimizers::Optimizer;

use super::arguments::Arguments;

/// Default of the highest learning rate.
const DEFAULT: f64 = 2e-5;

/// Learning rate of a training of `steps` steps.
pub(super) fn learning_rate(
    arguments: &Arguments,
    optimizer: &Optimizer,
    steps: usize,
) -> anyhow::Result<LearningRate> {
    let named = arguments.optimizer.contains("learning_rate=");
    ensure!(
        !named || arguments.learning_rate.is_none(),
        "the learning rate is given twice: by --learning-rate and by --optimizer"
    );
    let default = if named { optimizer.learning_rate() } else { DEFAULT };
    let rate = arguments.learning_rate.unwrap_or(default);
    ensure!(rate >= 0.0, "`--learning-rate` must be at least 0, found {rate}");
    let schedule = LearningRate::from_text_for_steps(&arguments.schedule, rate, steps)?;
    check_end(&arguments.schedule, &schedule)?;
    Ok(schedule)
}

/// Returns an error for a decay that would rise: Keras' default of its end is 1e-4, whatever the
/// highest rate is.
fn check_end(text: &str, schedule: &LearningRate) -> anyhow::Result<()> {
    let LearningRate::Polynomial(decay) = schedule else { return Ok(()) };
    let (first, end) = (decay.initial_learning_rate, decay.end_learning_rate);
    let name = text.split(':').next().unwrap_or(text);
    let default = if text.contains("end_learning_rate") { "" } else { " (its default)" };
    ensure!(
        end <= first,
        "schedule `{name}`: the rate would rise from {first:?} to the `end_learning_rate` of \
         {end:?}{default}, expected a decay; set a lower one, as in --schedule \
         {name}:end_learning_rate=0"
    );
    Ok(())
}
