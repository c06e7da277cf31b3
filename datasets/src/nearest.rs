//! What was probably meant by a name that nothing has.

/// The known name that is most alike, by Jaro and Winkler; nothing where none is known.
#[must_use]
pub fn nearest_name<'a>(name: &str, known: &[&'a str]) -> &'a str {
    let near = known
        .iter()
        .map(|known| (strsim::jaro_winkler(name, known), *known))
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    near.map_or("", |(_, known)| known)
}
