//! Access to hubs.

/// How hubs are asked; as the environment says if none.
#[cfg(feature = "hub")]
pub(crate) type HubAccess = Option<gpt2_hub::HubOptions>;
/// This library was compiled without hubs.
#[cfg(not(feature = "hub"))]
pub(crate) type HubAccess = ();
