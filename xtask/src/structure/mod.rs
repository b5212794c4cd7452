//! Structure of the code: import cycles, lengths of files and functions.

mod circles;
mod functions;
mod imports;
mod names;
mod references;
mod report;
mod source;
mod targets;
#[cfg(test)]
mod tests;

pub use report::run;
pub use targets::check;
