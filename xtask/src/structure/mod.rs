//! Structure of the code: circles among modules, lengths of files and functions.

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
