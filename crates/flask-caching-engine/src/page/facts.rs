//! What the headers of an answer say to a shared cache (RFC 9111; RFC 5861).

use std::time::Duration;

use super::conditional::seconds_until;

/// What the headers of an answer say to a shared cache.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is said by a header of its own"
)]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// It sets a cookie.
    pub sets_cookie: bool,
    /// The names in `Vary`, in lower case.
    pub vary: Vec<String>,
    /// The names in `Connection`, in lower case.
    pub connection: Vec<String>,
    /// It has a coding, or a digest that would not be that of another coding.
    pub is_encoded: bool,
    /// Its `ETag`.
    pub etag: Option<String>,
    /// Its `Last-Modified`.
    pub last_modified: Option<String>,
    expires: Option<String>,
    date: Option<String>,
    age: Option<u64>,
    /// `no-store`, `private` and `no-cache`, as far as it says so.
    forbidden: [bool; 3],
    is_public: bool,
    must_stay: bool,
    must_revalidate: bool,
    lifetimes: [MaxAge; 2],
    /// `stale-while-revalidate` and `stale-if-error`.
    windows: [Option<Duration>; 2],
}

/// What `s-maxage` or `max-age` says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum MaxAge {
    #[default]
    Unsaid,
    Seconds(u64),
    /// What is no number.
    Unreadable,
}

/// How long an answer is fresh, as it says itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Freshness {
    /// It does not say.
    Unsaid,
    /// It is stale at once.
    Stale,
    /// So many seconds.
    Seconds(f64),
}

const FORBIDDEN: [&str; 3] = ["no-store", "private", "no-cache"];
/// More seconds than that are as many (RFC 9111, 1.2.2).
const MOST_SECONDS: u64 = 1 << 31;

impl Facts {
    /// Reads a header.
    pub fn read(&mut self, name: &str, value: &str) {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        match name.len() {
            3 if is("age") => {
                // Of a list, the first counts; what is no number, not at all (RFC 9111, 5.1).
                let first = value.split(',').next().unwrap_or_default();
                self.age = self.age.or(number(first.trim()));
            }
            4 if is("date") => {
                self.date.get_or_insert_with(|| value.to_owned());
            }
            4 if is("vary") => add_names(&mut self.vary, value),
            4 if is("etag") => {
                self.etag.get_or_insert_with(|| value.to_owned());
            }
            6 if is("digest") => self.is_encoded = true,
            7 if is("expires") => {
                self.expires.get_or_insert_with(|| value.to_owned());
            }
            10 if is("set-cookie") => self.sets_cookie = true,
            10 if is("connection") => add_names(&mut self.connection, value),
            11 if is("content-md5") || is("repr-digest") => self.is_encoded = true,
            13 if is("cache-control") => self.read_control(value),
            13 if is("last-modified") => {
                self.last_modified.get_or_insert_with(|| value.to_owned());
            }
            14 if is("content-digest") => self.is_encoded = true,
            16 if is("content-encoding") => self.is_encoded = true,
            _ => {}
        }
    }

    fn read_control(&mut self, value: &str) {
        for directive in members(value) {
            let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
            let name = name.trim().to_ascii_lowercase();
            let argument = argument.trim().trim_matches('"');
            if let Some(at) = forbidden_at(&name) {
                self.forbidden[at] = true;
                continue;
            }
            // Who separates them as parameters are means them all the same.
            for part in parts(directive, ';') {
                if let Some(at) = forbidden_at(&part.trim().to_ascii_lowercase()) {
                    self.forbidden[at] = true;
                }
            }
            match &*name {
                "public" => self.is_public = true,
                "no-transform" => self.must_stay = true,
                "must-revalidate" | "proxy-revalidate" => self.must_revalidate = true,
                "s-maxage" => self.lifetimes[0].shorten(argument),
                "max-age" => self.lifetimes[1].shorten(argument),
                "stale-while-revalidate" => shorten(&mut self.windows[0], argument),
                "stale-if-error" => shorten(&mut self.windows[1], argument),
                _ => {}
            }
        }
    }

