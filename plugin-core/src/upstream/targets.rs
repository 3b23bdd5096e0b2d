//! The hosts or accounts that an operator lets tasks choose from.

use server_core::{Error, Kind, Result};

use super::{Http, HttpBuilder};
use crate::context::Context;

/// A host or account of the vendor's, which an operator lists and a task's author may choose.
pub trait Target {
    /// What it is, for errors: `account`.
    const KIND: &'static str;
    /// The setting in which the operator lists them, for errors: `--accounts (ACME_ACCOUNTS)`.
    const SETTING: &'static str;

    /// Its name. Callers whose policy names targets are authorised by it.
    fn name(&self) -> &str;

    /// The base URL of its API.
    fn base(&self) -> String;

    /// Whether an author who writes `name` means this one. By default, whether it is the name in any
    /// case.
    fn is_called(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name)
    }

    /// What the handle of a job there holds. By default the name.
    ///
    /// Never a host or URL to call: those come from the operator alone.
    fn id(&self) -> &str {
        self.name()
    }
}

/// A target and the client of its API.
#[derive(Clone)]
pub struct Listed<T> {
    /// The target.
    pub target: T,
    /// The client of its API.
    pub http: Http,
}

/// The operator's list of targets, with a client for each. Nothing else is ever called.
///
/// ```
/// use plugin_core::{
///     Context, HttpBuilder, Result,
///     upstream::{Listed, Target, Targets},
/// };
///
/// struct Account {
///     name: String,
/// }
///
/// impl Target for Account {
///     const KIND: &'static str = "account";
///     const SETTING: &'static str = "--accounts (ACME_ACCOUNTS)";
///
///     fn name(&self) -> &str {
///         &self.name
///     }
///
///     fn base(&self) -> String {
///         format!("https://{}.acme.example/api", self.name)
///     }
/// }
///
/// /// In `Plugin::new`.
/// fn accounts(names: Vec<String>, http: &HttpBuilder) -> Result<Targets<Account>> {
///     Targets::new(names.into_iter().map(|name| Account { name }), http)
/// }
///
/// /// In `create`.
/// fn chosen<'a>(
///     accounts: &'a Targets<Account>,
///     cx: &Context,
///     author: Option<&str>,
/// ) -> Result<&'a Listed<Account>> {
///     let name = author.unwrap_or_else(|| accounts.first().target.name());
///     accounts.choose(cx, "custom.account", name)
/// }
///
/// /// In `get` and `delete`; `id` is the handle's.
/// fn of_job<'a>(accounts: &'a Targets<Account>, id: &str) -> Result<&'a Listed<Account>> {
///     accounts.of_job(id)
/// }
/// ```
pub struct Targets<T> {
    first: Listed<T>,
    others: Vec<Listed<T>>,
}

impl<T: Target> Targets<T> {
    /// `targets`, each with a client that `http` builds. Of several with the same id the first counts.
    ///
    /// # Errors
    /// `InvalidArgument` when there are none, or as of [`HttpBuilder::build`] for the base of one.
    pub fn new(targets: impl IntoIterator<Item = T>, http: &HttpBuilder) -> Result<Self> {
        let mut all = Vec::<Listed<T>>::new();
        for target in targets {
            if !all.iter().any(|listed| listed.has_id(target.id())) {
                let http = http.clone().build(&target.base())?;
                all.push(Listed { target, http });
            }
        }
        let mut all = all.into_iter();
        let first = all.next().ok_or_else(|| {
            Error::invalid(format!("{}: must list at least one {}", T::SETTING, T::KIND))
        })?;
        Ok(Self { first, others: all.collect() })
    }

    /// The first of the list.
    #[must_use]
    pub fn first(&self) -> &Listed<T> {
        &self.first
    }

    /// The only one, if there are no others.
    #[must_use]
    pub fn only(&self) -> Option<&Listed<T>> {
        self.others.is_empty().then_some(&self.first)
    }

    /// The target that a task's author calls `name` in `field`.
    ///
    /// # Errors
    /// `InvalidArgument` when it is not listed, `PermissionDenied` when the caller may not use it.
    pub fn choose(&self, cx: &Context, field: &str, name: &str) -> Result<&Listed<T>> {
        let listed = self.find(|listed| listed.target.is_called(name)).ok_or_else(|| {
            let (kind, setting) = (T::KIND, T::SETTING);
            Error::invalid(format!(
                "{field}: unknown {kind} {name:?}; the service's operator lists each allowed {kind} in \
                 {setting}"
            ))
        })?;
        cx.caller().check_target(listed.target.name())?;
        Ok(listed)
    }

    /// The target of a job, by what its handle holds.
    ///
    /// # Errors
    /// `FailedPrecondition` when the operator has removed it from the list.
    pub fn of_job(&self, id: &str) -> Result<&Listed<T>> {
        self.find(|listed| listed.has_id(id)).ok_or_else(|| {
            let (kind, setting) = (T::KIND, T::SETTING);
            let message = format!("the job's {kind} is no longer listed in {setting}");
            Error::new(Kind::FailedPrecondition, message)
        })
    }

    fn find(&self, is_it: impl Fn(&Listed<T>) -> bool) -> Option<&Listed<T>> {
        [&self.first].into_iter().chain(&self.others).find(|listed| is_it(listed))
    }
}

impl<T: Target> Listed<T> {
    fn has_id(&self, id: &str) -> bool {
        self.target.id().eq_ignore_ascii_case(id)
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{testing, upstream::tests::builder};

    struct Account(&'static str);

    impl Target for Account {
        const KIND: &'static str = "account";
        const SETTING: &'static str = "--accounts (ACME_ACCOUNTS)";

        fn name(&self) -> &str {
            self.0
        }

        fn base(&self) -> String {
            format!("https://{}.acme.example", self.0)
        }
    }

    fn targets(names: &[&'static str]) -> Result<Targets<Account>> {
        Targets::new(names.iter().map(|name| Account(name)), &builder("http://127.0.0.1:9"))
    }

    #[tokio::test]
    async fn only_listed_targets_are_found() {
        let targets = targets(&["A", "b"]).unwrap();
        let cx = testing::context(Duration::from_secs(1));
        assert_eq!(targets.choose(&cx, "custom.account", "a").unwrap().target.0, "A");
        assert_eq!(targets.of_job("B").unwrap().target.0, "b");
        let error = targets.choose(&cx, "custom.account", "evil.example/").err().unwrap();
        assert_eq!(
            error.message(),
            "custom.account: unknown account \"evil.example/\"; the service's operator lists each \
             allowed account in --accounts (ACME_ACCOUNTS)"
        );
        let error = targets.of_job("c").err().unwrap();
        assert_eq!(error.kind(), Kind::FailedPrecondition);
        assert_eq!(
            error.message(),
            "the job's account is no longer listed in --accounts (ACME_ACCOUNTS)"
        );
    }

    #[tokio::test]
    async fn the_first_target_is_the_default_and_may_be_the_only_one() {
        let several = targets(&["A", "b"]).unwrap();
        assert_eq!((several.first().target.0, several.only().is_none()), ("A", true));
        let repeated = targets(&["A", "a"]).unwrap();
        assert_eq!(repeated.only().unwrap().target.0, "A");
        let error = targets(&[]).err().unwrap();
        assert_eq!(error.message(), "--accounts (ACME_ACCOUNTS): must list at least one account");
        assert!(targets(&["not a host"]).is_err());
    }
}
