//! A cache of weights by the outputs that arrived.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::Slots;
use crate::error::CodeError;

/// The maximum number of entries. Patterns of lost outputs repeat, and a dropped entry is only recomputed.
const MAX_ENTRIES: usize = 4096;

/// Values keyed by the number of queries in the group and the slots that arrived.
#[derive(Debug)]
pub(super) struct Cache<T> {
    entries: RwLock<HashMap<(usize, Slots), Arc<T>>>,
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self {
            entries: RwLock::default(),
        }
    }
}

impl<T> Cache<T> {
    /// The cached value, or that of `make`. Two threads may compute the same value; errors are not cached.
    pub(super) fn get_or_make(
        &self,
        queries: usize,
        slots: Slots,
        make: impl FnOnce() -> Result<T, CodeError>,
    ) -> Result<Arc<T>, CodeError> {
        let key = (queries, slots);
        // No operation on the map panics halfway, so a poisoned lock still guards a valid map.
        let kept = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = kept.get(&key) {
            return Ok(Arc::clone(value));
        }
        drop(kept);
        let value = Arc::new(make()?);
        let mut kept = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_ENTRIES {
            kept.clear();
        }
        kept.insert(key, Arc::clone(&value));
        Ok(value)
    }
}
