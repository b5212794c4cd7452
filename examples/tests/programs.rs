//! The examples, each as a process.

mod fine_tune;
mod generate;
mod support;
