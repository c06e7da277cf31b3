//! What a table holds that gets its rows one at a time. One test in a file of its own: the allocator counts
//! everything that the process allocates.

use kvlens_analysis::tables::{CostRow, CostTable, SampleContext, TableFile, TableWriter};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// Texts of a row, each too long to lie beside its length.
const TEXTS: usize = 7;

fn sample(index: usize) -> SampleContext {
    SampleContext {
        session: "a session with a name".to_owned(),
        model: "a model with a name".to_owned(),
        dataset: "a dataset with a name".to_owned(),
        task: "a task with a name".to_owned(),
        sample: format!("sample number {index}"),
        prompt_tokens: 4096,
        decode_tokens: 16,
        ..SampleContext::default()
    }
}

#[test]
fn rows_that_come_one_at_a_time_take_what_they_hold() {
    const ROWS: usize = 3000;
    let folder = tempfile::tempdir().unwrap();
    let mut table = TableWriter::<CostTable>::create(folder.path(), "{}").unwrap();
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    for index in 0..ROWS {
        let row = CostRow {
            sample: &sample(index),
            window: "a window with a label",
            observations: 1,
            rows: 32,
            seconds: index as f64,
            flops: 1.0,
            extra_tokens: 0,
            peak_bytes: 0,
            score_kind: "accumulated-attention",
        };
        table.write(&[row]).unwrap();
    }
    let peak = ALLOCATED.peak_usage() - before;
    // A text takes its bytes, 16 of place and length, and as much again while the rows are put together; a
    // quarter of that again for the numbers.
    let of_rows = ROWS * TEXTS * 2 * (32 + 16) * 5 / 4;
    // The engine's blocks of text in the batches that may wait, of 8 KiB each, and as much for all around them.
    let of_batches = 32 * TEXTS * 8192 * 2;
    assert!(
        peak < of_rows + of_batches,
        "{peak}, {of_rows}, {of_batches}"
    );
    // Every batch kept as it came would be far more than that.
    assert!(of_rows + of_batches < ROWS * TEXTS * 8192 / 10);

    table.finish().unwrap();
    let written = TableFile::read(&folder.path().join("cost.parquet")).unwrap();
    assert_eq!(written.row_groups(), [ROWS]);
    let named = written.text("sample").unwrap().into_iter().flatten();
    assert!(named.eq((0..ROWS).map(|index| sample(index).sample)));
    let seconds = written.numbers("seconds").unwrap().into_iter().flatten();
    assert!(seconds.eq((0..ROWS).map(|index| index as f64)));
}
