//! Access to hubs.

/// Options of the hubs. None: those of the environment.
#[cfg(feature = "hub")]
pub(crate) type HubAccess = Option<gpt2_hub::HubOptions>;
/// This library was compiled without hubs.
#[cfg(not(feature = "hub"))]
pub(crate) type HubAccess = ();
