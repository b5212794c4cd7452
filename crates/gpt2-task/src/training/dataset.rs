//! Training data: examples by index, or batches from an iterator.

use std::borrow::Cow;
use std::iter;
use std::sync::Arc;

use crate::causal_lm_preprocessor::Gpt2CausalLmPreprocessor;
use crate::error::TaskError;
use crate::fingerprint::Fingerprint;
use crate::training_batch::TrainingBatch;

/// Examples with random access, so that they can be shuffled, split and resumed.
///
/// The examples need not be in memory: a batch is made on demand.
pub trait Dataset: Send + Sync {
    /// Number of examples.
    fn len(&self) -> usize;

    /// Whether there are no examples.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Batch of the examples with these indices, all below [`len`](Self::len).
    ///
    /// # Errors
    ///
    /// Failures to read or tokenize the examples.
    fn batch(&self, indices: &[usize]) -> Result<TrainingBatch, TaskError>;

    /// Text that identifies the data, so that a resumed training can reject other data.
    fn fingerprint(&self) -> String {
        format!("{} examples", self.len())
    }
}

/// Texts that are tokenized and packed batch by batch.
pub(crate) struct TextDataset<'a> {
    texts: Vec<Cow<'a, str>>,
    preprocessor: Gpt2CausalLmPreprocessor,
}

impl Dataset for TextDataset<'_> {
    fn len(&self) -> usize {
        self.texts.len()
    }

    fn batch(&self, indices: &[usize]) -> Result<TrainingBatch, TaskError> {
        let texts: Vec<&str> = indices.iter().map(|&index| &*self.texts[index]).collect();
        self.preprocessor.preprocess(&texts)
    }

    fn fingerprint(&self) -> String {
        let config = self.preprocessor.config();
        let bytes = self.texts.iter().flat_map(|text| text.bytes().chain([0]));
        let hash = Fingerprint::new().with_bytes(bytes).finish();
        format!("{} texts, hash {hash:016x}, {config:?}", self.texts.len())
    }
}

/// The rows of one large batch are examples.
impl Dataset for TrainingBatch {
    fn len(&self) -> usize {
        self.batch_size()
    }

    fn batch(&self, indices: &[usize]) -> Result<TrainingBatch, TaskError> {
        self.rows(indices)
    }

    fn fingerprint(&self) -> String {
        let ids = self.x.token_ids().iter().chain(&self.y).flatten();
        let weights = self.sample_weight.iter().flatten().map(|weight| weight.to_bits());
        let bytes = ids.copied().chain(weights).flat_map(u32::to_le_bytes);
        let hash = Fingerprint::new().with_bytes(bytes).finish();
        format!("{} examples, hash {hash:016x}", self.len())
    }
}

impl<D: Dataset + ?Sized> Dataset for &D {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn batch(&self, indices: &[usize]) -> Result<TrainingBatch, TaskError> {
        (**self).batch(indices)
    }

    fn fingerprint(&self) -> String {
        (**self).fingerprint()
    }
}

/// Some examples of another dataset, such as a validation split.
pub(crate) struct Subset<'a> {
    pub(crate) whole: Arc<dyn Dataset + 'a>,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Dataset for Subset<'_> {
    fn len(&self) -> usize {
        self.end - self.start
    }

    fn batch(&self, indices: &[usize]) -> Result<TrainingBatch, TaskError> {
        let indices: Vec<usize> = indices.iter().map(|index| self.start + index).collect();
        self.whole.batch(&indices)
    }

    fn fingerprint(&self) -> String {
        format!("{} of {}", self.end - self.start, self.whole.fingerprint())
    }
}

/// Iterator over batches.
pub type BatchIterator<'a> = Box<dyn Iterator<Item = Result<TrainingBatch, TaskError>> + 'a>;

/// Iterator over texts.
pub type TextIterator<'a> = Box<dyn Iterator<Item = Cow<'a, str>> + 'a>;

