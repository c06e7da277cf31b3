//! What must hold of everything that was read, whatever stood in the file; the fuzz targets hold it, too.

use std::collections::BTreeSet;

use kvlens_datasets::{Loaded, QuestionPlace, Sample, score};

/// Holds a sample to what is promised of it.
pub fn check(sample: &Sample) {
    assert!(!sample.prompt.trim().is_empty());
    for span in &sample.evidence {
        assert!(sample.prompt.get(span.clone()).is_some(), "{sample:?}");
    }
    if let (Some(parts), Some(place)) = (&sample.parts, sample.question_place) {
        assert_eq!(parts.compose(place), sample.prompt);
        assert_eq!(sample.prompt[parts.document_span(place)], parts.document);
        for place in QuestionPlace::ALL {
            if let Ok(moved) = sample.with_question(place) {
                assert_eq!(parts.compose(place), moved.prompt);
            }
        }
    }
    for text in ["", "Ann", sample.answer.as_deref().unwrap_or_default()] {
        let score = score(sample, text);
        assert!(
            score.is_none_or(|score| (0.0..=1.0).contains(&score)),
            "{sample:?}"
        );
    }
}

/// Holds the samples of one file, and what is said of it.
pub fn check_all(loaded: &Loaded) {
    let ids: BTreeSet<&str> = loaded
        .samples
        .iter()
        .map(|sample| sample.id.as_str())
        .collect();
    assert_eq!(ids.len(), loaded.samples.len());
    loaded.samples.iter().for_each(check);
    let source = &loaded.report.sources[0];
    assert_eq!(source.samples, loaded.samples.len());
    // a row is a sample or more, or it is left out
    assert!(source.rows - source.left_out.count <= source.samples);
    for row in &source.left_out.first {
        assert!(row.number >= 1 && !row.problem.is_empty());
    }
    // of a text there is nothing to say
    assert!(source.is_plain() || loaded.report.to_string().contains(&source.name));
}
