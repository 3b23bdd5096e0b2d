//! The resources of a job's container, from the quantities of Kubernetes that Flyte has.

use plugin_core::{Error, Result, task::Container};
use serde::Serialize;

use crate::definition::Platform;

/// An item of `resourceRequirements`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Requirement {
    #[serde(rename = "type")]
    kind: &'static str,
    value: String,
}

/// More than any machine has, in CPUs, bytes or GPUs.
const TOO_MUCH: f64 = 1e15;

/// What `container` asks for on `platform`: its limits, and requests where it has none, as propeller's plugin does, because
/// AWS Batch kills a container that needs more memory. It counts whole CPUs on EC2, and memory in MiB. A zero asks for nothing.
///
/// # Errors
/// `InvalidArgument` for what is no quantity, or too large.
pub(crate) fn of(container: &Container, platform: Platform) -> Result<Vec<Requirement>> {
    let mut all = Vec::new();
    if let Some(cpus) = asked(container, "cpu")? {
        let value = match platform {
            Platform::Ec2 => format!("{}", cpus.ceil()),
            Platform::Fargate => format!("{cpus}"),
        };
        all.push(Requirement { kind: "VCPU", value });
    }
    if let Some(bytes) = asked(container, "memory")? {
        let mebibytes = (bytes / f64::from(1 << 20)).ceil();
        all.push(Requirement { kind: "MEMORY", value: format!("{mebibytes}") });
    }
    if let Some(gpus) = asked(container, "gpu")? {
        all.push(Requirement { kind: "GPU", value: format!("{}", gpus.ceil()) });
    }
    Ok(all)
}

/// How much of the resource `name` is asked for, if anything.
fn asked(container: &Container, name: &str) -> Result<Option<f64>> {
    let limit = container.limits.get(name).map(|value| ("limits", value));
    let found = limit.or_else(|| container.requests.get(name).map(|value| ("requests", value)));
    let Some((list, value)) = found.filter(|(_, value)| !value.is_empty()) else { return Ok(None) };
    let wrong = |why: &str| {
        let field = format!("template.container.resources.{list}.{name}");
        Err(Error::invalid(format!("{field}: {value:?} is {why}")))
    };
    match quantity(value) {
        None => wrong("not a quantity such as 500m, 2 or 1Gi"),
        Some(much) if much >= TOO_MUCH => wrong("too large"),
        Some(much) => Ok(Some(much).filter(|much| *much > 0.0)),
    }
}

/// The value of a quantity of Kubernetes: `500m`, `2`, `1.5Gi`, `1e3`.
fn quantity(text: &str) -> Option<f64> {
    const MULTIPLES: [(&str, f64); 12] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("Ei", 1_152_921_504_606_846_976.0),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
    ];
    // A tenth has no exact value, so a division is closer than a product.
    const FRACTIONS: [(&str, f64); 3] = [("m", 1e3), ("u", 1e6), ("n", 1e9)];
    let text = text.trim();
    let find = |suffixes: &[(&str, f64)]| {
        suffixes.iter().find_map(|(suffix, by)| Some((text.strip_suffix(suffix)?, *by)))
    };
    let (number, times, by) = match (find(&MULTIPLES), find(&FRACTIONS)) {
        (Some((number, times)), _) => (number, times, 1.0),
        (None, Some((number, by))) => (number, 1.0, by),
        (None, None) => (text, 1.0, 1.0),
    };
    let is_number = number.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b));
    let value = number.parse::<f64>().ok().filter(|_| is_number)? * times / by;
    (value.is_finite() && value >= 0.0).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_those_of_kubernetes() {
        for (text, value) in [
            ("2", Some(2.0)),
            ("500m", Some(0.5)),
            ("1.5", Some(1.5)),
            ("1Gi", Some(1_073_741_824.0)),
            ("1G", Some(1e9)),
            ("1e3", Some(1000.0)),
            ("1E3", Some(1000.0)),
            ("1E", Some(1e18)),
            ("1Ei", Some(1_152_921_504_606_846_976.0)),
            ("700m", Some(0.7)),
            ("500u", Some(0.0005)),
            ("", None),
            ("x", None),
            ("inf", None),
            ("nan", None),
            ("-1", None),
            ("1 Gi", None),
        ] {
            assert_eq!(quantity(text), value, "{text}");
        }
    }

    #[test]
    fn cpus_are_whole_on_ec2_and_memory_is_in_mebibytes() {
        let mut container = Container::default();
        let ask = [("cpu", "1500m"), ("memory", "1G"), ("gpu", "1")];
        container.requests = ask.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        container.limits = [("memory".to_owned(), "2Gi".to_owned())].into();
        let values = |platform| {
            let all = of(&container, platform).unwrap();
            all.into_iter().map(|one| format!("{}={}", one.kind, one.value)).collect::<Vec<_>>()
        };
        assert_eq!(values(Platform::Ec2), ["VCPU=2", "MEMORY=2048", "GPU=1"]);
        assert_eq!(values(Platform::Fargate), ["VCPU=1.5", "MEMORY=2048", "GPU=1"]);
    }

    fn limits(all: &[(&str, &str)]) -> Container {
        let mut container = Container::default();
        let all = all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        container.limits = all.collect();
        container
    }

    #[test]
    fn a_zero_asks_for_nothing() {
        for platform in [Platform::Ec2, Platform::Fargate] {
            for zero in ["0", "-0", "0m", "0Gi", "0e5"] {
                let container = limits(&[("cpu", zero), ("memory", zero), ("gpu", zero)]);
                assert_eq!(of(&container, platform).unwrap(), [], "{zero}");
            }
        }
    }

    #[test]
    fn parts_of_cpus_are_written_as_they_were() {
        for (asked, cpus) in [("700m", "0.7"), ("250m", "0.25"), ("1100m", "1.1"), ("0.3", "0.3")] {
            let all = of(&limits(&[("cpu", asked)]), Platform::Fargate).unwrap();
            assert_eq!(all[0].value, cpus, "{asked}");
        }
    }

    #[test]
    fn what_is_no_quantity_or_too_large_is_refused_by_field() {
        for (value, why) in [
            ("much", "not a quantity"),
            ("-1Gi", "not a quantity"),
            ("1Ei", "too large"),
            ("1E", "too large"),
            ("1e15", "too large"),
        ] {
            let error = of(&limits(&[("memory", value)]), Platform::Ec2).unwrap_err();
            let message = format!("template.container.resources.limits.memory: {value:?} is {why}");
            assert!(error.message().starts_with(&message), "{error}");
        }
    }
}
