//! Dropout against the composed operations.

use burn::backend::Flex;

use super::key::DropoutKey;
use super::{DropoutOps, composed};
use crate::cpu::testing::{numbers, values};

#[test]
fn dropout_follows_from_the_key() {
    for size in [1, 100, 70_000] {
        for rate in [0.1, 0.5, 1.0] {
            let key = DropoutKey { key: 17, rate };
            let x = numbers(size as u64, [size]);
            let found = Flex::fused_dropout(x.clone(), key);
            let expected = composed::counted_dropout::<Flex>(x, key);
            assert_eq!(values(&found), values(&expected), "{size} at {rate}");
        }
    }
}

/// On devices with random numbers of their own. A rate of 1 must not divide by zero.
#[test]
fn composed_dropout_drops_all_or_nothing_at_the_ends() {
    let x = numbers(1, [50]);
    for (rate, expected) in [(0.0, 1.0), (1.0, 0.0)] {
        let factors = composed::factors::<Flex>(&x, DropoutKey { key: 17, rate });
        assert_eq!(values(&factors), [expected; 50], "a rate of {rate}");
    }
}
