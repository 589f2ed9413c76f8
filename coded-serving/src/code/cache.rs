//! Weights that were worked out once, kept by what arrived.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::Slots;
use crate::error::CodeError;

/// The most entries: patterns of losses repeat, and one that was forgotten is only worked out again.
const MOST: usize = 4096;

/// By the number of queries in the group and the slots that arrived.
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
    /// What is kept under the key, or what `make` gives.
    pub(super) fn get_or_make(
        &self,
        queries: usize,
        slots: Slots,
        make: impl FnOnce() -> Result<T, CodeError>,
    ) -> Result<Arc<T>, CodeError> {
        let key = (queries, slots);
        // The map is whole whenever the lock is free: a poisoned lock is as good.
        let kept = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = kept.get(&key) {
            return Ok(Arc::clone(value));
        }
        drop(kept);
        let value = Arc::new(make()?);
        let mut kept = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(key, Arc::clone(&value));
        Ok(value)
    }
}
