//! The vector instructions of batch operations.

use core::fmt;

use crate::error::SketchError;

/// A vector instruction set. It affects speed only, never results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Simd {
    /// No vector code beyond the compilation target.
    Scalar,
    /// AVX2, 256 bits, of x86-64.
    Avx2,
    /// AVX-512 with the F, BW, DQ and VL extensions, 512 bits, of x86-64.
    Avx512,
}

impl Simd {
    /// All sets, the narrowest first.
    pub const ALL: [Self; 3] = [Self::Scalar, Self::Avx2, Self::Avx512];

    /// Whether this processor has these instructions. Without `std` the answer is that of the
    /// compilation target.
    #[must_use]
    pub fn is_available(self) -> bool {
        // Detection needs `std`; without it the answer is fixed at compile time.
        #[cfg(target_arch = "x86_64")]
        macro_rules! has {
            ($($feature:tt),*) => {{
                #[cfg(feature = "std")]
                let present = $(std::arch::is_x86_feature_detected!($feature))&&*;
                #[cfg(not(feature = "std"))]
                let present = $(cfg!(target_feature = $feature))&&*;
                present
            }};
        }
        match self {
            Self::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => has!("avx2", "bmi2"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => has!("avx512f", "avx512bw", "avx512dq", "avx512vl", "bmi2"),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }

    /// The widest set that this processor has.
    #[must_use]
    pub fn detect() -> Self {
        let widest = Self::ALL.into_iter().rev().find(|set| set.is_available());
        widest.unwrap_or(Self::Scalar)
    }

    /// This set, if the processor has it.
    ///
    /// # Errors
    ///
    /// [`SketchError::Parameter`] when it does not.
    pub fn check(self) -> Result<Self, SketchError> {
        if self.is_available() {
            Ok(self)
        } else {
            Err(SketchError::parameter(
                "simd",
                "instructions that this processor has",
                self,
            ))
        }
    }
}

impl fmt::Display for Simd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "AVX2",
            Self::Avx512 => "AVX-512",
        })
    }
}
