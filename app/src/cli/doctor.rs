//! `kvlens doctor`: what the program finds here.

use std::fmt::Write;

use anyhow::Result;
use kvlens_sessions::THREADS_VARIABLE;
use kvlens_sessions::estimate::readable_bytes;
use kvlens_sessions::hub::HubSettings;
use kvlens_sessions::model::{devices, flash_heads};
use kvlens_sessions::windows::{SCORING_SYNTAX, registered};

use super::output;
use crate::jobs::display;
use crate::jobs::folders::sessions_folder;
use crate::system_memory::available_memory;

/// Prints the report.
///
/// # Errors
/// When stdout cannot be written.
pub fn run() -> Result<()> {
    let mut report = Report::default();
    report.line("kvlens", env!("CARGO_PKG_VERSION"));
    report.line("built in", &features());
    report.line("processor", &processor());
    report.line("threads", &threads());
    report.line("memory", &memory());
    for device in devices() {
        let state = if device.usable { "" } else { "no: " };
        report.line(
            &format!("device {}", device.name),
            &format!("{state}{}", device.detail),
        );
    }
    report.line(
        "display",
        &display::named().unwrap_or_else(|| display::MISSING.to_owned()),
    );
    report.line(
        "model demo",
        "built in: a small Llama that finds facts in prompts of up to 2,048 tokens",
    );
    let hub = HubSettings::from_environment();
    let network = if hub.offline { ", offline" } else { "" };
    report.line(
        "hub cache",
        &format!("{}{network}", hub.cache.folder().display()),
    );
    for window in registered() {
        report.line(&format!("window {}", window.name), window.summary);
        if window.syntax != window.name {
            report.line("", window.syntax);
        }
    }
    report.line("every window", SCORING_SYNTAX);
    report.line(
        "sessions",
        &format!(
            "go where --out says; the demo's to kvlens-demo in the current folder; the workbench's to {}",
            sessions_folder().display()
        ),
    );
    output::print(&report.text)
}

#[derive(Default)]
struct Report {
    text: String,
}

impl Report {
    fn line(&mut self, name: &str, value: &str) {
        // writing to a string cannot fail
        let _ = writeln!(self.text, "{name:<16} {value}");
    }
}

fn features() -> String {
    let with = |built_in: bool| if built_in { "with" } else { "without" };
    let flash = match flash_heads() {
        Some(heads) => format!("with flash attention for heads of {heads} numbers"),
        None => "without flash attention".to_owned(),
    };
    format!(
        "{} CUDA, {flash}, {} Metal",
        with(cfg!(feature = "cuda")),
        with(cfg!(feature = "metal"))
    )
}

/// As told to whoever multiplies matrices, by the user or at this program's start.
fn threads() -> String {
    match std::env::var(THREADS_VARIABLE) {
        Ok(count) => format!("{count} share the work ({THREADS_VARIABLE})"),
        Err(_) => format!("not settled ({THREADS_VARIABLE})"),
    }
}

fn processor() -> String {
    let hardware_threads = std::thread::available_parallelism().map_or(1, usize::from);
    let features = processor_features();
    let features = if features.is_empty() {
        "no vector extension that was looked for".to_owned()
    } else {
        features.join(" ")
    };
    format!(
        "{}, {hardware_threads} hardware threads, {features}",
        std::env::consts::ARCH
    )
}

#[cfg(target_arch = "x86_64")]
fn processor_features() -> Vec<&'static str> {
    [
        ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ("fma", std::arch::is_x86_feature_detected!("fma")),
        ("f16c", std::arch::is_x86_feature_detected!("f16c")),
        ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
    ]
    .into_iter()
    .filter_map(|(name, found)| found.then_some(name))
    .collect()
}

#[cfg(target_arch = "aarch64")]
fn processor_features() -> Vec<&'static str> {
    [
        ("neon", std::arch::is_aarch64_feature_detected!("neon")),
        ("fp16", std::arch::is_aarch64_feature_detected!("fp16")),
        (
            "dotprod",
            std::arch::is_aarch64_feature_detected!("dotprod"),
        ),
    ]
    .into_iter()
    .filter_map(|(name, found)| found.then_some(name))
    .collect()
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn processor_features() -> Vec<&'static str> {
    Vec::new()
}

fn memory() -> String {
    let memory = available_memory();
    match (memory.host_total_bytes, memory.host_bytes) {
        (Some(total), Some(available)) => format!(
            "{}, {} of it available",
            readable_bytes(total as f64),
            readable_bytes(available as f64)
        ),
        _ => "cannot be told".to_owned(),
    }
}
