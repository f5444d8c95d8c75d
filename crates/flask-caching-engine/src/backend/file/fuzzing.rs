//! What holds whatever a file of the cache's directory holds.

use std::time::Duration;

use super::format::{HEAD, Layout, expiry, head, open};

/// Any file is read or refused, whatever length it is said to have; what is written is read.
///
/// # Panics
/// It does not hold.
pub fn file_entry(input: &[u8]) {
    let Some((split, file)) = input.split_first() else {
        return;
    };
    let (key, _) = file.split_at(usize::from(*split).min(file.len()));
    for length in [file.len() as u64, u64::from(*split), 0, u64::MAX] {
        if let Ok((entry, mut check)) = open(key, &file[..file.len().min(HEAD)], length) {
            assert!(entry.start <= file.len());
            check.update(&file[entry.start..]);
            let _ = (check.finish(), entry.is_live(Duration::from_secs(1)));
        }
    }
    let _ = expiry(file);
    let expires = (*split != 0).then(|| Duration::from_millis(u64::from(*split) * 300));
    let mut written = head(Layout::Enveloped, key, expires, &[file]);
    let (entry, mut check) = open(key, &written, (HEAD + file.len()) as u64).unwrap();
    check.update(file);
    assert_eq!((check.finish(), entry.expires), (Ok(()), expires));
    // A key, or a value, that is another one is noticed.
    let at = usize::from(*split) % written.len();
    written.extend_from_slice(file);
    written[at] ^= 1 << (split % 8);
    if let Ok((entry, mut check)) = open(key, &written, written.len() as u64) {
        check.update(&written[entry.start..]);
        let whole = check.finish().is_ok() && entry.start == HEAD;
        assert!(!whole, "damage at {at}");
    }
}
