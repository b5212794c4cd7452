//! Backbone whose weights are updated in place.

use gpt2_backbone::Gpt2Backbone;

/// Backbone of a model. An update takes it and gives it back: weights are written in place only
/// through their sole reference.
///
/// An update that fails returns the backbone. After an update that panics, some weights may be
/// updated and others not. Like a poisoned lock, the owner then has no backbone, and panics on use.
pub(crate) struct OwnedBackbone(Option<Gpt2Backbone>);

const LOST: &str = "an update of the weights panicked before; load the model again";

impl OwnedBackbone {
    pub(crate) fn new(backbone: Gpt2Backbone) -> Self {
        Self(Some(backbone))
    }

    pub(crate) fn get(&self) -> &Gpt2Backbone {
        self.0.as_ref().expect(LOST)
    }

    pub(crate) fn get_mut(&mut self) -> &mut Gpt2Backbone {
        self.0.as_mut().expect(LOST)
    }

    pub(crate) fn into_inner(self) -> Gpt2Backbone {
        self.0.expect(LOST)
    }

    /// Replaces the backbone by the one that `update` returns, and returns the other result of
    /// `update`.
    pub(crate) fn update<R>(
        &mut self,
        update: impl FnOnce(Gpt2Backbone) -> (Gpt2Backbone, R),
    ) -> R {
        let (backbone, result) = update(self.0.take().expect(LOST));
        self.0 = Some(backbone);
        result
    }
}

#[cfg(test)]
#[cfg(feature = "flex")]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use burn::tensor::Device;
    use gpt2_backbone::Gpt2BackboneConfig;

    use super::*;

    fn owned() -> OwnedBackbone {
        let config = Gpt2BackboneConfig::new(10, 1, 1, 4, 8).with_max_sequence_length(4);
        OwnedBackbone::new(Gpt2Backbone::new(&config, 1, &Device::flex()).unwrap())
    }

    #[test]
    fn a_failed_update_gives_the_backbone_back() {
        let mut owned = owned();
        let failed: Result<(), &str> = owned.update(|backbone| (backbone, Err("no memory")));
        assert_eq!(failed, Err("no memory"));
        assert_eq!(owned.get().config().vocabulary_size, 10);
    }

    #[test]
    fn a_panic_in_an_update_is_not_forgotten() {
        let mut owned = owned();
        let update = |_: Gpt2Backbone| -> (Gpt2Backbone, ()) { panic!("a bug") };
        assert!(catch_unwind(AssertUnwindSafe(|| owned.update(update))).is_err());
        let used = catch_unwind(AssertUnwindSafe(|| owned.get().device()));
        let message = used.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains("load the model again"), "{message}");
    }
}
