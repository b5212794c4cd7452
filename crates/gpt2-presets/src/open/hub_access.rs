//! Access to hubs.

/// Options of hubs. None: those of the environment.
#[cfg(feature = "hub")]
pub(crate) type HubAccess = Option<gpt2_hub::HubOptions>;
/// The library was built without hubs.
#[cfg(not(feature = "hub"))]
pub(crate) type HubAccess = ();