    /// Which directive keeps shared caches away, if one does.
    fn forbidden_by(&self) -> Option<&'static str> {
        let at = self.forbidden.iter().position(|is_said| *is_said)?;
        Some(FORBIDDEN[at])
    }

    /// Whether it may be stored for who proves who they are (RFC 9111, 3.5).
    fn is_for_all(&self) -> bool {
        self.is_public || self.lifetimes[0] != MaxAge::Unsaid
    }

    /// Why it is not for others, in one word or a few with dashes; `None`: it may be.
    ///
    /// `has_cookies`: whether cookies are part of its page. `is_authorized`: whether the request had
    /// `Authorization`.
    #[must_use]
    pub fn why_not_shared(&self, has_cookies: bool, is_authorized: bool) -> Option<&'static str> {
        let varies_by = |name: &str| self.vary.iter().any(|it| it == name);
        if self.sets_cookie {
            return Some("set-cookie");
        }
        if varies_by("*") {
            return Some("vary-star");
        }
        if !has_cookies && varies_by("cookie") {
            return Some("vary-cookie");
        }
        self.forbidden_by()
            .or((is_authorized && !self.is_for_all()).then_some("authorization"))
    }

    /// Whether its body may be sent in another coding.
    #[must_use]
    pub fn may_be_encoded(&self) -> bool {
        !self.is_encoded && !self.must_stay
    }

    /// How many seconds old it is when it is made, as it says itself: it may come from elsewhere. `now`:
    /// the time since 1970.
    #[must_use]
    pub fn age(&self, now: Duration) -> f64 {
        let apparent = self
            .date
            .as_deref()
            .and_then(|date| seconds_until(date, now));
        // A date has whole seconds.
        let apparent = apparent.map_or(0.0, |until| (-until - 1.0).max(0.0));
        #[expect(clippy::cast_precision_loss, reason = "32 bits fit")]
        let said = self.age.unwrap_or(0) as f64;
        said.max(apparent)
    }

    /// How long it is fresh from now on. `now`: the time since 1970.
    #[must_use]
    pub fn freshness(&self, now: Duration) -> Freshness {
        let left = |seconds: f64| {
            if seconds > 0.0 {
                Freshness::Seconds(seconds)
            } else {
                Freshness::Stale
            }
        };
        for lifetime in self.lifetimes {
            match lifetime {
                MaxAge::Unsaid => {}
                MaxAge::Unreadable => return Freshness::Stale,
                #[expect(clippy::cast_precision_loss, reason = "32 bits fit")]
                MaxAge::Seconds(seconds) => return left(seconds as f64 - self.age(now)),
            }
        }
        let until = |date: &Option<String>| date.as_deref().map(|date| seconds_until(date, now));
        match until(&self.expires) {
            None => Freshness::Unsaid,
            Some(None) => Freshness::Stale,
            Some(Some(expires)) => {
                // By the clock of who says so.
                let made = until(&self.date).flatten().unwrap_or(0.0);
                left(expires - made - self.age(now))
            }
        }
    }

    /// For how long after that it is answered while it is refreshed, and where that fails. `given`: the
    /// same where it does not say.
    ///
    /// RFC 9111, 4.2.4: `must-revalidate` and its like forbid it, `s-maxage` unless the answer allows
    /// it itself.
    #[must_use]
    pub fn windows(&self, given: [Duration; 2]) -> [Duration; 2] {
        if self.must_revalidate {
            return [Duration::ZERO; 2];
        }
        let is_shared = self.lifetimes[0] != MaxAge::Unsaid;
        let given = if is_shared {
            [Duration::ZERO; 2]
        } else {
            given
        };
        [0, 1].map(|at| self.windows[at].unwrap_or(given[at]))
    }
}

impl MaxAge {
    /// The shortest, where there are several.
    fn shorten(&mut self, argument: &str) {
        *self = match (*self, number(argument)) {
            (Self::Unreadable, _) | (_, None) => Self::Unreadable,
            (Self::Seconds(known), Some(seconds)) => Self::Seconds(known.min(seconds)),
            (Self::Unsaid, Some(seconds)) => Self::Seconds(seconds),
        };
    }
}

