//! A computation that a device records once and then repeats.

use std::thread::{self, ThreadId};

use burn::backend::{Backend, BackendTypes, Dispatch};
use burn::tensor::{Device, ExecutionError};

use crate::setting::setting;

/// A computation with the same operations on the same memory each time, such as a step of a
/// generation. Where the device can, its launches are recorded in the second run and repeated as one
/// from then on; elsewhere the computation runs each time.
///
/// The computation owns all tensors that it reads and writes, and writes its state in place: the
/// recording reads the memory of the second run, not a tensor that was put in its place later. The
/// result is overwritten by the next run. Start to read it before: such a read comes first.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gpt2_kernels::Repeated;
///
/// let x = Tensor::<1>::from_data([1.0, 2.0], &Device::flex());
/// let mut doubled = Repeated::new(&Device::flex(), move || x.clone() * 2.0);
/// for _ in 0..3 {
///     assert_eq!(doubled.run()?.into_data().to_vec::<f32>().unwrap(), [2.0, 4.0]);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Repeated<T> {
    device: Device,
    compute: Box<dyn FnMut() -> T + Send>,
    stage: Stage<T>,
}

/// Progress of the recording.
enum Stage<T> {
    /// Before the first run.
    New,
    /// The next run is recorded; the first one has shown how much memory it needs.
    Prepared,
    /// The recording goes on.
    Recording,
    /// The recording, its result, and the thread whose order it keeps.
    Recorded(<Dispatch as BackendTypes>::GraphPrimitive, T, ThreadId),
    /// The device does not record.
    Plain,
}

impl<T: Clone> Repeated<T> {
    /// A computation that has not run yet.
    pub fn new(device: &Device, compute: impl FnMut() -> T + Send + 'static) -> Self {
        Self { device: device.clone(), compute: Box::new(compute), stage: Stage::New }
    }

    /// Runs it once.
    ///
    /// # Errors
    ///
    /// If the recording failed, for example because there was not enough free memory. The computation's
    /// state is lost then, and it must not run again.
    pub fn run(&mut self) -> Result<T, ExecutionError> {
        let device = self.device.as_dispatch();
        match &self.stage {
            Stage::New => {
                let is_prepared = Dispatch::graph_prepare(device).is_ok();
                self.stage = if is_prepared { Stage::Prepared } else { Stage::Plain };
                Ok((self.compute)())
            }
            Stage::Prepared => {
                if Dispatch::graph_start_capture(device).is_err() {
                    self.stage = Stage::Plain;
                    return Ok((self.compute)());
                }
                self.stage = Stage::Recording;
                let output = (self.compute)();
                self.stage = Stage::Plain;
                let graph = Dispatch::graph_stop_capture(self.device.as_dispatch())?;
                if setting() == Some("unrecorded") {
                    return Err(ExecutionError::generic("the recording is not wanted"));
                }
                self.stage = Stage::Recorded(graph, output, thread::current().id());
                self.run()
            }
            Stage::Recorded(graph, output, thread) if *thread == thread::current().id() => {
                // SAFETY: the computation is kept, and owns the tensors that were read and written. The
                // device executes the launches and reads of this thread in their order.
                unsafe { Dispatch::graph_replay(device, graph) }?;
                Ok(output.clone())
            }
            Stage::Recorded(..) | Stage::Recording | Stage::Plain => Ok((self.compute)()),
        }
    }
}

impl<T> Drop for Repeated<T> {
    fn drop(&mut self) {
        if matches!(self.stage, Stage::Prepared | Stage::Recording) {
            // The device waits for the end of a recording.
            let _ = Dispatch::graph_stop_capture(self.device.as_dispatch());
        }
    }
}
