use super::*;
use crate::backend::memcached::Distribution::{Ketama, KetamaWeighted, Modula};

const KEYS: [&str; 20] = [
    "a",
    "abc",
    "flask_cache_view//x",
    "é",
    "hello",
    "foo",
    "bar",
    "baz",
    "qux",
    "k1",
    "k2",
    "k3",
    "k4",
    "k5",
    "k6",
    "k7",
    "k8",
    "k9",
    "k10",
    "k11",
];
const EQUAL: &[&str] = &["a", "b:1", "c:2"];
const UNEQUAL: &[&str] = &[
    "10.0.0.1:11211:1",
    "10.0.0.2:22122:3",
    "10.0.0.3:11211:10",
    "/tmp/x.sock",
];

/// What libmemcached 1.0.18 (`memcached_generate_hash`) answers, with its behaviors set in the
/// order in which pylibmc sets them.
#[test]
fn keys_are_placed_as_libmemcached_places_them() {
    #[rustfmt::skip]
    let cases: &[(Distribution, KeyHash, &[&str], [usize; 20])] = &[
        (Modula, KeyHash::OneAtATime, EQUAL, [0, 0, 0, 2, 0, 0, 1, 1, 0, 1, 2, 2, 1, 1, 1, 1, 1, 1, 2, 0]),
        (Modula, KeyHash::OneAtATime, UNEQUAL, [2, 3, 0, 2, 3, 1, 1, 2, 0, 3, 1, 0, 1, 1, 0, 2, 3, 3, 1, 1]),
        (Modula, KeyHash::Md5, EQUAL, [0, 2, 0, 1, 0, 1, 2, 2, 2, 2, 0, 0, 0, 0, 2, 2, 1, 2, 0, 2]),
        (Modula, KeyHash::Md5, UNEQUAL, [0, 0, 2, 2, 1, 0, 3, 3, 0, 2, 1, 3, 1, 3, 1, 2, 3, 3, 2, 3]),
        (Modula, KeyHash::Fnv1a32, EQUAL, [1, 2, 1, 1, 0, 0, 2, 1, 0, 0, 0, 2, 0, 2, 2, 1, 0, 2, 1, 2]),
        (Modula, KeyHash::Fnv1a32, UNEQUAL, [0, 3, 3, 1, 3, 3, 2, 2, 1, 1, 0, 3, 2, 1, 0, 3, 2, 1, 3, 0]),
        (Ketama, KeyHash::OneAtATime, EQUAL, [2, 0, 2, 1, 0, 1, 0, 2, 1, 1, 0, 1, 2, 1, 1, 1, 0, 2, 0, 2]),
        (Ketama, KeyHash::OneAtATime, UNEQUAL, [0, 1, 2, 3, 2, 2, 0, 3, 3, 2, 1, 1, 3, 3, 0, 3, 0, 2, 0, 0]),
        (Ketama, KeyHash::Md5, EQUAL, [2, 2, 0, 2, 2, 0, 2, 2, 1, 0, 0, 2, 0, 1, 2, 0, 0, 2, 0, 0]),
        (Ketama, KeyHash::Md5, UNEQUAL, [1, 3, 1, 0, 1, 3, 2, 0, 2, 0, 0, 1, 2, 2, 0, 2, 2, 1, 2, 3]),
        (Ketama, KeyHash::Fnv1a32, EQUAL, [0, 1, 1, 2, 0, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
        (Ketama, KeyHash::Fnv1a32, UNEQUAL, [3, 0, 0, 2, 2, 2, 0, 0, 3, 0, 1, 0, 0, 0, 0, 0, 3, 3, 0, 0]),
        (KetamaWeighted, KeyHash::OneAtATime, EQUAL, [2, 1, 2, 1, 0, 1, 0, 2, 1, 0, 0, 1, 2, 2, 0, 0, 2, 2, 0, 0]),
        (KetamaWeighted, KeyHash::OneAtATime, UNEQUAL, [1, 2, 1, 0, 3, 2, 2, 2, 1, 2, 2, 2, 2, 2, 3, 2, 2, 1, 2, 1]),
        (KetamaWeighted, KeyHash::Md5, EQUAL, [2, 1, 2, 1, 0, 1, 0, 2, 1, 0, 0, 1, 2, 2, 0, 0, 2, 2, 0, 0]),
        (KetamaWeighted, KeyHash::Md5, UNEQUAL, [1, 2, 1, 0, 3, 2, 2, 2, 1, 2, 2, 2, 2, 2, 3, 2, 2, 1, 2, 1]),
        (KetamaWeighted, KeyHash::Fnv1a32, EQUAL, [2, 1, 2, 1, 0, 1, 0, 2, 1, 0, 0, 1, 2, 2, 0, 0, 2, 2, 0, 0]),
        (KetamaWeighted, KeyHash::Fnv1a32, UNEQUAL, [1, 2, 1, 0, 3, 2, 2, 2, 1, 2, 2, 2, 2, 2, 3, 2, 2, 1, 2, 1]),
    ];
    for (distribution, hash, servers, expected) in cases {
        let servers: Vec<_> = servers.iter().map(|s| Address::parse(s).unwrap()).collect();
        let placement = Placement::new(*distribution, *hash, &servers);
        let placed = KEYS.map(|key| placement.server_of(key.as_bytes()));
        assert_eq!(
            placed, *expected,
            "{distribution:?} by {hash:?} over {servers:?}"
        );
    }
}
