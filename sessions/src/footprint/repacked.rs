//! What candle keeps of a quantised matrix besides its blocks.
//!
//! On the CPU candle 0.11 lays a matrix out anew for the processor's dot products when it is first multiplied, and
//! keeps that beside the blocks (`quantized/repack.rs` and `repack_x86.rs`). Which formats, and how many bytes a
//! number takes then, are those of these files.

use candle_core::quantized::GgmlDType;

/// Bytes of the second layout of a matrix `[rows, columns]` that is multiplied by one row at a time; 0 where it is
/// multiplied as it is.
#[cfg(target_arch = "x86_64")]
pub(super) fn repacked_bytes(format: GgmlDType, rows: usize, columns: usize) -> f64 {
    /// Rows of a tile, and numbers of a row in it.
    const TILE: (usize, usize) = (16, 256);
    if columns == 0 || !rows.is_multiple_of(TILE.0) || !columns.is_multiple_of(TILE.1) {
        return 0.0;
    }
    let dot_products = std::arch::is_x86_feature_detected!("avxvnni")
        || (std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512vnni"));
    let vectors =
        std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma");
    // scales and minima become f32, half-bytes stay two to a byte
    let bytes_per_number = match format {
        GgmlDType::Q4K if dot_products || vectors => 0.75,
        GgmlDType::Q8_0 if dot_products => 1.0625,
        _ => 0.0,
    };
    bytes_per_number * rows as f64 * columns as f64
}

/// The blocks of several rows side by side, which takes as much as the blocks themselves.
#[cfg(target_arch = "aarch64")]
pub(super) fn repacked_bytes(format: GgmlDType, rows: usize, columns: usize) -> f64 {
    let rows_together = match format {
        GgmlDType::Q4_0 | GgmlDType::Q8_0 => 4,
        GgmlDType::Q4K | GgmlDType::Q5K | GgmlDType::Q6K => 8,
        _ => return 0.0,
    };
    let dot_products = std::arch::is_aarch64_feature_detected!("dotprod");
    if !dot_products || !rows.is_multiple_of(rows_together) {
        return 0.0;
    }
    let blocks = rows as f64 * columns as f64 / format.block_size() as f64;
    blocks * format.type_size() as f64
}

/// Matrices are multiplied as they are.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn repacked_bytes(_format: GgmlDType, _rows: usize, _columns: usize) -> f64 {
    0.0
}
