//! Reading the program's own Markdown: pages are cut at their headings of the second level.

/// A heading of the second level with what stands under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section<'a> {
    /// The words of the heading.
    pub heading: &'a str,
    /// What stands under it, up to the next one.
    pub body: &'a str,
    /// Both, as they were written.
    pub whole: &'a str,
}

/// Cuts a page: what stands above the first heading of the second level, and the sections. Lines of a fenced block
/// are no headings.
#[must_use]
pub fn sections(page: &str) -> (&str, Vec<Section<'_>>) {
    let mut starts = Vec::new();
    let (mut at, mut is_fenced) = (0, false);
    for line in page.split_inclusive('\n') {
        if line.starts_with("```") {
            is_fenced = !is_fenced;
        } else if !is_fenced && line.starts_with("## ") {
            starts.push(at);
        }
        at += line.len();
    }
    let head = page.get(..starts.first().copied().unwrap_or(at));
    let ends = starts.iter().skip(1).copied().chain([at]);
    let cut = starts.iter().zip(ends).filter_map(|(start, end)| {
        let whole = page.get(*start..end)?;
        let (first, body) = whole.split_once('\n').unwrap_or((whole, ""));
        Some(Section {
            heading: first.trim_start_matches('#').trim(),
            body: body.trim(),
            whole,
        })
    });
    (head.unwrap_or_default().trim(), cut.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_cut_at_its_headings_and_not_inside_code() {
        let page = "# Title\n\nabove\n\n## One\ntext\n```\n## no heading\n```\n## Two\n";
        let (head, cut) = sections(page);
        assert_eq!(head, "# Title\n\nabove");
        assert_eq!(cut.len(), 2);
        assert_eq!(cut[0].heading, "One");
        assert_eq!(cut[0].body, "text\n```\n## no heading\n```");
        assert_eq!((cut[1].heading, cut[1].body), ("Two", ""));
        assert_eq!(sections("").1, []);
    }
}
