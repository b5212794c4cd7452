//! Errors of a GPU, after which it continues to work. Tests with tensors that are too large need a
//! device, named by `GPT2_TEST_DEVICE`, with a small limit on a tensor's size.

use burn::tensor::{Device, Tensor};
use gpt2_backbone::{
    BackboneError, DeviceError, Gpt2Backbone, Gpt2BackboneConfig, devices, read, read_f32,
};
use gpt2_presets::CheckpointFolder;
use gpt2_task::{
    CheckpointStore, Dataset, FitOptions, Gpt2CausalLm, TaskError, TokenBatch, TrainingBatch,
    TrainingData,
};
#[cfg(feature = "wgpu")]
use gpt2_test_support::in_own_process;
use gpt2_test_support::{needs, skip};

use crate::golden::device;

/// Width of the feed-forward network in this test's model, and of the rows.
const INTERMEDIATE_DIM: usize = 32_768;
/// Number of tokens in a row.
const LENGTH: usize = 64;
/// Largest limit on a tensor's size that a test exceeds, in bytes.
const MOST_BYTES: usize = 256 << 20;

/// Largest number of elements of a tensor. Skips the test if that is too large to exceed.
fn most_numbers() -> Option<usize> {
    let name = needs("GPT2_TEST_DEVICE", "GPU")?.into_string().expect("the name is UTF-8");
    let found = devices().into_iter().flatten().find(|device| device.name.starts_with(&name));
    let bytes = found.and_then(|device| usize::try_from(device.largest_tensor?).ok());
    let bytes = bytes.filter(|bytes| *bytes <= MOST_BYTES);
    if bytes.is_none() {
        skip("the device's tensors are not limited to a size that a test can exceed");
    }
    Some(bytes? / size_of::<f32>())
}

fn model(device: &Device) -> Gpt2CausalLm {
    let config =
        Gpt2BackboneConfig::new(32, 1, 2, 8, INTERMEDIATE_DIM).with_max_sequence_length(LENGTH);
    Gpt2CausalLm::new(Gpt2Backbone::new(&config, 1, device).unwrap(), None).unwrap()
}

fn rows(count: usize) -> TokenBatch {
    TokenBatch::unpadded(vec![vec![3; LENGTH]; count]).unwrap()
}

fn is_out_of_memory(error: &DeviceError) -> bool {
    println!("{error}");
    matches!(error, DeviceError::OutOfMemory { .. })
}

#[test]
fn a_tensor_that_is_too_large_is_an_error_when_it_is_read() {
    let Some(most) = most_numbers() else { return };
    let device = device();
    let large = Tensor::<1>::zeros([most + 64], &device) + 1.0;
    assert!(is_out_of_memory(&read(large.clone()).unwrap_err()));
    assert!(is_out_of_memory(&read(large.sum()).unwrap_err()), "what follows from it is one too");
    let small = Tensor::<1>::zeros([4], &device) + 1.0;
    assert_eq!(read_f32(small).unwrap(), [1.0; 4], "the device goes on");
}

#[test]
fn logits_that_are_too_large_are_an_error_and_the_model_goes_on() {
    let Some(most) = most_numbers() else { return };
    let model = model(&device());
    let count = most / INTERMEDIATE_DIM / LENGTH + 1;
    let logits = model.score_logits(&rows(count)).unwrap();
    assert!(is_out_of_memory(&read(logits).unwrap_err()));
    let logits = read_f32(model.score_logits(&rows(1)).unwrap()).unwrap();
    assert!(logits.iter().all(|logit| logit.is_finite()));
}

/// Batches of one row, and one with more rows than any such device holds.
struct Growing {
    rows: usize,
}

impl Dataset for Growing {
    fn len(&self) -> usize {
        4
    }

    fn batch(&self, indices: &[usize]) -> Result<TrainingBatch, TaskError> {
        let count = if indices.contains(&2) { self.rows } else { 1 };
        TrainingBatch::new(rows(count), vec![vec![3; LENGTH]; count])
    }
}

#[test]
fn a_batch_that_is_too_large_ends_a_training_and_keeps_its_checkpoint() {
    let Some(most) = most_numbers() else { return };
    let mut model = model(&device());
    let folder = tempfile::tempdir().unwrap();
    let mut store = CheckpointFolder::new(folder.path());
    let data = Growing { rows: most / INTERMEDIATE_DIM / LENGTH + 1 };
    let options = FitOptions::new().with_batch_size(1).with_shuffle(false);
    let options = options.with_backup(&mut store, Some(1));
    let error = model.fit(TrainingData::dataset(data), options).unwrap_err();
    let TaskError::Backbone(BackboneError::Device(error)) = error else { panic!("{error}") };
    assert!(is_out_of_memory(&error));
    let kept = CheckpointStore::load(&mut store, &device()).unwrap().expect("there is one");
    let gamma = kept.tensors["weights/layer_norm.gamma"].clone();
    assert!(read_f32(gamma).unwrap().iter().all(|value| value.is_finite()));
    assert_eq!(kept.state["fit"]["batch"], 2, "{}", kept.state["fit"]);
}

/// Variable set in the process that loses its device.
#[cfg(feature = "wgpu")]
const LOSES_DEVICE: &str = "GPT2_TEST_LOSES_DEVICE";

/// In a process of its own, because a lost device cannot be used again.
#[cfg(feature = "wgpu")]
#[test]
fn a_lost_device_is_an_error() {
    if std::env::var("GPT2_TEST_DEVICE").as_deref() != Ok("wgpu") {
        return skip("GPT2_TEST_DEVICE does not name wgpu, whose device a test can lose");
    }
    in_own_process("gpu_errors::a_lost_device_is_an_error", LOSES_DEVICE, lose_a_device);
}

#[cfg(feature = "wgpu")]
fn lose_a_device() {
    use burn::tensor::DeviceKind;
    use gpt2_task::GenerateOptions;

    let software = Device::wgpu_options().device_kind(DeviceKind::Cpu);
    let (device, setup) = software.init_with_setup().unwrap();
    let mut model = model(&device);
    model.compile(gpt2_task::samplers::get("greedy").unwrap()).unwrap();
    let prompts = || {
        let mask: Vec<_> = (0..LENGTH).map(|position| position < 4).collect();
        TokenBatch::new(vec![vec![3; LENGTH]], vec![mask]).unwrap()
    };
    let options = GenerateOptions::new().with_stop_token_ids(gpt2_task::StopTokenIds::None);
    model.generate(&prompts(), &options).unwrap();
    let x = Tensor::<1>::zeros([4], &device);
    read(x.clone()).unwrap();
    setup.device.destroy();
    // A driver that loses a device reports it by itself.
    let _ = setup.device.poll(wgpu::PollType::wait_indefinitely());
    // The first error that a read finds.
    assert!(matches!(read(x).unwrap_err(), DeviceError::Lost { .. }));
    for sampler in ["greedy", "top_p", "beam:num_beams=2", "contrastive:k=2"] {
        model.compile(gpt2_task::samplers::get(sampler).unwrap()).unwrap();
        let error = model.generate(&prompts(), &options).unwrap_err();
        let TaskError::Backbone(error @ BackboneError::Device(DeviceError::Lost { .. })) = error
        else {
            panic!("{error:?}");
        };
        assert!(error.to_string().contains("was lost"), "{sampler}: {error}");
    }
}
