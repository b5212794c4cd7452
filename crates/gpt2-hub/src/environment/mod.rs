//! Settings from the environment: variables, addresses, tokens.

pub(crate) mod endpoint;
pub(crate) mod token;
pub(crate) mod variables;
