//! Result of a completed training.

use std::time::Instant;

use gpt2_task::Gpt2CausalLm;
use serde_json::{Map, Value, json};

use super::data::Data;
use super::header::Header;
use super::session::{Session, Trained};
use crate::evaluation::{Evaluation, evaluate};
use crate::values::counted;

impl Session<'_> {
    /// Prints which weights are kept.
    pub(super) fn tell_stopping(&self, trained: &Trained) {
        let Some(patience) = self.arguments.early_stopping else { return };
        let (kept, epochs) = (trained.kept_epoch + 1, self.plan.epochs);
        if let Some(stopped) = trained.stopped_epoch {
            let waited = patience.max(1);
            let waited = counted(waited as u64, "epoch");
            self.context.note(format_args!(
                "stopped after epoch {} of {epochs}: val_loss did not improve for {waited}; \
                 weights of epoch {kept} kept",
                stopped + 1
            ));
        } else if trained.history.epoch.last() != Some(&trained.kept_epoch) {
            self.context
                .note(format_args!("weights of epoch {kept} kept: its val_loss is the best"));
        }
    }

    /// Prints the result.
    pub(super) fn report(
        &self,
        model: &Gpt2CausalLm,
        trained: &Trained,
        header: &Header,
        data: &Data,
        begin: Instant,
    ) -> anyhow::Result<()> {
        let (arguments, history) = (self.arguments, &trained.history);
        let curves = history.history.iter().map(|(name, values)| (name.clone(), json!(values)));
        let mut object = json!({
            "interrupted": false,
            "output": arguments.output,
            "epoch": history.epoch,
            "history": curves.collect::<Map<String, Value>>(),
            "steps": model.optimizer().iterations(),
            "seconds": begin.elapsed().as_secs_f64(),
            "stopped_epoch": trained.stopped_epoch,
            "kept_epoch": trained.kept_epoch,
        });
        if let (Value::Object(object), Value::Object(sizes)) = (&mut object, header.json()) {
            object.extend(sizes);
        }
        if let Some(data) = &data.validation {
            let evaluation = evaluate(model, data, arguments.batch_size, &|_| {})?;
            let Evaluation { loss, bits_per_byte, .. } = evaluation;
            object["val_loss"] = loss.into();
            object["val_bits_per_byte"] = bits_per_byte.into();
            self.context.note(format_args!(
                "validation: {loss:.4} nats a token, {bits_per_byte:.4} bits a byte"
            ));
            self.tell_best(trained);
        }
        if self.context.json {
            self.context.print_json(object)?;
        } else {
            self.context.print(arguments.output.display())?;
        }
        Ok(())
    }

    /// Prints the location of the best model, if it is not the output.
    fn tell_best(&self, trained: &Trained) {
        let Some(losses) = trained.history.get("val_loss") else { return };
        let best = losses.iter().enumerate().min_by(|one, other| one.1.total_cmp(other.1));
        let best = best.and_then(|(index, _)| trained.history.epoch.get(index));
        if let Some(best) = best.filter(|best| **best != trained.kept_epoch) {
            self.context.note(format_args!(
                "epoch {} has the best val_loss; its model is {}",
                best + 1,
                self.folder.file("best").display()
            ));
        }
    }
}
