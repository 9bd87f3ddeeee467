//! Memory for the small things that every request takes and gives back.
//!
//! Owns: short lists of free blocks, one per size, in front of the usual
//! allocator, which takes many times the code for the same. Lists are bounded, so
//! that what a large feed gave back serves other sizes too. A virtual machine has
//! one thread; nothing here is locked.

use core::cell::UnsafeCell;
use std::alloc::{GlobalAlloc, Layout, System};

/// Sizes are rounded up to a multiple of this.
const STEP: usize = 16;
/// Larger blocks come from the usual allocator.
const LARGEST: usize = 1_024;
/// Most free blocks of one size.
const KEPT: usize = 32;
/// What the usual allocator aligns every block to.
const ALIGNMENT: usize = 8;

#[derive(Clone, Copy)]
struct FreeList {
    first: *mut u8,
    length: usize,
}

/// The allocator.
pub struct Memory(UnsafeCell<[FreeList; LARGEST / STEP]>);

// SAFETY: a virtual machine of proxy-wasm has one thread.
unsafe impl Sync for Memory {}

#[global_allocator]
static MEMORY: Memory = Memory(UnsafeCell::new(
    [FreeList {
        first: core::ptr::null_mut(),
        length: 0,
    }; LARGEST / STEP],
));

/// The list that a block belongs to.
const fn list_of(layout: Layout) -> Option<usize> {
    let size = layout.size();
    if size == 0 || size > LARGEST || layout.align() > ALIGNMENT {
        return None;
    }
    Some((size - 1) / STEP)
}

const fn block_of(list: usize) -> Layout {
    // SAFETY: the alignment is a power of two and the size far from overflow.
    unsafe { Layout::from_size_align_unchecked((list + 1) * STEP, ALIGNMENT) }
}

// SAFETY: every block handed out is one of the usual allocator, at least as large as
// asked for, and is either in a list or in use.
unsafe impl GlobalAlloc for Memory {
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(list) = list_of(layout) else {
            // SAFETY: as the caller's.
            return unsafe { System.alloc(layout) };
        };
        // SAFETY: one thread, and no reference outlives this function.
        let lists = unsafe { &mut *self.0.get() };
        if let Some(free) = lists.get_mut(list)
            && !free.first.is_null()
        {
            let block = free.first;
            // SAFETY: a free block's first bytes hold the next free block.
            free.first = unsafe { block.cast::<*mut u8>().read() };
            free.length -= 1;
            return block;
        }
        // SAFETY: the size is not zero.
        unsafe { System.alloc(block_of(list)) }
    }

    #[inline(never)]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(list) = list_of(layout) else {
            // SAFETY: as the caller's.
            return unsafe { System.dealloc(block, layout) };
        };
        // SAFETY: as above.
        let lists = unsafe { &mut *self.0.get() };
        match lists.get_mut(list) {
            Some(free) if free.length < KEPT => {
                // SAFETY: the block is no longer in use and has room for a pointer.
                unsafe { block.cast::<*mut u8>().write(free.first) };
                free.first = block;
                free.length += 1;
            }
            // SAFETY: it was allocated with this layout.
            _ => unsafe { System.dealloc(block, block_of(list)) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's size is in bounds for the alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (list_of(layout), list_of(wanted)) {
            // SAFETY: both are the usual allocator's.
            (None, None) => unsafe { System.realloc(block, layout, size) },
            (Some(from), Some(to)) if from == to => block,
            // SAFETY: the new block is as large as asked for, and apart from the old.
            _ => unsafe {
                let moved = self.alloc(wanted);
                if !moved.is_null() {
                    block.copy_to_nonoverlapping(moved, layout.size().min(size));
                    self.dealloc(block, layout);
                }
                moved
            },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if list_of(layout).is_none() {
            // SAFETY: as the caller's.
            return unsafe { System.alloc_zeroed(layout) };
        }
        // SAFETY: as the caller's; the block has the size asked for.
        unsafe {
            let block = self.alloc(layout);
            if !block.is_null() {
                block.write_bytes(0, layout.size());
            }
            block
        }
    }
}
