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

/// What `container` asks for on `platform`: its limits, and requests where it has none, as propeller's plugin does, because
/// AWS Batch kills a container that needs more memory. It counts whole CPUs on EC2, and memory in MiB.
///
/// # Errors
/// `InvalidArgument` for what is no quantity.
pub(crate) fn of(container: &Container, platform: Platform) -> Result<Vec<Requirement>> {
    let asked = |name: &str| {
        let limit = container.limits.get(name).map(|value| ("limits", value));
        let found = limit.or_else(|| container.requests.get(name).map(|value| ("requests", value)));
        let found = found.filter(|(_, value)| !value.is_empty());
        found.map(|(list, value)| {
            let field = format!("template.container.resources.{list}.{name}");
            quantity(value).ok_or_else(|| {
                Error::invalid(format!(
                    "{field}: {value:?} is not a quantity such as 500m, 2 or 1Gi"
                ))
            })
        })
    };
    let mut all = Vec::new();
    if let Some(cpus) = asked("cpu").transpose()? {
        let value = match platform {
            Platform::Ec2 => format!("{}", cpus.ceil().max(1.0)),
            Platform::Fargate => format!("{cpus}"),
        };
        all.push(Requirement { kind: "VCPU", value });
    }
    if let Some(bytes) = asked("memory").transpose()? {
        let mebibytes = (bytes / f64::from(1 << 20)).ceil().max(1.0);
        all.push(Requirement { kind: "MEMORY", value: format!("{mebibytes}") });
    }
    if let Some(gpus) = asked("gpu").transpose()?.filter(|gpus| *gpus > 0.0) {
        all.push(Requirement { kind: "GPU", value: format!("{}", gpus.ceil()) });
    }
    Ok(all)
}

/// The value of a quantity of Kubernetes: `500m`, `2`, `1.5Gi`, `1e3`.
fn quantity(text: &str) -> Option<f64> {
    const SUFFIXES: [(&str, f64); 13] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("m", 0.001),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("u", 1e-6),
        ("n", 1e-9),
    ];
    let text = text.trim();
    let found = SUFFIXES.iter().find_map(|(suffix, by)| Some((text.strip_suffix(suffix)?, *by)));
    let (number, by) = found.unwrap_or((text, 1.0));
    let is_number = number.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b));
    let value = number.parse::<f64>().ok().filter(|_| is_number)? * by;
    (value.is_finite() && (0.0..1e15).contains(&value)).then_some(value)
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

    #[test]
    fn what_is_no_quantity_is_refused_by_field() {
        let mut container = Container::default();
        container.limits = [("memory".to_owned(), "much".to_owned())].into();
        let error = of(&container, Platform::Ec2).unwrap_err();
        let message = "template.container.resources.limits.memory: \"much\" is not a quantity";
        assert!(error.message().starts_with(message), "{error}");
    }
}