/// Data of `fit`, `evaluate` and `predict_batches`.
///
/// Made from texts, a [`TrainingBatch`], a [`Dataset`], or a function that starts an iterator of
/// texts or batches.
///
/// ```
/// # let mut model = gpt2_task::testing::model();
/// use gpt2_task::{FitOptions, TrainingData};
///
/// let options = || FitOptions::new().with_batch_size(2);
/// model.fit(["a plane", "the port"], options())?;
/// model.fit(vec![String::from("a plane")], options())?;
/// let texts = || ["a plane", "the port"].into_iter().map(str::to_lowercase);
/// model.fit(TrainingData::texts(texts), options())?;
/// # Ok::<(), gpt2_task::TaskError>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub enum TrainingData<'a> {
    /// Texts, for a model with a preprocessor.
    Texts(Vec<Cow<'a, str>>),
    /// Texts from an iterator, for a model with a preprocessor. The function is called for every
    /// epoch, or with `steps_per_epoch` when the iterator ends.
    TextStream(Arc<dyn Fn() -> TextIterator<'a> + 'a>),
    /// Examples by index.
    Dataset(Arc<dyn Dataset + 'a>),
    /// Ready-made batches. The function is called for every epoch, or with `steps_per_epoch` when
    /// the iterator ends.
    Batches(Arc<dyn Fn() -> BatchIterator<'a> + 'a>),
}

impl<'a> TrainingData<'a> {
    /// Examples by index.
    pub fn dataset(dataset: impl Dataset + 'a) -> Self {
        Self::Dataset(Arc::new(dataset))
    }

    /// Texts from an iterator, tokenized batch by batch on demand. `start` returns a new iterator
    /// for every epoch, or with [`with_steps_per_epoch`](crate::FitOptions::with_steps_per_epoch)
    /// when the last one ends.
    ///
    /// They keep the iterator's order: nothing is shuffled or split.
    pub fn texts<I>(start: impl Fn() -> I + 'a) -> Self
    where
        I: IntoIterator<Item: Into<Cow<'a, str>> + 'a>,
        I::IntoIter: 'a,
    {
        Self::TextStream(Arc::new(move || Box::new(start().into_iter().map(Into::into))))
    }

    /// Batches from an iterator. `start` returns a new iterator for every epoch, or with
    /// [`with_steps_per_epoch`](crate::FitOptions::with_steps_per_epoch) when the last one ends.
    ///
    /// They keep the iterator's order: nothing is shuffled, split or regrouped.
    pub fn batches<I>(start: impl Fn() -> I + 'a) -> Self
    where
        I: IntoIterator<Item = Result<TrainingBatch, TaskError>>,
        I::IntoIter: 'a,
    {
        Self::Batches(Arc::new(move || Box::new(start().into_iter())))
    }

    /// Converts texts to a dataset, or texts of an iterator to batches of `batch_size`. Other data
    /// stay unchanged.
    pub(crate) fn resolve(
        self,
        preprocessor: Option<&Gpt2CausalLmPreprocessor>,
        batch_size: usize,
        operation: &'static str,
    ) -> Result<Self, TaskError> {
        let preprocessor = || preprocessor.cloned().ok_or(TaskError::NoPreprocessor { operation });
        Ok(match self {
            Self::Texts(texts) => {
                Self::dataset(TextDataset { texts, preprocessor: preprocessor()? })
            }
            Self::TextStream(start) => {
                let preprocessor = preprocessor()?;
                Self::batches(move || {
                    let preprocessor = preprocessor.clone();
                    let mut texts = start();
                    iter::from_fn(move || {
                        let batch: Vec<Cow<'a, str>> = texts.by_ref().take(batch_size).collect();
                        (!batch.is_empty()).then(|| preprocessor.preprocess(&batch))
                    })
                })
            }
            Self::Dataset(_) | Self::Batches(_) => self,
        })
    }

    /// All examples or texts as one batch, or the first batch of an iterator.
    pub(crate) fn into_batch(
        self,
        preprocessor: Option<&Gpt2CausalLmPreprocessor>,
        operation: &'static str,
    ) -> Result<TrainingBatch, TaskError> {
        let batch = match self.resolve(preprocessor, usize::MAX, operation)? {
            Self::Dataset(dataset) if !dataset.is_empty() => {
                Some(dataset.batch(&(0..dataset.len()).collect::<Vec<_>>()))
            }
            Self::Batches(start) => start().next(),
            _ => None,
        };
        batch.unwrap_or(Err(TaskError::EmptyTrainingData { name: "data" }))
    }
}

impl<'a, S: AsRef<str>> From<&'a [S]> for TrainingData<'a> {
    fn from(texts: &'a [S]) -> Self {
        Self::Texts(texts.iter().map(|text| Cow::Borrowed(text.as_ref())).collect())
    }
}

impl<'a, S: Into<Cow<'a, str>>> From<Vec<S>> for TrainingData<'a> {
    fn from(texts: Vec<S>) -> Self {
        Self::Texts(texts.into_iter().map(Into::into).collect())
    }
}

impl<'a, S: Into<Cow<'a, str>>, const N: usize> From<[S; N]> for TrainingData<'a> {
    fn from(texts: [S; N]) -> Self {
        Self::Texts(texts.into_iter().map(Into::into).collect())
    }
}

impl<'a, S: AsRef<str>> From<&'a Vec<S>> for TrainingData<'a> {
    fn from(texts: &'a Vec<S>) -> Self {
        texts.as_slice().into()
    }
}

impl<'a, S: AsRef<str>, const N: usize> From<&'a [S; N]> for TrainingData<'a> {
    fn from(texts: &'a [S; N]) -> Self {
        texts.as_slice().into()
    }
}

impl<'a> From<&'a TrainingBatch> for TrainingData<'a> {
    fn from(batch: &'a TrainingBatch) -> Self {
        Self::dataset(batch)
    }
}

impl From<TrainingBatch> for TrainingData<'_> {
    fn from(batch: TrainingBatch) -> Self {
        Self::dataset(batch)
    }
}
