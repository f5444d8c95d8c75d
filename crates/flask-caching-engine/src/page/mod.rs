//! Whole answers of HTTP: what tells two requests apart, what an answer says to a shared cache, how it is
//! written as bytes and in which codings, and when it is still what a client has (RFC 9110, section 13;
//! RFC 9111).

mod codec;
mod coding;
mod conditional;
mod facts;
mod identity;
mod status;

pub use codec::{Page, Variant, decode, encode, is_page};
pub use coding::{Coding, choose};
pub use conditional::{Conditions, is_unchanged, seconds_until};
pub use facts::{Facts, Freshness};
pub use identity::{Identity, etag};
pub use status::{Standing, standing};

/// A header as it is sent: its name and its value, in Latin-1.
pub type Header = (Vec<u8>, Vec<u8>);
