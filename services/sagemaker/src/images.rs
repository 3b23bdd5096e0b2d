//! Images that tasks name: those of the Triton server have placeholders of their own.

use std::collections::BTreeMap;

use plugin_core::{Error, Result};

/// The account of AWS's images of the Triton server in each region, as flytekit 1.16.31 has them
/// (`awssagemaker_inference/boto3_mixin.py`).
const TRITON: [(&str, &str); 22] = [
    ("af-south-1", "774647643957"),
    ("ap-east-1", "110948597952"),
    ("ap-northeast-1", "941853720454"),
    ("ap-northeast-2", "151534178276"),
    ("ap-south-1", "763008648453"),
    ("ap-southeast-1", "324986816169"),
    ("ap-southeast-2", "355873309152"),
    ("ca-central-1", "464438896020"),
    ("cn-north-1", "472730292857"),
    ("cn-northwest-1", "474822919863"),
    ("eu-central-1", "746233611703"),
    ("eu-north-1", "601324751636"),
    ("eu-south-1", "966458181534"),
    ("eu-west-1", "802834080501"),
    ("eu-west-2", "205493899709"),
    ("eu-west-3", "254080097072"),
    ("me-south-1", "836785723513"),
    ("sa-east-1", "756306329178"),
    ("us-east-1", "785573368785"),
    ("us-east-2", "007439368137"),
    ("us-west-1", "710691900526"),
    ("us-west-2", "301217895009"),
];

/// `images` for `region`: in those of the Triton server `{account_id}`, `{region}` and `{base}` are replaced.
///
/// # Errors
/// `InvalidArgument` with the image, where the region's account is not known.
pub(crate) fn of(
    images: Option<&BTreeMap<String, String>>,
    region: &str,
) -> Result<BTreeMap<String, String>> {
    let images = images.into_iter().flatten();
    images.map(|(name, image)| Ok((name.clone(), resolved(name, image, region)?))).collect()
}

fn resolved(name: &str, image: &str, region: &str) -> Result<String> {
    if !image.contains("sagemaker-tritonserver") {
        return Ok(image.to_owned());
    }
    let base = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    let image = image.replace("{region}", region).replace("{base}", base);
    if !image.contains("{account_id}") {
        return Ok(image);
    }
    match TRITON.iter().find(|(known, _)| *known == region) {
        Some((_, account)) => Ok(image.replace("{account_id}", account)),
        None => Err(Error::invalid(format!(
            "custom.images.{name}: the account of Triton's images in {region} is not known; write the image's full name"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_triton_are_those_of_the_region() {
        let triton = "{account_id}.dkr.ecr.{region}.{base}/sagemaker-tritonserver:21.08-py3";
        for (image, region, expected) in [
            (
                triton,
                "eu-central-1",
                "746233611703.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-tritonserver:21.08-py3",
            ),
            (
                triton,
                "cn-north-1",
                "472730292857.dkr.ecr.cn-north-1.amazonaws.com.cn/sagemaker-tritonserver:21.08-py3",
            ),
            ("own/{region}:1", "eu-central-1", "own/{region}:1"),
        ] {
            assert_eq!(resolved("x", image, region).unwrap(), expected);
        }
        let error = resolved("x", triton, "us-gov-west-1").unwrap_err();
        assert!(error.message().starts_with("custom.images.x: the account"), "{error}");
    }
}
