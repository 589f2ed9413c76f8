//! The resident or ghost objects of a policy, and the linked lists that order them.
//!
//! A [`Table`] maps pages to slots; a slot stores the object and its two links. The lists are
//! intrusive: an object is in at most one [`List`], and moving it touches its neighbors' slots only.

use crate::request::PageId;

/// No slot.
const NONE: u32 = u32::MAX;

/// Index of an object in a [`Table`].
pub(crate) type Slot = u32;

/// One object.
#[derive(Clone, Debug)]
pub(crate) struct Entry<T> {
    pub(crate) page: PageId,
    pub(crate) size: u32,
    newer: Slot,
    older: Slot,
    pub(crate) data: T,
}

/// Objects by page and by slot.
#[derive(Clone, Debug)]
pub(crate) struct Table<T> {
    slot_of: Vec<Slot>,
    entries: Vec<Entry<T>>,
    free: Vec<Slot>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            slot_of: Vec::new(),
            entries: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Table<T> {
    #[inline]
    pub(crate) fn find(&self, page: PageId) -> Option<Slot> {
        match self.slot_of.get(page as usize) {
            Some(&slot) if slot != NONE => Some(slot),
            _ => None,
        }
    }

    /// Number of objects.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Adds an absent object, in no list yet.
    pub(crate) fn insert(&mut self, page: PageId, size: u32, data: T) -> Slot {
        let index = page as usize;
        // Page numbers are dense, so an array by page replaces a hash table.
        if index >= self.slot_of.len() {
            self.slot_of.resize((index + 1).next_power_of_two(), NONE);
        }
        let entry = Entry {
            page,
            size,
            newer: NONE,
            older: NONE,
            data,
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.entries[slot as usize] = entry;
                slot
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as Slot
            }
        };
        self.slot_of[index] = slot;
        slot
    }

    /// Removes an object that is in no list.
    pub(crate) fn remove(&mut self, slot: Slot) -> PageId {
        let page = self.entries[slot as usize].page;
        self.slot_of[page as usize] = NONE;
        self.free.push(slot);
        page
    }

    #[inline]
    pub(crate) fn get(&self, slot: Slot) -> &Entry<T> {
        &self.entries[slot as usize]
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: Slot) -> &mut Entry<T> {
        &mut self.entries[slot as usize]
    }

    /// The slot after this one towards the newest end of its list.
    #[inline]
    pub(crate) fn newer(&self, slot: Slot) -> Option<Slot> {
        some(self.entries[slot as usize].newer)
    }

    /// Appends a slot that is in no list to the newest end of this one.
    #[inline]
    pub(crate) fn push_newest(&mut self, list: &mut List, slot: Slot) {
        let entry = &mut self.entries[slot as usize];
        entry.newer = NONE;
        entry.older = list.newest;
        list.size += u64::from(entry.size);
        list.len += 1;
        if list.newest == NONE {
            list.oldest = slot;
        } else {
            self.entries[list.newest as usize].newer = slot;
        }
        list.newest = slot;
    }

    /// Removes a slot from its list.
    #[inline]
    pub(crate) fn unlink(&mut self, list: &mut List, slot: Slot) {
        let entry = &self.entries[slot as usize];
        let (newer, older) = (entry.newer, entry.older);
        list.size -= u64::from(entry.size);
        list.len -= 1;
        if newer == NONE {
            list.newest = older;
        } else {
            self.entries[newer as usize].older = older;
        }
        if older == NONE {
            list.oldest = newer;
        } else {
            self.entries[older as usize].newer = newer;
        }
    }

    /// Moves a slot of this list to its newest end.
    #[inline]
    pub(crate) fn refresh(&mut self, list: &mut List, slot: Slot) {
        if list.newest == slot {
            return;
        }
        // Not the newest, so it has a newer neighbor and the list at least two slots.
        let entry = &mut self.entries[slot as usize];
        let (newer, older) = (entry.newer, entry.older);
        entry.newer = NONE;
        entry.older = list.newest;
        self.entries[newer as usize].older = older;
        if older == NONE {
            list.oldest = newer;
        } else {
            self.entries[older as usize].newer = newer;
        }
        self.entries[list.newest as usize].newer = slot;
        list.newest = slot;
    }

    /// Removes the oldest slot of this list.
    #[inline]
    pub(crate) fn pop_oldest(&mut self, list: &mut List) -> Option<Slot> {
        let slot = list.oldest()?;
        self.unlink(list, slot);
        Some(slot)
    }
}

/// The ends of an intrusive list through a table, with its length and the total size of its objects.
#[derive(Clone, Debug)]
pub(crate) struct List {
    newest: Slot,
    oldest: Slot,
    size: u64,
    len: usize,
}

impl Default for List {
    fn default() -> Self {
        Self {
            newest: NONE,
            oldest: NONE,
            size: 0,
            len: 0,
        }
    }
}

impl List {
    #[inline]
    pub(crate) fn oldest(&self) -> Option<Slot> {
        some(self.oldest)
    }

    /// Sum of the sizes of the objects in the list.
    #[inline]
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[inline]
fn some(slot: Slot) -> Option<Slot> {
    (slot != NONE).then_some(slot)
}
