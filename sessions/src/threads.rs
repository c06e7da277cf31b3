//! How many threads share a product of matrices.

/// The variable of the environment by which rayon and candle are told how many threads to use.
pub const THREADS_VARIABLE: &str = "RAYON_NUM_THREADS";

/// More than any computer has cores that share a product.
pub const MOST_THREADS: usize = 1024;

/// Settles the number of threads for the whole process: one for each core that it may use.
///
/// candle 0.11 counts the cores before every product of matrices, by reading `/proc/cpuinfo`, unless the variable
/// `RAYON_NUM_THREADS` holds the number (`candle_core::utils::get_num_threads`): that was more than half of a decode
/// step of the built-in model. And it counts those of the machine, of which a job on a cluster may have a few. What
/// the variable holds already stays, up to `MOST_THREADS`: all of them are started before any signal is heard.
///
/// # Safety
/// It sets a variable of the environment, so no other thread may run yet: call it first in `main`.
#[expect(
    unsafe_code,
    reason = "the environment is the only way to tell candle; whoever calls this has to be first"
)]
pub unsafe fn settle_number_of_threads() {
    let asked = std::env::var(THREADS_VARIABLE).ok();
    let settled = match asked.as_deref().map(str::trim).map(str::parse::<u128>) {
        None if std::env::var_os(THREADS_VARIABLE).is_none() => {
            num_cpus::get_physical().min(num_cpus::get()).max(1)
        }
        Some(Ok(count)) if count > MOST_THREADS as u128 => MOST_THREADS,
        // what is no number, rayon and candle take for none
        _ => return,
    };
    // SAFETY: no other thread runs, as this function's own contract says
    unsafe { std::env::set_var(THREADS_VARIABLE, settled.to_string()) };
}
