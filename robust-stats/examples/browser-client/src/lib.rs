//! A client of a hash design for browsers: `cargo build --release --target wasm32-unknown-unknown`.
//!
//! The page writes 32 bytes of `crypto.getRandomValues` and the 32 bytes of the design's seed into
//! memory, opens a client, and reads one report for each symbol.

#![no_std]
#![expect(unsafe_code, reason = "the interface of WebAssembly is functions without mangled names")]

extern crate alloc;

use alloc::boxed::Box;
use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;

use septet_robust_stats::Epsilon;
use septet_robust_stats::design::{DesignParameters, DesignReport, GroupClient};
use septet_robust_stats::mechanism::{Mechanism, client_generator_from_seed};
use septet_robust_stats::wire::write_design_report;

/// Memory is taken from the end and given back with the page.
struct Bump(UnsafeCell<usize>);

// SAFETY: WebAssembly without threads runs one function at a time.
unsafe impl Sync for Bump {}

// SAFETY: every block is new memory past all earlier ones, aligned and grown for as needed.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        #[cfg(target_arch = "wasm32")]
        {
            const PAGE: usize = 1 << 16;
            // SAFETY: no other reference to the cell lives while this function runs.
            let next = unsafe { &mut *self.0.get() };
            if *next == 0 {
                *next = core::arch::wasm32::memory_size(0) * PAGE;
            }
            let start = next.next_multiple_of(layout.align());
            let end = start + layout.size();
            let missing = end.saturating_sub(core::arch::wasm32::memory_size(0) * PAGE);
            if missing > 0
                && core::arch::wasm32::memory_grow(0, missing.div_ceil(PAGE)) == usize::MAX
            {
                return core::ptr::null_mut();
            }
            *next = end;
            start as *mut u8
        }
        #[cfg(not(target_arch = "wasm32"))]
        {
            let _ = (&self.0, layout);
            core::ptr::null_mut()
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static MEMORY: Bump = Bump(UnsafeCell::new(0));

#[cfg(target_arch = "wasm32")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// A client and its generator's seed, of which one block is used for each report.
pub struct Client {
    group: GroupClient,
    secret: [u8; 32],
    report: [u8; 32],
}

/// Room for the two seeds: the design's, then the client's secret.
#[unsafe(no_mangle)]
pub extern "C" fn seeds() -> *mut [u8; 64] {
    Box::into_raw(Box::new([0; 64]))
}

/// Opens a client, or gives nothing when a parameter is out of range. `epsilon` of 0 is no privacy.
/// The seeds are overwritten with zeros: the secret is left in the client only.
///
/// # Safety
///
/// `seeds` must come from [`seeds`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn open(
    seeds: *mut [u8; 64],
    domain: u32,
    cells: u32,
    groups: u32,
    epoch: u32,
    epsilon: f64,
    group: u32,
) -> Option<Box<Client>> {
    // SAFETY: the caller gives a pointer that `seeds` returned.
    let seeds = unsafe { &mut *seeds };
    let (mut public, mut secret) = ([0; 32], [0; 32]);
    public.copy_from_slice(&seeds[..32]);
    secret.copy_from_slice(&seeds[32..]);
    // The page can read this memory, so that the write is seen and not optimized away.
    *core::hint::black_box(seeds) = [0; 64];
    let mut design = DesignParameters::new(domain as usize, cells as usize, public)
        .ok()?
        .with_groups(groups as usize)
        .ok()?
        .with_epoch(epoch);
    if epsilon != 0.0 {
        design = design.with_epsilon(Epsilon::new(epsilon).ok()?).ok()?;
    }
    Some(Box::new(Client {
        group: GroupClient::new(&design, group as usize).ok()?,
        secret,
        report: [0; 32],
    }))
}

/// Encodes a symbol, once for each client: the length of the report that stands at
/// [`report`], or 0 when the symbol is outside the domain, which leaves the client as it was, or a
/// report was made before.
#[unsafe(no_mangle)]
pub extern "C" fn encode(client: &mut Client, symbol: u32) -> usize {
    if client.secret == [0; 32] || symbol as usize >= client.group.domain() {
        return 0;
    }
    let mut rng = client_generator_from_seed(core::mem::take(&mut client.secret));
    let Ok(report) = DesignReport::encode(&client.group, symbol as usize, &mut rng) else {
        return 0;
    };
    let bytes = write_design_report(&report);
    client.report[..bytes.len()].copy_from_slice(&bytes);
    bytes.len()
}

/// Where the report stands.
#[unsafe(no_mangle)]
pub extern "C" fn report(client: &Client) -> *const u8 {
    client.report.as_ptr()
}
