//! What metrics of every program are made of.

use std::{fmt, hash::Hash};

use prometheus_client::{
    encoding::text,
    metrics::{
        family::{Family, MetricConstructor},
        histogram::Histogram,
    },
    registry::Registry,
};

/// Histograms by labels, all with the same buckets.
pub type Histograms<Labels> = Family<Labels, Histogram, Buckets>;

/// The upper bounds of the buckets of a histogram.
#[derive(Debug, Clone)]
pub struct Buckets(&'static [f64]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

/// A family of histograms with these upper bounds.
#[must_use]
pub fn histograms<Labels: Clone + Hash + Eq>(buckets: &'static [f64]) -> Histograms<Labels> {
    Family::new_with_constructor(Buckets(buckets))
}

/// Every metric of `registry` in OpenMetrics' text format.
///
/// # Errors
/// When a metric cannot be encoded.
pub fn encode(registry: &Registry) -> Result<String, fmt::Error> {
    let mut text = String::new();
    text::encode(&mut text, registry)?;
    Ok(text)
}
