//! Files of any size in the memory of a few prompts. One test alone in its program, because the allocator counts for
//! all threads together.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::path::Path;

use kvlens_datasets::{DataSpec, LoadOptions, PromptChoices, Samples, read_each, spool_with};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// Bytes of one prompt's document.
const DOCUMENT: usize = 100_000;

/// Prompts of the file: 300 MB.
const PROMPTS: usize = 3_000;

/// What may stand at once: the text in memory before a file is made of it, one row in all its forms, and buffers.
const MOST_BYTES: usize = 24 << 20;

fn write(path: &Path, prompts: usize) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let document = "All work and no play makes a dull page. ".repeat(DOCUMENT / 40);
    for index in 0..prompts {
        writeln!(
            file,
            r#"{{"id":"p-{index}","context":"{document}","question":"Which page is number {index}?","answer":"dull"}}"#
        )
        .unwrap();
    }
    file.flush().unwrap();
}

/// Bytes that stand at once beyond what stood before.
fn peak_of(work: impl FnOnce()) -> usize {
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    work();
    ALLOCATED.peak_usage() - before
}

#[test]
fn a_large_file_is_read_checked_and_laid_aside_in_the_memory_of_a_few_prompts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.jsonl");
    write(&path, PROMPTS);
    assert!(std::fs::metadata(&path).unwrap().len() > 300_000_000);
    let specs = [DataSpec::File(path.clone())];

    let mut seen = 0;
    let read = peak_of(|| {
        read_each(&specs, &LoadOptions::default(), &mut |_| {
            seen += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    });
    assert_eq!(seen, PROMPTS);
    assert!(read < MOST_BYTES, "{read}");

    let mut spooled = None;
    let laid_aside = peak_of(|| {
        spooled = Some(spool_with(&specs, &LoadOptions::default(), folder.path()).unwrap());
    });
    assert!(laid_aside < MOST_BYTES, "{laid_aside}");
    let spooled = spooled.unwrap();
    // twice, as a capture does
    for _ in 0..2 {
        let mut letters = 0;
        let back = peak_of(|| {
            for (index, sample) in Samples::from(&spooled.samples).iter().enumerate() {
                let sample = sample.unwrap();
                assert_eq!(sample.id, format!("p-{index}"));
                letters += sample.prompt.len();
            }
        });
        assert!(letters > 300_000_000);
        assert!(back < MOST_BYTES, "{back}");
    }

    // what stands behind the limit is not read: a line that is no JSON would be told
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .unwrap();
    file.write_all(b"{ no row\n").unwrap();
    let limited = PromptChoices {
        limit: Some(2),
        ..PromptChoices::default()
    };
    let loaded = spool_with(&specs, &limited.options().unwrap(), folder.path()).unwrap();
    assert_eq!(loaded.samples.len(), 2);
    assert!(loaded.report.sources[0].rows <= 3);
}
