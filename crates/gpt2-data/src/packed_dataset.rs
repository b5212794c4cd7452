//! `PackedDataset`: examples of equal length from a stream of token ids, without padding.

use gpt2_task::{Dataset, TaskError, TokenBatch, TrainingBatch};
use gpt2_tokenizer::TokenId;

use crate::error::{DataError, check_positive};
use crate::shards::token_shards::TokenShards;

/// Windows of a stream of token ids, as examples.
///
/// Example `i` has the `sequence_length` tokens from position `i * stride` on as inputs, and the
/// token after each as its target. Every target has weight 1.
///
/// The default stride is `sequence_length`: every token but the first is predicted once. Tokens at
/// the end that do not fill a window are dropped. A window may span several documents, separated by
/// the stream's end token as in GPT-2's own training.
///
/// ```
/// use gpt2_data::{PackedDataset, TokenShards};
/// use gpt2_task::Dataset;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("train.bin");
/// std::fs::write(&path, [0u16, 1, 2, 3, 4, 5].map(u16::to_le_bytes).concat())?;
/// let data = PackedDataset::new(TokenShards::open(&[path])?, 2, 50257)?;
/// let batch = data.batch(&[0, 1])?;
/// assert_eq!(batch.x.token_ids(), [[0, 1], [2, 3]]);
/// assert_eq!(batch.y, [[1, 2], [3, 4]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PackedDataset {
    shards: TokenShards,
    sequence_length: usize,
    stride: usize,
    vocabulary_size: usize,
}

impl PackedDataset {
    /// Examples of `sequence_length` targets, with ids below `vocabulary_size`.
    ///
    /// # Errors
    ///
    /// [`DataError::TooFewTokens`] if the stream does not fill one window, and
    /// [`DataError::InvalidOption`] if `sequence_length` is 0. Ids are checked when they are read.
    pub fn new(
        shards: TokenShards,
        sequence_length: usize,
        vocabulary_size: usize,
    ) -> Result<Self, DataError> {
        check_positive("sequence_length", sequence_length)?;
        let (found, needed) = (shards.token_count(), (sequence_length as u64).saturating_add(1));
        if found < needed {
            return Err(DataError::TooFewTokens { found, needed });
        }
        Ok(Self { shards, sequence_length, stride: sequence_length, vocabulary_size })
    }

    /// Sets the number of tokens between the starts of two examples. Below `sequence_length`,
    /// examples overlap, and a small text gives more of them. Default: `sequence_length`.
    ///
    /// # Errors
    ///
    /// [`DataError::InvalidOption`] for 0.
    pub fn with_stride(mut self, stride: usize) -> Result<Self, DataError> {
        check_positive("stride", stride)?;
        self.stride = stride;
        Ok(self)
    }

    /// Stream of token ids.
    pub fn shards(&self) -> &TokenShards {
        &self.shards
    }

    /// Number of targets in an example.
    pub fn sequence_length(&self) -> usize {
        self.sequence_length
    }

    /// Inputs of an example, followed by its last target.
    fn window(&self, index: usize) -> Result<Vec<TokenId>, DataError> {
        let start = index as u64 * self.stride as u64;
        let mut ids = vec![0; self.sequence_length + 1];
        self.shards.read(start, &mut ids)?;
        let outside = ids.iter().position(|&id| id as usize >= self.vocabulary_size);
        if let Some(offset) = outside {
            let (shard, position) = self.shards.locate(start + offset as u64);
            return Err(DataError::TokenOutOfRange {
                path: shard.path().into(),
                position,
                token_id: ids[offset],
                vocabulary_size: self.vocabulary_size,
            });
        }
        Ok(ids)
    }
}

impl Dataset for PackedDataset {
    fn len(&self) -> usize {
        let starts = self.shards.token_count() - self.sequence_length as u64 - 1;
        (starts / self.stride as u64 + 1) as usize
    }

    fn batch(&self, indices: &[usize]) -> Result<TrainingBatch, TaskError> {
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for &index in indices {
            let mut ids = self.window(index).map_err(|error| TaskError::Data(error.into()))?;
            y.push(ids[1..].to_vec());
            ids.pop();
            x.push(ids);
        }
        TrainingBatch::new(TokenBatch::unpadded(x)?, y)
    }

