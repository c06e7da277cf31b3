//! What README says of the tables is what they are declared to be.

use std::fs;
use std::path::Path;

use kvlens_analysis::tables::{SUMMARY_SNIPPET, markdown};

/// Writes the parts anew instead of comparing them, where it is 1.
const RENEW: &str = "KVLENS_RENEW_DOCS";

/// The text with what stands between a pair of markers replaced.
fn with_part(text: &str, name: &str, part: &str) -> String {
    let (begin, end) = (
        format!("<!-- {name}: made by a test -->\n"),
        format!("<!-- end of {name} -->"),
    );
    let (before, rest) = text.split_once(&begin).expect("a marker before the part");
    let (_, after) = rest.split_once(&end).expect("a marker behind the part");
    format!("{before}{begin}{part}{end}{after}")
}

#[test]
fn readme_tells_the_tables_as_they_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let snippet = format!("```python\n{}\n```\n", SUMMARY_SNIPPET.trim_end());
    let made = with_part(&readme, "tables", &markdown());
    let made = with_part(&made, "summary of overlap", &snippet);
    if std::env::var_os(RENEW).is_some_and(|value| value == "1") {
        fs::write(&path, &made).unwrap();
        return;
    }
    assert!(
        made == readme,
        "README.md tells other tables than there are; `{RENEW}=1 cargo test --workspace --test cli_jobs readme` \
         writes them"
    );
}
