//! How many threads share a product of matrices.

/// The variable of the environment by which rayon and candle are told how many threads to use.
pub const THREADS_VARIABLE: &str = "RAYON_NUM_THREADS";

/// Settles the number of threads for the whole process: one for each core that it may use.
///
/// candle 0.11 counts the cores before every product of matrices, by reading `/proc/cpuinfo`, unless the variable
/// `RAYON_NUM_THREADS` holds the number (`candle_core::utils::get_num_threads`): that was more than half of a decode
/// step of the built-in model. And it counts those of the machine, of which a job on a cluster may have a few. What
/// the variable holds already stays.
///
/// # Safety
/// It sets a variable of the environment, so no other thread may run yet: call it first in `main`.
#[expect(
    unsafe_code,
    reason = "the environment is the only way to tell candle; whoever calls this has to be first"
)]
pub unsafe fn settle_number_of_threads() {
    if std::env::var_os(THREADS_VARIABLE).is_none() {
        let cores = num_cpus::get_physical().min(num_cpus::get()).max(1);
        // SAFETY: no other thread runs, as this function's own contract says
        unsafe { std::env::set_var(THREADS_VARIABLE, cores.to_string()) };
    }
}
