//! A page of one view for a browser: its picture, its numbers, and how to come back to it.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use egui::ColorImage;

use super::Workbench;
use super::picture::{png, stem_of};
use crate::gui::in_force::in_force;
use crate::gui::layout::Pane;
use crate::gui::numbers::escaped_html;

const STYLE: &str = "body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
                     img{max-width:100%}table{border-collapse:collapse;font-size:14px}\
                     td,th{border-bottom:1px solid #ccc;padding:.2rem .6rem;text-align:right}\
                     td:first-child,th:first-child{text-align:left}pre{overflow:auto;background:#f4f4f4;padding:.6rem}";

impl Workbench {
    /// Writes the page beside the session; it needs no other file.
    pub(super) fn save_page(&mut self, pane: Pane, picture: &ColorImage) -> Result<PathBuf> {
        let table = self.page_table.take();
        let table = table.context("the view has no numbers yet; try again when it shows some")?;
        let path = self.free_path(&stem_of(pane), "html")?;
        let page = self.page(pane, &png(picture)?, &table)?;
        kvlens_sessions::write_file(&path, page.as_bytes())?;
        Ok(path)
    }

    fn page(&self, pane: Pane, picture: &[u8], table: &str) -> Result<String> {
        let session = self.data.session.as_ref().context("no session is open")?;
        let shown = session.shown.as_ref().context("no sample is on show")?;
        let title = escaped_html(&format!("{} of {}", pane.title(), session.info.name));
        let facts = escaped_html(&format!(
            "Model {}, sample {}, {} prompt tokens, budget {} tokens, {}",
            session.info.model,
            shown.sample.record.id,
            shown.sample.record.prompt_ids.len(),
            self.derived.budget_tokens(),
            in_force(&shown.options),
        ));
        let compared = escaped_html(&shown.options.compared());
        let script = escaped_html(&self.script_of_now());
        let picture = STANDARD.encode(picture);
        Ok(format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n\
             <style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n<p>{facts}</p>\n<p>{compared}</p>\n\
             <img alt=\"{title}\" src=\"data:image/png;base64,{picture}\">\n<h2>Numbers</h2>\n{table}\
             <h2>The same in KVLens</h2>\n<p>Save this as look.json and run \
             <code>kvlens open --script look.json</code>.</p>\n<pre>{script}</pre>\n</body></html>\n"
        ))
    }
}
