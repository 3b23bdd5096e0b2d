//! The services against fakes of their vendors, over real sockets.

mod documents;
mod edges;
mod golden;
mod idempotency;
mod lifecycle;
mod observability;
mod raw;
mod rest;
mod stage;
mod startup;
