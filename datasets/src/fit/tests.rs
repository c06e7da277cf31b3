//! Cutting texts of which most has to go.

use std::cell::Cell;

use super::*;

/// Counts words, and remembers the longest text that it was asked to take apart.
#[derive(Default)]
struct Words {
    longest: Cell<usize>,
}

impl TokenCounter for Words {
    fn spans(&self, text: &str) -> Result<Vec<Range<usize>>, String> {
        self.longest.set(self.longest.get().max(text.len()));
        let start = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
        let words = text.split_whitespace();
        Ok(words
            .map(|word| start(word)..start(word) + word.len())
            .collect())
    }

    fn prompt_tokens(&self, sample: &Sample) -> Result<usize, String> {
        Ok(sample.prompt.split_whitespace().count())
    }
}

/// The words w0, w1 and so on between an instruction and a question of two words each.
fn long(words: usize) -> Sample {
    let document: Vec<String> = (0..words).map(|word| format!("w{word}")).collect();
    let document = document.join(" ");
    let parts = PromptParts {
        before: "Read this. ".to_owned(),
        document,
        joiner: " ".to_owned(),
        question: "Which one?".to_owned(),
        after: String::new(),
    };
    let prompt = parts.compose(QuestionPlace::End);
    let (middle, end) = (prompt.find("w50000 ").unwrap(), prompt.len());
    Sample {
        evidence: vec![middle..middle + 6, end - 4..end],
        prompt,
        parts: Some(parts),
        ..Sample::default()
    }
}

fn cut_to(sample: Sample, too_long: TooLong) -> (Sample, [usize; 3], usize) {
    let words = Words::default();
    let limits = Fit {
        limit_tokens: 12,
        too_long,
    };
    match fit(sample, None, Some((limits, &words))).unwrap() {
        Fitted::Cut {
            sample,
            from_tokens,
            to_tokens,
            lost_evidence,
        } => (
            sample,
            [from_tokens, to_tokens, lost_evidence],
            words.longest.get(),
        ),
        _ => panic!("it was not cut"),
    }
}

#[test]
fn most_of_a_long_text_goes_without_being_taken_apart() {
    // half of the twelve words before the middle, half behind it
    let (sample, told, longest) = cut_to(long(100_000), TooLong::CutMiddle);
    let kept = "Read this. w0 w1 w2 w3 w99996 w99997 w99998 w99999 Which one?";
    let words =
        |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
    assert_eq!(words(&sample.prompt), words(kept));
    assert_eq!(told, [100_004, 12, 1], "the evidence in the middle is lost");
    assert_eq!(&sample.prompt[sample.evidence[0].clone()], "one?");
    assert!(longest < 2_000, "{longest} bytes were taken apart at once");
    let (sample, told, longest) = cut_to(long(100_000), TooLong::CutLeft);
    let kept: Vec<String> = (99_992..100_000).map(|word| format!("w{word}")).collect();
    assert_eq!(
        words(&sample.prompt),
        words(&format!("Read this. {} Which one?", kept.join(" ")))
    );
    assert_eq!(told, [100_004, 12, 1]);
    assert!(longest < 2_000, "{longest} bytes were taken apart at once");
}
