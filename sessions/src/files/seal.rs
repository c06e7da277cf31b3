//! Files that hold their own SHA-256: it is taken with zeros in its place, so whoever wrote such a file can be told
//! from whoever changed it.

use crate::hash::sha256_hex;

/// What stands in the place of the hash while it is taken.
pub(crate) const UNSEALED: &str =
    "0000000000000000000000000000000000000000000000000000000000000000";

/// Writes the hash into the first place that is [`UNSEALED`]. Bytes without one stay as they are.
pub(crate) fn seal(bytes: &mut [u8]) {
    let hash = sha256_hex(bytes);
    if let Some(place) = place_of(bytes, UNSEALED) {
        put(bytes, place, &hash);
    }
}

/// Whether nothing was changed since the bytes were sealed with this hash, which stands in them.
pub(crate) fn is_sealed(bytes: &[u8], hash: &str) -> bool {
    let Some(place) = place_of(bytes, hash).filter(|_| hash.len() == UNSEALED.len()) else {
        return false;
    };
    let mut unsealed = bytes.to_vec();
    put(&mut unsealed, place, UNSEALED);
    sha256_hex(&unsealed) == hash
}

fn place_of(bytes: &[u8], text: &str) -> Option<usize> {
    let mut places = bytes.windows(text.len().max(1));
    places.position(|window| window == text.as_bytes())
}

fn put(bytes: &mut [u8], place: usize, text: &str) {
    if let Some(to) = bytes.get_mut(place..place + text.len()) {
        to.copy_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_text_tells_every_change() {
        let mut text = format!("{{\"sha256\":\"{UNSEALED}\",\"n\":17}}").into_bytes();
        seal(&mut text);
        let hash = String::from_utf8(text[11..75].to_vec()).unwrap();
        assert!(is_sealed(&text, &hash));
        for place in 0..text.len() {
            let mut changed = text.clone();
            changed[place] ^= 1;
            let said = String::from_utf8_lossy(&changed[11..75]).into_owned();
            assert!(!is_sealed(&changed, &said), "byte {place}");
        }
        assert!(!is_sealed(b"{}", ""));
    }
}
