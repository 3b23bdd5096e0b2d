//! What a release depends on beside the files: the branch of its tag, and who can see the repository.

use std::path::Path;

use super::tree::Finding;
use crate::process::{program, works};

/// What is to blame.
const WORKFLOW: &str = ".github/workflows/release.yml";
/// The variables that the workflow sets: whether the repository is private, and what its owner wants then.
const PRIVATE: &str = "OUTRIGGER_PRIVATE";
const PRIVATE_RELEASE: &str = "OUTRIGGER_PRIVATE_RELEASE";
/// The name of the branch whose tags are released.
const DEFAULT_BRANCH: &str = "OUTRIGGER_DEFAULT_BRANCH";

/// What stands in the way of a release of `tag`. It is found before anything is pushed, for what is pushed cannot be taken back.
pub(super) fn check(root: &Path, tag: &str) -> Vec<Finding> {
    let attested = attested(variable).err();
    let branch = unmerged(root, tag, variable(DEFAULT_BRANCH).as_deref());
    let found = attested.into_iter().chain(branch);
    found.map(|message| Finding::new(WORKFLOW, 0, message)).collect()
}

/// Whether GitHub attests the release's provenance, as far as is known.
pub(super) fn is_attested() -> bool {
    attested(variable).unwrap_or(true)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Private repositories have attestations on GitHub Enterprise Cloud alone, which a workflow cannot see:
/// <https://docs.github.com/en/actions/how-tos/secure-your-work/use-artifact-attestations/use-artifact-attestations>.
fn attested(variable: impl Fn(&str) -> Option<String>) -> Result<bool, String> {
    if variable(PRIVATE).is_none_or(|private| private != "true") {
        return Ok(true);
    }
    match variable(PRIVATE_RELEASE).as_deref() {
        Some("attested") => Ok(true),
        Some("unattested") => Ok(false),
        _ => Err("the repository is private. Its signatures would write the names of the repository, the workflow and the tag \
            into a public log, and GitHub attests provenance there on Enterprise Cloud alone: set the repository's variable \
            PRIVATE_RELEASE to `attested` (with Enterprise Cloud) or `unattested` if you want that"
            .to_owned()),
    }
}

/// Why the commit of `tag` is not of the default branch; `None` if it is, or if either is unknown.
fn unmerged(root: &Path, tag: &str, default_branch: Option<&str>) -> Option<String> {
    let git = |args: &[&str]| works(program("git").args(args).current_dir(root));
    let is_known = |name: &str| git(&["rev-parse", "--verify", "--quiet", name]);
    let branch = format!("origin/{}", default_branch.unwrap_or("HEAD"));
    let tagged = format!("refs/tags/{tag}^{{commit}}");
    let commit = match default_branch {
        _ if is_known(&tagged) => &tagged,
        // Where a workflow runs, the tag's commit is checked out.
        Some(_) => "HEAD",
        None => return None,
    };
    if !is_known(&branch) {
        return default_branch.map(|_| format!("{branch} is not here: fetch the full history"));
    }
    let merged = git(&["merge-base", "--is-ancestor", commit, &branch]);
    (!merged)
        .then(|| format!("{tag} is no commit of {branch}: merge first, then tag what was merged"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(private: &str, release: &str) -> Result<bool, String> {
        attested(|name| {
            let value = if name == PRIVATE { private } else { release };
            (!value.is_empty()).then(|| value.to_owned())
        })
    }

    #[test]
    fn a_private_repository_is_released_only_if_its_owner_says_how() {
        assert_eq!([of("", ""), of("false", "")], [Ok(true), Ok(true)]);
        assert_eq!([of("true", "attested"), of("true", "unattested")], [Ok(true), Ok(false)]);
        for wrong in ["", "yes", "true"] {
            assert!(of("true", wrong).unwrap_err().contains("PRIVATE_RELEASE"), "{wrong}");
        }
    }

    fn git(root: &Path, args: &[&str]) {
        let mut git = program("git");
        git.args(["-c", "user.name=a", "-c", "user.email=a@example.com"]).args(args);
        assert!(works(git.current_dir(root)), "{args:?}");
    }

    #[test]
    fn a_tag_is_of_the_default_branch() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let check = |branch| unmerged(root, "v1.0.0", branch);
        let commit = ["commit", "--quiet", "--allow-empty", "--message=x"];
        git(root, &["init", "--quiet", "--initial-branch=main"]);
        git(root, &commit);
        assert_eq!(check(None), None, "no branch is known");
        assert!(check(Some("main")).unwrap().contains("fetch the full history"));
        git(root, &["update-ref", "refs/remotes/origin/main", "HEAD"]);
        assert_eq!(check(Some("main")), None);
        git(root, &commit);
        assert!(check(Some("main")).unwrap().contains("v1.0.0 is no commit of origin/main"));
        git(root, &["symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main"]);
        assert_eq!(check(None), None, "there is no tag yet");
        git(root, &["tag", "v1.0.0"]);
        assert!(check(None).is_some());
        git(root, &["update-ref", "refs/remotes/origin/main", "HEAD"]);
        git(root, &commit);
        assert_eq!([check(None), check(Some("main"))], [None, None]);
    }
}