    fn fingerprint(&self) -> String {
        format!(
            "{} tokens in windows of {}, stride {}, hash {:016x}",
            self.shards.token_count(),
            self.sequence_length,
            self.stride,
            self.shards.fingerprint()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Consecutive ids in files of these lengths.
    fn counted(lengths: &[u16]) -> TokenShards {
        let folder = tempfile::tempdir().unwrap();
        let mut next = 0;
        let paths: Vec<_> = lengths
            .iter()
            .map(|length| {
                let path = folder.path().join(format!("{next}.bin"));
                let ids: Vec<u8> = (next..next + length).flat_map(u16::to_le_bytes).collect();
                std::fs::write(&path, ids).unwrap();
                next += length;
                path
            })
            .collect();
        // Open files stay readable after the folder is removed.
        TokenShards::open(&paths).unwrap()
    }

    fn dataset(lengths: &[u16], sequence_length: usize) -> PackedDataset {
        PackedDataset::new(counted(lengths), sequence_length, 100).unwrap()
    }

    #[test]
    fn every_token_but_the_first_is_predicted_once_by_the_one_before_it() {
        for (lengths, sequence_length, dropped) in
            [(&[10][..], 3, 0), (&[4, 1, 6], 3, 1), (&[7, 5], 11, 0), (&[9, 9], 1, 0)]
        {
            let data = dataset(lengths, sequence_length);
            let total = lengths.iter().sum::<u16>() as u32;
            let batch = data.batch(&(0..data.len()).collect::<Vec<_>>()).unwrap();
            assert!(batch.y.concat().into_iter().eq(1..total - dropped), "{lengths:?}");
            assert!(batch.x.token_ids().concat().into_iter().eq(0..total - dropped - 1));
            assert!(batch.sample_weight.concat().iter().all(|&weight| weight == 1.0));
            assert!(batch.x.padding_mask().concat().iter().all(|&real| real));
        }
    }

    #[test]
    fn a_smaller_stride_gives_overlapping_examples() {
        let data = dataset(&[6, 4], 4).with_stride(2).unwrap();
        assert_eq!(data.len(), 3);
        let batch = data.batch(&[2, 0]).unwrap();
        assert_eq!(batch.x.token_ids(), [[4, 5, 6, 7], [0, 1, 2, 3]]);
        assert_eq!(batch.y, [[5, 6, 7, 8], [1, 2, 3, 4]]);
        assert!(dataset(&[10], 4).with_stride(0).is_err());
    }

    #[test]
    fn a_text_shorter_than_a_window_is_refused() {
        assert_eq!(dataset(&[5], 4).len(), 1);
        let error = PackedDataset::new(counted(&[4]), 4, 100).unwrap_err();
        assert!(matches!(error, DataError::TooFewTokens { found: 4, needed: 5 }), "{error}");
        let error = PackedDataset::new(counted(&[4]), 0, 100).unwrap_err();
        assert!(error.to_string().contains("`sequence_length`"), "{error}");
    }

    #[test]
    fn an_id_outside_the_vocabulary_is_named_with_file_and_position() {
        let data = PackedDataset::new(counted(&[4, 6]), 3, 7).unwrap();
        assert!(data.batch(&[0, 1]).is_ok());
        let error = data.batch(&[0, 2]).unwrap_err();
        let TaskError::Data(cause) = error else { panic!("{error}") };
        let message = cause.to_string();
        assert!(message.contains("4.bin` holds the token id 7 at position 3"), "{message}");
        assert!(message.contains("ids below 7"), "{message}");
    }

    #[test]
    fn the_fingerprint_tells_data_and_windows_apart() {
        let of = |data: PackedDataset| data.fingerprint();
        let one = of(dataset(&[10], 3));
        assert_eq!(of(dataset(&[10], 3)), one);
        for other in
            [dataset(&[11], 3), dataset(&[10], 4), dataset(&[10], 3).with_stride(1).unwrap()]
        {
            assert_ne!(of(other), one);
        }
    }

    /// A batch reads only its windows.
    #[cfg(target_os = "linux")]
    #[test]
    fn data_larger_than_memory_is_not_read_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.bin");
        // A sparse file: its size is a tebibyte, but it takes no space on the disk.
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(1 << 40).unwrap();
        let data = PackedDataset::new(TokenShards::open(&[path]).unwrap(), 1024, 50257).unwrap();
        let last = data.len() - 1;
        assert_eq!(last, (1 << 29) - 2);
        assert_eq!(data.batch(&[last]).unwrap().y, [[0; 1024]]);
    }
}
