//! Computations that a device records once and then replays.

use std::thread::{self, ThreadId};

use burn::backend::{Backend, BackendTypes, Dispatch};
use burn::tensor::{Device, ExecutionError};

use crate::setting::setting;

/// A computation with the same operations on the same memory each time, such as a step of a
/// generation. If the device can record, the second run records its launches and later runs replay
/// them as one; else the computation runs each time.
///
/// The computation must own all tensors that it reads and writes, and write its state in place: the
/// recording reads the memory of the second run, not a tensor that replaced it later. The next run
/// overwrites the result. Start to read the result before that run: the read then comes first.
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
    /// Not run yet.
    New,
    /// The next run is recorded. The first run has shown how much memory the computation needs.
    Prepared,
    /// The recording is under way.
    Recording,
    /// The recording, its result, and the thread whose queue it belongs to.
    Recorded(<Dispatch as BackendTypes>::GraphPrimitive, T, ThreadId),
    /// The device does not record.
    Plain,
}

impl<T: Clone> Repeated<T> {
    /// A computation that has not run yet.
    pub fn new(device: &Device, compute: impl FnMut() -> T + Send + 'static) -> Self {
        Self { device: device.clone(), compute: Box::new(compute), stage: Stage::New }
    }

    /// Runs the computation once.
    ///
    /// # Errors
    ///
    /// If the recording failed, for example for lack of free memory. The computation's state is
    /// then lost: do not run it again.
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
                    return Err(ExecutionError::generic(
                        "`GPT2_KERNELS=unrecorded` refuses the recording",
                    ));
                }
                self.stage = Stage::Recorded(graph, output, thread::current().id());
                self.run()
            }
            Stage::Recorded(graph, output, thread) if *thread == thread::current().id() => {
                // SAFETY: the computation is kept, and owns all tensors that it reads and writes.
                // The device executes this thread's launches and reads in order.
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
            // The device would wait for the end of the recording.
            let _ = Dispatch::graph_stop_capture(self.device.as_dispatch());
        }
    }
}
