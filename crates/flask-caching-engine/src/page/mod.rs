//! Whole answers of HTTP: what tells two requests apart, how an answer is written as bytes, and when it
//! is still what a client has (RFC 9110, section 13; RFC 9111).

mod codec;
mod conditional;
mod identity;
mod status;

pub use codec::{Page, decode, encode, is_page};
pub use conditional::{Conditions, is_unchanged, seconds_until};
pub use identity::{Identity, etag};
pub use status::{Standing, standing};

/// A header as it is sent: its name and its value, in Latin-1.
pub type Header = (Vec<u8>, Vec<u8>);
