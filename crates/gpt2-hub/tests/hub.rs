//! Integration tests: servers that play the hubs and misbehave, caches that other clients have
//! filled, processes that are killed.

mod clients;
mod fakes;
mod hugging_face;
mod kaggle;
mod kaggle_refusals;
mod model_scope;
mod processes;
mod refusals;
mod sources;
mod support;
mod transfer;
mod upload;
