//! What the programs of the benchmark share.

pub mod wire;
