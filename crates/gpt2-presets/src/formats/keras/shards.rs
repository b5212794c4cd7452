//! Distribution of the parameters over a KerasHub preset's files.

use std::collections::BTreeSet;

use gpt2_backbone::Gpt2BackboneConfig;
use gpt2_backbone::WeightDtype;
use serde_json::{Map, Value, json};

use crate::formats::contents::WriteOptions;
use crate::formats::keras::weight_map::KERAS;
use crate::weights::weight_map::Placement;
use crate::weights::weights_names::is_shard_number;

/// Files, names and float type of weights to be written.
pub(crate) struct Storage<'a> {
    /// Stem of the files' names.
    pub(crate) stem: &'a str,
    /// Prefix of the backbone's groups: empty, or ending in a slash.
    pub(crate) within: &'static str,
    /// The float type.
    pub(crate) dtype: WeightDtype,
    /// Size in bytes above which elements are split into several files.
    pub(crate) max_shard_size: u64,
}

impl<'a> Storage<'a> {
    /// Storage of a preset.
    pub(crate) fn new(stem: &'a str, options: &WriteOptions) -> Self {
        let WriteOptions { max_shard_size, dtype, .. } = *options;
        Self { stem, within: "", dtype, max_shard_size }
    }

    /// One file if it stays within the limit, else several.
    pub(crate) fn plan(&self, config: &Gpt2BackboneConfig) -> Vec<Shard> {
        let whole = self.whole(config);
        if whole.size <= self.max_shard_size { vec![whole] } else { self.split(config) }
    }

    /// One file.
    pub(crate) fn whole(&self, config: &Gpt2BackboneConfig) -> Shard {
        let mut whole = Shard::new(format!("{}.weights.h5", self.stem));
        self.groups(config).into_iter().for_each(|group| whole.add(group));
        whole
    }

    /// Several files. A group above the limit gets a file of its own.
    pub(crate) fn split(&self, config: &Gpt2BackboneConfig) -> Vec<Shard> {
        let mut shards: Vec<Shard> = Vec::new();
        for group in self.groups(config) {
            let fits = |shard: &Shard| shard.size + group.1 <= self.max_shard_size;
            if !shards.last().is_some_and(fits) {
                let name = format!("{}_{:05}.weights.h5", self.stem, shards.len());
                shards.push(Shard::new(name));
            }
            if let Some(shard) = shards.last_mut() {
                shard.add(group);
            }
        }
        shards
    }

    /// All groups and their sizes in bytes, in the order of the weight map.
    fn groups(&self, config: &Gpt2BackboneConfig) -> Vec<(String, u64)> {
        let mut groups: Vec<(String, u64)> = Vec::new();
        for placement in KERAS.placements(config) {
            let (group, _) = group_and_variable(&placement);
            let size = (placement.shape.iter().product::<usize>() * self.dtype.size()) as u64;
            match groups.last_mut() {
                Some((last, total)) if *last == group => *total += size,
                _ => groups.push((group, size)),
            }
        }
        groups
    }

    /// Content of the index file.
    pub(crate) fn index(&self, shards: &[Shard]) -> Value {
        let mut map = Map::new();
        for Shard { name, groups, .. } in shards {
            let groups = groups.iter();
            map.extend(groups.map(|group| (format!("/{}{group}", self.within), json!(name))));
        }
        let total: u64 = shards.iter().map(|shard| shard.size).sum();
        json!({"metadata": {"total_size": total}, "weight_map": map})
    }
}

/// A file of weights.
pub(crate) struct Shard {
    pub(crate) name: String,
    /// Groups of variables in the file, named as in a backbone's own file.
    pub(crate) groups: BTreeSet<String>,
    /// Size of their elements in bytes.
    size: u64,
}

impl Shard {
    fn new(name: String) -> Self {
        Self { name, groups: BTreeSet::new(), size: 0 }
    }

    fn add(&mut self, (group, size): (String, u64)) {
        self.groups.insert(group);
        self.size += size;
    }
}

/// Whether a file name is a shard's.
pub(crate) fn is_shard(name: &str) -> bool {
    let number = name.strip_prefix("model_").and_then(|name| name.strip_suffix(".weights.h5"));
    number.is_some_and(is_shard_number)
}

/// Group of variables of a parameter, and the variable's name in the group.
pub(crate) fn group_and_variable(placement: &Placement) -> (String, String) {
    let name = (KERAS.file_name)(&placement.tensor);
    let (group, variable) = name.rsplit_once('/').expect("every variable is in a group");
    (group.to_owned(), variable.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_full_and_hold_each_group_once() {
        let config = Gpt2BackboneConfig::new(7, 3, 2, 4, 9).with_max_sequence_length(5);
        let storage = |max_shard_size| Storage::new("model", &WriteOptions::new(max_shard_size));
        let all: Vec<_> = storage(1).whole(&config).groups.into_iter().collect();
        // The model has 2,396 bytes of parameters.
        for (max_size, files) in [(u64::MAX, 1), (1000, 3), (1, all.len())] {
            let shards = storage(max_size).plan(&config);
            assert_eq!(shards.len(), files, "{max_size}");
            let held: Vec<_> = shards.iter().flat_map(|shard| shard.groups.iter()).collect();
            assert_eq!(held.len(), all.len());
            assert!(all.iter().all(|group| held.contains(&group)));
            assert!(max_size == 1 || shards.iter().all(|shard| shard.size <= max_size));
        }
    }
}
