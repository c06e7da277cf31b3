//! The job behind maps over all samples: measures every sample of a session at one budget.

use std::sync::Arc;

use kvlens_sessions::Session;

use super::data::Progress;
use super::lanes::Reporter;
use super::questions::Answer;
use super::session_maps::{GatheredKey, GatheredValues, SessionMaps, SessionMapsKey};
use crate::measurement::measure_sample;

/// What was gathered last; another choice of windows needs no new measurement.
#[derive(Default)]
pub(super) struct Gathered {
    complete: Option<(GatheredKey, GatheredValues)>,
}

impl Gathered {
    /// Sends the means after each sample, and everything at the end.
    pub(super) fn compare(
        &mut self,
        key: SessionMapsKey,
        reporter: &Reporter<'_>,
    ) -> anyhow::Result<()> {
        let session = reporter.samples.session(&key.gathered.path)?;
        let total = session.sample_count();
        let known = self.complete.take();
        let known = known.filter(|(gathered, _)| *gathered == key.gathered);
        let values = match known {
            Some((_, values)) => values,
            None => gather(&session, &key, reporter)?,
        };
        let maps = SessionMaps::complete(key.clone(), &values, total);
        self.complete = Some((key.gathered, values));
        reporter.answer(Answer::Maps(Arc::new(maps?)));
        Ok(())
    }
}

fn gather(
    session: &Session,
    key: &SessionMapsKey,
    reporter: &Reporter<'_>,
) -> anyhow::Result<GatheredValues> {
    let wanted = &key.gathered;
    let shape = &session.manifest().shape;
    let mut values = GatheredValues::new([shape.layers, shape.query_heads], wanted);
    let total = session.sample_count();
    for index in 0..total {
        reporter.cancel.check()?;
        (reporter.progress)(Progress {
            stage: "Compare all samples".to_owned(),
            sample: Some((index + 1, total)),
            ..Progress::default()
        });
        let captured = reporter.samples.load_to_measure(session, index);
        let budgets = |tokens| values.budgets(tokens);
        let measured = captured.and_then(|it| measure_sample(&it, &wanted.options, budgets));
        match measured {
            Ok(measured) => values.add(&measured.joined()),
            Err(error) => reporter.leave_out(&mut values.left_out, (session, index), error)?,
        }
        if values.samples() > 0 && index + 1 < total {
            let maps = SessionMaps::means(key.clone(), &values, total)?;
            reporter.answer(Answer::Maps(Arc::new(maps)));
        }
    }
    Ok(values)
}
