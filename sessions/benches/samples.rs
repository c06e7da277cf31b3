//! What a sample costs by how many there are: sessions of 100, 1,000 and 10,000 prompts of 32 tokens, one layer of random
//! weights, so that what is written and kept counts for more than the model.
//!
//! `cargo bench --workspace --bench samples`, with `-- 300` for another number of samples alone. Prints the time of a
//! sample from the first tenth and from the last tenth of the capture, what the session's record takes on disk, and how
//! long it takes to open.

mod support;

use std::path::Path;
use std::time::Instant;

use kvlens_datasets::Sample;
use kvlens_sessions::model::{
    AttentionKernel, ChatVariables, DeviceChoice, DtypeChoice, Model, ModelSource,
};
use kvlens_sessions::{
    CancelFlag, CaptureEvent, CapturePlan, DecodePlan, Session, StartMode, capture,
};
use support::{Shape, sample};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const SHAPE: Shape = Shape {
    layers: 1,
    hidden: 32,
    query_heads: 2,
    kv_heads: 1,
    head_dim: 16,
    intermediate: 64,
    vocabulary: 512,
};

const PROMPT_TOKENS: usize = 32;
const COUNTS: [usize; 3] = [100, 1_000, 10_000];
const OPENINGS: usize = 5;

fn main() -> Outcome<()> {
    let asked: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let counts = match asked.is_empty() {
        true => &COUNTS[..],
        false => &asked,
    };
    println!("samples | ms each: all, first tenth, last tenth | record, KB | opening, ms");
    for &count in counts {
        case(count)?;
    }
    Ok(())
}

fn case(count: usize) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let model = folder.path().join("model");
    std::fs::create_dir(&model)?;
    SHAPE.write(&model, DtypeChoice::F32)?;
    let source = ModelSource::Folder(model);
    let model = Model::load(&source, DeviceChoice::Cpu, DtypeChoice::F32)?;
    let samples: Vec<Sample> = (0..count)
        .map(|number| Sample {
            id: format!("random-{number}"),
            ..sample(PROMPT_TOKENS)
        })
        .collect();
    let out = folder.path().join("s.kvlens");
    let mut ends = Vec::with_capacity(count);
    let begin = Instant::now();
    let mut on_event = |event| {
        if matches!(event, CaptureEvent::SampleFinished { .. }) {
            ends.push(begin.elapsed().as_secs_f64());
        }
    };
    capture(
        &plan(source),
        &model,
        &samples,
        &out,
        StartMode::New,
        &mut on_event,
        &CancelFlag::default(),
    )?;
    let all = begin.elapsed().as_secs_f64();
    let tenth = (count / 10).max(1);
    let (Some(first), Some(last)) = (
        ends.get(tenth - 1).zip(ends.first()),
        ends.last().zip(ends.get(count - tenth)),
    ) else {
        return Err("a sample was not captured".into());
    };
    let of_each = |(end, begin): (&f64, &f64)| (end - begin) * 1e3 / (tenth - 1).max(1) as f64;
    println!(
        "{count} | {:.2}, {:.2}, {:.2} | {:.0} | {:.1}",
        all * 1e3 / count as f64,
        of_each(first),
        of_each(last),
        std::fs::metadata(out.join("manifest.json"))?.len() as f64 / 1e3,
        opening(&out)? * 1e3
    );
    Ok(())
}

/// The median.
fn opening(session: &Path) -> Outcome<f64> {
    let mut times = Vec::with_capacity(OPENINGS);
    for _ in 0..OPENINGS {
        let begin = Instant::now();
        std::hint::black_box(Session::open(session)?);
        times.push(begin.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times.get(OPENINGS / 2).copied().unwrap_or_default())
}

fn plan(model: ModelSource) -> CapturePlan {
    CapturePlan {
        model,
        data: vec!["random".to_owned()],
        prompts: kvlens_datasets::PromptChoices::default(),
        read: None,
        windows: vec!["last:8".to_owned()],
        decode: DecodePlan {
            max_tokens: 2,
            ignore_eos: true,
            ..DecodePlan::default()
        },
        chat: false,
        chat_variables: ChatVariables::default(),
        device: DeviceChoice::Cpu,
        dtype: DtypeChoice::F32,
        attention: AttentionKernel::Blocks,
        keep: None,
        numbers: None,
        repeat_cost: 1,
    }
}
