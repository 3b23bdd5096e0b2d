//! Symbolic links on the way to a socket: whoever can replace one gets the requests, and the secrets in them.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf},
};

/// The most links that Linux follows on a path.
const MOST_LINKS: usize = 40;
const WRITABLE_BY_ALL: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Follows `path` as the kernel does, and checks each symbolic link on the way. What does not exist leads nowhere.
///
/// A link in a directory that everyone may write is refused, as Linux' `fs.protected_symlinks` does: anyone could have put
/// it there. In one with the sticky bit, such as `/tmp`, only its owner can replace it, so that of root and of this
/// process's user are followed.
///
/// # Errors
/// `PermissionDenied`, with the link.
pub(crate) fn check(path: &Path) -> io::Result<()> {
    let mut left = components(path);
    let mut real = PathBuf::from("/");
    let mut links = 0;
    while let Some(next) = left.pop() {
        if next == Path::new("..") {
            real.pop();
            continue;
        }
        let here = real.join(next);
        let found = match fs::symlink_metadata(&here) {
            Ok(found) => found,
            // The attempt to connect says it better.
            Err(_) => return Ok(()),
        };
        if !found.is_symlink() {
            real = here;
            continue;
        }
        check_link(&here, found.uid(), &fs::symlink_metadata(&real)?)?;
        links += 1;
        if links > MOST_LINKS {
            return Ok(());
        }
        let target = fs::read_link(&here)?;
        if target.is_absolute() {
            real = PathBuf::from("/");
        }
        left.extend(components(&target));
    }
    Ok(())
}

fn check_link(link: &Path, owner: u32, directory: &fs::Metadata) -> io::Result<()> {
    let mode = directory.mode();
    let is_ours = mode & STICKY != 0 && (owner == 0 || Some(owner) == own_user());
    if mode & WRITABLE_BY_ALL == 0 || is_ours {
        return Ok(());
    }
    let message = format!(
        "{} is a symbolic link in a directory that every user can write, so that anyone could change where it leads: \
         name the path of the socket itself",
        link.display()
    );
    Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
}

/// This process's user, who owns its entry in /proc; `None` where there is none.
fn own_user() -> Option<u32> {
    fs::metadata("/proc/self").ok().map(|own| own.uid())
}

/// The parts of `path` from the last to the first.
fn components(path: &Path) -> Vec<PathBuf> {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(PathBuf::from(name)),
        Component::ParentDir => Some(PathBuf::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    let mut parts = parts.collect::<Vec<_>>();
    parts.reverse();
    parts
}

#[cfg(test)]
mod tests {
    use std::{
        fs::Permissions,
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    use tempfile::TempDir;

    use super::*;

    /// A directory with `real/plugin.sock`, and an empty one, `shared`, with `mode`.
    fn directory(mode: u32) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in ["real", "shared"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join("real/plugin.sock"), "").unwrap();
        fs::set_permissions(dir.path().join("shared"), Permissions::from_mode(mode)).unwrap();
        dir
    }

    #[test]
    fn a_link_that_anyone_can_replace_is_refused_wherever_it_is_on_the_path() {
        let dir = directory(0o777);
        let path = |name: &str| dir.path().join(name);
        symlink(path("real/plugin.sock"), path("shared/to-socket")).unwrap();
        symlink("../real", path("shared/to-directory")).unwrap();
        symlink(path("shared/to-socket"), path("real/twice")).unwrap();
        symlink(path("nowhere"), path("shared/dangling")).unwrap();
        for (name, link) in [
            ("shared/to-socket", "shared/to-socket"),
            ("shared/to-directory/plugin.sock", "shared/to-directory"),
            ("real/twice", "shared/to-socket"),
            ("shared/../shared/to-socket", "shared/to-socket"),
            ("shared/dangling", "shared/dangling"),
        ] {
            let error = check(&path(name)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{name}");
            let said = format!("{} is a symbolic link", path(link).display());
            assert!(error.to_string().starts_with(&said), "{name}: {error}");
        }
    }

    #[test]
    fn links_that_nobody_else_can_replace_are_followed() {
        for mode in [0o755, 0o775, 0o1777] {
            let dir = directory(mode);
            let link = dir.path().join("shared/plugin.sock");
            symlink("../real/plugin.sock", &link).unwrap();
            assert!(check(&link).is_ok(), "{mode:o}");
        }
    }

    #[test]
    fn sockets_in_shared_directories_and_absent_ones_are_no_links() {
        let dir = directory(0o777);
        fs::write(dir.path().join("shared/plugin.sock"), "").unwrap();
        assert!(check(&dir.path().join("shared/plugin.sock")).is_ok(), "an emptyDir is one");
        assert!(check(&dir.path().join("nowhere/plugin.sock")).is_ok());
        let circle = dir.path().join("circle");
        symlink(&circle, &circle).unwrap();
        assert!(check(&circle).is_ok(), "connecting fails");
    }
}
