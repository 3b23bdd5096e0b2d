//! Where a value is in a request, for errors.

use std::fmt::{self, Display, Formatter};

/// The most characters of a name that an error repeats.
const MAX_NAME_CHARS: usize = 100;

/// Where a value is in a request.
///
/// It becomes text only in an error: a string for each item of a list would cost more than the list, and
/// as much again for each level of nesting.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Path<'a> {
    /// A field of the request.
    Root(&'a str),
    /// A member of an object, map or message.
    Member(&'a Self, &'a str),
    /// An item of a list.
    Item(&'a Self, usize),
}

impl Path<'_> {
    /// The path of the member `name`.
    pub(crate) fn member<'a>(&'a self, name: &'a str) -> Path<'a> {
        Path::Member(self, name)
    }

    /// The path of the item at `index`.
    pub(crate) fn item(&self, index: usize) -> Path<'_> {
        Path::Item(self, index)
    }
}

impl Display for Path<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(field) => f.write_str(field),
            Self::Member(of, name) => match name.char_indices().nth(MAX_NAME_CHARS) {
                Some((end, _)) => write!(f, "{of}.{}…", &name[..end]),
                None => write!(f, "{of}.{name}"),
            },
            Self::Item(of, index) => write!(f, "{of}[{index}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_members_and_items() {
        let root = Path::Root("inputs");
        let long = "n".repeat(1000);
        assert_eq!(root.member("x").item(3).member("y").to_string(), "inputs.x[3].y");
        assert_eq!(root.member(&long).to_string(), format!("inputs.{}…", "n".repeat(100)));
    }
}
