//! Renders values into SQL statements so that no value changes the shape of its statement.
//!
//! A service describes the SQL of its vendor in a [`Dialect`]. [`Template::parse`] splits a statement at its
//! placeholders and finds the [`Place`] of each: between tokens, within quotes, in a comment, or in a string
//! that runs as code. A [`Writer`] then writes each value as its place requires, or refuses it.

mod code;
mod decode;
mod dialect;
mod inner;
mod lexer;
mod place;
mod shape;
mod statement;
mod template;
mod write;

#[cfg(test)]
mod tests;

pub use self::{
    dialect::{Dialect, Escapes, Holds, Quote, Runs},
    lexer::{Find, Found, Kind, Quoted, Token},
    place::{Inner, Place},
    template::{Hole, Template, is_plain, named},
    write::{Filling, Writer, swallowed},
};