fn shorten(window: &mut Option<Duration>, argument: &str) {
    // What is no number allows nothing.
    let said = Duration::from_secs(number(argument).unwrap_or(0));
    *window = Some(window.map_or(said, |known| known.min(said)));
}

fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX).min(MOST_SECONDS))
}

fn add_names(names: &mut Vec<String>, value: &str) {
    let given = value.split(',').map(str::trim);
    let given = given.filter(|name| !name.is_empty());
    names.extend(given.map(str::to_ascii_lowercase));
}

fn forbidden_at(name: &str) -> Option<usize> {
    FORBIDDEN.iter().position(|forbidden| name == *forbidden)
}

/// The members of a list, whose quoted parts may have commas.
fn members(value: &str) -> impl Iterator<Item = &str> {
    parts(value, ',')
}

/// What stands between separators that are not quoted.
fn parts(value: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    value.split(move |character| {
        is_quoted ^= character == '"';
        character == separator && !is_quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[(&str, &str)]) -> Facts {
        let mut facts = Facts::default();
        for (name, value) in headers {
            facts.read(name, value);
        }
        facts
    }

    fn control(value: &str) -> Facts {
        of(&[("cache-CONTROL", value)])
    }

    #[test]
    fn the_shared_lifetime_goes_before_the_other_and_both_before_a_date() {
        let now = Duration::from_secs(784_111_777);
        let freshness = |headers: &[(&str, &str)]| of(headers).freshness(now);
        let expires = ("Expires", "Sun, 06 Nov 1994 08:49:47 GMT");
        let control = |value| ("Cache-Control", value);
        assert_eq!(freshness(&[expires]), Freshness::Seconds(10.0));
        assert_eq!(freshness(&[("Expires", "0")]), Freshness::Stale);
        assert_eq!(
            freshness(&[expires, control("max-age=5")]),
            Freshness::Seconds(5.0)
        );
        assert_eq!(
            freshness(&[control("max-age=5, s-maxage=\"7\", max-age=2")]),
            Freshness::Seconds(7.0)
        );
        assert_eq!(
            freshness(&[control("max-age=5"), control("max-age=2")]),
            Freshness::Seconds(2.0)
        );
        for stale in [
            "max-age",
            "max-age=0",
            "max-age=-1",
            "max-age=1.5",
            "s-maxage=x, max-age=9",
        ] {
            assert_eq!(freshness(&[control(stale)]), Freshness::Stale, "{stale}");
        }
        assert_eq!(
            freshness(&[control("max-age=99999999999999999999999")]),
            Freshness::Seconds(2_147_483_648.0)
        );
        assert_eq!(
            freshness(&[control("x=\"a, max-age=1\"")]),
            Freshness::Unsaid
        );
    }

    #[test]
    fn what_comes_from_elsewhere_is_older() {
        let now = Duration::from_secs(784_111_777);
        let hour = ("Cache-Control", "max-age=3600");
        let then = ("Date", "Sun, 06 Nov 1994 08:49:07 GMT");
        let fresh = |headers: &[(&str, &str)]| of(headers).freshness(now);
        let aged = |age| fresh(&[hour, ("Age", age)]);
        assert_eq!(aged("600"), Freshness::Seconds(3000.0));
        assert_eq!(aged("600, 0"), Freshness::Seconds(3000.0));
        assert_eq!(aged("0, 7200"), Freshness::Seconds(3600.0));
        for stale in ["3600", "2147483648", "99999999999999999999"] {
            assert_eq!(aged(stale), Freshness::Stale, "{stale}");
        }
        for ignored in ["abc", "-7200", "7200.0", ""] {
            assert_eq!(aged(ignored), Freshness::Seconds(3600.0), "{ignored}");
        }
        assert_eq!(fresh(&[hour, then]), Freshness::Seconds(3571.0));
        assert_eq!(
            fresh(&[hour, then, ("Age", "60")]),
            Freshness::Seconds(3540.0)
        );
        assert_eq!(fresh(&[hour, ("Date", "then")]), Freshness::Seconds(3600.0));
        let expires = ("Expires", "Sun, 06 Nov 1994 08:50:07 GMT");
        assert_eq!(fresh(&[expires, then]), Freshness::Seconds(31.0));
        assert_eq!(fresh(&[expires, then, ("Age", "60")]), Freshness::Stale);
    }

    #[test]
    fn what_keeps_shared_caches_away_is_found() {
        assert_eq!(
            control("Max-Age=5 , Private").forbidden_by(),
            Some("private")
        );
        assert_eq!(control("no-cache=\"a,b\"").forbidden_by(), Some("no-cache"));
        assert_eq!(
            control("private, no-store").forbidden_by(),
            Some("no-store")
        );
        assert_eq!(control("x=\"no-store\"").forbidden_by(), None);
        assert_eq!(control("x=\"a; no-store\"").forbidden_by(), None);
        assert_eq!(
            control("max-age=9; Private").forbidden_by(),
            Some("private")
        );
        assert!(control("public").is_for_all());
        assert!(control("s-maxage=1").is_for_all());
        assert!(!control("max-age=1").is_for_all());
    }

    #[test]
    fn what_is_one_visitors_is_not_for_others() {
        let why = |name: &str, value: &str, cookies, authorized| {
            of(&[(name, value)]).why_not_shared(cookies, authorized)
        };
        assert_eq!(why("Set-Cookie", "a=b", true, false), Some("set-cookie"));
        assert_eq!(why("Vary", "Accept, *", true, false), Some("vary-star"));
        assert_eq!(why("Vary", "Cookie", false, false), Some("vary-cookie"));
        assert_eq!(why("Vary", "Cookie", true, false), None);
        let control = "Cache-Control";
        assert_eq!(why(control, "no-store", true, false), Some("no-store"));
        assert_eq!(why(control, "max-age=1", true, true), Some("authorization"));
        assert_eq!(why(control, "public", true, true), None);
        assert_eq!(why(control, "max-age=1", false, false), None);
    }

    #[test]
    fn an_answer_says_itself_how_long_it_may_be_old() {
        let windows = |said: &str| {
            let given = [3, 4].map(Duration::from_secs);
            control(said).windows(given).map(|window| window.as_secs())
        };
        assert_eq!(windows("max-age=1"), [3, 4]);
        assert_eq!(windows("stale-while-revalidate=30"), [30, 4]);
        assert_eq!(windows("stale-if-error=x"), [3, 0]);
        assert_eq!(windows("s-maxage=1, stale-if-error=9"), [0, 9]);
        assert_eq!(windows("must-revalidate, stale-if-error=9"), [0, 0]);
        assert_eq!(windows("Proxy-Revalidate"), [0, 0]);
    }

    #[test]
    fn headers_are_read_whatever_their_case() {
        let facts = of(&[
            ("VARY", "Accept , X-A,,"),
            ("vary", "*"),
            ("Set-cookie", "a"),
            ("etag", "\"x\""),
            ("ETag", "\"y\""),
            ("Connection", "close, X-B"),
            ("Last-Modified", "then"),
        ]);
        assert_eq!(facts.vary, ["accept", "x-a", "*"]);
        assert_eq!(facts.connection, ["close", "x-b"]);
        assert!(facts.sets_cookie);
        assert_eq!(facts.etag.as_deref(), Some("\"x\""));
        assert_eq!(facts.last_modified.as_deref(), Some("then"));
        assert!(facts.may_be_encoded());
        for (name, value) in [
            ("Content-Encoding", "gzip"),
            ("Content-MD5", "x"),
            ("Repr-Digest", "x"),
            ("Content-Digest", "x"),
            ("Digest", "x"),
            ("Cache-Control", "No-Transform"),
        ] {
            assert!(!of(&[(name, value)]).may_be_encoded(), "{name}");
        }
    }
}
