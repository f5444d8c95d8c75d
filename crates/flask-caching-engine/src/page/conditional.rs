//! Conditional requests (RFC 9110, section 13), as far as a cache decides about them.

use std::time::{Duration, UNIX_EPOCH};

/// What a request says of the answer that its client has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conditions<'a> {
    /// `If-None-Match`.
    pub none_match: Option<&'a str>,
    /// `If-Modified-Since`, which counts only without the other.
    pub modified_since: Option<&'a str>,
}

/// Whether the client has the answer already: 304.
///
/// `etag`: that of the answer, with its quotation marks, and `W/` where it is weak. `last_modified`: its
/// header.
#[must_use]
pub fn is_unchanged(
    conditions: Conditions<'_>,
    etag: Option<&str>,
    last_modified: Option<&str>,
) -> bool {
    if let Some(tags) = conditions.none_match {
        return if tags.trim() == "*" {
            true
        } else {
            etag.is_some_and(|etag| is_among(etag, tags))
        };
    }
    let (Some(since), Some(modified)) = (conditions.modified_since, last_modified) else {
        return false;
    };
    match (
        httpdate::parse_http_date(since),
        httpdate::parse_http_date(modified),
    ) {
        (Ok(since), Ok(modified)) => modified <= since,
        _ => false,
    }
}

/// How many seconds lie between now and a point in time of an HTTP header; `None`: it is none.
#[must_use]
pub fn seconds_until(date: &str, now: Duration) -> Option<f64> {
    let date = httpdate::parse_http_date(date).ok()?;
    let date = date.duration_since(UNIX_EPOCH).unwrap_or_default();
    Some(date.as_secs_f64() - now.as_secs_f64())
}

/// Whether a list of entity tags has one that is weakly the same.
fn is_among(etag: &str, mut tags: &str) -> bool {
    if etag == tags {
        return true;
    }
    let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    let wanted = opaque(etag);
    loop {
        tags = tags.trim_start_matches([' ', '\t', ',']);
        let tag = tags.strip_prefix("W/").unwrap_or(tags);
        let Some(inner) = tag.strip_prefix('"') else {
            return false;
        };
        let Some(end) = inner.find('"') else {
            return false;
        };
        if tag[..end + 2] == *wanted {
            return true;
        }
        tags = &inner[end + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none_match(tags: &str, etag: Option<&str>) -> bool {
        let conditions = Conditions {
            none_match: Some(tags),
            // It does not count beside the other.
            modified_since: Some("Fri, 01 Jan 2100 00:00:00 GMT"),
        };
        is_unchanged(conditions, etag, Some("Thu, 01 Jan 1970 00:00:00 GMT"))
    }

    #[test]
    fn one_of_a_list_is_enough() {
        assert!(none_match(r#""a", W/"b,c" ,"d""#, Some(r#""b,c""#)));
        assert!(none_match(r#""b,c""#, Some(r#"W/"b,c""#)));
        assert!(none_match(" * ", None));
        assert!(!none_match(r#""b", "c""#, Some(r#""b,c""#)));
        assert!(!none_match(r#""a"#, Some(r#""a""#)));
        assert!(!none_match("a", Some(r#""a""#)));
        assert!(!none_match("", Some(r#""""#)));
    }

    #[test]
    fn what_was_not_changed_since_is_unchanged() {
        let since = |since| {
            let conditions = Conditions {
                none_match: None,
                modified_since: Some(since),
            };
            is_unchanged(conditions, None, Some("Sun, 06 Nov 1994 08:49:37 GMT"))
        };
        assert!(since("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert!(since("Sunday, 06-Nov-94 08:49:38 GMT"));
        assert!(!since("Sun Nov  6 08:49:36 1994"));
        assert!(!since("yesterday"));
    }

    #[test]
    fn a_point_in_time_is_so_far_away() {
        let now = Duration::from_secs(784_111_777);
        assert_eq!(
            seconds_until("Sun, 06 Nov 1994 08:49:47 GMT", now),
            Some(10.0)
        );
        assert_eq!(seconds_until("0", now), None);
    }
}
