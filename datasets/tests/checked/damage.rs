//! Damage that is the same in every run: the tests of all readers make theirs here.

/// Bytes that readers stumble over: quotes, brackets, signs of JSON, TOML and Jinja, breaks, NUL, half letters, U+2028, a
/// byte order mark, surrogates, numbers and lengths far too large.
const BAD: [&[u8]; 36] = [
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"=",
    b"#",
    b"(",
    b"-",
    b"\n",
    b"\r\n",
    b"\r",
    b"\0",
    b"\xff",
    b"\xc3",
    b"\xe2\x80\xa8",
    b"\xef\xbb\xbf",
    b"\\ud800",
    b"\\udc00",
    b"\\u0000",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"null",
    b"true",
    b"'",
    b"'''",
    b"{{",
    b"{%",
    b"-1",
    b"18446744073709551615",
    b"\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x00\x00\x00\x00\x00\x00\x00\x00",
];

/// How many times as many damages as usual are tried.
const TIMES: &str = "KVLENS_DAMAGES";

/// Multiplies the rounds of a test: 1, or what is asked for by hand.
pub fn times() -> u64 {
    std::env::var(TIMES).map_or(1, |times| times.parse().unwrap())
}

/// A sequence of numbers by Knuth's MMIX generator; its high bits are used.
pub struct Numbers(u64);

impl Numbers {
    /// Always the same ones, and others where more are asked for.
    pub fn of(seed: u64) -> Self {
        Self(seed ^ (times().saturating_sub(1) << 32))
    }

    /// A number below the bound.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound.max(1)
    }
}

/// The bytes with up to four places cut, doubled, flipped or filled with what readers stumble over. Three of four places
/// lie within the first so many bytes, where a file that holds more than text has its header.
pub fn damaged(bytes: &[u8], header: usize, numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=numbers.below(4) {
        let within = match numbers.below(4) {
            0 => bytes.len(),
            _ => bytes.len().min(header),
        };
        let at = numbers.below(within + 1);
        match numbers.below(6) {
            0 => bytes.truncate(at),
            1 => {
                let end = (at + numbers.below(12)).min(bytes.len());
                bytes.drain(at..end);
            }
            2 => {
                let end = (at + numbers.below(60)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            3 if at < bytes.len() => bytes[at] ^= 1 << numbers.below(8),
            kind => {
                let bad = BAD[numbers.below(BAD.len())];
                // in the place of what is there, or before it
                let end = match kind {
                    4 => (at + bad.len()).min(bytes.len()),
                    _ => at,
                };
                bytes.splice(at..end, bad.iter().copied());
            }
        }
    }
    bytes
}
