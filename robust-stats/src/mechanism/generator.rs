//! The random numbers of clients.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
#[cfg(feature = "std")]
use rand_chacha::rand_core::{CryptoRng, RngCore};

#[cfg(feature = "std")]
use crate::error::RobustStatsError;

/// A cryptographic generator for clients: ChaCha with 12 rounds, seeded by the operating system.
///
/// After a `fork` the child's copy seeds itself again at its first number, so that parent and child
/// never send reports under the same noise. It is therefore no `Clone` either. Only processes made
/// without the C library's `fork`, such as by a plain `clone` system call, repeat their parent's numbers.
#[cfg(feature = "std")]
pub struct ClientGenerator {
    generator: ChaCha12Rng,
    /// The number of forks at the last seeding.
    forks: usize,
}

/// A generator for clients, seeded by the operating system.
///
/// # Errors
///
/// When the operating system's source of randomness fails, or forks cannot be noticed because memory is
/// exhausted.
#[cfg(feature = "std")]
pub fn client_generator() -> Result<ClientGenerator, RobustStatsError> {
    forks::watch().map_err(|error| {
        RobustStatsError::parameter("operating system", "memory for a fork handler", error)
    })?;
    let forks = forks::count();
    let generator = ChaCha12Rng::try_from_os_rng().map_err(|error| {
        RobustStatsError::parameter("operating system", "a source of randomness", error)
    })?;
    Ok(ClientGenerator { generator, forks })
}

/// A plain generator from a seed, for targets without an operating system. The seed must be 32 secret
/// random bytes, such as from a browser's `crypto.getRandomValues`, and used only once: copies of the
/// generator, also those that a fork makes, give the same numbers.
#[must_use]
pub fn client_generator_from_seed(seed: [u8; 32]) -> ChaCha12Rng {
    ChaCha12Rng::from_seed(seed)
}

#[cfg(feature = "std")]
impl ClientGenerator {
    /// The generator, of this process.
    #[inline]
    fn current(&mut self) -> &mut ChaCha12Rng {
        let forks = forks::count();
        if forks != self.forks {
            self.seed_again(forks);
        }
        &mut self.generator
    }

    #[cold]
    fn seed_again(&mut self, forks: usize) {
        // The trait has no errors, and the parent's numbers must not be given.
        self.generator = ChaCha12Rng::try_from_os_rng().expect(
            "the operating system's source of randomness, which worked in the parent process",
        );
        self.forks = forks;
    }
}

/// # Panics
///
/// In the child of a fork, when the operating system's source of randomness fails.
#[cfg(feature = "std")]
impl RngCore for ClientGenerator {
    #[inline]
    fn next_u32(&mut self) -> u32 {
        self.current().next_u32()
    }

    #[inline]
    fn next_u64(&mut self) -> u64 {
        self.current().next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.current().fill_bytes(bytes);
    }
}

#[cfg(feature = "std")]
impl CryptoRng for ClientGenerator {}

#[cfg(feature = "std")]
impl core::fmt::Debug for ClientGenerator {
    // Omits the state: debug output ends up in logs.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ClientGenerator").finish_non_exhaustive()
    }
}

/// Counts the forks between this process and the one that first asked. A handler of the C library does
/// it, because the process id is a system call, which takes a hundred times as long as a random number.
#[cfg(all(feature = "std", unix))]
mod forks {
    use std::ffi::c_int;
    use std::io;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    type Handler = extern "C" fn();

    #[expect(unsafe_code, reason = "the standard library does not tell about forks")]
    // SAFETY: the declaration of POSIX; an absent handler is a null pointer.
    unsafe extern "C" {
        fn pthread_atfork(
            before: Option<Handler>,
            in_parent: Option<Handler>,
            in_child: Option<Handler>,
        ) -> c_int;
    }

    static FORKS: AtomicUsize = AtomicUsize::new(0);

    extern "C" fn count_fork() {
        FORKS.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts forks from now on.
    pub(super) fn watch() -> io::Result<()> {
        static CODE: OnceLock<c_int> = OnceLock::new();
        let code = *CODE.get_or_init(|| {
            #[expect(unsafe_code, reason = "the standard library does not tell about forks")]
            // SAFETY: the handler has the right type and only touches an atomic number, which is
            // allowed between a fork and whatever follows.
            unsafe {
                pthread_atfork(None, None, Some(count_fork))
            }
        });
        match code {
            0 => Ok(()),
            code => Err(io::Error::from_raw_os_error(code)),
        }
    }

    /// The number of forks since the first [`watch`].
    #[inline]
    pub(super) fn count() -> usize {
        FORKS.load(Ordering::Relaxed)
    }
}

/// Processes of other systems do not fork.
#[cfg(all(feature = "std", not(unix)))]
mod forks {
    pub(super) fn watch() -> std::io::Result<()> {
        Ok(())
    }

    pub(super) fn count() -> usize {
        0
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::ffi::c_int;
    use std::io::{Read, Write};

    use super::*;

    #[expect(unsafe_code, reason = "the standard library does not fork")]
    // SAFETY: the declarations of POSIX.
    unsafe extern "C" {
        fn fork() -> c_int;
        fn _exit(status: c_int) -> !;
        fn waitpid(process: c_int, status: *mut c_int, options: c_int) -> c_int;
    }

    #[test]
    #[expect(unsafe_code, reason = "the standard library does not fork")]
    fn a_child_draws_other_numbers() {
        let mut generator = client_generator().unwrap();
        let mut same = ClientGenerator {
            generator: generator.generator.clone(),
            forks: generator.forks,
        };
        // In the middle of a block of the cipher, whose rest the child must not use.
        assert_eq!(generator.next_u64(), same.next_u64());
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        // SAFETY: until it exits, the child makes system calls and touches its own memory only: it
        // takes no lock and allocates nothing.
        let child = unsafe { fork() };
        if child == 0 {
            let written = writer.write_all(&generator.next_u64().to_le_bytes());
            // SAFETY: ends this process without the handlers of the parent's threads.
            unsafe { _exit(c_int::from(written.is_err())) }
        }
        assert!(child > 0);
        drop(writer);
        let mut number = [0; 8];
        reader.read_exact(&mut number).unwrap();
        let mut status = -1;
        // SAFETY: the pointer is to a number.
        assert_eq!(unsafe { waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
        let parent = generator.next_u64();
        assert_eq!(parent, same.next_u64(), "the parent goes on");
        assert_ne!(u64::from_le_bytes(number), parent);
    }
}
