//! Stage 10b: which file gets which parameters.

use std::collections::BTreeSet;

use gpt2_backbone::Gpt2BackboneConfig;
use serde_json::{Map, Value, json};

use crate::keras_weight_map::KERAS;
use crate::weight_map::Placement;

/// The one file with the weights.
pub(crate) const WHOLE: &str = "model.weights.h5";
/// The list of files, where there are more.
pub(crate) const INDEX: &str = "model.weights.json";

/// A file of weights.
pub(crate) struct Shard {
    pub(crate) name: String,
    /// The groups of variables in it.
    pub(crate) groups: BTreeSet<String>,
    /// Bytes of their elements.
    size: u64,
}

impl Shard {
    fn new(name: String) -> Self {
        Self { name, groups: BTreeSet::new(), size: 0 }
    }
}

/// The group of variables that a parameter belongs to, and its name there.
pub(crate) fn group_and_variable(placement: &Placement) -> (String, String) {
    let name = (KERAS.file_name)(&placement.tensor);
    let (group, variable) = name.rsplit_once('/').expect("every variable is in a group");
    (group.to_owned(), variable.to_owned())
}

/// One file if that is not larger than `max_size`, else as many as it takes. A group that is
/// larger alone gets a file alone.
pub(crate) fn plan(config: &Gpt2BackboneConfig, max_size: u64) -> Vec<Shard> {
    let groups = groups(config);
    if groups.iter().map(|(_, size)| size).sum::<u64>() <= max_size {
        let mut whole = Shard::new(WHOLE.to_owned());
        whole.groups.extend(groups.into_iter().map(|(group, _)| group));
        return vec![whole];
    }
    let mut shards: Vec<Shard> = Vec::new();
    for (group, size) in groups {
        if shards.last().is_none_or(|shard| shard.size + size > max_size) {
            shards.push(Shard::new(format!("model_{:05}.weights.h5", shards.len())));
        }
        if let Some(shard) = shards.last_mut() {
            shard.groups.insert(group);
            shard.size += size;
        }
    }
    shards
}

/// All groups with their sizes in bytes, in the order of the weight map.
fn groups(config: &Gpt2BackboneConfig) -> Vec<(String, u64)> {
    let mut groups: Vec<(String, u64)> = Vec::new();
    for placement in KERAS.placements(config) {
        let (group, _) = group_and_variable(&placement);
        let size = (placement.shape.iter().product::<usize>() * size_of::<f32>()) as u64;
        match groups.last_mut() {
            Some((last, total)) if *last == group => *total += size,
            _ => groups.push((group, size)),
        }
    }
    groups
}

/// The content of `model.weights.json`.
pub(crate) fn index(shards: &[Shard]) -> Value {
    let mut map = Map::new();
    for Shard { name, groups, .. } in shards {
        map.extend(groups.iter().map(|group| (format!("/{group}"), json!(name))));
    }
    let total: u64 = shards.iter().map(|shard| shard.size).sum();
    json!({"metadata": {"total_size": total}, "weight_map": map})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_full_and_hold_each_group_once() {
        let config = Gpt2BackboneConfig::new(7, 3, 2, 4, 9).with_max_sequence_length(5);
        let all: Vec<_> = groups(&config).into_iter().map(|(group, _)| group).collect();
        // 2,396 bytes of parameters.
        for (max_size, files) in [(u64::MAX, 1), (1000, 3), (1, all.len())] {
            let shards = plan(&config, max_size);
            assert_eq!(shards.len(), files, "{max_size}");
            let held: Vec<_> = shards.iter().flat_map(|shard| shard.groups.iter()).collect();
            assert_eq!(held.len(), all.len());
            assert!(all.iter().all(|group| held.contains(&group)));
            assert!(max_size == 1 || shards.iter().all(|shard| shard.size <= max_size));
        }
    }
}
